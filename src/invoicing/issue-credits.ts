import type Stripe from 'stripe';
import { CREDIT_NOTE_KEY_MINUTES } from '../limits.js';
import { stepKey } from '../stripe/idempotency-key.js';
import { isOutcomeUnknown } from '../stripe/stripe-errors.js';
import {
  type CreditNoteRow,
  expectCorrecting,
  noteCreditTry,
  readCreditNotes,
  recordCreditNote,
} from './correction-store.js';
import { META_INVOICE } from './draft-check.js';
import { listCreditNotes } from './earlier-invoices.js';
import { overtaken, type RevisionRef } from './submission-store.js';
import { call, type SubmitDeps, step } from './submit-attempt.js';

/**
 * Issues the credit notes of a correction, each once. A credit note has no draft that could be elected: the call itself
 * moves the money. So every attempt uses the same key while Stripe may still be working on it, and what is there is
 * read before each call. Only when Stripe has answered with a failure that it may have saved under the key, and no
 * request can still be on its way, does the next key follow. Throws `stripe_unavailable` for what a later attempt can do.
 */
export async function issueCredits(
  deps: SubmitDeps,
  ref: RevisionRef,
  { key, attempt }: { key: string; attempt: number },
): Promise<void> {
  for (const note of await readCreditNotes(deps.pool, ref)) {
    if (note.stripe_credit_note_id === null) await issueCredit(deps, ref, note, key, attempt);
  }
}

async function issueCredit(
  deps: SubmitDeps,
  ref: RevisionRef,
  note: CreditNoteRow,
  key: string,
  attempt: number,
): Promise<void> {
  const { stripe_invoice_id: invoice, amount_minor: amount, refund_minor: refund } = note;
  const record = (id: string) => step(deps, 'record credit note', () => recordCreditNote(deps.pool, ref, invoice, id));
  const found = (await listCreditNotes(deps, invoice)).find(({ metadata }) => metadata?.[META_INVOICE] === key);
  if (found) return record(found.id);

  const keyMs = CREDIT_NOTE_KEY_MINUTES * 60_000;
  const firstMs = note.tried_at?.getTime() ?? Date.now();
  const isSpent = Date.now() > firstMs + keyMs;
  const generation = isSpent ? note.generation + 1 : note.generation;
  // Well before the next key: a request that leaves in time has its answer by then.
  const usableUntilMs = (isSpent ? Date.now() : firstMs) + keyMs / 2;
  await step(deps, 'note credit try', async () => {
    await expectCorrecting(deps.pool, ref, attempt);
    await noteCreditTry(deps.pool, ref, note, generation);
  });
  const body: Stripe.CreditNoteCreateParams = {
    invoice,
    amount,
    ...(refund > 0 ? { refund_amount: refund } : {}),
    ...(refund < amount ? { credit_amount: amount - refund } : {}),
    reason: 'order_change',
    metadata: { [META_INVOICE]: key },
  };
  const idempotencyKey = stepKey(key, generation, 'credit', body);
  try {
    const made = await call(deps, 'create credit note', (sdk) => {
      // An attempt that slept until the next key may be in use must not wake up with this one.
      if (Date.now() > usableUntilMs) throw overtaken();
      return sdk.creditNotes.create(body, { idempotencyKey });
    });
    await record(made.id);
  } catch (error) {
    if (!isOutcomeUnknown(error)) throw error;
    const after = (await listCreditNotes(deps, invoice)).find(({ metadata }) => metadata?.[META_INVOICE] === key);
    if (!after) throw error;
    await record(after.id);
  }
}
