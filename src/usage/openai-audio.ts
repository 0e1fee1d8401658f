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
import { decimalOfNumber } from './reported-cost.js';

/** Seconds of the audio that went in: whole ones as a number, others as the decimal that OpenAI wrote. */
function bySeconds(usage: Counts): NormalisedUsage {
  const seconds = decimalOfNumber(usage.seconds);
  if (seconds === null) throw new ImpossibleCounts('seconds is not an amount of time from 0');
  if (usage.seconds === 0) return { usage: {}, info: {} };
  return { usage: { input_audio_seconds: Number.isSafeInteger(usage.seconds) ? Number(seconds) : seconds }, info: {} };
}

/**
 * OpenAI Audio `usage`, which says by `type` what it is. `duration`: a transcription that is charged by the second.
 * `tokens`: a transcription that is charged by tokens; its input is audio but for the text of the prompt, its output
 * text. No type: speech, text in and audio out; speech that is charged by the character reports nothing, and its event
 * carries `input_characters` here or as a meter.
 */
export function normaliseOpenaiAudio(usage: Counts): NormalisedUsage {
  if (usage.type === 'duration') return bySeconds(usage);
  const meters = new Tally();
  if (usage.type === undefined && usage.input_characters !== undefined && usage.input_tokens === undefined) {
    meters.add('input_characters', requiredCount(usage, 'input_characters'));
    return { usage: meters.counts, info: {} };
  }
  if (usage.type !== undefined && usage.type !== 'tokens') throw new ImpossibleCounts('type is not known');
  const isSpeech = usage.type === undefined;
  const input = requiredCount(usage, 'input_tokens');
  const output = count(usage, 'output_tokens');
  const total = optionalCount(usage, 'total_tokens');
  if (total !== null && total !== input + output) {
    throw new ImpossibleCounts('total_tokens is not the sum of input_tokens and output_tokens');
  }
  const details = part(usage, 'input_token_details');
  const text = count(details, 'text_tokens');
  const audio = optionalCount(details, 'audio_tokens') ?? (isSpeech ? 0 : input - text);
  if (audio < 0) throw new ImpossibleCounts('text_tokens is larger than input_tokens');
  addPrompt(meters, {
    whole: input,
    name: 'input_tokens',
    listed: { ...NO_MODALITIES, text, audio },
    cached: 0,
    cachedListed: NO_MODALITIES,
    written: 0,
  });
  addOutput(meters, output, 'output_tokens', { ...NO_MODALITIES, audio: isSpeech ? output : 0 });
  return { usage: meters.counts, info: {} };
}
