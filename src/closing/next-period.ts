import type { PeriodRef } from '../contracts/engine.js';
import { ensurePeriodAt } from '../customers/customer-periods.js';
import type { Pool } from '../database/pool.js';
import { readPeriodRow } from './period-state.js';

/**
 * Makes the row of the period that follows, where the customer's billing goes on: a base fee is due even without usage.
 * The relay starts its workflow. Returns its start date, or null where billing has ended.
 */
export async function openNextPeriod(pool: Pool, ref: PeriodRef): Promise<string | null> {
  const period = await readPeriodRow(pool, ref);
  const next = await ensurePeriodAt(pool, ref.customer_id, period.ends_at.getTime());
  return next === null ? null : next.start_date;
}
