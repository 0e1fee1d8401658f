import { billableStepMinor } from '../money/currency.js';
import { badParameter, refused, StripeRefusal } from './stripe-answer.js';
import {
  type Endpoint,
  type EndpointContext,
  expectStatus,
  findCustomer,
  findInvoice,
  keep,
  pageOf,
  seconds,
} from './stripe-endpoint.js';
import type { FormParams } from './stripe-form.js';
import {
  addLines,
  createInvoice,
  deleteInvoice,
  finalizeInvoice,
  listInvoices,
  listLines,
  markUncollectible,
  payInvoice,
  retrieveInvoice,
  updateInvoice,
  voidInvoice,
} from './stripe-invoice-endpoints.js';
import { createMeter, createMeterEvent, listEventSummaries, listMeters } from './stripe-meter-endpoints.js';
import { listOf, newId, type StandInCreditNote, type StandInCustomer } from './stripe-objects.js';
import { isWithin, readParameters, schemas } from './stripe-parameters.js';

const createCustomer: Endpoint = (context, _id, params) => {
  const asked = readParameters(schemas.customerCreate, params);
  const customer: StandInCustomer = {
    id: newId('cus'),
    object: 'customer',
    created: seconds(context),
    name: asked.name ?? null,
    email: asked.email ?? null,
    description: asked.description ?? null,
    balance: 0,
    currency: null,
    invoice_prefix: newId('p').slice(2, 10).toUpperCase(),
    next_invoice_sequence: 1,
    livemode: false,
    metadata: asked.metadata ?? {},
    address: asked.address ?? null,
    invoice_settings: { default_payment_method: asked.invoice_settings?.default_payment_method ?? null },
    test_clock: asked.test_clock ?? null,
  };
  context.store.put('customers', customer.id, customer);
  context.emit('customer.created', customer);
  return customer;
};

const retrieveCustomer: Endpoint = (context, id, params) => {
  readParameters(schemas.none, params);
  if (context.store.get('customers', id)?.deleted) return { id, object: 'customer', deleted: true };
  return findCustomer(context, id, 404);
};

const updateCustomer: Endpoint = (context, id, params) => {
  const asked = readParameters(schemas.customerUpdate, params);
  const customer = findCustomer(context, id, 404);
  customer.address = asked.address ?? customer.address;
  customer.invoice_settings = asked.invoice_settings ?? customer.invoice_settings;
  context.store.put('customers', id, customer);
  context.emit('customer.updated', customer);
  return customer;
};

/** Stripe remembers that there was one. */
const deleteCustomer: Endpoint = (context, id, params) => {
  readParameters(schemas.none, params);
  const customer = findCustomer(context, id, 404);
  context.store.put('customers', id, { ...customer, deleted: true });
  context.emit('customer.deleted', customer);
  return { id, object: 'customer', deleted: true };
};

const listCustomers: Endpoint = (context, _id, params) => {
  const asked = readParameters(schemas.customerList, params);
  const found = context.store
    .values('customers')
    .reverse()
    .filter(
      (it) =>
        !it.deleted && isWithin(it.created, asked.created) && (asked.email === undefined || it.email === asked.email),
    );
  return listOf('/v1/customers', pageOf(found, asked.starting_after, asked.limit), asked.limit);
};

const createCreditNote: Endpoint = (context, _id, params) => {
  const asked = readParameters(schemas.creditNoteCreate, params);
  const amount = asked.amount ?? 0;
  const invoice = findInvoice(context, asked.invoice);
  expectStatus(invoice, 'open', 'paid');
  const paid = invoice.status === 'paid';
  const smallest = Number(billableStepMinor(invoice.currency));
  if (amount % smallest !== 0) {
    throw badParameter('amount', `Amounts in ${invoice.currency} must be multiples of ${smallest}`);
  }
  const [credit, refund] = [asked.credit_amount ?? 0, asked.refund_amount ?? 0];
  const parts = credit + refund + (asked.out_of_band_amount ?? 0);
  if (paid ? parts !== amount : parts !== 0 || amount > invoice.amount_remaining) {
    throw refused('The parts of a credit note must make up its amount.', 'credit_note_amount_invalid', 'amount');
  }
  const earlier = context.store
    .values('credit_notes')
    .filter((note) => note.invoice === invoice.id && note.status === 'issued');
  const refunded = earlier.reduce((sum, note) => sum + note.refund_amount, 0);
  if (
    paid &&
    amount > invoice.total - invoice.pre_payment_credit_notes_amount - invoice.post_payment_credit_notes_amount
  ) {
    throw refused('Credit notes cannot exceed the invoice.', 'credit_note_amount_too_large', 'amount');
  }
  if (refund > invoice.amount_paid - refunded) {
    throw refused('There is not that much payment to give back.', 'refund_amount_too_large', 'refund_amount');
  }
  if (credit > 0) {
    const customer = findCustomer(context, invoice.customer, 400);
    customer.balance -= credit;
    context.store.put('customers', customer.id, customer);
  }
  if (paid) invoice.post_payment_credit_notes_amount += amount;
  else {
    invoice.pre_payment_credit_notes_amount += amount;
    invoice.amount_remaining -= amount;
    if (invoice.amount_remaining === 0) invoice.status = 'paid';
  }
  const note: StandInCreditNote = {
    id: newId('cn'),
    object: 'credit_note',
    created: seconds(context),
    invoice: invoice.id,
    customer: invoice.customer,
    currency: invoice.currency,
    number: `${invoice.number}-CN-${String(earlier.length + 1).padStart(2, '0')}`,
    amount,
    total: amount,
    subtotal: amount,
    credit_amount: credit,
    refund_amount: refund,
    reason: asked.reason ?? null,
    memo: asked.memo ?? null,
    status: 'issued',
    livemode: false,
    metadata: asked.metadata ?? {},
  };
  context.store.put('credit_notes', note.id, note);
  keep(context, invoice, 'invoice.updated');
  context.emit('credit_note.created', note);
  return note;
};

