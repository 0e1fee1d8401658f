import {
  agreedCount,
  type Counts,
  count,
  ImpossibleCounts,
  type NormalisedUsage,
  optionalCount,
  part,
  requiredCount,
  requireWithin,
  Tally,
} from './counts.js';

/** The usage of `embed` and `embedMany` in any version: all tokens are input. Null for that of a language model. */
export function embeddingTokens(usage: Counts): NormalisedUsage | null {
  if (usage.tokens === undefined || usage.inputTokens !== undefined) return null;
  return { usage: new Tally().add('input_tokens', requiredCount(usage, 'tokens')).counts, info: {} };
}

/** The counts of one side: `inputTokens` as a number with details beside it, or as an object (what models hand the SDK). */
function sideOf(
  usage: Counts,
  name: string,
  detailsName: string,
): { whole: Counts; wholeName: string; details: Counts } {
  const value = usage[name];
  return typeof value === 'object' && value !== null
    ? { whole: part(usage, name), wholeName: 'total', details: part(usage, name) }
    : { whole: usage, wholeName: name, details: part(usage, detailsName) };
}

/**
 * AI SDK 6 and 7 `usage`: `inputTokens` is the whole input, and what was read from the cache, what was written to it and
 * the rest add up to it; reasoning is part of the output. Where the provider's own object stands in `raw` and its format
 * can be told, `normaliseUsage` reads that instead: it says more (lifetimes of writes, images, audio).
 */
export function normaliseAiSdkV6(usage: Counts): NormalisedUsage {
  const embedding = embeddingTokens(usage);
  if (embedding !== null) return embedding;
  const input = sideOf(usage, 'inputTokens', 'inputTokenDetails');
  const output = sideOf(usage, 'outputTokens', 'outputTokenDetails');
  const cached = agreedCount([
    [input.details, 'cacheReadTokens'],
    [input.details, 'cacheRead'],
    [usage, 'cachedInputTokens'],
  ]);
  const written = agreedCount([
    [input.details, 'cacheWriteTokens'],
    [input.details, 'cacheWrite'],
  ]);
  const uncached = optionalCount(input.details, 'noCacheTokens') ?? optionalCount(input.details, 'noCache');
  const stated = optionalCount(input.whole, input.wholeName);
  if (stated === null && uncached === null) throw new ImpossibleCounts('inputTokens is missing');
  const whole = stated ?? uncached! + cached + written;
  requireWithin(cached + written, 'cached and written tokens', whole, 'inputTokens');
  if (uncached !== null && uncached + cached + written !== whole) {
    throw new ImpossibleCounts('inputTokenDetails do not add up to inputTokens');
  }

  const reasoning = agreedCount([
    [output.details, 'reasoningTokens'],
    [output.details, 'reasoning'],
    [usage, 'reasoningTokens'],
  ]);
  const answer = count(output.whole, output.wholeName);
  requireWithin(reasoning, 'reasoningTokens', answer, 'outputTokens');
  const total = optionalCount(usage, 'totalTokens');
  if (total !== null && total !== whole + answer) {
    throw new ImpossibleCounts('totalTokens is not the sum of inputTokens and outputTokens');
  }
  const meters = new Tally()
    .add('input_tokens', whole - cached - written)
    .add('cache_read_tokens', cached)
    .add('cache_write_tokens', written)
    .add('output_tokens', answer);
  return { usage: meters.counts, info: new Tally().add('reasoning_tokens', reasoning).counts };
}
