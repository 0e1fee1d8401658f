import { setTimeout as sleep } from 'node:timers/promises';
import { withTryLock } from '../database/locks.js';
import { STRIPE_POLL_AGE_MINUTES, STRIPE_POLL_COUNT, STRIPE_POLL_PER_SECOND } from '../limits.js';
import { pruneDeliveries } from '../stripe/webhooks.js';
import { type RefreshDeps, refreshCustomer, refreshInvoice } from './stripe-changes.js';
import { refreshPlaced } from './subscription-changes.js';

export interface PollResult {
  /** Invoices that were read at Stripe. */
  refreshed: number;
  /** Invoices that could not be read; the next run tries again. */
  failed: number;
  /** Deliveries that were forgotten because of their age. */
  pruned: number;
}

/**
 * Catches up with Stripe where webhooks never came: reads elected invoices that can still change and that nobody read for
 * STRIPE_POLL_AGE_MINUTES, those that waited longest first, a bounded number at a bounded rate; and forgets old
 * deliveries. One process at a time; null where another one is at it.
 */
export async function pollStripe(
  deps: RefreshDeps,
  {
    ageMinutes = STRIPE_POLL_AGE_MINUTES,
    limit = STRIPE_POLL_COUNT,
    perSecond = STRIPE_POLL_PER_SECOND,
  }: { ageMinutes?: number; limit?: number; perSecond?: number } = {},
): Promise<PollResult | null> {
  return withTryLock(deps.pool, 'stripe', async () => {
    const result: PollResult = { refreshed: 0, failed: 0, pruned: await pruneDeliveries(deps.pool) };
    const due = await deps.pool.query<{ id: string }>(
      `SELECT elected_invoice_id AS id FROM invoice_submissions
       WHERE elected_invoice_id IS NOT NULL AND coalesce(stripe_status, 'draft') IN ('draft', 'open', 'uncollectible')
         AND coalesce(refreshed_at, elected_at) <= now() - make_interval(mins => $1)
       ORDER BY refreshed_at NULLS FIRST LIMIT $2`,
      [ageMinutes, limit],
    );
    for (const { id } of due.rows) {
      if (deps.signal?.aborted) return result;
      const begun = Date.now();
      try {
        await refreshInvoice(deps, id);
        result.refreshed++;
      } catch {
        // One that cannot be read must not keep the others waiting: it goes to the end of the line.
        result.failed++;
        await deps.pool.query('UPDATE invoice_submissions SET refreshed_at = now() WHERE elected_invoice_id = $1', [
          id,
        ]);
        if (result.failed > result.refreshed + POLL_FAILURES_COUNT) break;
      }
      await sleep(Math.max(0, begun + 1_000 / perSecond - Date.now()));
    }
    await pollPlaced(deps, result, { ageMinutes, limit, perSecond });
    // A customer that was deleted cannot be seen from its invoices: those that alerts stand for are read again.
    const gone = await deps.pool.query<{ id: string }>(
      `SELECT DISTINCT object_id AS id FROM stripe_alerts WHERE kind = 'customer_deleted' AND resolved_at IS NULL LIMIT $1`,
      [POLL_CUSTOMERS_COUNT],
    );
    for (const { id } of gone.rows) await refreshCustomer(deps, id);
    return result;
  });
}

/** The same for periods whose lines stand on subscription invoices that can still change, or wait for one. */
async function pollPlaced(
  deps: RefreshDeps,
  result: PollResult,
  { ageMinutes, limit, perSecond }: { ageMinutes: number; limit: number; perSecond: number },
): Promise<void> {
  const due = await deps.pool.query<{ period_id: number }>(
    `SELECT s.period_id FROM subscription_submissions s
     WHERE s.revision = (SELECT min(revision) FROM subscription_submissions WHERE period_id = s.period_id)
       AND (s.refreshed_at IS NULL OR s.refreshed_at <= now() - make_interval(mins => $1))
       AND EXISTS (SELECT FROM subscription_items i LEFT JOIN subscription_invoices v USING (stripe_invoice_id)
                   WHERE i.period_id = s.period_id AND i.removed_at IS NULL AND i.gone_at IS NULL
                     AND coalesce(v.stripe_status, 'draft') IN ('draft', 'open', 'uncollectible'))
     ORDER BY s.refreshed_at NULLS FIRST LIMIT $2`,
    [ageMinutes, limit],
  );
  for (const { period_id } of due.rows) {
    if (deps.signal?.aborted) return;
    const begun = Date.now();
    try {
      await refreshPlaced(deps, period_id);
      result.refreshed++;
    } catch {
      result.failed++;
      await deps.pool.query(
        `UPDATE subscription_submissions SET refreshed_at = now() WHERE period_id = $1 AND revision =
           (SELECT min(revision) FROM subscription_submissions WHERE period_id = $1)`,
        [period_id],
      );
      if (result.failed > result.refreshed + POLL_FAILURES_COUNT) break;
    }
    await sleep(Math.max(0, begun + 1_000 / perSecond - Date.now()));
  }
}

/** Failures beyond what succeeded after which a run ends: Stripe is away. */
const POLL_FAILURES_COUNT = 5;
const POLL_CUSTOMERS_COUNT = 20;
