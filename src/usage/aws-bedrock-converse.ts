import {
  agreedCount,
  type Counts,
  count,
  ImpossibleCounts,
  type NormalisedUsage,
  optionalCount,
  parts,
  requiredCount,
  requireWithin,
  Tally,
} from './counts.js';

/**
 * AWS Bedrock Converse `usage` (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html).
 * Cache counts are additive to the input: total = input + read + write + output. Each of them appears under two names
 * and is one count. `cacheDetails` says how long written tokens live.
 */
export function normaliseAwsBedrockConverse(usage: Counts): NormalisedUsage {
  const input = requiredCount(usage, 'inputTokens');
  const output = count(usage, 'outputTokens');
  const read = agreedCount([
    [usage, 'cacheReadInputTokens'],
    [usage, 'cacheReadInputTokenCount'],
  ]);
  const written = agreedCount([
    [usage, 'cacheWriteInputTokens'],
    [usage, 'cacheWriteInputTokenCount'],
  ]);
  const total = optionalCount(usage, 'totalTokens');
  if (total !== null && total !== input + read + written + output) {
    throw new ImpossibleCounts('totalTokens is not the sum of input, cache read, cache write and output');
  }
  let oneHour = 0;
  for (const detail of parts(usage, 'cacheDetails')) {
    if (detail.ttl === '1h') oneHour += count(detail, 'inputTokens');
    else if (detail.ttl !== '5m') throw new ImpossibleCounts('cacheDetails name a lifetime that is not known');
  }
  requireWithin(oneHour, 'cacheDetails', written, 'cacheWriteInputTokens');
  const meters = new Tally()
    .add('input_tokens', input)
    .add('cache_read_tokens', read)
    .add('cache_write_tokens', written - oneHour)
    .add('cache_write_1h_tokens', oneHour)
    .add('output_tokens', output);
  return { usage: meters.counts, info: {} };
}
