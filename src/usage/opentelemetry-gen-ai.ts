import {
  type Counts,
  count,
  ImpossibleCounts,
  type NormalisedUsage,
  optionalCount,
  requireWithin,
  Tally,
} from './counts.js';
import { addOutput, addPrompt, NO_MODALITIES } from './modalities.js';

/**
 * The counts of a span by OpenTelemetry's GenAI conventions (`gen_ai.usage.*`, still in development), under the names
 * that the door of traces gives them (src/doors/otlp-spans.ts). What was read from the cache and what was written to it
 * is part of the input, reasoning part of the output.
 */
export function normaliseOpentelemetryGenAi(usage: Counts): NormalisedUsage {
  const input = optionalCount(usage, 'input_tokens');
  const output = count(usage, 'output_tokens');
  if (input === null && output === 0) throw new ImpossibleCounts('input_tokens is missing');
  const whole = input ?? 0;
  const total = optionalCount(usage, 'total_tokens');
  if (total !== null && total !== whole + output) {
    throw new ImpossibleCounts('total_tokens is not the sum of input_tokens and output_tokens');
  }
  const reasoning = count(usage, 'reasoning_output_tokens');
  requireWithin(reasoning, 'reasoning tokens', output, 'output_tokens');
  const meters = new Tally();
  addPrompt(meters, {
    whole,
    name: 'input_tokens',
    listed: { ...NO_MODALITIES, audio: count(usage, 'audio_input_tokens'), video: count(usage, 'video_input_tokens') },
    cached: count(usage, 'cache_read_input_tokens'),
    cachedListed: NO_MODALITIES,
    written: count(usage, 'cache_creation_input_tokens'),
  });
  addOutput(meters, output, 'output_tokens', {
    ...NO_MODALITIES,
    audio: count(usage, 'audio_output_tokens'),
    image: count(usage, 'image_output_tokens'),
  });
  return { usage: meters.counts, info: new Tally().add('reasoning_tokens', reasoning).counts };
}
