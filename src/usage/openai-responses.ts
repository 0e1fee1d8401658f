import type { Counts, NormalisedUsage } from './counts.js';
import { normaliseOpenaiTokens } from './openai-tokens.js';

/** OpenAI Responses `usage` (https://platform.openai.com/docs/api-reference/responses). Rules: src/usage/openai-tokens.ts. */
export function normaliseOpenaiResponses(usage: Counts): NormalisedUsage {
  return normaliseOpenaiTokens(usage, {
    input: 'input_tokens',
    output: 'output_tokens',
    inputDetails: 'input_tokens_details',
    outputDetails: 'output_tokens_details',
  });
}
