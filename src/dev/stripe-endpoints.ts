import { StripeRefusal } from './stripe-answer.js';
import {
  createCreditNote,
  listCreditNoteLines,
  listCreditNotes,
  previewCreditNote,
  voidCreditNote,
} from './stripe-credit-note-endpoints.js';
import { type Endpoint, type EndpointContext, findCustomer, pageOf, seconds } from './stripe-endpoint.js';
import type { FormParams } from './stripe-form.js';
import {
  addLines,
  createInvoice,
  deleteInvoice,
  finalizeInvoice,
  listInvoices,
  listLines,
  retrieveInvoice,
  updateInvoice,
} from './stripe-invoice-endpoints.js';
import { createItem, deleteItem, listItems, retrieveItem, updateItem } from './stripe-item-endpoints.js';
import {
  adjustMeterEvent,
  createMeter,
  createMeterEvent,
  listEventSummaries,
  listMeters,
} from './stripe-meter-endpoints.js';
import { retrieveCoreEvent } from './stripe-meter-errors.js';
import { listOf, newId, type StandInCustomer } from './stripe-objects.js';
import { isWithin, readParameters, schemas } from './stripe-parameters.js';
import { markUncollectible, payInvoice, voidInvoice } from './stripe-payment-endpoints.js';
import { retrieveProduct } from './stripe-product-endpoints.js';
import {
  cancelSubscription,
  createSubscription,
  listSubscriptions,
  retrieveSubscription,
} from './stripe-subscription-endpoints.js';
import { createCoupon, createTaxRate } from './stripe-tax-endpoints.js';

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
  ['POST', /^\/v1\/invoiceitems$/, createItem],
  ['GET', /^\/v1\/invoiceitems$/, listItems],
  ['GET', /^\/v1\/invoiceitems\/([^/]+)$/, retrieveItem],
  ['POST', /^\/v1\/invoiceitems\/([^/]+)$/, updateItem],
  ['DELETE', /^\/v1\/invoiceitems\/([^/]+)$/, deleteItem],
  ['POST', /^\/v1\/subscriptions$/, createSubscription],
  ['GET', /^\/v1\/subscriptions$/, listSubscriptions],
  ['GET', /^\/v1\/subscriptions\/([^/]+)$/, retrieveSubscription],
  ['DELETE', /^\/v1\/subscriptions\/([^/]+)$/, cancelSubscription],
  ['POST', /^\/v1\/billing\/meters$/, createMeter],
  ['GET', /^\/v1\/billing\/meters$/, listMeters],
  ['GET', /^\/v1\/billing\/meters\/([^/]+)\/event_summaries$/, listEventSummaries],
  ['POST', /^\/v1\/billing\/meter_events$/, createMeterEvent],
  ['POST', /^\/v1\/billing\/meter_event_adjustments$/, adjustMeterEvent],
  ['GET', /^\/v2\/core\/events\/([^/]+)$/, retrieveCoreEvent],
  ['POST', /^\/v1\/credit_notes$/, createCreditNote],
  ['GET', /^\/v1\/products\/([^/]+)$/, retrieveProduct],
  ['GET', /^\/v1\/credit_notes$/, listCreditNotes],
  ['GET', /^\/v1\/credit_notes\/preview$/, previewCreditNote],
  ['GET', /^\/v1\/credit_notes\/([^/]+)\/lines$/, listCreditNoteLines],
  ['POST', /^\/v1\/credit_notes\/([^/]+)\/void$/, voidCreditNote],
  ['POST', /^\/v1\/tax_rates$/, createTaxRate],
  ['POST', /^\/v1\/coupons$/, createCoupon],
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
