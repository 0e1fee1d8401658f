import { inTransaction } from '../database/pool.js';
import { STRIPE_IDEMPOTENCY_HOURS, STRIPE_SWEEP_COUNT, STRIPE_SWEEP_FAILURES_COUNT } from '../limits.js';
import { readPeriod } from '../periods/period-store.js';
import { setAlert } from '../stripe/alerts.js';
import { isRefused } from '../stripe/stripe-errors.js';
import { META_GENERATION } from './draft-check.js';
import { deleteFreedItems } from './freed-items.js';
import type { RevisionRef } from './submission-store.js';
import { deleteDraft, findByKey, type SubmitDeps } from './submit-attempt.js';
import { sweepItems } from './sweep-items.js';

export interface SweepResult {
  /** Submissions that were looked at; as many as the limit: call again. */
  submissions: number;
  deleted: number;
  /** Issued invoices under our keys that were never elected: somebody finalized them by hand at Stripe. */
  strangers: string[];
}

/**
 * Deletes what losing attempts left at Stripe: soon after the election, and once more a day later, when no request of
 * such an attempt can still be on its way. Only submissions with more than one attempt can have losers. One that fails
 * lets the others go first, in the next sweep too; where several in a row fail, Stripe is away, and the sweep ends. Throws
 * the first failure in the end.
 */
export async function sweepDrafts(deps: SubmitDeps, limit: number = STRIPE_SWEEP_COUNT): Promise<SweepResult> {
  const due = await deps.pool.query<RevisionRef>(
    `SELECT period_id, revision FROM invoice_submissions
     WHERE attempt > 1 AND stripe_customer_id IS NOT NULL AND ${UNSWEPT_SQL}
       AND (swept_at IS NULL OR swept_at < elected_at
            OR (swept_at < coalesce(elected_at, started_at) + make_interval(hours => $2)
                AND now() >= coalesce(elected_at, started_at) + make_interval(hours => $2)))
     ORDER BY coalesce(sweep_failed_at, started_at) LIMIT $1`,
    [limit, STRIPE_IDEMPOTENCY_HOURS],
  );
  const result: SweepResult = { submissions: due.rows.length, deleted: 0, strangers: [] };
  const failures: unknown[] = [];
  let inARow = 0;
  for (const ref of due.rows) {
    if (deps.signal?.aborted) break;
    try {
      const cleared = await clearSubmission(deps, ref);
      result.deleted += cleared.deleted;
      result.strangers.push(...cleared.strangers);
      await raiseStrangers(deps, ref, cleared.strangers);
      // Last: a sweep that ended before it told of a stranger is made again.
      await markSwept(deps, ref);
      inARow = 0;
    } catch (error) {
      failures.push(error);
      await markFailed(deps, ref);
      if (++inARow >= STRIPE_SWEEP_FAILURES_COUNT) break;
    }
  }
  if (inARow < STRIPE_SWEEP_FAILURES_COUNT) result.deleted += await sweepItems(deps);
  if (failures.length > 0) throw failures[0];
  return result;
}

/** SQL: as the index has it, what can be due now or later: not swept since a day after the election. */
export const UNSWEPT_SQL = `(swept_at IS NULL
  OR swept_at - coalesce(elected_at, started_at) < interval '${STRIPE_IDEMPOTENCY_HOURS} hours')`;

async function markFailed({ pool }: SubmitDeps, ref: RevisionRef): Promise<void> {
  await pool.query('UPDATE invoice_submissions SET sweep_failed_at = now() WHERE period_id = $1 AND revision = $2', [
    ref.period_id,
    ref.revision,
  ]);
}

/** Sweeps one submission, and leaves what was issued by hand to the caller. */
export async function sweepSubmission(deps: SubmitDeps, ref: RevisionRef): Promise<Omit<SweepResult, 'submissions'>> {
  const result = await clearSubmission(deps, ref);
  await markSwept(deps, ref);
  return result;
}

/**
 * A draft is deleted when another one is elected, or when a later attempt has begun: then it can
 * never be elected. Both only ever become true, so what is read before the listing still holds at the deletion.
 */
async function clearSubmission(deps: SubmitDeps, ref: RevisionRef): Promise<Omit<SweepResult, 'submissions'>> {
  const result: Omit<SweepResult, 'submissions'> = { deleted: 0, strangers: [] };
  const { rows } = await deps.pool.query<Submission>(
    `SELECT s.invoice_key, s.attempt, s.elected_invoice_id, s.stripe_customer_id, s.started_at, p.starts_at
     FROM invoice_submissions s JOIN periods p USING (period_id)
     WHERE s.period_id = $1 AND s.revision = $2 AND s.stripe_customer_id IS NOT NULL`,
    [ref.period_id, ref.revision],
  );
  const submission = rows[0];
  if (!submission) return result;
  const elected = submission.elected_invoice_id;
  try {
    for (const other of await findByKey(deps, submission.stripe_customer_id, submission.invoice_key, submission)) {
      if (other.id === elected || other.status === 'void') continue;
      if (other.status !== 'draft') result.strangers.push(other.id);
      else if (elected !== null || Number(other.metadata?.[META_GENERATION]) < submission.attempt) {
        await deleteDraft(deps, other.id);
        result.deleted++;
      }
    }
    await deleteFreedItems(deps, submission.stripe_customer_id, submission.invoice_key);
  } catch (error) {
    // The Stripe customer is gone, and its drafts with it; or a person finalized one this moment: the next sweep sees it.
    if (!isRefused(error)) throw error;
  }
  return result;
}

async function markSwept({ pool }: SubmitDeps, ref: RevisionRef): Promise<void> {
  await pool.query(
    `UPDATE invoice_submissions SET swept_at = now()
     WHERE period_id = $1 AND revision = $2 AND stripe_customer_id IS NOT NULL`,
    [ref.period_id, ref.revision],
  );
}

async function raiseStrangers({ pool }: SubmitDeps, ref: RevisionRef, strangers: string[]): Promise<void> {
  if (strangers.length === 0) return;
  const { customer_id } = await readPeriod(pool, ref.period_id);
  await inTransaction(pool, async (client) => {
    for (const id of strangers) {
      const detail = `${id} was issued at Stripe from a draft that another one had replaced; void it there.`;
      await setAlert(client, 'issued_by_hand', { object_id: id, customer_id, period_id: ref.period_id }, detail);
    }
  });
}

interface Submission {
  invoice_key: string;
  attempt: number;
  elected_invoice_id: string | null;
  stripe_customer_id: string;
  started_at: Date;
  starts_at: Date;
}
