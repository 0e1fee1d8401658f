import { METER_PATTERN } from '../contracts/patterns.js';
import { type Counts, count, ImpossibleCounts, type NormalisedUsage, part, Tally } from './counts.js';

/**
 * Cohere `usage` (chat) or `meta` (embed, rerank): `billed_units` is what Cohere charges. `tokens` holds its prompt
 * templates too and is larger, `cached_tokens` belongs to `tokens`: neither is charged.
 * A unit that is not known by name becomes a meter of that name, and waits for a price instead of getting lost.
 */
export function normaliseCohere(usage: Counts): NormalisedUsage {
  if (usage.billed_units === undefined || usage.billed_units === null) {
    throw new ImpossibleCounts('billed_units is missing');
  }
  const billed = part(usage, 'billed_units');
  const meters = new Tally();
  for (const unit of Object.keys(billed)) {
    if (!METER_PATTERN.test(unit)) throw new ImpossibleCounts('billed_units holds a name that no meter can have');
    meters.add(unit === 'image_tokens' ? 'input_image_tokens' : unit, count(billed, unit));
  }
  return { usage: meters.counts, info: new Tally().add('cached_tokens', count(usage, 'cached_tokens')).counts };
}
