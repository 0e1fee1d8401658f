import type Stripe from 'stripe';
import { CREDIT_NOTE_KEY_MINUTES, STRIPE_SETTLE_TRIES_COUNT } from '../limits.js';
import { stepKey } from '../stripe/idempotency-key.js';
import { isOutcomeUnknown, isRefused } from '../stripe/stripe-errors.js';
import { expectCorrecting } from './correction-store.js';
import {
  beginCreditTry,
  type CreditNoteRow,
  endCreditTry,
  type GivenBack,
  readCreditNotes,
  recordCreditNote,
} from './credit-note-store.js';
import { META_INVOICE, META_PART } from './draft-check.js';
import { CannotCorrect, listCreditNotes, readInvoice } from './earlier-invoices.js';
import { creditBody, preview } from './fit-credits.js';
import { overtaken, type RevisionRef } from './submission-store.js';
import { call, type SubmitDeps, step } from './submit-attempt.js';

interface Issuing {
  /** The invoice key of the revision, and the attempt at its correction. */
  key: string;
  attempt: number;
  /** Where finance wants the money of credit notes to go. */
  to: 'balance' | 'refund';
}

/**
 * Issues the credit notes of a correction, each once. A credit note has no draft that could be elected: the call itself
 * moves the money. So every attempt uses the same key while Stripe may still be working on it, and what is there is
 * read before each call. The next key follows only when no request can still be on its way, or when Stripe has refused:
 * it then refuses whatever comes under that key again. What goes out under a key is committed before its first use,
 * because it depends on what was paid by then. Throws `stripe_unavailable` for what a later attempt can do.
 */
export async function issueCredits(deps: SubmitDeps, ref: RevisionRef, issuing: Issuing): Promise<void> {
  const notes = await readCreditNotes(deps.pool, ref);
  for (const { stripe_invoice_id: invoice, part, stripe_credit_note_id } of notes) {
    if (stripe_credit_note_id === null) await issueCredit(deps, ref, { invoice, part }, issuing);
  }
}

/** One credit note. A payment that comes at this moment changes how much is to be given back: it is tried anew with that. */
async function issueCredit(
  deps: SubmitDeps,
  ref: RevisionRef,
  named: { invoice: string; part: number },
  issuing: Issuing,
): Promise<void> {
  let refused: (GivenBack & { error: unknown }) | null = null;
  for (let tries = 0; ; tries++) {
    const found = await findIssued(deps, named, issuing.key);
    const note = (await readCreditNotes(deps.pool, ref)).find(
      (one) => one.stripe_invoice_id === named.invoice && one.part === named.part,
    )!;
    if (found !== undefined) {
      await step(deps, 'record credit note', () => recordCreditNote(deps.pool, ref, note, found));
      return;
    }
    const begun = await beginTry(deps, ref, note, issuing);
    // Nothing has changed since: Stripe refuses it for another reason.
    if (refused !== null && refused.refund === begun.refund && refused.credit === begun.credit) throw refused.error;
    try {
      const made = await create(deps, begun, issuing);
      await step(deps, 'record credit note', () => recordCreditNote(deps.pool, ref, note, made));
      return;
    } catch (error) {
      if (isOutcomeUnknown(error)) {
        const after = await findIssued(deps, named, issuing.key);
        if (after === undefined) throw error;
        await step(deps, 'record credit note', () => recordCreditNote(deps.pool, ref, note, after));
        return;
      }
      if (!isRefused(error)) throw error;
      await step(deps, 'end credit try', () => endCreditTry(deps.pool, ref, begun.note));
      if (tries >= STRIPE_SETTLE_TRIES_COUNT) throw error;
      refused = { refund: begun.refund, credit: begun.credit, error };
    }
  }
}

/** A key that may be used now, and what goes out under it. */
interface Begun extends GivenBack {
  note: CreditNoteRow;
  /** Well before the next key: a request that leaves in time has its answer by then. */
  usableUntilMs: number;
}

async function beginTry(deps: SubmitDeps, ref: RevisionRef, note: CreditNoteRow, issuing: Issuing): Promise<Begun> {
  const keyMs = CREDIT_NOTE_KEY_MINUTES * 60_000;
  const { tried_at, refund_minor, credit_minor } = note;
  const isFresh = tried_at !== null && Date.now() <= tried_at.getTime() + keyMs;
  if (isFresh) {
    await step(deps, 'note credit try', () => expectCorrecting(deps.pool, ref, issuing.attempt));
    return { note, refund: refund_minor!, credit: credit_minor!, usableUntilMs: tried_at.getTime() + keyMs / 2 };
  }
  const given = await giveBack(deps, note, issuing.to);
  const generation = tried_at === null ? note.generation : note.generation + 1;
  const triedAt = await step(deps, 'note credit try', () =>
    beginCreditTry(deps.pool, { ...ref, attempt: issuing.attempt }, note, generation, given),
  );
  return { note: { ...note, generation }, ...given, usableUntilMs: triedAt.getTime() + keyMs / 2 };
}

/**
 * How much of a credit note was paid, and goes back: as Stripe says of the invoice as it is now. Never more is refunded
 * than was paid through Stripe and not given back before; the rest goes to the balance.
 */
async function giveBack(deps: SubmitDeps, note: CreditNoteRow, to: Issuing['to']): Promise<GivenBack> {
  const { stripe_invoice_id: id, amount_minor: amount } = note;
  const invoice = await readInvoice(deps, id);
  if (invoice === null) throw new CannotCorrect(`The invoice ${id} is gone at Stripe.`);
  const { subtotal, post_payment_amount } = await preview(deps, { invoice: id, lines: note.lines, amount });
  if (subtotal !== amount) {
    throw new CannotCorrect(
      `A credit note on ${id} would take off ${subtotal}, not ${amount} (minor units, before tax): it was changed at ` +
        'Stripe since. Bill the period again.',
    );
  }
  const paid = invoice.amount_paid - (invoice.amount_paid_off_stripe ?? 0);
  const refundable = Math.max(0, paid - invoice.post_payment_credit_notes_amount);
  const refund = to === 'refund' ? Math.min(post_payment_amount, refundable) : 0;
  return { refund, credit: post_payment_amount - refund };
}

async function create(deps: SubmitDeps, begun: Begun, { key }: Issuing): Promise<Stripe.CreditNote> {
  const { note, refund, credit, usableUntilMs } = begun;
  const body: Stripe.CreditNoteCreateParams = {
    ...creditBody({ invoice: note.stripe_invoice_id, lines: note.lines, amount: note.amount_minor }),
    ...(refund > 0 ? { refund_amount: refund } : {}),
    ...(credit > 0 ? { credit_amount: credit } : {}),
    reason: 'order_change',
    metadata: { [META_INVOICE]: key, ...(note.part === 1 ? {} : { [META_PART]: String(note.part) }) },
  };
  const idempotencyKey = stepKey(key, note.generation, 'credit', body);
  return call(deps, 'create credit note', (sdk) => {
    // An attempt that slept until the next key may be in use must not wake up with this one.
    if (Date.now() > usableUntilMs) throw overtaken();
    return sdk.creditNotes.create(body, { idempotencyKey });
  });
}

async function findIssued(
  deps: SubmitDeps,
  { invoice, part }: { invoice: string; part: number },
  key: string,
): Promise<Stripe.CreditNote | undefined> {
  const notes = await listCreditNotes(deps, invoice);
  return notes.find(
    ({ metadata }) => metadata?.[META_INVOICE] === key && (metadata[META_PART] ?? '1') === String(part),
  );
}
