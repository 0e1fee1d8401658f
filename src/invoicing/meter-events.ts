import { canonicalJson, contentHash } from '../contracts/canonical-json.js';
import { type Client, inTransaction, type Pool, type Queryable } from '../database/pool.js';
import { METER_CANCEL_HOURS } from '../limits.js';
import { add, compare, type Fraction, format, isZero, negate, parseShown, subtract, ZERO } from '../money/fraction.js';
import { isMetered, type MeteredPlan, readMeterAmounts } from './meter-amounts.js';
import { COUNTING_SQL } from './meter-count.js';

/** A period whose usage goes to Stripe as meter events. */
export interface MeteredPeriod {
  period_id: number;
  customer_id: string;
  stripe_customer_id: string | null;
  start_date: string;
  starts_at: Date;
  ends_at: Date;
  plan: MeteredPlan;
}

/**
 * SQL: the plan that a period `p` ends with: that of its newest seal, which may be a corrected one, or the one assigned
 * last within it.
 */
export const LAST_PLAN_SQL = `coalesce(
  (SELECT s.inputs #> '{plans,-1}' FROM seals s WHERE s.period_id = p.period_id ORDER BY s.revision DESC LIMIT 1),
  (SELECT v.body FROM plan_assignments a
   JOIN plan_versions v ON v.plan_id = a.plan_id AND v.version = a.plan_version
   WHERE a.customer_id = p.customer_id AND a.effective_from < p.ends_at
   ORDER BY a.effective_from DESC, a.assignment_id DESC LIMIT 1))`;

/** Reads a period with the plan that it ends with; null where it is not metered. */
export async function readMeteredPeriod(database: Queryable, periodId: number): Promise<MeteredPeriod | null> {
  const { rows } = await database.query<MeteredPeriod>(
    `SELECT p.period_id, p.customer_id, c.stripe_customer_id, p.start_date, p.starts_at, p.ends_at,
            ${LAST_PLAN_SQL} AS plan
     FROM periods p JOIN customers c USING (customer_id) WHERE p.period_id = $1`,
    [periodId],
  );
  return isMetered(rows[0]?.plan) ? rows[0]! : null;
}

/** An event to make: a difference of one series. */
interface NewEvent {
  series: string;
  sequence: number;
  value: string;
  identifier: string;
  counted_as_of: Date;
}

/**
 * Makes the events that bring Stripe from what was made before to what the ledger has come to: one for each series that
 * changed. Where one shrank, what was sent within the last hours is taken back and made anew for what is left of it, else
 * the event is below zero (with `takesBack` false, always). Committed with identifiers of their own before anything is sent, one after the other for each
 * period, so that it can be repeated at any moment. Returns how many were made or are to be taken back.
 */
export async function makeMeterEvents(pool: Pool, period: MeteredPeriod, now: Date, takesBack = true): Promise<number> {
  return inTransaction(pool, async (client) => {
    const { event_name } = period.plan.meter_events;
    await client.query(
      `INSERT INTO stripe_meter_periods (period_id, event_name) VALUES ($1, $2)
       ON CONFLICT (period_id) DO UPDATE SET looked_at = now(), event_name = excluded.event_name`,
      [period.period_id, event_name],
    );
    if (period.stripe_customer_id === null) return 0;
    const amounts = await readMeterAmounts(client, period.period_id, period.plan);
    if (amounts === null) return 0;
    const { rows } = await client.query<{ series: string; made: string; sequence: number }>(
      `SELECT series, coalesce(sum(value) FILTER (WHERE ${COUNTING_SQL}), 0)::text AS made, max(sequence) AS sequence
       FROM stripe_meter_events WHERE period_id = $1 GROUP BY series`,
      [period.period_id],
    );
    const before = new Map(rows.map((row) => [row.series, row]));
    const events: NewEvent[] = [];
    let taken = 0;
    for (const series of new Set([...amounts.keys(), ...before.keys()])) {
      const made = parseShown(before.get(series)?.made ?? '0');
      const total = amounts.get(series) ?? ZERO;
      const change = subtract(total, made);
      if (isZero(change)) continue;
      const back = takesBack && change.n < 0n ? await takeBack(client, period, series, negate(change), now) : null;
      taken += back?.events ?? 0;
      const value = back?.left ?? change;
      if (isZero(value)) continue;
      const sequence = (before.get(series)?.sequence ?? 0) + 1;
      const step = { from: format(subtract(total, value)), to: format(total), sequence };
      const name = [period.customer_id, period.start_date, event_name, series, canonicalJson(step)];
      events.push({
        series,
        sequence,
        value: format(value),
        identifier: `costplus-${contentHash(name)}`,
        counted_as_of: back?.counted_as_of ?? countedAsOf(period, now),
      });
    }
    if (events.length > 0) await insertEvents(client, period, events);
    if (events.length + taken > 0) {
      await client.query('UPDATE stripe_meter_periods SET completed_at = NULL WHERE period_id = $1', [
        period.period_id,
      ]);
    }
    return events.length + taken;
  });
}

