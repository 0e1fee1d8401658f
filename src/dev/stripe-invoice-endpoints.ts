import { INVOICE_LINES_COUNT } from '../limits.js';
import { billableStepMinor } from '../money/currency.js';
import { badParameter, refused } from './stripe-answer.js';
import {
  type Endpoint,
  type EndpointContext,
  expectStatus,
  findCustomer,
  findInvoice,
  keep,
  pageOf,
  seconds,
  secondsOf,
} from './stripe-endpoint.js';
import { dropItems } from './stripe-freed-items.js';
import { listOf, newId, renderInvoice, type StandInInvoice, type StandInLine } from './stripe-objects.js';
import { isWithin, readParameters, schemas } from './stripe-parameters.js';
import { taxCodeOfProduct } from './stripe-product-endpoints.js';
import { addUp, automaticRate, discountLines, taxLines } from './stripe-tax.js';
import { discountOf, taxRateOf } from './stripe-tax-endpoints.js';

/**
 * Below these minor units Stripe marks the invoice paid and carries the amount to the customer's balance
 * (https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts). Currencies that are not named have the
 * equivalent of half a dollar; 50 minor units of the currency's first two digits stand for it here.
 */
const MINIMUM_CHARGE_MINOR: Record<string, number> = {
  aed: 200,
  czk: 1_500,
  dkk: 250,
  gbp: 30,
  hkd: 400,
  huf: 17_500,
  jpy: 50,
  mxn: 1_000,
  myr: 200,
  nok: 300,
  pln: 200,
  ron: 200,
  sek: 300,
  thb: 1_000,
};
const minimumCharge = (currency: string): number => MINIMUM_CHARGE_MINOR[currency] ?? 50;

export const createInvoice: Endpoint = (context, _id, params) => {
  const asked = readParameters(schemas.invoiceCreate, params);
  const customer = findCustomer(context, asked.customer, 400);
  const invoice: StandInInvoice = {
    id: newId('in'),
    object: 'invoice',
    created: secondsOf(context, customer),
    customer: asked.customer,
    currency: asked.currency,
    status: 'draft',
    auto_advance: asked.auto_advance,
    billing_reason: 'manual',
    automatically_finalizes_at: null,
    parent: null,
    collection_method: asked.collection_method,
    days_until_due: asked.days_until_due ?? null,
    description: asked.description ?? null,
    due_date: asked.due_date ?? null,
    footer: asked.footer ?? null,
    number: null,
    hosted_invoice_url: null,
    livemode: false,
    metadata: asked.metadata ?? {},
    subtotal: 0,
    total: 0,
    total_excluding_tax: 0,
    total_taxes: [],
    total_discount_amounts: [],
    amount_due: 0,
    amount_paid: 0,
    amount_paid_off_stripe: 0,
    amount_remaining: 0,
    starting_balance: 0,
    ending_balance: null,
    attempted: false,
    attempt_count: 0,
    pre_payment_credit_notes_amount: 0,
    post_payment_credit_notes_amount: 0,
    last_finalization_error: null,
    automatic_tax: { enabled: asked.automatic_tax?.enabled ?? false, status: null },
    default_tax_rates: [],
    discounts: [],
    custom_fields: asked.custom_fields ?? null,
    status_transitions: { finalized_at: null, paid_at: null, voided_at: null, marked_uncollectible_at: null },
    lines: [],
  };
  return keep(context, invoice, 'invoice.created');
};

export const retrieveInvoice: Endpoint = (context, id, params) => {
  readParameters(schemas.none, params);
  return renderInvoice(findInvoice(context, id));
};

export const listInvoices: Endpoint = (context, _id, params) => {
  const asked = readParameters(schemas.invoiceList, params);
  const all =
    asked.customer === undefined
      ? context.store.values('invoices').reverse()
      : context.store.invoicesOf(asked.customer);
  const found = all.filter(
    (it) =>
      isWithin(it.created, asked.created) &&
      (asked.subscription === undefined || it.parent?.subscription_details.subscription === asked.subscription) &&
      (asked.status === undefined || it.status === asked.status) &&
      (asked.collection_method === undefined || it.collection_method === asked.collection_method),
  );
  const page = pageOf(found, asked.starting_after, asked.limit);
  return listOf('/v1/invoices', page.map(renderInvoice), asked.limit);
};

export const updateInvoice: Endpoint = (context, id, params) => {
  const asked = readParameters(schemas.invoiceUpdate, params);
  const invoice = findInvoice(context, id);
  if (asked.auto_advance !== undefined) invoice.auto_advance = asked.auto_advance;
  if (asked.description !== undefined) invoice.description = asked.description || null;
  if (asked.footer !== undefined) invoice.footer = asked.footer || null;
  if (asked.metadata !== undefined) {
    const merged = { ...invoice.metadata, ...asked.metadata };
    invoice.metadata = Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== ''));
  }
  if (asked.default_tax_rates !== undefined || asked.discounts !== undefined) {
    expectStatus(invoice, 'draft');
    if (asked.default_tax_rates !== undefined) invoice.default_tax_rates = asked.default_tax_rates.map(taxRateOf);
    if (asked.discounts !== undefined) invoice.discounts = asked.discounts.map(({ coupon }) => discountOf(coupon));
    compute(invoice);
  }
  return keep(context, invoice, 'invoice.updated');
};

