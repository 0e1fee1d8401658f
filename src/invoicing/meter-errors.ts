import type Stripe from 'stripe';
import { inTransaction, type Pool } from '../database/pool.js';
import { setAlert } from '../stripe/alerts.js';
import type { StripeClient } from '../stripe/client.js';

type MeterError =
  | Stripe.V2.Core.Events.V1BillingMeterErrorReportTriggeredEvent
  | Stripe.V2.Core.Events.V1BillingMeterNoMeterFoundEvent;

const METER_ERRORS: readonly string[] = [
  'v1.billing.meter.error_report_triggered',
  'v1.billing.meter.no_meter_found',
] satisfies MeterError['type'][];

/** Whether an event of this type tells of meter events that Stripe took and does not count. */
export function isMeterError(type: string): boolean {
  return METER_ERRORS.includes(type);
}

/**
 * Stripe looks at meter events again after it took them, and tells later which it refuses: marks those of ours that the event
 * names, and raises an alert for their periods. It names samples only; what it leaves out shows in the count. False where
 * none is ours. Throws `stripe_unavailable` (Stripe then delivers again).
 */
export async function recordMeterErrors(deps: { pool: Pool; stripe: StripeClient }, eventId: string): Promise<boolean> {
  const event = await deps.stripe.call('retrieve event', {}, (sdk) => sdk.v2.core.events.retrieve(eventId));
  if (!isMeterError(event.type)) return false;
  const { reason } = (event as MeterError).data;
  const errors = reason.error_types.flatMap(({ code, sample_errors }) =>
    sample_errors.map(({ request }) => ({ identifier: request.identifier, code: codeOf(code) })),
  );
  return inTransaction(deps.pool, async (client) => {
    const { rows } = await client.query<{ period_id: number }>(
      `UPDATE stripe_meter_events e SET status = 'rejected', reason = code
       FROM unnest($1::text[], $2::text[]) AS seen(identifier, code)
       WHERE e.identifier = seen.identifier AND status IN ('pending', 'sent', 'uncertain', 'rejected')
       RETURNING period_id`,
      [errors.map(({ identifier }) => identifier), errors.map(({ code }) => code)],
    );
    for (const periodId of new Set(rows.map(({ period_id }) => period_id))) {
      const periods = await client.query<Rejected>(
        `SELECT p.customer_id, m.event_name, array_agg(DISTINCT e.reason ORDER BY e.reason) AS codes,
           count(*)::int AS events, trim_scale(sum(e.value))::text AS value
         FROM stripe_meter_events e JOIN stripe_meter_periods m USING (period_id) JOIN periods p USING (period_id)
         WHERE e.period_id = $1 AND e.status = 'rejected' GROUP BY p.customer_id, m.event_name`,
        [periodId],
      );
      const { customer_id, event_name, codes, events, value } = periods.rows[0]!;
      // Somebody has to look at what it counted until that is right.
      await client.query('UPDATE stripe_meter_periods SET completed_at = NULL WHERE period_id = $1', [periodId]);
      const detail =
        `Stripe took ${events} ${events === 1 ? 'event' : 'events'} of the meter ${event_name} (${value}) and does not ` +
        `count them: ${codes.join(', ')}. Put it right at Stripe, and send an event with the difference.`;
      const subject = { customer_id, period_id: periodId, object_id: String(periodId) };
      await setAlert(client, 'meter_events_rejected', subject, detail);
    }
    return rows.length > 0;
  });
}

interface Rejected {
  customer_id: string;
  event_name: string;
  codes: string[];
  events: number;
  value: string;
}

/** Stripe's code: its messages quote values, and are never kept. */
function codeOf(code: string): string {
  return /^[a-z_]{1,60}$/.test(code) ? code : 'unknown';
}
