/** Pure types and names: workflows may import this file. */

/**
 * `books_differ`: invoices minus credit notes at Stripe are not what the period came to (voided or credited by hand).
 * `not_as_composed`: a draft was edited before a person issued it. `finalization_failed`: Stripe could not issue it.
 * `issued_by_hand`: a losing draft was issued at Stripe. `customer_deleted`: the Stripe customer is gone.
 */
export const STRIPE_ALERT_KINDS = [
  'books_differ',
  'not_as_composed',
  'finalization_failed',
  'issued_by_hand',
  'customer_deleted',
] as const;
export type StripeAlertKind = (typeof STRIPE_ALERT_KINDS)[number];

/** Something at Stripe that needs a person. */
export interface StripeAlertView {
  kind: StripeAlertKind;
  customer_id: string;
  /** Null where it is about the customer and no period. */
  start_date: string | null;
  /** The invoice or customer at Stripe; of `books_differ` the number of the period's row. */
  object_id: string;
  detail: string;
  raised_at: string;
}
