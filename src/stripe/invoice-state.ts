import type Stripe from 'stripe';
import type { Client } from '../database/pool.js';
import { addTimeline } from '../periods/period-store.js';

/**
 * What the collection of an elected invoice has come to; null while it is a draft. `pending`: lines wait for the invoice of
 * a subscription to be issued.
 */
export type PaymentStatus = 'pending' | 'open' | 'failed' | 'paid' | 'voided' | 'uncollectible' | 'deleted';

/** The payment status of an invoice as Stripe shows it; null for one that Stripe no longer has: a deleted draft. */
export function paymentStatus(invoice: Pick<Stripe.Invoice, 'status' | 'attempt_count'> | null): PaymentStatus | null {
  switch (invoice?.status) {
    case undefined:
      return 'deleted';
    case 'open':
      return invoice!.attempt_count > 0 ? 'failed' : 'open';
    case 'void':
      return 'voided';
    case 'paid':
    case 'uncollectible':
      return invoice!.status as PaymentStatus;
    default:
      return null;
  }
}

/**
 * What a finalized invoice moved to the customer's balance at Stripe, in minor units, null before: above zero it is owed
 * with the next invoice (too small to be charged) or was paid from credit; below zero the customer is owed.
 */
export function toBalance(invoice: Pick<Stripe.Invoice, 'starting_balance' | 'ending_balance'>): number | null {
  return invoice.ending_balance === null ? null : invoice.ending_balance - invoice.starting_balance;
}

/** Shows a revision's payment status on its period, unless a later revision stands for the period by now. */
export async function showPaymentStatus(
  client: Client,
  submission: { period_id: number; revision: number; stripe_invoice_id: string | null },
  status: PaymentStatus | null,
): Promise<void> {
  const changed = await client.query(
    `UPDATE periods SET payment_status = $3, updated_at = now()
     WHERE period_id = $1 AND payment_status IS DISTINCT FROM $3
       AND NOT EXISTS (SELECT FROM invoice_submissions WHERE period_id = $1 AND revision > $2)
       AND NOT EXISTS (SELECT FROM subscription_submissions WHERE period_id = $1 AND revision > $2)`,
    [submission.period_id, submission.revision, status],
  );
  if (changed.rowCount === 0) return;
  await addTimeline(client, submission.period_id, 'payment', {
    revision: submission.revision,
    stripe_invoice_id: submission.stripe_invoice_id,
    payment_status: status,
  });
}
