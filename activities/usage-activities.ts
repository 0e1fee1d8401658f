import { mayCrossBudget } from '../src/budgets/budget-alerts.js';
import type { CatalogCache } from '../src/catalog/catalog-cache.js';
import { currentCatalogVersion } from '../src/catalog/catalog-store.js';
import { endWaitForHeld } from '../src/closing/held-at-close.js';
import { markOpened, readPeriodRow, readPeriodState } from '../src/closing/period-state.js';
import type { BillingPeriodActivities } from '../src/contracts/engine.js';
import type { Pool } from '../src/database/pool.js';
import { noteLateUsage } from '../src/invoicing/late-so-far.js';
import type { Appender } from '../src/ledger/append.js';
import { pricePeriod } from '../src/ledger/price-period.js';
import { receiveSignalledBatch } from '../src/ledger/receive-signal.js';
import { readTotals } from '../src/ledger/totals.js';
import type { ReportedGroup } from '../src/pricing/pricing-result.js';
import type { Sources } from '../src/sources/sources.js';
import { heartbeating } from './heartbeat.js';

export interface UsageDeps {
  appender: Appender;
  sources: Sources;
  pool: Pool;
  catalogs: CatalogCache;
  /** Hears how many events a pricing run added. */
  onPriced?: (events: number) => void;
  reportedCostTolerance?: string;
  /** Hears of each model and source whose reported costs are beyond it, once a period. */
  onDrift?: (drift: ReportedGroup) => void;
}

type UsageActivities = Pick<BillingPeriodActivities, 'openPeriod' | 'lookUpCatalog' | 'priceUsage' | 'appendBatch'>;

export function createUsageActivities(deps: UsageDeps): UsageActivities {
  return {
    async openPeriod(ref) {
      await markOpened(deps.pool, ref);
      return readPeriodState(deps.pool, ref);
    },

    // Loads the version, so that pricing finds it compiled; pricing itself reads again which one is the newest.
    async lookUpCatalog() {
      return (await deps.catalogs.at(await currentCatalogVersion(deps.pool))).version;
    },

    async priceUsage(ref) {
      await markOpened(deps.pool, ref);
      const period = await readPeriodRow(deps.pool, ref);
      const { period_id } = period;
      const totals = await heartbeating(async (onProgress) => {
        await pricePeriod({ ...deps, onProgress }, period_id);
        await noteLateUsage(deps, period_id);
        return readTotals(deps.pool, period_id);
      });
      await endWaitForHeld(deps.pool, period, totals?.held_events ?? 0);
      return {
        ...(await readPeriodState(deps.pool, ref)),
        budgets_may_be_crossed: totals !== null && (await mayCrossBudget(deps.pool, period_id, totals)),
      };
    },

    appendBatch: (_ref, batch) => receiveSignalledBatch(deps, batch),
  };
}
