import type { PricedSpan } from './find-prices.js';
import type { ReviewGroup, UsageRow } from './pricing-result.js';
import { unpricedTier } from './unpriced-tier.js';

/**
 * Counts events whose price a person should look at: their model was found by an alias, a match rule or at another
 * provider, or base prices stand in for their service tier.
 */
export class ReviewedUsage {
  /** By model name and span, then by tier. */
  readonly #spans = new Map<string, Map<PricedSpan, Map<string | null, number>>>();

  /** Takes one event that was priced from this span. Most are found by their exact name and leave nothing here. */
  add(row: UsageRow, span: PricedSpan): void {
    const tier = unpricedTier(span, row.service_tier);
    if (tier === null && span.model.how === 'exact') return;
    const spans = entryOf(this.#spans, row.model_id, () => new Map<PricedSpan, Map<string | null, number>>());
    const tiers = entryOf(spans, span, () => new Map<string | null, number>());
    tiers.set(tier, (tiers.get(tier) ?? 0) + 1);
  }

  /** In no order, equal ones not yet added up. */
  groups(): ReviewGroup[] {
    return [...this.#spans].flatMap(([model_id, spans]) =>
      [...spans].flatMap(([{ model }, tiers]) =>
        [...tiers].map(([unpriced_tier, events]) => ({
          provider: model.provider,
          model_id,
          priced_as: model.priced_as,
          how: model.how,
          unpriced_tier,
          events,
        })),
      ),
    );
  }
}

function entryOf<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
