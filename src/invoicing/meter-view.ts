import type { MeterEventsView } from '../contracts/meter-submission.js';
import type { Queryable } from '../database/pool.js';
import { COUNTING_SQL } from './meter-count.js';

const OWN_SUMS = ['sent', 'pending', 'unsendable', 'uncertain', 'rejected', 'cancelled'] as const;

/** Where a period's meter events stand, or null where it has none. */
export async function readMeterEvents(database: Queryable, periodId: number): Promise<MeterEventsView | null> {
  const sumOf = (condition: string) => `coalesce(sum(e.value) FILTER (WHERE ${condition}), 0)`;
  const ledger = sumOf(COUNTING_SQL);
  const { rows } = await database.query<Omit<MeterEventsView, 'counted_at'> & { counted_at: Date | null }>(
    `SELECT m.event_name, ${OWN_SUMS.map((status) => {
      const those = status === 'cancelled' ? `e.status IN ('cancelling', 'cancelled')` : `e.status = '${status}'`;
      return `trim_scale(${sumOf(those)})::text AS ${status}`;
    }).join(', ')},
       trim_scale(${ledger})::text AS ledger, trim_scale(m.counted)::text AS counted, m.counted_at,
       trim_scale(${ledger} - m.billed_value)::text AS after_close, m.counted = ${ledger} AS equal
     FROM stripe_meter_periods m LEFT JOIN stripe_meter_events e USING (period_id)
     WHERE m.period_id = $1 GROUP BY m.period_id`,
    [periodId],
  );
  const row = rows[0];
  return row ? { ...row, counted_at: row.counted_at?.toISOString() ?? null } : null;
}

/** Notes what the period came to when it was billed first: what is added or taken off from there on is told apart. */
export async function noteBilled(database: Queryable, periodId: number): Promise<void> {
  await database.query(
    `UPDATE stripe_meter_periods m SET billed_at = now(), billed_value = (
       SELECT coalesce(sum(value), 0) FROM stripe_meter_events e WHERE e.period_id = m.period_id AND ${COUNTING_SQL})
     WHERE period_id = $1 AND billed_at IS NULL`,
    [periodId],
  );
}
