import type { PeriodStatus } from './period.js';

/** An issued revision as accounting lists it; amounts in major units of `currency`. */
export interface IssuedInvoice {
  customer_id: string;
  start_date: string;
  period: { start: string; end: string };
  revision: number;
  /** Whether it is the newest revision of its period. */
  current: boolean;
  /** The period's. */
  status: PeriodStatus;
  payment_status: string | null;
  currency: string;
  subtotal: string;
  total: string;
  /**
   * Of the newest revision of a billed period: what its invoices and lines at Stripe that are not void or deleted come to,
   * minus credit notes, before tax, as they were last read. It equals `subtotal`. Null while the period is on its way or its
   * draft waits for a person, and where invoices are Stripe's own.
   */
  books: string | null;
  issued_at: string;
  content_hash: string;
  stripe_invoice_id: string | null;
  stripe_number: string | null;
  stripe_status: string | null;
  /** Of its own invoice at Stripe, which can be for the difference to an earlier revision only; before tax and with it. */
  stripe_subtotal: string | null;
  stripe_total: string | null;
  /** What credit notes take off that invoice, before tax. */
  credited: string | null;
}
