import { STRIPE_GENERATIONS_COUNT } from '../limits.js';
import { stepKey } from '../stripe/idempotency-key.js';
import { paymentStatus, toBalance } from '../stripe/invoice-state.js';
import { isMissingReference, isOutcomeUnknown, isRefused } from '../stripe/stripe-errors.js';
import { findDifference, META_GENERATION, META_HASH } from './draft-check.js';
import { deleteFreedItems } from './freed-items.js';
import { finalizationFailure } from './stripe-changes.js';
import {
  type Claim,
  claimAttempt,
  confirmSubmission,
  electInvoice,
  expectCurrent,
  type InvoiceToSubmit,
  keepSubmissionCustomer,
  nextGeneration,
  overtaken,
  readInvoiceToSubmit,
} from './submission-store.js';
import {
  call,
  deleteDraft,
  findByKey,
  readWhole,
  type SubmitDeps,
  step,
  type WholeInvoice,
  withAllLines,
} from './submit-attempt.js';
import { ensureStripeCustomer } from './submit-customer.js';
import { type Attempt, customerGone, makeDraft, Parked, type SubmitRef } from './submit-draft.js';

export type { SubmitDeps } from './submit-attempt.js';
export type { SubmitRef } from './submit-draft.js';

export type SubmitOutcome =
  | { outcome: 'confirmed'; stripe_invoice_id: string; stripe_status: string }
  | { outcome: 'drafted'; stripe_invoice_id: string }
  /** Needs a person; nothing that this call did can collect money unseen. */
  | { outcome: 'parked'; reason: string };

/**
 * Brings one revision to Stripe exactly once (invariant 3), resumable at every point and safe against an earlier
 * attempt that still runs: a draft is written only by the attempt that made it, an attempt elects its verified draft in
 * the database, only the elected id is ever finalized, and after the election nothing adds lines.
 * Throws `stripe_unavailable` for what a later call can do, `stale_inputs` when a later attempt has taken over.
 */
export async function submitInvoice(deps: SubmitDeps, ref: SubmitRef): Promise<SubmitOutcome> {
  const invoice = await readInvoiceToSubmit(deps.pool, ref);
  const claim = await step(deps, 'claim', () => claimAttempt(deps.pool, ref, invoice, ref.mode));
  if (claim.confirmed_at !== null) {
    return {
      outcome: 'confirmed',
      stripe_invoice_id: claim.elected_invoice_id!,
      stripe_status: claim.stripe_status ?? 'open',
    };
  }
  const attempt: Attempt = { deps, ref, invoice, number: claim.attempt, startedAt: claim.started_at };
  try {
    const elected =
      claim.elected_invoice_id === null
        ? await elect(attempt, claim)
        : { id: claim.elected_invoice_id, isVerifiedDraft: false };
    if (ref.mode === 'draft') return { outcome: 'drafted', stripe_invoice_id: elected.id };
    return await issue(attempt, elected.id, elected.isVerifiedDraft);
  } catch (error) {
    if (!(error instanceof Parked) && !isRefused(error)) throw error;
    // An overtaken attempt finds its draft deleted, or Stripe changed under it: that is no reason to park.
    await step(deps, 'park', () => expectCurrent(deps.pool, ref, attempt.number));
    return { outcome: 'parked', reason: error.message };
  }
}

function tooManyFailed(detail: string): Parked {
  return new Parked(`${STRIPE_GENERATIONS_COUNT} drafts at Stripe were not as composed: ${detail}.`);
}

interface Elected {
  id: string;
  /** It was verified as a draft by this attempt just now. */
  isVerifiedDraft: boolean;
}

/** Makes drafts until one is as composed, and elects it. */
async function elect(attempt: Attempt, claim: Claim): Promise<Elected> {
  const { deps, ref, invoice } = attempt;
  if (claim.failed_generations >= STRIPE_GENERATIONS_COUNT) throw tooManyFailed('nothing was tried again since');
  const customer = await ensureStripeCustomer(deps, invoice, claim);
  // Drafts of earlier attempts stand under the Stripe customer that our customer had then.
  const earlier = claim.stripe_customer_id;
  if (earlier !== null && earlier !== customer) await clearEarlierCustomer(attempt, earlier);
  if (earlier !== customer) {
    await step(deps, 'keep submission customer', () =>
      keepSubmissionCustomer(deps.pool, ref, attempt.number, customer),
    );
  }
  for (;;) {
    const issued = await clearOthers(attempt, customer);
    if (issued !== null) {
      await step(deps, 'elect', () => electInvoice(deps.pool, ref, attempt.number, issued));
      return { id: issued, isVerifiedDraft: false };
    }
    const id = await makeDraft(attempt, customer);
    const whole = await readWhole(deps, id);
    const difference = whole === null ? 'it is gone' : differenceOfDraft(invoice, whole);
    if (difference === null) {
      await step(deps, 'elect', () => electInvoice(deps.pool, ref, attempt.number, id));
      return { id, isVerifiedDraft: true };
    }
    // A person was quicker: what is issued is either ours as it is, or theirs to explain.
    if (whole !== null && whole.invoice.status !== 'draft') {
      const changed = findDifference(invoice, whole.invoice, whole.lines);
      if (changed !== null) throw new Parked(`The draft ${id} was changed and issued by hand at Stripe: ${changed}.`);
      await step(deps, 'elect', () => electInvoice(deps.pool, ref, attempt.number, id));
      return { id, isVerifiedDraft: false };
    }
    await deleteDraft(deps, id);
    const next = await step(deps, 'next generation', () => nextGeneration(deps.pool, ref, attempt.number));
    attempt.number = next.attempt;
    if (next.failed_generations >= STRIPE_GENERATIONS_COUNT) throw tooManyFailed(`of the last, ${difference}`);
  }
}

