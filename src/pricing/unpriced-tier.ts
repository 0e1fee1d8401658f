import type { Catalog } from '../catalog/catalog.js';
import { findSpan, type PricedSpan } from './find-prices.js';
import type { UsageRow } from './pricing-result.js';

/** What providers call the tier that their list prices are for, without regard to case. */
const STANDARD_TIERS: ReadonlySet<string> = new Set(['standard', 'default', 'auto', 'on_demand', 'on-demand']);

/**
 * The event's tier where base prices stand in for it: it is not the standard one, and no price row and no multiplier in
 * force says what it costs. A tier that the catalog does not know must neither stop the usage (a new name of a provider
 * would hold all of it) nor be guessed at; so it is priced as listed, and marked for review. Null otherwise.
 */
export function unpricedTier(span: PricedSpan, tier: string | null): string | null {
  if (tier === null || STANDARD_TIERS.has(tier.toLowerCase()) || span.free) return null;
  const priced =
    span.prices.rows.some((row) => row.service_tier === tier) ||
    span.prices.multipliers.some((row) => row.service_tier === tier);
  return priced ? null : tier;
}

/** `unpricedTier` of an event by a catalog; null also for one that is held. */
export function unpricedTierOf(catalog: Catalog, row: UsageRow): string | null {
  const span = findSpan(catalog, row);
  return 'held' in span ? null : unpricedTier(span, row.service_tier);
}
