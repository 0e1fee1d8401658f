import { durationMs } from '../contracts/ids.js';
import { HELD_WAIT_DEFAULT } from '../contracts/rule-options.js';
import { inTransaction, type Pool, type Queryable } from '../database/pool.js';
import { type PriceDeps, pricePeriod } from '../ledger/price-period.js';
import { addTimeline, setPeriodStatus } from '../periods/period-store.js';
import { type PeriodRow, readPeriodRow } from './period-state.js';

/** How the reason of a period begins that stopped for a person because of held usage. */
export const HELD_STOP_REASON = 'held usage waits for a person';

/**
 * Puts off the end of an open period whose plan waits for held usage: its deadline becomes the end of that wait, once.
 * Returns whether it was put off. Usage that arrives meanwhile with a time inside the period is still taken.
 */
export async function postponeForHeld(deps: PriceDeps, period: PeriodRow, now: Date): Promise<boolean> {
  if (period.plan?.on_held !== 'wait') return false;
  const waitMs = durationMs(period.plan.held_wait ?? HELD_WAIT_DEFAULT);
  const until = period.held_until ?? new Date(period.seals_at.getTime() + waitMs);
  if (until <= now) return false;
  const events = await countHeld(deps, period.period_id);
  if (events === 0) return false;
  return inTransaction(deps.pool, async (client) => {
    const { rowCount } = await client.query(
      `UPDATE periods SET held_until = $2, seals_at = $2, updated_at = now()
       WHERE period_id = $1 AND status = 'open' AND seals_at = $3`,
      [period.period_id, until, period.seals_at],
    );
    if (rowCount === 1) {
      await addTimeline(client, period.period_id, 'waiting_for_held', { events, until: until.toISOString() });
    }
    return true;
  });
}

/**
 * Lets an open period end whose held usage is all resolved while its end was put off: the deadline is the original one
 * again, which has passed. To be asked after pricing.
 */
export async function endWaitForHeld(pool: Pool, period: PeriodRow, heldEvents: number): Promise<void> {
  if (period.held_until === null || period.status !== 'open' || heldEvents > 0) return;
  const waitMs = durationMs(period.plan?.held_wait ?? HELD_WAIT_DEFAULT);
  await inTransaction(pool, async (client) => {
    const { rowCount } = await client.query(
      `UPDATE periods SET seals_at = $2, updated_at = now() WHERE period_id = $1 AND status = 'open' AND seals_at = held_until`,
      [period.period_id, new Date(period.held_until!.getTime() - waitMs)],
    );
    if (rowCount === 1) await addTimeline(client, period.period_id, 'held_resolved', {});
  });
}

/**
 * Parks a closing period whose plan stops for held usage, unless a person let it close without. Returns whether it
 * stopped.
 */
export async function stopForHeld(deps: PriceDeps, period: PeriodRow): Promise<boolean> {
  if (period.plan?.on_held !== 'stop' || period.held_accepted) return false;
  const events = await countHeld(deps, period.period_id);
  if (events === 0) return false;
  return inTransaction(deps.pool, async (client) => {
    const now = await readPeriodRow(client, period, true);
    if (now.status !== 'closing') return true;
    await setPeriodStatus(client, period.period_id, ['closing'], 'parked', `${HELD_STOP_REASON}: ${events} events`);
    return true;
  });
}

/** Remembers that a person released a period which had stopped for held usage: it closes without it. */
export async function acceptHeld(client: Queryable, period: PeriodRow): Promise<void> {
  if (period.status !== 'parked' || !period.status_reason?.startsWith(HELD_STOP_REASON)) return;
  await client.query('UPDATE periods SET held_accepted = true WHERE period_id = $1', [period.period_id]);
}

/** Events of a period that wait, as of what is settled now. */
async function countHeld(deps: PriceDeps, periodId: number): Promise<number> {
  return (await pricePeriod(deps, periodId))?.held_events ?? 0;
}
