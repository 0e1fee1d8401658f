import {
  type Counts,
  count,
  ImpossibleCounts,
  label,
  type NormalisedUsage,
  optionalCount,
  parts,
  requireWithin,
  Tally,
} from './counts.js';
import { addOutput, addPrompt, type Modalities, NO_MODALITIES } from './modalities.js';

/** Pages of a document are read as images; newer models list them as IMAGE themselves. */
const MODALITY: Readonly<Record<string, keyof Modalities>> = {
  TEXT: 'text',
  MODALITY_UNSPECIFIED: 'text',
  IMAGE: 'image',
  DOCUMENT: 'image',
  VIDEO: 'video',
  AUDIO: 'audio',
};

function modalitiesOf(usage: Counts, name: string): Modalities {
  const sums = { ...NO_MODALITIES };
  for (const entry of parts(usage, name)) {
    const named = entry.modality ?? 'MODALITY_UNSPECIFIED';
    const modality = typeof named === 'string' && Object.hasOwn(MODALITY, named) ? MODALITY[named] : undefined;
    if (modality === undefined) throw new ImpossibleCounts(`${name} names a modality that is not known`);
    sums[modality] += count(entry, 'tokenCount');
  }
  return sums;
}

function sumOf(a: Modalities, b: Modalities): Modalities {
  return { text: a.text + b.text, image: a.image + b.image, video: a.video + b.video, audio: a.audio + b.audio };
}

/** The first of several names that the usage has: the APIs of Google do not spell them all alike. */
function nameIn(usage: Counts, ...names: [string, ...string[]]): string {
  return names.find((name) => usage[name] !== undefined && usage[name] !== null) ?? names[0];
}

/**
 * Google `usageMetadata` (Gemini API and Vertex AI). Cached content is part of the prompt; thoughts and the prompts of
 * tools are additive: total = prompt + candidates + tool use + thoughts. Details by modality need not be complete: what
 * is not listed is text.
 */
export function normaliseGoogleGenerateContent(usage: Counts): NormalisedUsage {
  const outputName = nameIn(usage, 'candidatesTokenCount', 'responseTokenCount');
  const prompt = optionalCount(usage, 'promptTokenCount');
  const candidates = optionalCount(usage, outputName);
  const total = optionalCount(usage, 'totalTokenCount');
  if (prompt === null && candidates === null) throw new ImpossibleCounts('promptTokenCount is missing');
  const thoughts = count(usage, 'thoughtsTokenCount');
  const toolUse = count(usage, 'toolUsePromptTokenCount');
  const cached = count(usage, 'cachedContentTokenCount');
  if (total !== null && total !== (prompt ?? 0) + (candidates ?? 0) + toolUse + thoughts) {
    throw new ImpossibleCounts('totalTokenCount is not the sum of prompt, candidates, tool use and thoughts');
  }
  requireWithin(cached, 'cachedContentTokenCount', prompt ?? 0, 'promptTokenCount');

  const promptListed = modalitiesOf(usage, nameIn(usage, 'promptTokensDetails', 'promptTokenDetails'));
  const toolListed = modalitiesOf(usage, 'toolUsePromptTokensDetails');
  const meters = new Tally();
  addPrompt(meters, {
    whole: (prompt ?? 0) + toolUse,
    name: 'promptTokenCount',
    listed: sumOf(promptListed, toolListed),
    cached,
    cachedListed: modalitiesOf(usage, 'cacheTokensDetails'),
    written: 0,
  });
  const listed = modalitiesOf(usage, nameIn(usage, 'candidatesTokensDetails', 'responseTokensDetails'));
  addOutput(meters, candidates ?? 0, outputName, listed);
  meters.add('output_tokens', thoughts);

  const info = new Tally().add('reasoning_tokens', thoughts).add('tool_use_input_tokens', toolUse);
  const serviceTier = label(usage, 'serviceTier') ?? label(usage, 'trafficType');
  return {
    usage: meters.counts,
    info: info.counts,
    ...(serviceTier === undefined ? {} : { service_tier: serviceTier }),
  };
}
