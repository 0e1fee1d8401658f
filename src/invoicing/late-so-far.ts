import type { CatalogCache } from '../catalog/catalog-cache.js';
import { currentCatalogVersion } from '../catalog/catalog-store.js';
import { inTransaction, type Pool } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { isLateFresh, NOTHING_WAITS, readLateMark, touchLateTotals, writeLateTotals } from '../ledger/late-totals.js';
import { previewLateUsage } from '../ledger/late-usage.js';
import { readSealablePeriod, readSealInputs, type SealablePeriod } from '../ledger/seal.js';
import { LATE_TOTALS_SECONDS } from '../limits.js';
import { format, sum } from '../money/fraction.js';
import type { LateLine } from './compose-late.js';
import { deriveLateLines } from './late-lines.js';

/** Events and exact charge of late usage, as totals have them. */
export function sumOfLate(lines: readonly LateLine[]): { events: number; charge: string } {
  return {
    events: lines.reduce((events, line) => events + line.events, 0),
    charge: format(sum(lines.map(({ charge }) => charge))),
  };
}

/**
 * Notes what late usage of earlier periods the period would carry if it were sealed now, by the code that carries it; the
 * earliest unsealed period of a customer carries, so that of two open ones none counts it twice. Where nothing changed
 * since the last time, which is the rule, that is one query; else two invoices are composed for each earlier period with
 * usage that waits. What cannot be composed now (no exchange rate) leaves the totals as they are: the seal will say it.
 */
export async function noteLateUsage(
  deps: { pool: Pool; catalogs: CatalogCache },
  periodId: number,
  atMostEverySeconds: number = LATE_TOTALS_SECONDS,
): Promise<void> {
  const { pool } = deps;
  if (await isLateFresh(pool, periodId, atMostEverySeconds)) return;
  const found = await readLateMark(pool, periodId);
  if (found === null) return;
  if (found.mark === (found.known ?? NOTHING_WAITS)) {
    if (found.known !== null) await touchLateTotals(pool, periodId);
    return;
  }
  const period = (await readSealablePeriod(pool, periodId))!;
  const version = await currentCatalogVersion(pool);
  let lines: LateLine[];
  try {
    lines = found.mark === NOTHING_WAITS ? [] : await linesOf(deps, period, version);
  } catch (error) {
    if (error instanceof CostplusError && !error.retryable) return;
    throw error;
  }
  await inTransaction(pool, async (client) => {
    // A seal that came first has decided what the period carries.
    const { rows } = await client.query('SELECT FROM periods WHERE period_id = $1 AND sealed_at IS NULL FOR UPDATE', [
      periodId,
    ]);
    if (rows.length === 0) return;
    const { currency } = period;
    await writeLateTotals(client, periodId, found.mark, { ...sumOfLate(lines), currency, catalog_version: version });
  });
}

async function linesOf(
  deps: { pool: Pool; catalogs: CatalogCache },
  period: SealablePeriod,
  catalogVersion: number,
): Promise<LateLine[]> {
  const { pool, catalogs } = deps;
  const { inputs } = await readSealInputs(pool, period, catalogVersion);
  const late = await inTransaction(pool, (client) => previewLateUsage(client, catalogs, period, catalogVersion));
  return deriveLateLines(deps, { period_id: period.period_id, inputs: { ...inputs, late } });
}
