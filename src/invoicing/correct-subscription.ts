import type { Queryable } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { STRIPE_SETTLE_TRIES_COUNT, SUBSCRIPTION_LINES_COUNT } from '../limits.js';
import { formatMinor } from '../money/currency.js';
import { isRefused } from '../stripe/stripe-errors.js';
import { readComparedLines } from './compared-lines.js';
import { type CorrectionPlan, supplementHash } from './correction-plan.js';
import {
  type Composed,
  type Correction,
  claimCorrection,
  completeCorrection,
  expectCorrecting,
  readComposed,
  readCorrection,
  settleCorrection,
  supersedeEarlier,
} from './correction-store.js';
import { type InvoiceToSubmit, type RevisionRef, readInvoiceToSubmit } from './submission-store.js';
import { type SubmitDeps, step } from './submit-attempt.js';
import { Parked } from './submit-draft.js';
import { deadAt, notYet, type PlaceOutcome, type PlaceRef, placeOnSubscription } from './submit-subscription.js';
import { deleteItem, type ItemOwner, listPeriodItems, type SeenItem, sortItems } from './subscription-items.js';
import { differenceLines, type NamedLine, nameLines } from './subscription-lines.js';
import { claimPlacing, confirmPlacing, recordItems, supersedePlacing } from './subscription-store.js';
import { sweepSubmission } from './sweep-drafts.js';

/**
 * Moves Stripe from the lines of earlier revisions on a subscription to this revision (invariant 3): those that no issued
 * invoice holds are deleted, and read to be gone; what stands on issued ones stays. Then, in one transaction, it is settled
 * what follows: the whole revision where nothing stands, else a line for each that changed. They are placed, each once; at
 * last the books are read at Stripe and have to equal the revision. Resumable at every point.
 * Throws `stripe_unavailable` for what a later call can do, `stale_inputs` when a later attempt or revision took over.
 */
export async function correctOnSubscription(deps: SubmitDeps, ref: PlaceRef): Promise<PlaceOutcome> {
  const claim = await step(deps, 'claim correction', () => claimCorrection(deps.pool, ref));
  const target = await readTarget(deps.pool, ref);
  try {
    if (claim.settled_at === null) await settle(deps, ref, claim, target);
    const { invoice } = await readCorrection(deps.pool, ref);
    const outcome = invoice === 'none' ? await placeNothing(deps, ref) : await placeOnSubscription(deps, ref);
    if (outcome.outcome === 'parked' || claim.completed_at !== null) return outcome;
    await checkBooks(deps, ref, target);
    await step(deps, 'complete correction', () => completeCorrection(deps.pool, ref, claim.attempt));
    return outcome;
  } catch (error) {
    if (!(error instanceof Parked) && !isRefused(error)) throw error;
    await step(deps, 'park correction', () => expectCorrecting(deps.pool, ref, claim.attempt));
    return { outcome: 'parked', reason: error.message };
  }
}

/** The revision as composed, whatever of it has to be placed. */
interface Target extends ItemOwner, Composed, Pick<InvoiceToSubmit, 'key' | 'currency'> {}

async function readTarget(database: Queryable, ref: RevisionRef): Promise<Target> {
  const { key, currency, customer_id, start_date, starts_at } = await readInvoiceToSubmit(database, ref);
  const composed = await readComposed(database, ref);
  return { period_id: ref.period_id, key, currency, customer_id, start_date, starts_at, ...composed };
}

async function settle(deps: SubmitDeps, ref: PlaceRef, claim: Correction, target: Target): Promise<void> {
  await refuseOwnInvoices(deps, ref);
  const standing = await endEarlier(deps, ref, target);
  const named = await nameStanding(deps.pool, ref, standing);
  const live = standing.reduce((sum, { amount }) => sum + amount, 0);
  const difference = target.total - live;
  const lines =
    standing.length === 0 || difference === 0
      ? null
      : differenceLines(named, nameLines(await readComparedLines(deps.pool, ref), named), SUBSCRIPTION_LINES_COUNT);
  const invoice = difference === 0 ? 'none' : lines === null ? 'whole' : 'supplement';
  const supplement = lines === null ? null : { lines, hash: supplementHash(target.content_hash, lines) };
  const plan: CorrectionPlan = { live, difference, credits: [], invoice, invoice_amount: difference };
  await step(deps, 'settle', () => settleCorrection(deps.pool, ref, [], plan, supplement));
  await expectCorrecting(deps.pool, ref, claim.attempt);
}

/** Nothing follows: the submission of the revision is confirmed without a line. */
async function placeNothing(deps: SubmitDeps, ref: RevisionRef): Promise<PlaceOutcome> {
  const invoice = await readInvoiceToSubmit(deps.pool, ref);
  const claim = await step(deps, 'claim', () => claimPlacing(deps.pool, ref, invoice));
  if (claim.confirmed_at === null) {
    await step(deps, 'confirm', () => confirmPlacing(deps.pool, ref, claim.attempt, []));
  }
  return { outcome: 'placed', lines: 0 };
}

/**
 * Brings the lines of earlier revisions to their end: all that can be deleted is, and read to be gone. Answers those that
 * stand on issued invoices. Throws `stripe_unavailable` while requests of an earlier revision may still be on their way.
 */