async function insertEvents(client: Client, period: MeteredPeriod, events: NewEvent[]): Promise<void> {
  await client.query(
    `INSERT INTO stripe_meter_events (period_id, series, sequence, event_name, stripe_customer_id, identifier, value, counted_as_of)
     SELECT $1, series, sequence, $2, $3, identifier, value, counted_as_of
     FROM unnest($4::text[], $5::int[], $6::text[], $7::numeric[], $8::timestamptz[])
       AS made(series, sequence, identifier, value, counted_as_of)`,
    [
      period.period_id,
      period.plan.meter_events.event_name,
      period.stripe_customer_id,
      events.map(({ series }) => series),
      events.map(({ sequence }) => sequence),
      events.map(({ identifier }) => identifier),
      events.map(({ value }) => value),
      events.map(({ counted_as_of }) => counted_as_of),
    ],
  );
}

/**
 * Marks the newest events of a series that together hold what is too much, as far as Stripe still takes them back: those that
 * were never tried are not sent at all. Returns what of them is left to be made anew, and when it counts; null where they
 * do not hold so much, and nothing is marked.
 */
async function takeBack(
  client: Client,
  { period_id }: MeteredPeriod,
  series: string,
  tooMuch: Fraction,
  now: Date,
): Promise<{ events: number; left: Fraction; counted_as_of: Date } | null> {
  const { rows } = await client.query<{ sequence: number; value: string; counted_as_of: Date; untried: boolean }>(
    `SELECT sequence, value::text, counted_as_of, tried_at IS NULL AS untried FROM stripe_meter_events
     WHERE period_id = $1 AND series = $2 AND value > 0 AND cancel_refused_at IS NULL
       AND (status = 'sent' AND tried_at > $3 OR status = 'pending' AND tried_at IS NULL)
     ORDER BY sequence DESC FOR UPDATE`,
    [period_id, series, new Date(now.getTime() - METER_CANCEL_HOURS * 3_600_000)],
  );
  let held = ZERO;
  const marked: typeof rows = [];
  for (const row of rows) {
    if (compare(held, tooMuch) >= 0) break;
    held = add(held, parseShown(row.value));
    marked.push(row);
  }
  if (compare(held, tooMuch) < 0) return null;
  await client.query(
    `UPDATE stripe_meter_events SET status = CASE WHEN tried_at IS NULL THEN 'cancelled' ELSE 'cancelling' END,
       cancelled_at = CASE WHEN tried_at IS NULL THEN now() END
     WHERE period_id = $1 AND series = $2 AND sequence = ANY($3)`,
    [period_id, series, marked.map(({ sequence }) => sequence)],
  );
  return { events: marked.length, left: subtract(held, tooMuch), counted_as_of: marked[0]!.counted_as_of };
}

/** Now, as far as it lies inside the period: Stripe's billing counts an event by its time. */
function countedAsOf({ starts_at, ends_at }: MeteredPeriod, now: Date): Date {
  return new Date(Math.max(starts_at.getTime(), Math.min(now.getTime(), ends_at.getTime() - 1_000)));
}
