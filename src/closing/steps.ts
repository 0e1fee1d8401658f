import type { PeriodRef, PeriodState } from '../contracts/engine.js';
import type { PeriodStatus } from '../contracts/period.js';
import { inTransaction, type Pool } from '../database/pool.js';
import type { PriceDeps } from '../ledger/price-period.js';
import { sealPeriod } from '../ledger/seal-period.js';
import { setPeriodStatus } from '../periods/period-store.js';
import { postponeForHeld, stopForHeld } from './held-at-close.js';
import { readPeriodRow, readPeriodState } from './period-state.js';
import { postponeForPlacing } from './placing-at-close.js';

/**
 * The period's deadline has come: `open` becomes `closing`, unless the deadline was moved meanwhile, a person holds the
 * period, usage of it is still being placed, or its plan waits for held usage. Returns the state that stands now.
 */
export async function beginClosing(deps: PriceDeps, ref: PeriodRef, now: Date): Promise<PeriodState> {
  const { pool } = deps;
  const ending = await readPeriodRow(pool, ref);
  const isDue = ending.status === 'open' && ending.seals_at <= now;
  if (isDue && (await postponeForPlacing(pool, ending, now))) return readPeriodState(pool, ref);
  if (isDue && (await postponeForHeld(deps, ending, now))) return readPeriodState(pool, ref);
  await inTransaction(pool, async (client) => {
    const period = await readPeriodRow(client, ref, true);
    if (period.status === 'open' && period.seals_at <= now) {
      await setPeriodStatus(client, period.period_id, ['open'], 'closing', 'end of period and grace');
    }
  });
  return readPeriodState(pool, ref);
}

/**
 * Seals a period that is closing, or parks it where its plan stops for held usage; a person's hold in between wins. Where
 * it has to wait for another period it stays closing, and says what it waits for. Returns the state that stands now.
 */
export async function sealClosing(deps: PriceDeps, ref: PeriodRef): Promise<PeriodState> {
  const period = await readPeriodRow(deps.pool, ref);
  if (period.status === 'closing' && !(await stopForHeld(deps, period))) {
    await sealPeriod(deps, period.period_id, period.close_reason ?? period.status_reason ?? 'closing');
  }
  return readPeriodState(deps.pool, ref);
}

/** Statuses whose step can fail for good. */
const PARKABLE: readonly PeriodStatus[] = ['closing', 'sealed', 'submitting'];

/** Parks a period with the reason, for a person to look at; `release` tries the step again. */
export async function parkPeriod(pool: Pool, ref: PeriodRef, reason: string): Promise<PeriodState> {
  await inTransaction(pool, async (client) => {
    const period = await readPeriodRow(client, ref, true);
    if (PARKABLE.includes(period.status)) await setPeriodStatus(client, period.period_id, PARKABLE, 'parked', reason);
  });
  return readPeriodState(pool, ref);
}
