/** Pure types and names: workflows may import this file. */

/**
 * `books_differ`: invoices minus credit notes at Stripe are not what the period came to (voided or credited by hand).
 * `not_as_composed`: a draft was edited before a person issued it. `finalization_failed`: Stripe could not issue it.
 * `issued_by_hand`: a losing draft was issued at Stripe. `customer_deleted`: the Stripe customer is gone.
 * `subscription_ended`: lines wait for an invoice of a subscription that makes none any more.
 * `meter_count_differs`: Stripe's meter counted something else than the ledger came to, or some events could not be sent.
 * `meter_events_rejected`: Stripe took meter events and told later that it does not count them.
 */
export const STRIPE_ALERT_KINDS = [
  'books_differ',
  'not_as_composed',
  'finalization_failed',
  'issued_by_hand',
  'customer_deleted',
  'subscription_ended',
  'meter_count_differs',
  'meter_events_rejected',
] as const;
export type StripeAlertKind = (typeof STRIPE_ALERT_KINDS)[number];

/** Something at Stripe that needs a person. */
export interface StripeAlertView {
  kind: StripeAlertKind;
  customer_id: string;
  /** Null where it is about the customer and no period. */
  start_date: string | null;
  /** The invoice or customer at Stripe; of `books_differ`, of meters, and of lines on a subscription, the number of the period's row. */
  object_id: string;
  detail: string;
  raised_at: string;
}
