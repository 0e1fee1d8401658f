import { withTryLock } from '../database/locks.js';
import { METER_FLUSH_MINUTES, METER_FLUSH_PERIODS_COUNT } from '../limits.js';
import { checkMeterAlerts, checkMeterCount } from './meter-count.js';
import { LAST_PLAN_SQL, type MeteredPeriod, makeMeterEvents, readMeteredPeriod } from './meter-events.js';
import { cancelMeterEvents, sendMeterEvents } from './meter-send.js';
import { type MeterReader, meterReader } from './stripe-meters.js';
import type { SubmitDeps } from './submit-attempt.js';

/** Periods that fail before a run ends. */
const METER_FAILURES_COUNT = 5;

/** Brings one period's usage to Stripe's meter, as it stands now. */
export async function flushPeriod(
  deps: SubmitDeps,
  period: MeteredPeriod,
  meters: MeterReader = meterReader(deps),
  now: Date = deps.now?.() ?? new Date(),
): Promise<void> {
  await makeMeterEvents(deps.pool, period, now);
  await cancelMeterEvents(deps, period, now);
  // What Stripe did not take back is taken off.
  await makeMeterEvents(deps.pool, period, now, false);
  await sendMeterEvents(deps, period, meters, now);
}

export interface FlushOptions {
  /** Periods that nobody looked at for so long. */
  minutes?: number;
  now?: Date;
  /** How long Stripe may take to add up. */
  settleMinutes?: number | undefined;
}

/**
 * Brings the usage of metered periods to Stripe while they run and after, so that events stay far inside Stripe's limit of
 * age, and asks what Stripe counted: those that waited longest first, a bounded number, in one process at a time. Returns
 * how many were looked at; null where another process is at it.
 */
export async function flushMeterEvents(
  deps: SubmitDeps,
  { minutes = METER_FLUSH_MINUTES, now = new Date(), settleMinutes }: FlushOptions = {},
): Promise<number | null> {
  return withTryLock(deps.pool, 'meter_events', async () => {
    const { rows } = await deps.pool.query<{ period_id: number }>(
      `SELECT p.period_id FROM periods p LEFT JOIN stripe_meter_periods m USING (period_id)
       WHERE m.completed_at IS NULL AND (m.looked_at IS NULL OR m.looked_at <= now() - make_interval(mins => $1))
         AND (m.period_id IS NOT NULL OR p.status NOT IN ('invoiced', 'nothing_to_bill'))
         AND ${LAST_PLAN_SQL}->>'submission' = 'meter_events'
       ORDER BY m.looked_at NULLS FIRST, p.period_id LIMIT $2`,
      [minutes, METER_FLUSH_PERIODS_COUNT],
    );
    const meters = meterReader(deps);
    const failures: unknown[] = [];
    for (const { period_id } of rows) {
      if (deps.signal?.aborted) break;
      const period = await readMeteredPeriod(deps.pool, period_id);
      if (period === null) continue;
      try {
        await flushPeriod(deps, period, meters, now);
        await checkMeterCount(deps, period, meters);
        await checkMeterAlerts(deps.pool, period, settleMinutes);
      } catch (error) {
        // One that cannot be sent must not keep the others waiting; when many cannot, Stripe is away.
        failures.push(error);
        if (failures.length > METER_FAILURES_COUNT) break;
      }
    }
    if (failures.length > 0) throw failures[0];
    return rows.length;
  });
}
