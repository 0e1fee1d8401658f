import type { CatalogCache } from '../catalog/catalog-cache.js';
import type { Pool } from '../database/pool.js';
import type { PricingResult } from '../pricing/pricing-result.js';
import { LatePricer } from './late-pricer.js';
import { type Seal, setOf } from './seal.js';
import { readSet, type UsageSet } from './usage-set.js';

export interface DeriveDeps {
  pool: Pool;
  catalogs: CatalogCache;
  /** Hears how many events were read so far. */
  onProgress?: (events: number) => void;
}

/**
 * The pricing of a seal's set, from the events themselves: the same whenever it is derived (invariant 2). Pricing runs
 * are not asked. `set`: another one than the seal's (what a re-bill would take in).
 */
export async function derivePricing(
  deps: DeriveDeps,
  seal: Pick<Seal, 'period_id' | 'sealed_xid' | 'inputs'>,
  set: UsageSet = setOf(seal),
): Promise<PricingResult> {
  const pricer = await LatePricer.open(deps.catalogs, seal.inputs, seal.inputs.late?.resolver);
  await readSet(
    deps.pool,
    set,
    (rows) => {
      for (const { row, decided } of rows) pricer.add(row, decided);
    },
    deps.onProgress,
  );
  return pricer.result();
}
