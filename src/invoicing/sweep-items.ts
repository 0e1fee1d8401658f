import { STRIPE_IDEMPOTENCY_HOURS, STRIPE_SWEEP_FAILURES_COUNT, SUBSCRIPTION_SWEEP_COUNT } from '../limits.js';
import type { SubmitDeps } from './submit-attempt.js';
import { refreshPlaced } from './subscription-changes.js';
import { deleteItem } from './subscription-items.js';

/**
 * Deletes lines on subscriptions that nobody meant: of superseded revisions, and second ones. Soon after the confirmation,
 * and once more a day later, when no request can still be on its way. Only submissions with more than one attempt, and
 * periods with several revisions, can have any. Those that are issued stay, and the books say so. Answers how many it
 * deleted. One that fails lets the others be swept; where several in a row fail, Stripe is away. Throws the first failure in
 * the end.
 */
export async function sweepItems(deps: SubmitDeps, limit: number = SUBSCRIPTION_SWEEP_COUNT): Promise<number> {
  const due = await deps.pool.query<{ period_id: number; revision: number }>(
    `SELECT period_id, revision FROM subscription_submissions s
     WHERE confirmed_at IS NOT NULL AND (attempt > 1 OR revision > 1)
       AND (swept_at IS NULL
            OR (swept_at < confirmed_at + make_interval(hours => $2)
                AND now() >= confirmed_at + make_interval(hours => $2)))
     ORDER BY confirmed_at LIMIT $1`,
    [limit, STRIPE_IDEMPOTENCY_HOURS],
  );
  let deleted = 0;
  const failures: unknown[] = [];
  let inARow = 0;
  for (const { period_id, revision } of due.rows) {
    if (deps.signal?.aborted) break;
    try {
      deleted += await sweepPeriodItems(deps, period_id);
      await deps.pool.query(
        'UPDATE subscription_submissions SET swept_at = now() WHERE period_id = $1 AND revision = $2',
        [period_id, revision],
      );
      inARow = 0;
    } catch (error) {
      failures.push(error);
      if (++inARow >= STRIPE_SWEEP_FAILURES_COUNT) break;
    }
  }
  if (failures.length > 0) throw failures[0];
  return deleted;
}

/** Sweeps one period. */
export async function sweepPeriodItems(deps: SubmitDeps, periodId: number): Promise<number> {
  await refreshPlaced(deps, periodId);
  const { rows } = await deps.pool.query<{ id: string }>(
    `SELECT i.stripe_item_id AS id FROM subscription_items i LEFT JOIN subscription_invoices v USING (stripe_invoice_id)
     WHERE i.period_id = $1 AND i.stray AND i.removed_at IS NULL AND i.gone_at IS NULL
       AND coalesce(v.stripe_status, 'draft') = 'draft'`,
    [periodId],
  );
  let deleted = 0;
  for (const { id } of rows) {
    await deps.pool.query('UPDATE subscription_items SET removed_at = now() WHERE stripe_item_id = $1', [id]);
    if (await deleteItem(deps, id)) deleted++;
    else await deps.pool.query('UPDATE subscription_items SET removed_at = NULL WHERE stripe_item_id = $1', [id]);
  }
  if (rows.length > 0) await refreshPlaced(deps, periodId);
  return deleted;
}
