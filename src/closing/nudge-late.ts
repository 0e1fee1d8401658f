import type { PeriodRef } from '../contracts/engine.js';
import type { Pool } from '../database/pool.js';
import { listWaitingLate } from '../ledger/late-store.js';
import { listCarrying, readLateMark } from '../ledger/late-totals.js';

/**
 * Nudges open periods whose totals do not have the late usage yet that they would carry: it names no open period when it
 * comes, and the customer may send nothing more. One nudge for a period and change, whatever number of events came.
 * Returns how many were sent.
 */
export async function nudgeLate(
  { pool }: { pool: Pool },
  nudge: (period: PeriodRef) => Promise<unknown>,
): Promise<number> {
  const customers = [...new Set((await listWaitingLate(pool)).map(({ customer_id }) => customer_id))];
  let sent = 0;
  for (const { period_id, customer_id, start_date } of await listCarrying(pool, customers)) {
    const found = await readLateMark(pool, period_id);
    if (found === null || found.mark === found.known) continue;
    await nudge({ customer_id, start_date });
    sent++;
  }
  return sent;
}
