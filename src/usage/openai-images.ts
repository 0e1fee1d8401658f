import {
  type Counts,
  count,
  ImpossibleCounts,
  type NormalisedUsage,
  optionalCount,
  part,
  requiredCount,
  Tally,
} from './counts.js';
import { addOutput, addPrompt, NO_MODALITIES } from './modalities.js';

/**
 * OpenAI Images `usage` (generations and edits of the GPT image models). Text and image tokens are parts of the input;
 * the output is image tokens, unless `output_tokens_details` says which of it is text. Models that are charged by the
 * picture report no usage: their event carries the meter `images`.
 */
export function normaliseOpenaiImages(usage: Counts): NormalisedUsage {
  const input = requiredCount(usage, 'input_tokens');
  const output = count(usage, 'output_tokens');
  const total = optionalCount(usage, 'total_tokens');
  if (total !== null && total !== input + output) {
    throw new ImpossibleCounts('total_tokens is not the sum of input_tokens and output_tokens');
  }
  const inputDetails = part(usage, 'input_tokens_details');
  const outputDetails = part(usage, 'output_tokens_details');
  const meters = new Tally();
  addPrompt(meters, {
    whole: input,
    name: 'input_tokens',
    listed: { ...NO_MODALITIES, text: count(inputDetails, 'text_tokens'), image: count(inputDetails, 'image_tokens') },
    cached: count(inputDetails, 'cached_tokens'),
    cachedListed: NO_MODALITIES,
    written: 0,
  });
  const text = count(outputDetails, 'text_tokens');
  const image = optionalCount(outputDetails, 'image_tokens') ?? output - text;
  if (image < 0) throw new ImpossibleCounts('text_tokens is larger than output_tokens');
  addOutput(meters, output, 'output_tokens', { ...NO_MODALITIES, text, image });
  return { usage: meters.counts, info: {} };
}
