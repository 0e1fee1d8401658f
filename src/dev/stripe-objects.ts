import { randomBytes } from 'node:crypto';

/** Objects that the stand-in keeps, in Stripe's own shape as far as costplus and a person look at them. */
export interface StandInCustomer {
  id: string;
  object: 'customer';
  created: number;
  name: string | null;
  email: string | null;
  description: string | null;
  balance: number;
  currency: string | null;
  invoice_prefix: string;
  next_invoice_sequence: number;
  livemode: false;
  metadata: Record<string, string>;
  address: { country: string | null } | null;
  invoice_settings: { default_payment_method: string | null };
  /** `clock_<seconds>`: its invoices are made at that time. */
  test_clock: string | null;
  deleted?: true;
}

/** A rate as lines are taxed with it. */
export interface StandInTaxRate {
  id: string;
  /** Hundredths of a percent. */
  basis_points: number;
  inclusive: boolean;
}

export interface StandInLineTax {
  amount: number;
  tax_behavior: 'exclusive' | 'inclusive';
  tax_rate_details: { tax_rate: string };
  taxability_reason: 'standard_rated' | 'zero_rated';
  taxable_amount: number;
  type: 'tax_rate_details';
}

export interface StandInDiscountAmount {
  amount: number;
  discount: string;
}

export interface StandInLine {
  id: string;
  object: 'line_item';
  amount: number;
  subtotal: number;
  currency: string;
  description: string | null;
  discountable: boolean;
  discounts: [];
  discount_amounts: StandInDiscountAmount[];
  invoice: string;
  livemode: false;
  metadata: Record<string, string>;
  period: { start: number; end: number };
  quantity: number;
  taxes: StandInLineTax[];
  /** Of the product that the line was priced by. */
  tax_code: string | null;
  /** The invoice item that it stands for. */
  parent?: {
    type: 'invoice_item_details';
    invoice_item_details: { invoice_item: string; subscription: string | null };
  };
}

/** A coupon as it was put on an invoice by hand. */
export interface StandInDiscount {
  id: string;
  /** Hundredths of a percent, unless an amount is taken off. */
  basis_points: number;
  amount_off: number | null;
}

export type InvoiceStatus = 'draft' | 'open' | 'paid' | 'void' | 'uncollectible';

export interface StandInInvoice {
  id: string;
  object: 'invoice';
  created: number;
  customer: string;
  currency: string;
  status: InvoiceStatus;
  auto_advance: boolean;
  billing_reason: 'manual' | 'subscription_create' | 'subscription_cycle';
  /** When Stripe issues a draft by itself; null: not. */
  automatically_finalizes_at: number | null;
  parent: { type: 'subscription_details'; subscription_details: { subscription: string } } | null;
  collection_method: 'charge_automatically' | 'send_invoice';
  days_until_due: number | null;
  description: string | null;
  due_date: number | null;
  footer: string | null;
  number: string | null;
  hosted_invoice_url: string | null;
  livemode: false;
  metadata: Record<string, string>;
  subtotal: number;
  total: number;
  total_excluding_tax: number;
  total_taxes: StandInLineTax[];
  total_discount_amounts: StandInDiscountAmount[];
  amount_due: number;
  amount_paid: number;
  amount_paid_off_stripe: number;
  amount_remaining: number;
  starting_balance: number;
  ending_balance: number | null;
  attempted: boolean;
  attempt_count: number;
  pre_payment_credit_notes_amount: number;
  post_payment_credit_notes_amount: number;
  last_finalization_error: { type: string; code: string; message: string } | null;
  automatic_tax: { enabled: boolean; status: 'complete' | 'requires_location_inputs' | null };
  /** Rates that a person put on the draft: taxed without Stripe Tax. */
  default_tax_rates: StandInTaxRate[];
  discounts: StandInDiscount[];
  custom_fields: { name: string; value: string }[] | null;
  status_transitions: {
    finalized_at: number | null;
    paid_at: number | null;
    voided_at: number | null;
    marked_uncollectible_at: number | null;
  };
  /** All lines; an answer shows the first 10 as a list object. */
  lines: StandInLine[];
}

export interface StandInCreditNoteLine {
  id: string;
  object: 'credit_note_line_item';
  amount: number;
  description: string | null;
  discount_amount: number;
  invoice_line_item?: string;
  livemode: false;
  quantity: number | null;
  taxes: StandInLineTax[];
  type: 'invoice_line_item' | 'custom_line_item';
}

export interface StandInCreditNote {
  id: string;
  object: 'credit_note';
  created: number;
  invoice: string;
  customer: string;
  currency: string;
  number: string;
  amount: number;
  total: number;
  subtotal: number;
  total_excluding_tax: number;
  total_taxes: StandInLineTax[];
  discount_amount: number;
  /** What it took off the amount that remained to be paid, and what was paid already. */
  pre_payment_amount: number;
  post_payment_amount: number;
  type: 'pre_payment' | 'post_payment' | 'mixed';
  out_of_band_amount: number | null;
  lines: StandInCreditNoteLine[];
  /** How it was given back; Stripe shows this by the refund and the balance transaction that it made. */
  credit_amount: number;
  refund_amount: number;
  reason: string | null;
  memo: string | null;
  status: 'issued' | 'void';
  livemode: false;
  metadata: Record<string, string>;
}

export interface StandInMeter {
  id: string;
  object: 'billing.meter';
  created: number;
  display_name: string;
  event_name: string;
  status: 'active' | 'inactive';
  default_aggregation: { formula: 'sum' };
  customer_mapping: { event_payload_key: string; type: 'by_id' };
  value_settings: { event_payload_key: string };
  event_time_window: null;
  livemode: false;
}

export interface StandInMeterEvent {
  object: 'billing.meter_event';
  created: number;
  event_name: string;
  identifier: string;
  livemode: false;
  payload: Record<string, string>;
  timestamp: number;
}

/** A new id in Stripe's manner. */
export function newId(prefix: string): string {
  return `${prefix}_${randomBytes(12).toString('hex')}`;
}

/** A page of a list, `{object: 'list', data, has_more, url}`. */
export function listOf(url: string, items: unknown[], limit: number): object {
  return { object: 'list', data: items.slice(0, limit), has_more: items.length > limit, url };
}

/** Lines that an invoice or a credit note shows of itself; the rest is read by paging its lines. */
const INLINE_LINES = 10;

/** An invoice as an answer shows it. */
export function renderInvoice(invoice: StandInInvoice): object {
  return { ...invoice, lines: listOf(`/v1/invoices/${invoice.id}/lines`, invoice.lines, INLINE_LINES) };
}

/** A credit note as an answer shows it. */
export function renderCreditNote(note: StandInCreditNote): object {
  return { ...note, lines: listOf(`/v1/credit_notes/${note.id}/lines`, note.lines, INLINE_LINES) };
}
