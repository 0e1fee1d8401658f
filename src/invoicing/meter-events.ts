import type Stripe from 'stripe';
import { canonicalJson, contentHash } from '../contracts/canonical-json.js';
import type { MeterEventsView } from '../contracts/meter-submission.js';
import { inTransaction, type Pool, type Queryable } from '../database/pool.js';
import { METER_EVENT_AGE_DAYS, METER_EVENT_DIGITS_COUNT, METER_EVENT_RETRY_HOURS } from '../limits.js';
import { add, format, isZero, parseDecimal, subtract, ZERO } from '../money/fraction.js';
import { isDuplicateMeterEvent, isRefused } from '../stripe/stripe-errors.js';
import { isMetered, type MeteredPlan, readMeterAmounts } from './meter-amounts.js';
import { call, readAll, type SubmitDeps } from './submit-attempt.js';

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

/** Reads a period with the plan assigned last within it; null where it is not metered. */
export async function readMeteredPeriod(database: Queryable, periodId: number): Promise<MeteredPeriod | null> {
  const { rows } = await database.query<MeteredPeriod>(
    `SELECT p.period_id, p.customer_id, c.stripe_customer_id, p.start_date, p.starts_at, p.ends_at, (
       SELECT v.body FROM plan_assignments a
       JOIN plan_versions v ON v.plan_id = a.plan_id AND v.version = a.plan_version
       WHERE a.customer_id = p.customer_id AND a.effective_from < p.ends_at
       ORDER BY a.effective_from DESC, a.assignment_id DESC LIMIT 1) AS plan
     FROM periods p JOIN customers c USING (customer_id) WHERE p.period_id = $1`,
    [periodId],
  );
  return isMetered(rows[0]?.plan) ? rows[0]! : null;
}

/**
 * Makes the events that bring Stripe from what was made before to what the ledger has come to: one for each series that
 * changed, below zero where it shrank. Committed with identifiers of their own before anything is sent, one after the other
 * for each period, so that it can be repeated at any moment. Returns how many were made.
 */
export async function makeMeterEvents(pool: Pool, period: MeteredPeriod, now: Date): Promise<number> {
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
      `SELECT series, sum(value)::text AS made, max(sequence) AS sequence FROM stripe_meter_events
       WHERE period_id = $1 GROUP BY series`,
      [period.period_id],
    );
    const before = new Map(rows.map((row) => [row.series, row]));
    const events = [...new Set([...amounts.keys(), ...before.keys()])].flatMap((series) => {
      const made = parseSigned(before.get(series)?.made ?? '0');
      const total = amounts.get(series) ?? ZERO;
      const value = subtract(total, made);
      if (isZero(value)) return [];
      const sequence = (before.get(series)?.sequence ?? 0) + 1;
      const step = { from: format(made), to: format(total), sequence };
      const name = [period.customer_id, period.start_date, event_name, series, canonicalJson(step)];
      return [{ series, sequence, value: format(value), identifier: `costplus-${contentHash(name)}` }];
    });
    if (events.length === 0) return 0;
    await client.query(
      `INSERT INTO stripe_meter_events (period_id, series, sequence, event_name, stripe_customer_id, identifier, value, counted_as_of)
       SELECT $1, series, sequence, $2, $3, identifier, value, $4
       FROM unnest($5::text[], $6::int[], $7::text[], $8::numeric[]) AS made(series, sequence, identifier, value)`,
      [
        period.period_id,
        event_name,
        period.stripe_customer_id,
        countedAsOf(period, now),
        events.map(({ series }) => series),
        events.map(({ sequence }) => sequence),
        events.map(({ identifier }) => identifier),
        events.map(({ value }) => value),
      ],
    );
    await client.query('UPDATE stripe_meter_periods SET completed_at = NULL WHERE period_id = $1', [period.period_id]);
    return events.length;
  });
}

