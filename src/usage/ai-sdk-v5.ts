import { embeddingTokens } from './ai-sdk-v6.js';
import {
  type Counts,
  count,
  ImpossibleCounts,
  type NormalisedUsage,
  optionalCount,
  requiredCount,
  requireWithin,
  Tally,
} from './counts.js';

/** Providers whose input leaves cached tokens out, which AI SDK 5 hands on as it is; Anthropic's models do so anywhere. */
const CACHE_BESIDE_INPUT = /anthropic|bedrock|^aws$/;
const ANTHROPIC_MODEL = /anthropic|claude/;

/**
 * AI SDK 5 `usage`. It hands on each provider's own meaning: cached tokens are part of the input, but beside it for
 * Anthropic and Bedrock; reasoning is part of the output, but beside it for Google, where the total tells. Written
 * tokens stand in `providerMetadata.anthropic` only, from where the sender adds them as `cacheCreationInputTokens`.
 * `provider` is who was called; cached tokens of an unknown provider cannot be read.
 */
export function normaliseAiSdkV5(usage: Counts, modelId: string | null, provider: string | null): NormalisedUsage {
  const embedding = embeddingTokens(usage);
  if (embedding !== null) return embedding;
  const input = requiredCount(usage, 'inputTokens');
  let output = count(usage, 'outputTokens');
  const total = optionalCount(usage, 'totalTokens');
  const reasoning = count(usage, 'reasoningTokens');
  const cached = count(usage, 'cachedInputTokens');
  const written = optionalCount(usage, 'cacheCreationInputTokens');
  if (reasoning > 0 && total === input + output + reasoning) output += reasoning;
  requireWithin(reasoning, 'reasoningTokens', output, 'outputTokens');

  const isBeside =
    written !== null ||
    (provider !== null && CACHE_BESIDE_INPUT.test(provider)) ||
    (modelId !== null && ANTHROPIC_MODEL.test(modelId));
  if (provider === null && !isBeside && cached > 0) {
    throw new ImpossibleCounts('cachedInputTokens means something else for each provider, and none is named');
  }
  if (!isBeside) requireWithin(cached, 'cachedInputTokens', input, 'inputTokens');
  // Google's total has the prompts of tools in it, which the SDK leaves out of both counts.
  if (total !== null && total < input + output) {
    throw new ImpossibleCounts('totalTokens is less than inputTokens and outputTokens');
  }
  if (total !== null && total > input + output + (isBeside ? cached + (written ?? 0) : 0)) {
    throw new ImpossibleCounts('totalTokens is more than inputTokens and outputTokens');
  }
  const meters = new Tally()
    .add('input_tokens', isBeside ? input : input - cached)
    .add('cache_read_tokens', cached)
    .add('cache_write_tokens', written ?? 0)
    .add('output_tokens', output);
  return { usage: meters.counts, info: new Tally().add('reasoning_tokens', reasoning).counts };
}
