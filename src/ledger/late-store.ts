import type { WaitingLateView } from '../contracts/period.js';
import { inTransaction, type Pool, type Queryable } from '../database/pool.js';
import { LATE_PERIODS_COUNT } from '../limits.js';
import { addTimeline } from '../periods/period-store.js';
import { lockBilling } from './billing-lock.js';
import { latePolicy, UNDECIDED_SQL } from './late-usage.js';
import { readSeal } from './seal.js';

interface WaitingPeriod
  extends Omit<WaitingLateView, 'policy' | 'rebill_until' | 'first_received_at' | 'last_received_at'> {
  period_id: number;
  sealed_at: Date;
  first: Date;
  last: Date;
}

/** Sealed periods with late usage that waits, the one that waits longest first; at most LATE_PERIODS_COUNT. */
export async function listWaitingLate(
  database: Queryable,
  only: { customer_id?: string; period_id?: number } = {},
): Promise<(WaitingLateView & { period_id: number })[]> {
  const { rows } = await database.query<WaitingPeriod>(
    `SELECT p.period_id, p.customer_id, p.start_date, p.sealed_at, count(*) AS events, count(r.event_id) AS released,
            min(e.received_at) AS first, max(e.received_at) AS last
     FROM usage_events e JOIN periods p USING (period_id)
     LEFT JOIN late_releases r ON r.customer_id = e.customer_id AND r.event_id = e.event_id
     WHERE e.late AND ${UNDECIDED_SQL} AND ($1::text IS NULL OR p.customer_id = $1) AND ($2::bigint IS NULL OR p.period_id = $2)
     GROUP BY p.period_id ORDER BY min(e.received_at), p.period_id LIMIT ${LATE_PERIODS_COUNT}`,
    [only.customer_id ?? null, only.period_id ?? null],
  );
  return Promise.all(
    rows.map(async ({ sealed_at, first, last, ...period }) => {
      const seal = (await readSeal(database, period.period_id))!;
      const { policy, window_ms } = latePolicy(seal.inputs.plans.at(-1)!);
      return {
        ...period,
        policy,
        first_received_at: first.toISOString(),
        last_received_at: last.toISOString(),
        rebill_until: policy === 'rebill' ? new Date(sealed_at.getTime() + window_ms).toISOString() : null,
      };
    }),
  );
}

/**
 * Lets late usage of a period that waits go into the customer's next period to be sealed, whatever the plan says; of the
 * named events, or all. Returns how many it was. Audited.
 */
export async function releaseLate(
  pool: Pool,
  period: { period_id: number; customer_id: string; start_date: string },
  by: { actor: string; reason: string },
  eventIds?: string[],
): Promise<number> {
  return inTransaction(pool, async (client) => {
    await lockBilling(client, period.customer_id);
    const { rowCount } = await client.query(
      `INSERT INTO late_releases (customer_id, event_id, period_id, released_by, reason)
       SELECT e.customer_id, e.event_id, e.period_id, $3, $4 FROM usage_events e
       WHERE e.period_id = $1 AND e.late AND ${UNDECIDED_SQL} AND ($2::text[] IS NULL OR e.event_id = ANY($2))
       ON CONFLICT DO NOTHING`,
      [period.period_id, eventIds ?? null, by.actor, by.reason],
    );
    const events = rowCount ?? 0;
    if (events > 0) {
      await addTimeline(client, period.period_id, 'late_usage_released', { events, reason: by.reason });
      await client.query(
        `INSERT INTO audit_log (actor, action, customer_id, subject, detail) VALUES ($1, 'late_usage.release', $2, $3, $4)`,
        [by.actor, period.customer_id, period.start_date, JSON.stringify({ events, reason: by.reason })],
      );
    }
    return events;
  });
}