const voidCreditNote: Endpoint = (context, id, params) => {
  readParameters(schemas.creditNoteVoid, params);
  const note = context.store.get('credit_notes', id);
  if (!note) throw refused(`No such credit note: '${id}'`, 'resource_missing', 'credit_note', 404);
  const invoice = findInvoice(context, note.invoice);
  expectStatus(invoice, 'open');
  const voided: StandInCreditNote = { ...note, status: 'void' };
  context.store.put('credit_notes', id, voided);
  invoice.pre_payment_credit_notes_amount -= note.amount;
  invoice.amount_remaining += note.amount;
  keep(context, invoice, 'invoice.updated');
  context.emit('credit_note.voided', voided);
  return voided;
};

const listCreditNotes: Endpoint = (context, _id, params) => {
  const asked = readParameters(schemas.creditNoteList, params);
  const found = context.store
    .values('credit_notes')
    .reverse()
    .filter((it) => (asked.invoice ?? it.invoice) === it.invoice && (asked.customer ?? it.customer) === it.customer);
  return listOf('/v1/credit_notes', pageOf(found, asked.starting_after, asked.limit), asked.limit);
};

const ROUTES: [method: string, path: RegExp, endpoint: Endpoint][] = [
  ['POST', /^\/v1\/customers$/, createCustomer],
  ['GET', /^\/v1\/customers$/, listCustomers],
  ['GET', /^\/v1\/customers\/([^/]+)$/, retrieveCustomer],
  ['POST', /^\/v1\/customers\/([^/]+)$/, updateCustomer],
  ['DELETE', /^\/v1\/customers\/([^/]+)$/, deleteCustomer],
  ['POST', /^\/v1\/invoices$/, createInvoice],
  ['GET', /^\/v1\/invoices$/, listInvoices],
  ['GET', /^\/v1\/invoices\/([^/]+)$/, retrieveInvoice],
  ['POST', /^\/v1\/invoices\/([^/]+)$/, updateInvoice],
  ['DELETE', /^\/v1\/invoices\/([^/]+)$/, deleteInvoice],
  ['GET', /^\/v1\/invoices\/([^/]+)\/lines$/, listLines],
  ['POST', /^\/v1\/invoices\/([^/]+)\/add_lines$/, addLines],
  ['POST', /^\/v1\/invoices\/([^/]+)\/finalize$/, finalizeInvoice],
  ['POST', /^\/v1\/invoices\/([^/]+)\/void$/, voidInvoice],
  ['POST', /^\/v1\/invoices\/([^/]+)\/mark_uncollectible$/, markUncollectible],
  ['POST', /^\/v1\/invoices\/([^/]+)\/pay$/, payInvoice],
  ['POST', /^\/v1\/billing\/meters$/, createMeter],
  ['GET', /^\/v1\/billing\/meters$/, listMeters],
  ['GET', /^\/v1\/billing\/meters\/([^/]+)\/event_summaries$/, listEventSummaries],
  ['POST', /^\/v1\/billing\/meter_events$/, createMeterEvent],
  ['POST', /^\/v1\/credit_notes$/, createCreditNote],
  ['GET', /^\/v1\/credit_notes$/, listCreditNotes],
  ['POST', /^\/v1\/credit_notes\/([^/]+)\/void$/, voidCreditNote],
];

/** The endpoint behind a method and path. Throws a refusal where there is none. */
export function findEndpoint(method: string, path: string): (context: EndpointContext, params: FormParams) => object {
  for (const [routeMethod, pattern, endpoint] of ROUTES) {
    const match = routeMethod === method ? pattern.exec(path) : null;
    if (match) return (context, params) => endpoint(context, decodeURIComponent(match[1] ?? ''), params);
  }
  throw new StripeRefusal(
    404,
    { type: 'invalid_request_error', message: `Unrecognized request URL (${method}: ${path})` },
    false,
  );
}
