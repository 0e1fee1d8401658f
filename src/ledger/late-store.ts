import type { LateOutcome, WaitingLateView } from '../contracts/period.js';
import { inTransaction, type Pool, type Queryable } from '../database/pool.js';
import { LATE_PERIODS_COUNT } from '../limits.js';
import { addTimeline } from '../periods/period-store.js';
import { lockBilling } from './billing-lock.js';
import { hasPeriodToCome, type Outcome, outcomeOf } from './late-outcome.js';
import { latePolicy } from './late-usage.js';
import { UNDECIDED_SQL } from './late-waiting.js';
import { readSeal } from './seal.js';

interface WaitingPeriod
  extends Omit<WaitingLateView, 'policy' | 'rebill_until' | 'becomes' | 'first_received_at' | 'last_received_at'> {
  period_id: number;
  ends_at: Date;
  sealed_at: Date;
  first: Date;
  last: Date;
}

export interface WaitingLate extends WaitingLateView, Pick<Outcome, 'rebill_all'> {
  period_id: number;
  /** Whether there is a period to carry it. */
  to_come: boolean;
}

/** Sealed periods with late usage that waits, the one that waits longest first; at most LATE_PERIODS_COUNT. */
export async function listWaitingLate(
  database: Queryable,
  only: { customer_id?: string; period_id?: number } = {},
): Promise<WaitingLate[]> {
  const { rows } = await database.query<WaitingPeriod>(
    `SELECT p.period_id, p.customer_id, p.start_date, p.ends_at, p.sealed_at, count(*) AS events, count(r.event_id) AS released,
            min(e.received_at) AS first, max(e.received_at) AS last
     FROM usage_events e JOIN periods p USING (period_id)
     LEFT JOIN late_releases r ON r.customer_id = e.customer_id AND r.event_id = e.event_id
     WHERE e.late AND ${UNDECIDED_SQL} AND ($1::text IS NULL OR p.customer_id = $1) AND ($2::bigint IS NULL OR p.period_id = $2)
     GROUP BY p.period_id ORDER BY min(e.received_at), p.period_id LIMIT ${LATE_PERIODS_COUNT}`,
    [only.customer_id ?? null, only.period_id ?? null],
  );
  const waiting = [];
  for (const { ends_at, sealed_at, first, last, ...period } of rows) {
    const seal = (await readSeal(database, period.period_id))!;
    const said = latePolicy(seal.inputs.plans.at(-1)!);
    const toCome = await hasPeriodToCome(database, period.customer_id, ends_at);
    const { becomes, rebill_until, rebill_all } = outcomeOf(
      { ...said, ...period, sealed_at, first_received: first },
      toCome,
    );
    waiting.push({
      ...period,
      policy: said.policy,
      first_received_at: first.toISOString(),
      last_received_at: last.toISOString(),
      rebill_until: rebill_until?.toISOString() ?? null,
      becomes,
      rebill_all,
      to_come: toCome,
    });
  }
  return waiting;
}

/** How many late events wait, by what becomes of them; of at most LATE_PERIODS_COUNT periods. */
export function countWaiting(waiting: readonly WaitingLate[]): Record<LateOutcome, number> {
  const counts = { carried: 0, rebilled: 0, waits_for_person: 0 };
  for (const { becomes, events } of waiting) counts[becomes] += events;
  return counts;
}

/** What the list shows of it. */
export function toWaitingView(waiting: WaitingLate): WaitingLateView {
  const { period_id: _periodId, rebill_all: _rebillAll, to_come: _toCome, ...view } = waiting;
  return view;
}

/**
 * Lets late usage of a period that waits go into the customer's next period to be sealed, whatever the plan says; of the
 * named events, or all. Where no period is to come it is billed again in its own. Returns how many it was. Audited.
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