async function endEarlier(deps: SubmitDeps, ref: RevisionRef, owner: ItemOwner): Promise<SeenItem[]> {
  const earlier = await step(deps, 'supersede earlier', () => supersedePlacing(deps.pool, ref));
  for (const { generation, begun_at, confirmed_at } of earlier) {
    if (generation === null || begun_at === null) continue;
    // Of a single confirmed generation every key has its answer: it makes nothing more.
    if (generation === 1 && confirmed_at !== null) continue;
    if (Date.now() < deadAt({ begun_at })) throw notYet(deadAt({ begun_at }));
  }
  const numbers = new Map(
    earlier.map(({ revision }) => [`${owner.customer_id}/${owner.start_date}/${revision}`, revision]),
  );
  for (let tries = 0; ; tries++) {
    const items = (await listPeriodItems(deps, owner)).filter(({ key }) => numbers.has(key));
    const { removable, standing } = await sortItems(deps, items);
    if (removable.length === 0) {
      for (const item of standing) {
        await recordItems(deps.pool, { ...ref, revision: numbers.get(item.key)! }, [item], { stray: true });
      }
      await noteStanding(deps.pool, standing);
      return standing;
    }
    if (tries > STRIPE_SETTLE_TRIES_COUNT) throw new Parked(`Lines of earlier revisions stay: ${removable[0]!.id}.`);
    // First the note, so that nobody takes it for the deed of a person.
    await step(deps, 'note removal', () => noteRemoval(deps.pool, removable));
    for (const { id } of removable) await deleteItem(deps, id);
  }
}

async function noteRemoval(database: Queryable, items: SeenItem[]): Promise<void> {
  await database.query(
    `UPDATE subscription_items SET removed_at = now() WHERE stripe_item_id = ANY($1::text[]) AND removed_at IS NULL`,
    [items.map(({ id }) => id)],
  );
}

/** Lines that were issued at the moment in which they were to be deleted. */
async function noteStanding(database: Queryable, items: SeenItem[]): Promise<void> {
  await database.query(
    `UPDATE subscription_items SET removed_at = NULL, gone_at = NULL
     WHERE stripe_item_id = ANY($1::text[]) AND removed_at IS NOT NULL`,
    [items.map(({ id }) => id)],
  );
}

/**
 * Takes the lines of earlier revisions off the customer's subscription, for a revision that has an invoice of its own.
 * Answers why that cannot be, or null.
 */
export async function leaveSubscription(deps: SubmitDeps, ref: RevisionRef): Promise<string | null> {
  if ((await supersedePlacing(deps.pool, ref)).length === 0) return null;
  const standing = await endEarlier(deps, ref, await readTarget(deps.pool, ref));
  if (standing.length === 0) return null;
  return `Lines of earlier revisions stand on the invoice ${standing[0]!.stripe_invoice_id} of a subscription; ${SAME_WAY}.`;
}

const SAME_WAY = 'bill the period again under a plan with the same invoice_on';

/** Parks where an earlier revision has an invoice of its own: the period would be billed in two ways. */
async function refuseOwnInvoices(deps: SubmitDeps, ref: RevisionRef): Promise<void> {
  for (const { revision, elected_invoice_id: id } of await supersedeEarlier(deps.pool, ref)) {
    await sweepSubmission(deps, { period_id: ref.period_id, revision });
    if (id === null) continue;
    const { rows } = await deps.pool.query<{ ended: boolean }>(
      `SELECT coalesce(stripe_status, 'draft') IN ('void', 'deleted') AS ended FROM invoice_submissions
       WHERE elected_invoice_id = $1`,
      [id],
    );
    if (rows[0]?.ended) continue;
    throw new Parked(`Revision ${revision} has an invoice of its own at Stripe, ${id}; ${SAME_WAY}, or void it there.`);
  }
}

/** The lines that stand, by what each stands for. */
async function nameStanding(database: Queryable, ref: RevisionRef, standing: SeenItem[]): Promise<NamedLine[]> {
  const byKey = new Map<string, NamedLine[]>();
  const named: NamedLine[] = [];
  for (const { key, line_number, amount } of standing) {
    const revision = Number(key.slice(key.lastIndexOf('/') + 1));
    const lines = byKey.get(key) ?? (await readPlacedLines(database, { ...ref, revision }));
    byKey.set(key, lines);
    const line = lines[line_number - 1];
    if (line === undefined) throw new CostplusError('internal', `Revision ${revision} has no line ${line_number}.`);
    named.push({ ...line, amount });
  }
  return named;
}

/** What a revision placed: its lines, or those of a difference. */
async function readPlacedLines(database: Queryable, ref: RevisionRef): Promise<NamedLine[]> {
  const { rows } = await database.query<{ lines: (NamedLine & { amount_minor: number })[] }>(
    `SELECT lines FROM invoice_corrections WHERE period_id = $1 AND revision = $2 AND invoice = 'supplement'`,
    [ref.period_id, ref.revision],
  );
  if (rows[0]) {
    return rows[0].lines.map(({ name, description, amount_minor, stripe }) => ({
      name: name ?? '',
      description,
      amount: amount_minor,
      stripe: stripe ?? null,
    }));
  }
  return nameLines(await readComparedLines(database, ref));
}

/** Compares what the period's lines come to at Stripe, void invoices left out, with the revision. */
async function checkBooks(deps: SubmitDeps, ref: RevisionRef, target: Target): Promise<void> {
  const { removable, standing } = await sortItems(deps, await listPeriodItems(deps, target));
  const books = [...removable, ...standing].reduce((sum, { amount }) => sum + amount, 0);
  if (books === target.total) return;
  const [is, should] = [books, target.total].map(
    (minor) => `${formatMinor(BigInt(minor), target.currency)} ${target.currency}`,
  );
  throw new Parked(`The period's lines at Stripe come to ${is}, revision ${ref.revision} to ${should}.`);
}
