import { type Counts, count, ImpossibleCounts, type NormalisedUsage, optionalCount, requiredCount } from './counts.js';

/** OpenAI Embeddings `usage`: the prompt is all there is, and the total says so. */
export function normaliseOpenaiEmbeddings(usage: Counts): NormalisedUsage {
  const input = requiredCount(usage, 'prompt_tokens');
  if (count(usage, 'completion_tokens') > 0) throw new ImpossibleCounts('an embedding has completion_tokens');
  const total = optionalCount(usage, 'total_tokens');
  if (total !== null && total !== input) throw new ImpossibleCounts('total_tokens is not prompt_tokens');
  return { usage: input === 0 ? {} : { input_tokens: input }, info: {} };
}
