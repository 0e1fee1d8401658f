import { inTransaction, type Pool } from '../database/pool.js';
import { METER_COUNT_SETTLE_MINUTES } from '../limits.js';
import { add, type Fraction, format, fromInteger, reduce, ZERO } from '../money/fraction.js';
import { setAlert } from '../stripe/alerts.js';
import type { MeteredPeriod } from './meter-events.js';
import type { MeterReader } from './stripe-meters.js';
import { readAll, type SubmitDeps } from './submit-attempt.js';

/** Events that count: neither taken back nor to be. */
export const COUNTING_SQL = `status NOT IN ('cancelling', 'cancelled')`;

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
    (total, { aggregated_value }) => add(total, parseCount(`${aggregated_value}`)),
    ZERO,
  );
  await deps.pool.query(
    `UPDATE stripe_meter_periods m SET counted = $2, counted_at = now(), completed_at = CASE
       WHEN p.status IN ('invoiced', 'nothing_to_bill') AND $2::numeric = (
         SELECT coalesce(sum(value), 0) FROM stripe_meter_events e WHERE e.period_id = m.period_id AND ${COUNTING_SQL})
         AND NOT EXISTS (SELECT FROM stripe_meter_events e
                         WHERE e.period_id = m.period_id AND e.status NOT IN ('sent', 'cancelled'))
       THEN now() END
     FROM periods p WHERE m.period_id = $1 AND p.period_id = m.period_id`,
    [period_id, format(counted)],
  );
}

/**
 * A count as Stripe shows it, exact: a decimal that may be below zero, or in the exponent form of a large or small number.
 * Throws a RangeError for anything else.
 */
export function parseCount(text: string): Fraction {
  const [, sign, whole, fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d{1,3}))?$/i.exec(text) ?? [];
  if (whole === undefined) throw new RangeError('a count is a number');
  const digits = BigInt(`${sign}${whole}${fraction}`);
  const places = BigInt(fraction.length) - BigInt(exponent);
  return places <= 0n ? fromInteger(digits * 10n ** -places) : reduce({ n: digits, d: 10n ** places });
}

interface CountRow {
  event_name: string;
  ledger: string;
  counted: string | null;
  equal: boolean | null;
  lost: string[] | null;
  under_way: boolean;
  settled: boolean;
}

/**
 * Raises an alert where Stripe's count is not what the ledger came to and waiting does not help, and resolves it when it is.
 * Events that Stripe never takes count at once; any other difference only when Stripe had time to add up.
 */
export async function checkMeterAlerts(
  pool: Pool,
  period: MeteredPeriod,
  settleMinutes = METER_COUNT_SETTLE_MINUTES,
): Promise<void> {
  const { rows } = await pool.query<CountRow>(
    `SELECT m.event_name, trim_scale(coalesce(sum(e.value) FILTER (WHERE ${COUNTING_SQL}), 0))::text AS ledger,
       trim_scale(m.counted)::text AS counted,
       m.counted = coalesce(sum(e.value) FILTER (WHERE ${COUNTING_SQL}), 0) AS equal,
       array_agg(DISTINCT e.status || ': ' || e.reason) FILTER (WHERE e.status IN ('unsendable', 'uncertain')) AS lost,
       coalesce(bool_or(e.status IN ('pending', 'cancelling')), false) AS under_way,
       coalesce(max(greatest(e.sent_at, e.cancelled_at)) <= now() - make_interval(mins => $2), true) AS settled
     FROM stripe_meter_periods m LEFT JOIN stripe_meter_events e USING (period_id)
     WHERE m.period_id = $1 GROUP BY m.period_id`,
    [period.period_id, settleMinutes],
  );
  const row = rows[0];
  if (!row) return;
  const { event_name, ledger, counted, equal, lost, under_way, settled } = row;
  const differs = equal === false && !under_way && settled;
  const isWrong = differs || (lost !== null && equal !== true);
  // One that still settles, or was never counted, is no reason to take an alert back.
  if (!isWrong && equal !== true && (under_way || !settled)) return;
  const detail = !isWrong
    ? null
    : `The meter ${event_name} counted ${counted ?? 'nothing that could be read'}, the ledger came to ${ledger}` +
      `${lost === null ? '' : ` (${lost.sort().join(' ')})`}. Send an event with the difference, or bill it by other means.`;
  const subject = { ...period, object_id: String(period.period_id) };
  await inTransaction(pool, async (client) => {
    await setAlert(client, 'meter_count_differs', subject, detail);
    // What Stripe refused was made up for, since its count is right.
    if (equal === true) await setAlert(client, 'meter_events_rejected', subject, null);
  });
}
