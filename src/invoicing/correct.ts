import { formatMinor } from '../money/currency.js';
import { isRefused } from '../stripe/stripe-errors.js';
import { readComparedLines } from './compared-lines.js';
import {
  amountsAfter,
  type CorrectionPlan,
  compareLines,
  type EndedInvoice,
  fitPlan,
  planCorrection,
  type SupplementLine,
  supplementAfter,
  supplementHash,
  supplementLines,
  type WantedCorrection,
} from './correction-plan.js';
import {
  type Composed,
  type Correction,
  claimCorrection,
  completeCorrection,
  type EarlierSubmission,
  expectCorrecting,
  readComposed,
  readCorrection,
  readElected,
  settleCorrection,
  supersedeEarlier,
} from './correction-store.js';
import { readCreditNotes } from './credit-note-store.js';
import { CannotCorrect, endInvoice, readBooks } from './earlier-invoices.js';
import { fitCredits } from './fit-credits.js';
import { issueCredits } from './issue-credits.js';
import { refreshInvoice } from './stripe-changes.js';
import { type InvoiceToSubmit, type RevisionRef, readInvoiceToSubmit } from './submission-store.js';
import { type SubmitDeps, type SubmitOutcome, type SubmitRef, submitInvoice } from './submit.js';
import { step } from './submit-attempt.js';
import { sweepSubmission } from './sweep-drafts.js';

export type CorrectOutcome = SubmitOutcome | { outcome: 'corrected' };

/**
 * Moves Stripe from the earlier revisions of a period to this one (invariant 3): every invoice of theirs is brought to its
 * end (paid, void or deleted), or stands where a part of it was paid, and is read to be so; then, in one transaction, it is
 * settled what stands and what has to follow: the whole revision as a new invoice, an invoice for the difference, or credit notes; these are made, each once;
 * at last the books are read at Stripe and have to equal the revision. Resumable at every point.
 * Throws `stripe_unavailable` for what a later call can do, `stale_inputs` when a later attempt or revision took over.
 */
export async function correctInvoice(deps: SubmitDeps, ref: SubmitRef): Promise<CorrectOutcome> {
  const claim = await step(deps, 'claim correction', () => claimCorrection(deps.pool, ref));
  const target = await readTarget(deps, ref);
  const by = { key: target.key, attempt: claim.attempt };
  try {
    const correction = claim.settled_at === null ? await settle(deps, ref, claim, target) : claim;
    if (claim.completed_at === null) await issueCredits(deps, ref, { ...by, to: correction.refund });
    const outcome: CorrectOutcome =
      correction.invoice === 'none' ? { outcome: 'corrected' } : await submitInvoice(deps, ref);
    if (outcome.outcome === 'parked' || claim.completed_at !== null) return outcome;
    await checkBooks(deps, ref, target);
    // The credit notes are at Stripe: what we know of their invoices follows.
    const credited = new Set((await readCreditNotes(deps.pool, ref)).map(({ stripe_invoice_id }) => stripe_invoice_id));
    for (const id of credited) await refreshInvoice(deps, id);
    await step(deps, 'complete correction', () => completeCorrection(deps.pool, ref, claim.attempt));
    return outcome;
  } catch (error) {
    if (!(error instanceof CannotCorrect) && !isRefused(error)) throw error;
    await step(deps, 'park correction', () => expectCorrecting(deps.pool, ref, claim.attempt));
    return { outcome: 'parked', reason: error.message };
  }
}

/** The revision as composed, whatever of it has to be invoiced. */
interface Target extends Composed, Pick<InvoiceToSubmit, 'key' | 'currency'> {}

async function readTarget(deps: SubmitDeps, ref: RevisionRef): Promise<Target> {
  const { key, currency } = await readInvoiceToSubmit(deps.pool, ref);
  return { key, currency, ...(await readComposed(deps.pool, ref)) };
}

async function settle(deps: SubmitDeps, ref: SubmitRef, claim: Correction, target: Target): Promise<Correction> {
  const earlier = await step(deps, 'supersede earlier', () => supersedeEarlier(deps.pool, ref));
  const ended: EndedInvoice[] = [];
  for (const { revision, elected_invoice_id: id } of earlier) {
    // What losing attempts left: without an election none of it counts, and none of it can any more.
    const { strangers } = await sweepSubmission(deps, { period_id: ref.period_id, revision });
    if (strangers.length > 0) {
      throw new CannotCorrect(`Stripe has issued ${strangers.join(', ')} for revision ${revision}, which is not ours.`);
    }
    if (id === null) continue;
    const end = await endInvoice(deps, id, { key: target.key, attempt: claim.attempt });
    ended.push(end);
    // Lines can outlive the draft that they stood on.
    if (end.ended === 'deleted') await sweepSubmission(deps, { period_id: ref.period_id, revision });
  }
  const plan = await planAtStripe(deps, ref, ended, planCorrection(ended, target.total), earlier);
  const supplement = plan.invoice === 'supplement' ? await describeSupplement(deps, ref, target, plan) : null;
  await step(deps, 'settle', () => settleCorrection(deps.pool, ref, ended, plan, supplement));
  await expectCorrecting(deps.pool, ref, claim.attempt);
  return readCorrection(deps.pool, ref);
}

/** The plan with the credit notes that Stripe can make. */
async function planAtStripe(
  deps: SubmitDeps,
  ref: RevisionRef,
  ended: EndedInvoice[],
  plan: WantedCorrection,
  earlier: EarlierSubmission[],
) {
  const credits = await fitCredits(deps, ended, plan.credits, async (id) => {
    const { revision } = earlier.find(({ elected_invoice_id }) => elected_invoice_id === id)!;
    return amountsNow(deps, ref, revision);
  });
  return fitPlan(plan, credits);
}

/** What the lines of an earlier revision's invoice have come to in this one, by their numbers. */
async function amountsNow({ pool }: Pick<SubmitDeps, 'pool'>, ref: RevisionRef, revision: number) {
  const [then, now] = [await readComparedLines(pool, { ...ref, revision }), await readComparedLines(pool, ref)];
  const { rows } = await pool.query<{ lines: SupplementLine[] }>(
    `SELECT lines FROM invoice_corrections WHERE period_id = $1 AND revision = $2 AND invoice = 'supplement'`,
    [ref.period_id, revision],
  );
  // An invoice for a difference has lines of its own.
  if (!rows[0]) return new Map(amountsAfter(then, now).map((amount, at) => [at + 1, amount]));
  const before = await readComparedLines(pool, { ...ref, revision: revision - 1 });
  return supplementAfter(rows[0].lines, [before, then, now]);
}

async function describeSupplement(
  deps: SubmitDeps,
  ref: RevisionRef,
  target: Target,
  { invoice_amount, credits }: CorrectionPlan,
) {
  const before = await readComparedLines(deps.pool, { ...ref, revision: ref.revision - 1 });
  // Beside credit notes it is the rest, not what lines have changed by.
  const differences = credits.length > 0 ? [] : compareLines(before, await readComparedLines(deps.pool, ref));
  const lines = supplementLines(differences, invoice_amount);
  return { lines, hash: supplementHash(target.content_hash, lines) };
}

async function checkBooks(deps: SubmitDeps, ref: RevisionRef, { total, currency }: Target): Promise<void> {
  const books = await readBooks(deps, await readElected(deps.pool, ref));
  if (books === total) return;
  const [is, should] = [books, total].map((minor) => `${formatMinor(BigInt(minor), currency)} ${currency}`);
  throw new CannotCorrect(`Stripe's invoices minus credit notes come to ${is}, revision ${ref.revision} to ${should}.`);
}
