import { ImpossibleCounts, requireWithin, type Tally } from './counts.js';

/** Tokens of one side of a call by what they stand for. What is not listed is text. */
export interface Modalities {
  text: number;
  image: number;
  video: number;
  audio: number;
}

export const NO_MODALITIES: Readonly<Modalities> = { text: 0, image: 0, video: 0, audio: 0 };

/** In this order a cached count whose modality the provider does not say is taken from the prompt. */
const ORDER = ['text', 'image', 'video', 'audio'] as const;

const FRESH = {
  text: 'input_tokens',
  image: 'input_image_tokens',
  video: 'input_video_tokens',
  audio: 'input_audio_tokens',
} as const;
/** Cached video has no price of its own anywhere, so it stands with text. */
const CACHED = {
  text: 'cache_read_tokens',
  image: 'cache_read_image_tokens',
  video: 'cache_read_tokens',
  audio: 'cache_read_audio_tokens',
} as const;
const WRITTEN = {
  text: 'output_tokens',
  image: 'output_image_tokens',
  video: 'output_video_tokens',
  audio: 'output_audio_tokens',
} as const;

function sumOf(modalities: Modalities): number {
  return modalities.text + modalities.image + modalities.video + modalities.audio;
}

/** `whole` tokens of which `listed` has the modalities: what is not listed counts as text. */
function complete(whole: number, listed: Modalities, name: string): Modalities {
  const rest = whole - sumOf(listed);
  if (rest < 0) throw new ImpossibleCounts(`the modalities of ${name} are larger than ${name}`);
  return { ...listed, text: listed.text + rest };
}

export interface PromptTokens {
  /** The whole prompt, cached and written tokens included. */
  whole: number;
  name: string;
  listed: Modalities;
  /** Tokens read from the cache, part of `whole`. */
  cached: number;
  cachedListed: Modalities;
  /** Tokens written to the cache, part of `whole`. */
  written: number;
}

/**
 * Splits a prompt into additive meters: what was read from the cache and what was written to it is taken out of the
 * input meters of its modality. Where the provider does not say the modality of a cached or written token, text is
 * taken first. Throws ImpossibleCounts when a part is larger than its whole.
 */
export function addPrompt(meters: Tally, prompt: PromptTokens): void {
  requireWithin(prompt.cached + prompt.written, 'cached and written tokens', prompt.whole, prompt.name);
  const fresh = complete(prompt.whole, prompt.listed, prompt.name);
  let unlisted = prompt.cached - sumOf(prompt.cachedListed);
  if (unlisted < 0) throw new ImpossibleCounts('the modalities of the cached tokens are larger than the cached tokens');
  for (const modality of ORDER) {
    const cached = prompt.cachedListed[modality];
    requireWithin(cached, `cached ${modality} tokens`, fresh[modality], `${modality} tokens`);
    fresh[modality] -= cached;
    meters.add(CACHED[modality], cached);
  }
  let toWrite = prompt.written;
  for (const modality of ORDER) {
    const read = Math.min(unlisted, fresh[modality]);
    unlisted -= read;
    meters.add(CACHED[modality], read);
    const wrote = Math.min(toWrite, fresh[modality] - read);
    toWrite -= wrote;
    meters.add('cache_write_tokens', wrote);
    meters.add(FRESH[modality], fresh[modality] - read - wrote);
  }
}

/** Splits an output into additive meters. Throws ImpossibleCounts when a modality is larger than the output. */
export function addOutput(meters: Tally, whole: number, name: string, listed: Modalities): void {
  const output = complete(whole, listed, name);
  for (const modality of ORDER) meters.add(WRITTEN[modality], output[modality]);
}
