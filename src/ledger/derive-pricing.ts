import type { CatalogCache } from '../catalog/catalog-cache.js';
import { contentHash } from '../contracts/canonical-json.js';
import type { Pool } from '../database/pool.js';
import { PRICING_SLICE_EVENTS_COUNT } from '../limits.js';
import { mergeResults } from '../pricing/merge-results.js';
import type { PricingResult } from '../pricing/pricing-result.js';
import { LatePricer } from './late-pricer.js';
import { cutSlice, keepRepricing, readRepricing } from './pricing-slices.js';
import { END_OF_TRANSACTIONS, type Seal, setOf } from './seal.js';
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

/**
 * The same, slice by slice: each is kept until the whole is there, so that an attempt that ends early leaves its slices to
 * the next one.
 */
export async function derivePricingInSlices(
  deps: DeriveDeps & { sliceEvents?: number },
  seal: Pick<Seal, 'period_id' | 'revision' | 'sealed_xid' | 'inputs'>,
): Promise<PricingResult> {
  const { period_id, revision } = seal;
  const stage = contentHash({ revision });
  for (;;) {
    const known = await readRepricing(deps.pool, period_id, stage);
    const rest = { period_id, from_xid: known.priced_to, to_xid: END_OF_TRANSACTIONS };
    const { from_xid: from, to_xid: to } = await cutSlice(
      deps.pool,
      rest,
      deps.sliceEvents ?? PRICING_SLICE_EVENTS_COUNT,
    );
    const slice = await derivePricing(deps, seal, { ...setOf(seal), chunks: { from, to } });
    const result = mergeResults(known.result, slice);
    if (to === rest.to_xid) return result;
    await keepRepricing(deps.pool, period_id, stage, { from, to }, result);
  }
}
