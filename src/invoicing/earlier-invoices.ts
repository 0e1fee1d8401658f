import type Stripe from 'stripe';
import { inTransaction, type Pool } from '../database/pool.js';
import { STRIPE_SETTLE_TRIES_COUNT } from '../limits.js';
import { stepKey } from '../stripe/idempotency-key.js';
import { showPaymentStatus } from '../stripe/invoice-state.js';
import { isMissing, isRefused } from '../stripe/stripe-errors.js';
import type { EndedInvoice } from './correction-plan.js';
import { call, readAll, type SubmitDeps } from './submit-attempt.js';

/** What stands in the way of a correction, for a person. */
export class CannotCorrect extends Error {}

/**
 * Brings an invoice of an earlier revision to its end at Stripe: a draft is deleted, an open or uncollectible one is
 * voided, a paid one stays. What it became is read, never assumed: a payment that comes first wins. `key` and `attempt`
 * name the calls of one attempt.
 */
export async function endInvoice(
  deps: SubmitDeps,
  id: string,
  { key, attempt }: { key: string; attempt: number },
): Promise<EndedInvoice> {
  for (let tries = 1; ; tries++) {
    const invoice = await readInvoice(deps, id);
    const ended = invoice === null ? { id, ended: 'deleted' as const, ...NOTHING } : await asEnded(deps, invoice);
    if (ended !== null) {
      await recordEnd(deps.pool, ended);
      return ended;
    }
    if (tries > STRIPE_SETTLE_TRIES_COUNT) {
      throw new CannotCorrect(`The invoice ${id} stays ${invoice!.status} at Stripe and cannot be voided.`);
    }
    try {
      if (invoice!.status === 'draft') await call(deps, 'delete earlier draft', (sdk) => sdk.invoices.del(id));
      else {
        const idempotencyKey = stepKey(key, attempt, 'void', [id, tries]);
        await call(deps, 'void earlier invoice', (sdk) => sdk.invoices.voidInvoice(id, {}, { idempotencyKey }));
      }
    } catch (error) {
      // It changed at this moment: paid, finalized by a person, gone. The next reading says which.
      if (!isRefused(error)) throw error;
    }
  }
}

/** Notes how an invoice ended. It can change no more, so that nothing later is overwritten. */
async function recordEnd(pool: Pool, { id, ended, subtotal, credited }: EndedInvoice): Promise<void> {
  await inTransaction(pool, async (client) => {
    const { rows } = await client.query<{ period_id: number; revision: number }>(
      `UPDATE invoice_submissions SET stripe_status = $2, refreshed_at = now(),
         stripe_subtotal = CASE WHEN $2 = 'paid' THEN $3 ELSE stripe_subtotal END,
         stripe_credited = CASE WHEN $2 = 'paid' THEN $4 ELSE stripe_credited END
       WHERE elected_invoice_id = $1 RETURNING period_id, revision`,
      [id, ended, subtotal, credited],
    );
    if (!rows[0]) return;
    const status = ended === 'void' ? 'voided' : ended;
    await showPaymentStatus(client, { ...rows[0], stripe_invoice_id: id }, status);
  });
}

const NOTHING = { subtotal: 0, credited: 0, refundable: 0 };

/** An invoice that can change no more, or null. */
async function asEnded(deps: SubmitDeps, invoice: Stripe.Invoice): Promise<EndedInvoice | null> {
  const { id, status, subtotal, total, amount_paid, post_payment_credit_notes_amount } = invoice;
  if (status === 'void') return { id, ended: 'void', ...NOTHING };
  if (status !== 'paid') return null;
  if (total !== subtotal) {
    throw new CannotCorrect(`The paid invoice ${id} carries tax or a discount of Stripe's; correct it by hand.`);
  }
  const credited = await creditedAmount(deps, id);
  return {
    id,
    ended: 'paid',
    subtotal,
    credited,
    refundable: Math.max(0, amount_paid - post_payment_credit_notes_amount),
  };
}

export async function readInvoice(deps: SubmitDeps, id: string): Promise<Stripe.Invoice | null> {
  try {
    return await call(deps, 'retrieve earlier invoice', (sdk) => sdk.invoices.retrieve(id));
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

export function listCreditNotes(deps: SubmitDeps, invoiceId: string): Promise<Stripe.CreditNote[]> {
  return readAll(deps, 'list credit notes', (sdk, page) => sdk.creditNotes.list({ invoice: invoiceId, ...page }));
}

/** What an invoice's credit notes take off it, whoever issued them (minor units). */
export async function creditedAmount(deps: SubmitDeps, invoiceId: string): Promise<number> {
  const notes = await listCreditNotes(deps, invoiceId);
  return notes.filter(({ status }) => status === 'issued').reduce((sum, { amount }) => sum + amount, 0);
}

/** What invoices come to at Stripe now: those that are not void or deleted, minus their credit notes. */
export async function readBooks(deps: SubmitDeps, ids: string[]): Promise<number> {
  let books = 0;
  for (const id of ids) {
    const invoice = await readInvoice(deps, id);
    if (invoice === null || invoice.status === 'void') continue;
    books += invoice.subtotal - (invoice.status === 'draft' ? 0 : await creditedAmount(deps, id));
  }
  return books;
}