/** Now, as far as it lies inside the period: Stripe's billing counts an event by its time. */
function countedAsOf({ starts_at, ends_at }: MeteredPeriod, now: Date): Date {
  return new Date(Math.max(starts_at.getTime(), Math.min(now.getTime(), ends_at.getTime() - 1_000)));
}

interface PendingEvent {
  series: string;
  sequence: number;
  event_name: string;
  stripe_customer_id: string;
  identifier: string;
  value: string;
  counted_as_of: Date;
  tried_at: Date | null;
}

/**
 * Sends what was made and not sent yet. An identifier that Stripe knows was sent before. Throws `stripe_unavailable` for
 * what a later call can do; what Stripe never takes is marked with the reason.
 */
export async function sendMeterEvents(
  deps: SubmitDeps,
  period: MeteredPeriod,
  meters: MeterReader,
  now: Date,
): Promise<void> {
  const { rows } = await deps.pool.query<PendingEvent>(
    `SELECT series, sequence, event_name, stripe_customer_id, identifier, value::text, counted_as_of, tried_at
     FROM stripe_meter_events WHERE period_id = $1 AND status = 'pending' ORDER BY sequence, series`,
    [period.period_id],
  );
  for (const event of rows) {
    const sent = await send(deps, period, event, await meters(event.event_name), now);
    await settle(deps, period, event, sent);
  }
}

type Sent = { status: 'sent' | 'unsendable' | 'uncertain'; reason: string | null };

async function send(
  deps: SubmitDeps,
  { period_id }: MeteredPeriod,
  event: PendingEvent,
  keys: MeterKeys,
  now: Date,
): Promise<Sent> {
  const ageMs = now.getTime() - event.counted_as_of.getTime();
  const triedMs = event.tried_at?.getTime() ?? now.getTime();
  if (now.getTime() - triedMs > METER_EVENT_RETRY_HOURS * 3_600_000) {
    return { status: 'uncertain', reason: 'No answer came while Stripe knew the identifier; compare what it counted.' };
  }
  if (ageMs > METER_EVENT_AGE_DAYS * 86_400_000) {
    return { status: 'unsendable', reason: `It is older than ${METER_EVENT_AGE_DAYS} days.` };
  }
  if (event.value.replaceAll(/[^0-9]/g, '').replace(/^0+/, '').length > METER_EVENT_DIGITS_COUNT) {
    return { status: 'unsendable', reason: `It has more than ${METER_EVENT_DIGITS_COUNT} digits.` };
  }
  const body = {
    event_name: event.event_name,
    identifier: event.identifier,
    timestamp: Math.floor(event.counted_as_of.getTime() / 1_000),
    payload: {
      ...(JSON.parse(event.series) as Record<string, string>),
      [keys.customer]: event.stripe_customer_id,
      [keys.value]: event.value,
    },
  };
  // On record before the call: its age decides whether the identifier still protects a repetition.
  await deps.pool.query(
    `UPDATE stripe_meter_events SET tried_at = $4
     WHERE period_id = $1 AND series = $2 AND sequence = $3 AND tried_at IS NULL`,
    [period_id, event.series, event.sequence, now],
  );
  try {
    await call(deps, 'send meter event', (sdk) =>
      sdk.billing.meterEvents.create(body, { idempotencyKey: event.identifier }),
    );
  } catch (error) {
    if (!isRefused(error)) throw error;
    if (!isDuplicateMeterEvent(error)) return { status: 'unsendable', reason: error.message };
  }
  return { status: 'sent', reason: null };
}

async function settle(deps: SubmitDeps, { period_id }: MeteredPeriod, event: PendingEvent, sent: Sent): Promise<void> {
  await deps.pool.query(
    `UPDATE stripe_meter_events SET status = $4, reason = $5, sent_at = CASE WHEN $4 = 'sent' THEN now() END
     WHERE period_id = $1 AND series = $2 AND sequence = $3 AND status = 'pending'`,
    [period_id, event.series, event.sequence, sent.status, sent.reason],
  );
}

