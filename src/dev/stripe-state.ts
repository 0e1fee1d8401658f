import type { FormParams } from './stripe-form.js';
import type { StandInCreditNote, StandInCustomer, StandInInvoice, StandInMeterEvent } from './stripe-objects.js';
import type { StandInStore } from './stripe-stand-in-store.js';
import type { StandInInvoiceItem, StandInSubscription } from './stripe-subscription-objects.js';

export interface RecordedRequest {
  at_ms: number;
  method: string;
  path: string;
  /** Form-encoded parameters as they came. */
  form: string;
  params: FormParams;
  idempotency_key: string | null;
  /** Null while no answer was given (or none ever is). */
  status: number | null;
  fault: string | null;
}

export interface StandInState {
  now_ms: number;
  customers: StandInCustomer[];
  invoices: StandInInvoice[];
  invoice_items: StandInInvoiceItem[];
  subscriptions: StandInSubscription[];
  credit_notes: StandInCreditNote[];
  meter_events: StandInMeterEvent[];
  pending_events: number;
  requests: RecordedRequest[];
}

/** All that the stand-in holds, and what was asked of it. */
export function readState(store: StandInStore, nowMs: number, requests: RecordedRequest[]): StandInState {
  return {
    now_ms: nowMs,
    customers: store.values('customers'),
    invoices: store.values('invoices'),
    invoice_items: store.values('invoice_items'),
    subscriptions: store.values('subscriptions'),
    credit_notes: store.values('credit_notes'),
    meter_events: store.values('meter_events'),
    pending_events: store.values('events').length,
    requests,
  };
}
