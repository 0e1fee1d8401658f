import { type DryRunPeriod, EVENT_LEFT_OUT, type EventLeftOut } from '../contracts/dry-run.js';
import type { UsageEvent } from '../contracts/usage-event.js';
import type { Queryable } from '../database/pool.js';
import type { Period } from '../periods/period.js';

/** Events of the request that would be usage of this period, and why the others are not: the ledger takes each once. */
export async function addableEvents(
  database: Queryable,
  period: Period,
  events: UsageEvent[],
): Promise<{ added: UsageEvent[]; left_out: DryRunPeriod['events_left_out'] }> {
  const [from, to] = [period.starts_at.getTime(), period.ends_at.getTime()];
  const own = new Map<string, UsageEvent>();
  const reasons: EventLeftOut[] = [];
  for (const event of events) {
    const isInside = event.occurred_at_ms >= from && event.occurred_at_ms < to;
    if (event.customer_id !== period.customer_id) reasons.push('other_customer');
    else if (!isInside) reasons.push('other_period');
    else if (own.has(event.event_id)) reasons.push('repeated');
    else own.set(event.event_id, event);
  }
  if (own.size > 0) {
    const { rows } = await database.query<{ event_id: string }>(
      'SELECT event_id FROM usage_events WHERE customer_id = $1 AND event_id = ANY($2::text[])',
      [period.customer_id, [...own.keys()]],
    );
    for (const { event_id } of rows) {
      own.delete(event_id);
      reasons.push('in_ledger');
    }
  }
  const counted = EVENT_LEFT_OUT.map((reason) => ({ reason, events: reasons.filter((one) => one === reason).length }));
  return { added: [...own.values()], left_out: counted.filter(({ events: count }) => count > 0) };
}
