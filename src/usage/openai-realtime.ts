import type { Counts, NormalisedUsage } from './counts.js';
import { normaliseOpenaiTokens } from './openai-tokens.js';

/**
 * OpenAI Realtime `usage` of one `response.done`. Text, audio and image are parts of input and output, cached tokens are
 * part of the input and have modalities of their own (`cached_tokens_details`). Rules: src/usage/openai-tokens.ts.
 */
export function normaliseOpenaiRealtime(usage: Counts): NormalisedUsage {
  return normaliseOpenaiTokens(usage, {
    input: 'input_tokens',
    output: 'output_tokens',
    inputDetails: 'input_token_details',
    outputDetails: 'output_token_details',
  });
}
