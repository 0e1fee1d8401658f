import { inTransaction, type Pool } from '../database/pool.js';
import { isBeingPlaced } from '../ledger/place-usage.js';
import { PLACE_POSTPONE_HOURS, PLACE_POSTPONE_MINUTES } from '../limits.js';
import { addTimeline } from '../periods/period-store.js';
import type { PeriodRow } from './period-state.js';

/**
 * Puts off the end of an open period while usage of its time, which came before its customer was known, is still being
 * placed: a large backlog takes longer than the grace, and would be late usage then. At most PLACE_POSTPONE_HOURS after
 * the end (or the making of the period's row): usage that cannot be placed does not keep a period open for ever. Returns
 * whether it was put off.
 */
export async function postponeForPlacing(pool: Pool, period: PeriodRow, now: Date): Promise<boolean> {
  const since = Math.max(period.ends_at.getTime(), period.created_at.getTime());
  if (now.getTime() >= since + PLACE_POSTPONE_HOURS * 3_600_000) return false;
  if (!(await isBeingPlaced(pool, period))) return false;
  const until = new Date(now.getTime() + PLACE_POSTPONE_MINUTES * 60_000);
  return inTransaction(pool, async (client) => {
    const { rowCount } = await client.query(
      `UPDATE periods SET seals_at = $2, updated_at = now() WHERE period_id = $1 AND status = 'open' AND seals_at = $3`,
      [period.period_id, until, period.seals_at],
    );
    const told = await client.query(
      `SELECT FROM period_timeline WHERE period_id = $1 AND kind = 'waiting_for_placing' LIMIT 1`,
      [period.period_id],
    );
    if (rowCount === 1 && told.rowCount === 0) await addTimeline(client, period.period_id, 'waiting_for_placing', {});
    return true;
  });
}