/**
 * Looks at what Stripe holds under our key: deletes drafts of earlier attempts, which can never be elected now. Returns
 * the id of an issued invoice that is exactly ours (a database restored from a backup does not know it any more).
 * Parks what it cannot explain.
 */
async function clearOthers(attempt: Attempt, stripeCustomerId: string): Promise<string | null> {
  const { deps, invoice } = attempt;
  const found = await findByKey(deps, stripeCustomerId, invoice.key, {
    starts_at: invoice.starts_at,
    started_at: attempt.startedAt,
  });
  let issued: string | null = null;
  for (const other of found) {
    // A void invoice asks for nothing; whoever voided it meant the next attempt.
    if (other.status === 'void') continue;
    if (other.metadata?.[META_HASH] !== invoice.content_hash) {
      throw new Parked(`Stripe has ${other.id} under the key ${invoice.key} with other content.`);
    }
    if (other.status === 'draft') {
      if (Number(other.metadata[META_GENERATION]) > attempt.number) throw overtaken();
      await deleteDraft(deps, other.id);
      continue;
    }
    const difference = findDifference(invoice, other, (await withAllLines(deps, other)).lines);
    if (difference !== null || issued !== null) {
      throw new Parked(
        `Stripe has issued ${other.id} under the key ${invoice.key}: ${difference ?? 'it is a second'}.`,
      );
    }
    issued = other.id;
  }
  // An earlier attempt may have died between the deletion of its draft and this.
  if (attempt.number > 1) await deleteFreedItems(deps, stripeCustomerId, invoice.key);
  return issued;
}

async function clearEarlierCustomer(attempt: Attempt, stripeCustomerId: string): Promise<void> {
  let issued: string | null = null;
  try {
    issued = await clearOthers(attempt, stripeCustomerId);
  } catch (error) {
    // That Stripe customer does not exist: perhaps why it was replaced.
    if (!isRefused(error)) throw error;
  }
  if (issued !== null) throw new Parked(`Stripe has issued ${issued} to the customer's earlier Stripe customer.`);
}

function differenceOfDraft(invoice: InvoiceToSubmit, { invoice: seen, lines }: WholeInvoice): string | null {
  if (seen.status !== 'draft') return `it is ${seen.status} and not a draft`;
  return findDifference(invoice, seen, lines);
}

/** Finalizes the elected invoice unless it is, compares once more, and records it. */
async function issue(attempt: Attempt, id: string, isVerifiedDraft: boolean): Promise<SubmitOutcome> {
  const { deps, ref, invoice } = attempt;
  let whole: WholeInvoice | null = null;
  if (!isVerifiedDraft) {
    whole = await readElected(deps, id);
    if (whole.invoice.status === 'draft') {
      const difference = findDifference(invoice, whole.invoice, whole.lines);
      if (difference !== null) throw new Parked(`The elected draft ${id} was changed at Stripe: ${difference}.`);
    }
  }
  if (whole === null || whole.invoice.status === 'draft') whole = await finalize(attempt, id);
  const difference = findDifference(invoice, whole.invoice, whole.lines);
  if (difference !== null) throw new Parked(`The issued invoice ${id} is not as composed: ${difference}.`);
  const { status, number, hosted_invoice_url, subtotal, total } = whole.invoice;
  const issued = {
    id,
    status: status ?? 'open',
    number,
    hosted_invoice_url: hosted_invoice_url ?? null,
    subtotal,
    total,
    to_balance: toBalance(whole.invoice),
    paid: whole.invoice.amount_paid,
    payment_status: paymentStatus(whole.invoice),
  };
  const stripeStatus = await step(deps, 'confirm', () => confirmSubmission(deps.pool, ref, attempt.number, issued));
  return { outcome: 'confirmed', stripe_invoice_id: id, stripe_status: stripeStatus };
}

/** The elected invoice after it was finalized, by this call or another one. */
async function finalize(attempt: Attempt, id: string): Promise<WholeInvoice> {
  const { deps, invoice, number } = attempt;
  // A key of this attempt: under an earlier one Stripe may replay a saved failure. Twice does no harm, the second is
  // refused. From here on Stripe collects: `auto_advance` charges, or sends, or reminds, as the collection method says.
  const idempotencyKey = stepKey(invoice.key, number, 'finalize', id);
  try {
    const answer = await call(deps, 'finalize', (sdk) =>
      sdk.invoices.finalizeInvoice(id, { auto_advance: true }, { idempotencyKey }),
    );
    return await withAllLines(deps, answer);
  } catch (error) {
    if (!isOutcomeUnknown(error) && !isRefused(error)) throw error;
    const whole = await readElected(deps, id);
    if (whole.invoice.status !== 'draft') return whole;
    if (!isRefused(error)) throw error;
    if (isMissingReference(error)) throw new Parked(customerGone(invoice.customer_id, String(whole.invoice.customer)));
    const reason = finalizationFailure(whole.invoice);
    if (reason === null) throw error;
    throw new Parked(`Stripe could not issue ${id}: ${reason}. Put it right at Stripe, and release the period.`);
  }
}

async function readElected(deps: SubmitDeps, id: string): Promise<WholeInvoice> {
  const whole = await readWhole(deps, id);
  if (whole === null) throw new Parked(`The elected draft ${id} was deleted at Stripe.`);
  return whole;
}