export const deleteInvoice: Endpoint = (context, id, params) => {
  readParameters(schemas.none, params);
  const invoice = findInvoice(context, id);
  if (invoice.status !== 'draft') {
    throw refused(`You can only delete draft invoices. This invoice is ${invoice.status}.`, 'invoice_not_editable');
  }
  if (invoice.parent !== null) throw refused('You cannot delete invoices that were made by subscriptions.');
  context.store.delete('invoices', id);
  dropItems(context, invoice);
  context.emit('invoice.deleted', renderInvoice(invoice));
  return { id, object: 'invoice', deleted: true };
};

export const addLines: Endpoint = (context, id, params) => {
  const asked = readParameters(schemas.addLines, params);
  const invoice = findInvoice(context, id);
  if (invoice.status !== 'draft') {
    throw refused('This invoice is no longer a draft: its lines cannot be changed.', 'invoice_not_editable');
  }
  if (invoice.lines.length + asked.lines.length > INVOICE_LINES_COUNT) {
    throw refused(`An invoice holds at most ${INVOICE_LINES_COUNT} line items.`, 'invoice_too_many_line_items');
  }
  const step = Number(billableStepMinor(invoice.currency));
  const now = seconds(context);
  asked.lines.forEach((line, index) => {
    const amount = line.amount ?? (line.price_data?.unit_amount ?? 0) * (line.quantity ?? 1);
    if (line.price_data && line.price_data.currency !== invoice.currency) {
      throw badParameter(`lines[${index}][price_data][currency]`, 'The currency must be that of the invoice');
    }
    if (amount % step !== 0) {
      throw badParameter(`lines[${index}][amount]`, `Amounts in ${invoice.currency} must be multiples of ${step}`);
    }
    const added: StandInLine = {
      id: newId('il'),
      object: 'line_item',
      amount,
      subtotal: amount,
      currency: invoice.currency,
      description: line.description ?? null,
      discountable: line.discountable ?? amount >= 0,
      discounts: [],
      discount_amounts: [],
      invoice: id,
      livemode: false,
      metadata: line.metadata ?? {},
      period: line.period ?? { start: now, end: now },
      quantity: 1,
      taxes: [],
      tax_code: line.price_data?.product_data?.tax_code ?? taxCodeOfProduct(line.price_data?.product),
    };
    invoice.lines.push(added);
  });
  compute(invoice);
  if (asked.invoice_metadata) invoice.metadata = { ...invoice.metadata, ...asked.invoice_metadata };
  return keep(context, invoice, 'invoice.updated');
};

export const listLines: Endpoint = (context, id, params) => {
  const asked = readParameters(schemas.lineList, params);
  const { lines } = findInvoice(context, id);
  return listOf(`/v1/invoices/${id}/lines`, pageOf(lines, asked.starting_after, asked.limit), asked.limit);
};

export const finalizeInvoice: Endpoint = (context, id, params) => {
  const asked = readParameters(schemas.finalize, params);
  const invoice = findInvoice(context, id);
  if (invoice.status !== 'draft') {
    throw refused(
      "This invoice is already finalized, you can't re-finalize a non-draft invoice.",
      'invoice_not_editable',
    );
  }
  const customer = findCustomer(context, invoice.customer, 400);
  if (invoice.automatic_tax.enabled) taxOrRefuse(context, invoice, customer.address?.country);
  const now = secondsOf(context, customer);
  invoice.number = `${customer.invoice_prefix}-${String(customer.next_invoice_sequence).padStart(4, '0')}`;
  customer.next_invoice_sequence++;
  invoice.hosted_invoice_url = `${context.baseUrl()}/_invoices/${id}`;
  invoice.auto_advance = asked.auto_advance ?? invoice.auto_advance;
  invoice.status_transitions.finalized_at = now;
  if (invoice.days_until_due !== null) invoice.due_date = now + invoice.days_until_due * 86_400;
  invoice.starting_balance = customer.balance;
  const due = invoice.total + customer.balance;
  const carried = due < minimumCharge(invoice.currency);
  customer.balance = carried ? due : 0;
  invoice.ending_balance = customer.balance;
  invoice.amount_due = carried ? 0 : due;
  invoice.amount_remaining = invoice.amount_due;
  invoice.status = carried ? 'paid' : 'open';
  if (carried) invoice.status_transitions.paid_at = now;
  context.store.put('customers', customer.id, customer);
  const sent = invoice.collection_method === 'send_invoice' && invoice.auto_advance && !carried;
  return keep(
    context,
    invoice,
    'invoice.finalized',
    ...(sent ? ['invoice.sent'] : []),
    ...(carried ? ['invoice.paid'] : []),
  );
};

/** Adds tax, or leaves the draft with the reason that Stripe gives where it does not know the customer's country. */
function taxOrRefuse(context: EndpointContext, invoice: StandInInvoice, country: string | null | undefined): void {
  if (!country) {
    const message = "The customer's location isn't recognized. Set a valid customer address.";
    const code = 'customer_tax_location_invalid';
    invoice.automatic_tax.status = 'requires_location_inputs';
    invoice.last_finalization_error = { type: 'invalid_request_error', code, message };
    keep(context, invoice, 'invoice.finalization_failed');
    throw refused(message, code);
  }
  invoice.automatic_tax.status = 'complete';
  invoice.last_finalization_error = null;
  taxLines(invoice, (line) => [automaticRate(context.tax(), line)]);
  addUp(invoice);
}

/** Adds a draft up. Stripe Tax comes on top when it is finalized. */
export function compute(invoice: StandInInvoice): void {
  discountLines(invoice);
  taxLines(invoice, () => (invoice.automatic_tax.enabled ? [] : invoice.default_tax_rates));
  addUp(invoice);
}
