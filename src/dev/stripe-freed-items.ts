import type { EndpointContext } from './stripe-endpoint.js';
import { newId, type StandInInvoice, type StandInLine } from './stripe-objects.js';
import type { StandInInvoiceItem } from './stripe-subscription-objects.js';

/** The items of a draft that was deleted: gone with it, or pending from now on where the stand-in is to free them. */
export function dropItems(context: EndpointContext, invoice: StandInInvoice): void {
  for (const item of context.store.values('invoice_items').filter((it) => it.invoice === invoice.id)) {
    if (context.freesItems) context.store.put('invoice_items', item.id, { ...item, invoice: null });
    else context.store.delete('invoice_items', item.id);
  }
  if (!context.freesItems) return;
  // At Stripe a line that was added to a draft is an item too.
  for (const line of invoice.lines.filter(({ parent }) => parent === undefined)) {
    const item = itemOf(line, invoice);
    context.store.put('invoice_items', item.id, item);
  }
}

function itemOf(line: StandInLine, { customer, created }: StandInInvoice): StandInInvoiceItem {
  return {
    id: newId('ii'),
    object: 'invoiceitem',
    amount: line.amount,
    currency: line.currency,
    customer,
    date: created,
    description: line.description,
    discountable: line.discountable,
    discounts: [],
    invoice: null,
    livemode: false,
    metadata: line.metadata,
    parent: null,
    period: line.period,
    pricing: null,
    proration: false,
    quantity: line.quantity,
    tax_code: line.tax_code,
    tax_rates: [],
    test_clock: null,
  };
}
