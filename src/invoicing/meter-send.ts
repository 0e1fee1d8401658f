import {
  METER_CANCEL_HOURS,
  METER_EVENT_AGE_DAYS,
  METER_EVENT_DIGITS_COUNT,
  METER_EVENT_RETRY_HOURS,
} from '../limits.js';
import { isDuplicateMeterEvent, isRefused } from '../stripe/stripe-errors.js';
import type { MeteredPeriod } from './meter-events.js';
import type { MeterKeys, MeterReader } from './stripe-meters.js';
import { call, type SubmitDeps } from './submit-attempt.js';

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
    if (sent !== null) await settle(deps, period, event, sent);
  }
}

type Sent = { status: 'sent' | 'unsendable' | 'uncertain'; reason: string | null };

async function send(
  deps: SubmitDeps,
  { period_id }: MeteredPeriod,
  event: PendingEvent,
  keys: MeterKeys,
  now: Date,
): Promise<Sent | null> {
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
  // On record before the call: its age decides whether the identifier still protects a repetition, and whether it is
  // taken back by not sending it.
  const claimed = await deps.pool.query(
    `UPDATE stripe_meter_events SET tried_at = coalesce(tried_at, $4)
     WHERE period_id = $1 AND series = $2 AND sequence = $3 AND status = 'pending'`,
    [period_id, event.series, event.sequence, now],
  );
  if (claimed.rowCount === 0) return null;
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

/** An event that is to be taken back. */
type CancellingEvent = Pick<PendingEvent, 'series' | 'sequence' | 'event_name' | 'identifier'> & {
  tried_at: Date;
  cancel_tried_at: Date | null;
};

/**
 * Asks Stripe to take events back that came to too much. One that it does not take back any more counts again, and what is too
 * much is taken off by an event below zero. Throws `stripe_unavailable` for what a later call can do.
 */
export async function cancelMeterEvents(deps: SubmitDeps, { period_id }: MeteredPeriod, now: Date): Promise<void> {
  const { rows } = await deps.pool.query<CancellingEvent>(
    `SELECT series, sequence, event_name, identifier, tried_at, cancel_tried_at FROM stripe_meter_events
     WHERE period_id = $1 AND status = 'cancelling' ORDER BY sequence, series`,
    [period_id],
  );
  for (const event of rows) {
    const key = [period_id, event.series, event.sequence];
    if (await cancel(deps, event, key, now)) {
      await deps.pool.query(
        `UPDATE stripe_meter_events SET status = 'cancelled', cancelled_at = now()
         WHERE period_id = $1 AND series = $2 AND sequence = $3 AND status = 'cancelling'`,
        key,
      );
    } else {
      await deps.pool.query(
        `UPDATE stripe_meter_events SET status = 'sent', cancel_refused_at = now()
         WHERE period_id = $1 AND series = $2 AND sequence = $3 AND status = 'cancelling'`,
        key,
      );
    }
  }
}

/** Whether Stripe takes it back. A refusal after a try without an answer is taken for the answer to that one: it was. */
async function cancel(deps: SubmitDeps, event: CancellingEvent, key: unknown[], now: Date): Promise<boolean> {
  const { event_name, identifier, tried_at, cancel_tried_at } = event;
  if (now.getTime() - tried_at.getTime() > (METER_CANCEL_HOURS + 1) * 3_600_000) return cancel_tried_at !== null;
  await deps.pool.query(
    `UPDATE stripe_meter_events SET cancel_tried_at = coalesce(cancel_tried_at, $4)
     WHERE period_id = $1 AND series = $2 AND sequence = $3`,
    [...key, now],
  );
  const body = { type: 'cancel' as const, event_name, cancel: { identifier } };
  try {
    await call(deps, 'cancel meter event', (sdk) =>
      sdk.billing.meterEventAdjustments.create(body, { idempotencyKey: `${identifier}-cancel` }),
    );
    return true;
  } catch (error) {
    if (!isRefused(error)) throw error;
    return cancel_tried_at !== null;
  }
}
