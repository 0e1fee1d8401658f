import { refused, type StripeRefusal } from './stripe-answer.js';
import type { FormParams } from './stripe-form.js';
import { renderInvoice, type StandInCustomer, type StandInInvoice } from './stripe-objects.js';
import type { StandInStore } from './stripe-stand-in-store.js';
import type { StandInSubscription } from './stripe-subscription-objects.js';
import type { StandInTax } from './stripe-tax.js';

export interface EndpointContext {
  store: StandInStore;
  /** The stand-in's own clock. */
  nowMs: () => number;
  /** Queues an event for the webhook endpoint. */
  emit: (type: string, object: object) => void;
  /** Where hosted invoice pages are served. */
  baseUrl: () => string;
  /** What Stripe Tax takes. */
  tax: () => StandInTax;
  /** Whether lines of a deleted draft stay, as pending items: Stripe does not document it. */
  freesItems: boolean;
}

/** Runs one endpoint; what it returns is the answer's body. Throws StripeRefusal. */
export type Endpoint = (context: EndpointContext, id: string, params: FormParams) => object;

export const seconds = (context: EndpointContext): number => Math.floor(context.nowMs() / 1_000);

function missing(kind: string, id: string, param: string): StripeRefusal {
  return refused(`No such ${kind}: '${id}'`, 'resource_missing', param, 404);
}

export function findInvoice(context: EndpointContext, id: string): StandInInvoice {
  const invoice = context.store.get('invoices', id);
  if (!invoice) throw missing('invoice', id, 'invoice');
  return structuredClone(invoice);
}

export function findCustomer(context: EndpointContext, id: string, status: number): StandInCustomer {
  const customer = context.store.get('customers', id);
  if (!customer || customer.deleted) throw refused(`No such customer: '${id}'`, 'resource_missing', 'customer', status);
  return { ...customer };
}

export function findSubscription(context: EndpointContext, id: string): StandInSubscription {
  const subscription = context.store.get('subscriptions', id);
  if (!subscription) throw missing('subscription', id, 'subscription');
  return structuredClone(subscription);
}

export function pageOf<T extends { id: string }>(items: T[], after: string | undefined, limit: number): T[] {
  if (after === undefined) return items.slice(0, limit + 1);
  const at = items.findIndex((item) => item.id === after);
  if (at < 0) throw refused(`No such object: '${after}'`, 'resource_missing', 'starting_after');
  return items.slice(at + 1, at + 2 + limit);
}

export function keep(context: EndpointContext, invoice: StandInInvoice, ...events: string[]): object {
  context.store.put('invoices', invoice.id, invoice);
  const body = renderInvoice(invoice);
  for (const event of events) context.emit(event, body);
  return body;
}

/** The time of an object that belongs to a customer: on a test clock, that clock's. */
export function secondsOf(context: EndpointContext, { test_clock }: Pick<StandInCustomer, 'test_clock'>): number {
  return test_clock === null || test_clock === undefined ? seconds(context) : Number(test_clock.slice('clock_'.length));
}

export function expectStatus(invoice: StandInInvoice, ...allowed: StandInInvoice['status'][]): void {
  if (!allowed.includes(invoice.status)) {
    throw refused(`This is not possible while the invoice is ${invoice.status}.`, 'invoice_not_editable');
  }
}
