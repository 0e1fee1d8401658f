import type { Counts, NormalisedUsage } from './counts.js';
import { normaliseOpenaiTokens } from './openai-tokens.js';

/**
 * OpenAI Chat Completions `usage`, which DeepSeek, Groq, Mistral, OpenRouter, Perplexity, xAI and many others copy.
 * Rules: src/usage/openai-tokens.ts. Perplexity's Sonar models charge a fee for each request besides the tokens (deep
 * research charges searches instead); the search context of the request is how such a response is told.
 */
export function normaliseOpenaiChat(usage: Counts): NormalisedUsage {
  const normalised = normaliseOpenaiTokens(usage, {
    input: 'prompt_tokens',
    output: 'completion_tokens',
    inputDetails: 'prompt_tokens_details',
    outputDetails: 'completion_tokens_details',
  });
  const chargedByRequest = typeof usage.search_context_size === 'string' && usage.citation_tokens === undefined;
  return chargedByRequest ? { ...normalised, usage: { ...normalised.usage, requests: 1 } } : normalised;
}