/** What a meter at Stripe calls the customer and the value in an event, and its id. */
export interface MeterKeys {
  id: string | null;
  customer: string;
  value: string;
}

/** Finds a meter by its event name. */
export type MeterReader = (eventName: string) => Promise<MeterKeys>;

/** A reader that lists the account's meters once, when it is first asked. */
export function meterReader(deps: SubmitDeps): MeterReader {
  let listed: Promise<Stripe.Billing.Meter[]> | undefined;
  return async (eventName) => {
    listed ??= readAll(deps, 'list meters', (sdk, page) => sdk.billing.meters.list({ status: 'active', ...page }));
    const meter = (await listed).find(({ event_name }) => event_name === eventName);
    return {
      id: meter?.id ?? null,
      customer: meter?.customer_mapping.event_payload_key ?? 'stripe_customer_id',
      value: meter?.value_settings.event_payload_key ?? 'value',
    };
  };
}

/**
 * Asks Stripe what it counted for the period and notes it. Complete is a billed period whose events are all sent and all
 * counted: nobody has to look again. Does nothing where there is no such meter, or no Stripe customer.
 */
export async function checkMeterCount(deps: SubmitDeps, period: MeteredPeriod, meters: MeterReader): Promise<void> {
  const { stripe_customer_id: customer, period_id } = period;
  const { id } = await meters(period.plan.meter_events.event_name);
  if (id === null || customer === null) return;
  const minute = (at: Date, round: (value: number) => number) => round(at.getTime() / 60_000) * 60;
  const range = { start_time: minute(period.starts_at, Math.floor), end_time: minute(period.ends_at, Math.ceil) };
  const summaries = await readAll(deps, 'list meter event summaries', (sdk, page) =>
    sdk.billing.meters.listEventSummaries(id, { customer, ...range, ...page }),
  );
  const counted = summaries.reduce(
    (total, { aggregated_value }) => add(total, parseSigned(String(aggregated_value))),
    ZERO,
  );
  await deps.pool.query(
    `UPDATE stripe_meter_periods m SET counted = $2, counted_at = now(), completed_at = CASE
       WHEN p.status IN ('invoiced', 'nothing_to_bill') AND $2::numeric = (
         SELECT coalesce(sum(value), 0) FROM stripe_meter_events e WHERE e.period_id = m.period_id)
         AND NOT EXISTS (SELECT FROM stripe_meter_events e WHERE e.period_id = m.period_id AND e.status <> 'sent')
       THEN now() END
     FROM periods p WHERE m.period_id = $1 AND p.period_id = m.period_id`,
    [period_id, format(counted)],
  );
}

/** A decimal that may be below zero, or in the exponent form of a number. */
function parseSigned(text: string) {
  const plain = /e/i.test(text) ? Number(text).toFixed(12) : text;
  const value = parseDecimal(plain.replace(/^-/, ''));
  return plain.startsWith('-') ? { n: -value.n, d: value.d } : value;
}

/** Where a period's meter events stand, or null where it has none. */
export async function readMeterEvents(database: Queryable, periodId: number): Promise<MeterEventsView | null> {
  const { rows } = await database.query<Omit<MeterEventsView, 'counted_at'> & { counted_at: Date | null }>(
    `SELECT m.event_name, ${['sent', 'pending', 'unsendable', 'uncertain']
      .map((status) => `trim_scale(coalesce(sum(e.value) FILTER (WHERE e.status = '${status}'), 0))::text AS ${status}`)
      .join(', ')},
       trim_scale(coalesce(sum(e.value), 0))::text AS ledger, trim_scale(m.counted)::text AS counted, m.counted_at,
       m.counted = coalesce(sum(e.value), 0) AS equal
     FROM stripe_meter_periods m LEFT JOIN stripe_meter_events e USING (period_id)
     WHERE m.period_id = $1 GROUP BY m.period_id`,
    [periodId],
  );
  const row = rows[0];
  return row ? { ...row, counted_at: row.counted_at?.toISOString() ?? null } : null;
}
