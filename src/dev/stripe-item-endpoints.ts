import { INVOICE_LINES_COUNT } from '../limits.js';
import { billableStepMinor } from '../money/currency.js';
import { badParameter, refused } from './stripe-answer.js';
import {
  type Endpoint,
  type EndpointContext,
  findCustomer,
  findInvoice,
  findSubscription,
  keep,
  pageOf,
  secondsOf,
} from './stripe-endpoint.js';
import { compute } from './stripe-invoice-endpoints.js';
import { listOf, newId, type StandInInvoice, type StandInLine } from './stripe-objects.js';
import { isWithin, readParameters, schemas } from './stripe-parameters.js';
import { taxCodeOfProduct } from './stripe-product-endpoints.js';
import type { StandInInvoiceItem, StandInSubscription } from './stripe-subscription-objects.js';
import { itemSchemas } from './stripe-subscription-parameters.js';

export const createItem: Endpoint = (context, _id, params) => {
  const asked = readParameters(itemSchemas.create, params);
  const customer = findCustomer(context, asked.customer, 400);
  const currency = asked.price_data?.currency ?? asked.currency!;
  const amount = asked.amount ?? asked.price_data!.unit_amount * (asked.quantity ?? 1);
  const step = Number(billableStepMinor(currency));
  if (amount % step !== 0) throw badParameter('amount', `Amounts in ${currency} must be multiples of ${step}`);
  const subscription = asked.subscription === undefined ? null : billable(context, asked.subscription, customer.id);
  if (subscription !== null && subscription.currency !== currency) {
    throw refused(`The subscription is in ${subscription.currency}.`, 'invoice_item_currency_invalid', 'currency');
  }
  const now = secondsOf(context, customer);
  const item: StandInInvoiceItem = {
    id: newId('ii'),
    object: 'invoiceitem',
    amount,
    currency,
    customer: customer.id,
    date: now,
    description: asked.description ?? null,
    discountable: asked.discountable ?? amount >= 0,
    discounts: [],
    invoice: null,
    livemode: false,
    metadata: asked.metadata ?? {},
    parent:
      subscription === null
        ? null
        : { type: 'subscription_details', subscription_details: { subscription: subscription.id } },
    period: asked.period ?? { start: now, end: now },
    pricing: asked.price_data
      ? {
          type: 'price_details',
          price_details: { product: asked.price_data.product },
          unit_amount_decimal: String(asked.price_data.unit_amount),
        }
      : null,
    proration: false,
    quantity: asked.quantity ?? 1,
    tax_code: asked.tax_code ?? taxCodeOfProduct(asked.price_data?.product),
    tax_rates: [],
    test_clock: null,
  };
  if (asked.invoice !== undefined) {
    const invoice = findInvoice(context, asked.invoice);
    if (invoice.customer !== customer.id) throw refused('The invoice is of another customer.', undefined, 'invoice');
    if (subscription !== null && subscriptionOf(invoice) !== subscription.id) {
      throw refused('The invoice does not belong to the subscription.', undefined, 'subscription');
    }
    if (invoice.currency !== currency) throw refused(`The invoice is in ${invoice.currency}.`, undefined, 'currency');
    attachItems(context, invoice, [item]);
    keep(context, invoice, 'invoice.updated');
  } else context.store.put('invoice_items', item.id, item);
  context.emit('invoiceitem.created', context.store.get('invoice_items', item.id)!);
  return context.store.get('invoice_items', item.id)!;
};

/** A subscription that can be billed. Stripe says of an ended one that the customer does not have it. */
function billable(context: EndpointContext, id: string, customer: string): StandInSubscription {
  const subscription = findSubscription(context, id);
  if (subscription.customer !== customer || subscription.status === 'canceled') {
    throw refused(
      `Customer ${customer} does not have a subscription with ID ${id}`,
      'resource_missing',
      'subscription',
    );
  }
  return subscription;
}

export function subscriptionOf(invoice: StandInInvoice): string | null {
  return invoice.parent?.subscription_details.subscription ?? null;
}

