import { Context } from '@temporalio/activity';
import type { CatalogCache } from '../src/catalog/catalog-cache.js';
import { importSource, type PricePolicy } from '../src/catalog/import-source.js';
import type { PriceSource } from '../src/catalog/price-sources.js';
import type { PriceActivities } from '../src/contracts/engine.js';
import type { Pool } from '../src/database/pool.js';

export interface PriceDeps {
  pool: Pool;
  catalogs: CatalogCache;
  /** What PRICE_SOURCES and PRICE_POLICY say. */
  prices: { sources: readonly PriceSource[]; policy: PricePolicy };
}

export function createPriceActivities(deps: PriceDeps): PriceActivities {
  const { pool, catalogs, prices } = deps;
  return {
    async importPriceSource(source, at) {
      const signal = Context.current().cancellationSignal;
      const { counts, ...outcome } = await importSource({ pool, catalogs, ...prices }, source, at, signal);
      return { ...outcome, counts: counts && { ...counts }, failure: null };
    },
  };
}
