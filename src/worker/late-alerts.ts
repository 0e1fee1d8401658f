import { LATE_OUTCOMES } from '../contracts/period.js';
import { countWaiting, type WaitingLate } from '../ledger/late-store.js';
import type { Logger } from '../observability/logger.js';
import type { Metrics } from '../observability/metrics.js';

/** Shows late usage that waits: its number by what becomes of it, and a warning where more of it waits for a person. */
export function lateAlerts(metrics: Metrics, logger: Logger): (waiting: readonly WaitingLate[]) => void {
  let warned = new Map<number, number>();
  return (waiting) => {
    const counts = countWaiting(waiting);
    for (const becomes of LATE_OUTCOMES) metrics.lateEvents.set({ becomes }, counts[becomes]);
    const now = new Map<number, number>();
    for (const { period_id, customer_id, start_date, events, released, becomes } of waiting) {
      if (becomes !== 'waits_for_person') continue;
      now.set(period_id, events - released);
      if (events - released > (warned.get(period_id) ?? 0)) {
        logger.warn({ customer_id, start_date, events: events - released }, 'late usage waits for a person');
      }
    }
    warned = now;
  };
}