/** Puts items on a draft. Throws a refusal where it is issued or full. */
export function attachItems(context: EndpointContext, invoice: StandInInvoice, items: StandInInvoiceItem[]): void {
  if (invoice.status !== 'draft') {
    throw refused('This invoice is no longer editable', 'invoice_not_editable', 'invoice');
  }
  if (invoice.lines.length + items.length > INVOICE_LINES_COUNT) {
    throw refused(`An invoice holds at most ${INVOICE_LINES_COUNT} line items.`, 'invoice_too_many_line_items');
  }
  for (const item of items) {
    context.store.put('invoice_items', item.id, { ...item, invoice: invoice.id });
    invoice.lines.push(lineOf(item, invoice.id));
  }
  compute(invoice);
}

function lineOf(item: StandInInvoiceItem, invoice: string): StandInLine {
  return {
    id: newId('il'),
    object: 'line_item',
    amount: item.amount,
    subtotal: item.amount,
    currency: item.currency,
    description: item.description,
    discountable: item.discountable,
    discounts: [],
    discount_amounts: [],
    invoice,
    livemode: false,
    metadata: item.metadata,
    period: item.period,
    quantity: item.quantity,
    taxes: [],
    tax_code: item.tax_code,
    parent: {
      type: 'invoice_item_details',
      invoice_item_details: {
        invoice_item: item.id,
        subscription: item.parent?.subscription_details.subscription ?? null,
      },
    },
  };
}

function findItem(context: EndpointContext, id: string): StandInInvoiceItem {
  const item = context.store.get('invoice_items', id);
  if (!item) throw refused(`No such invoiceitem: '${id}'`, 'resource_missing', 'invoiceitem', 404);
  return structuredClone(item);
}

/** The draft that an item stands on, or null for a pending one. Throws a refusal where the invoice is issued. */
function draftOf(context: EndpointContext, item: StandInInvoiceItem): StandInInvoice | null {
  if (item.invoice === null) return null;
  const invoice = findInvoice(context, item.invoice);
  if (invoice.status !== 'draft') {
    throw refused('This invoice item is attached to an invoice that is no longer editable', 'invoice_not_editable');
  }
  return invoice;
}

const isOf = (item: StandInInvoiceItem) => (line: StandInLine) =>
  line.parent?.invoice_item_details.invoice_item === item.id;

export const retrieveItem: Endpoint = (context, id, params) => {
  readParameters(schemas.none, params);
  return findItem(context, id);
};

export const updateItem: Endpoint = (context, id, params) => {
  const asked = readParameters(itemSchemas.update, params);
  const item = findItem(context, id);
  const draft = draftOf(context, item);
  item.amount = asked.amount ?? item.amount;
  item.description = asked.description ?? item.description;
  item.metadata = { ...item.metadata, ...asked.metadata };
  context.store.put('invoice_items', id, item);
  if (draft !== null) {
    const matches = isOf(item);
    draft.lines = draft.lines.map((line) => (matches(line) ? { ...lineOf(item, draft.id), id: line.id } : line));
    compute(draft);
    keep(context, draft, 'invoice.updated');
  }
  return item;
};

export const deleteItem: Endpoint = (context, id, params) => {
  readParameters(schemas.none, params);
  const item = findItem(context, id);
  const draft = draftOf(context, item);
  if (draft !== null) {
    draft.lines = draft.lines.filter((line) => !isOf(item)(line));
    compute(draft);
    keep(context, draft, 'invoice.updated');
  }
  context.store.delete('invoice_items', id);
  context.emit('invoiceitem.deleted', item);
  return { id, object: 'invoiceitem', deleted: true };
};

export const listItems: Endpoint = (context, _id, params) => {
  const asked = readParameters(itemSchemas.list, params);
  const found = context.store
    .values('invoice_items')
    .reverse()
    .filter(
      (it) =>
        (asked.customer ?? it.customer) === it.customer &&
        (asked.invoice ?? it.invoice) === it.invoice &&
        (asked.pending === undefined || asked.pending === (it.invoice === null)) &&
        isWithin(it.date, asked.created),
    );
  return listOf('/v1/invoiceitems', pageOf(found, asked.starting_after, asked.limit), asked.limit);
};
