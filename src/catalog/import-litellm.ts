import type { PriceCandidates } from '../contracts/price-proposal.js';
import { CandidateList, objectOf } from './candidate-list.js';

/** LiteLLM's providers that the catalog calls otherwise. */
const PROVIDERS: Readonly<Record<string, string>> = {
  'text-completion-openai': 'openai',
  gemini: 'google',
  'vertex_ai-language-models': 'google',
  'vertex_ai-vision-models': 'google',
  'vertex_ai-embedding-models': 'google',
  'vertex_ai-anthropic_models': 'google',
  bedrock: 'aws',
  bedrock_converse: 'aws',
  azure_ai: 'azure',
  azure_text: 'azure',
  xai: 'x-ai',
  together_ai: 'together',
  fireworks_ai: 'fireworks',
  voyage: 'voyageai',
  cohere_chat: 'cohere',
  moonshot: 'moonshotai',
  codestral: 'mistral',
  'text-completion-codestral': 'mistral',
};

/** Its price keys without the endings for tier and context; `modes`: the only kinds of model for which it means that. */
const KEYS: Readonly<Record<string, { meter: string; modes?: readonly string[] }>> = {
  input_cost_per_token: { meter: 'input_tokens' },
  output_cost_per_token: { meter: 'output_tokens' },
  cache_read_input_token_cost: { meter: 'cache_read_tokens' },
  cache_creation_input_token_cost: { meter: 'cache_write_tokens' },
  cache_creation_input_token_cost_above_1hr: { meter: 'cache_write_1h_tokens' },
  input_cost_per_audio_token: { meter: 'input_audio_tokens' },
  output_cost_per_audio_token: { meter: 'output_audio_tokens' },
  cache_read_input_audio_token_cost: { meter: 'cache_read_audio_tokens' },
  input_cost_per_image_token: { meter: 'input_image_tokens' },
  output_cost_per_image_token: { meter: 'output_image_tokens' },
  output_cost_per_reasoning_token: { meter: 'output_reasoning_tokens' },
  output_cost_per_image: { meter: 'images', modes: ['image_generation'] },
  input_cost_per_second: { meter: 'input_audio_seconds', modes: ['audio_transcription'] },
  input_cost_per_character: { meter: 'input_characters', modes: ['audio_speech'] },
  input_cost_per_query: { meter: 'search_units', modes: ['rerank'] },
};

const TIERS: Readonly<Record<string, string>> = { batches: 'batch', flex: 'flex', priority: 'priority' };

/** Entries of the file that are no models. */
const NO_MODELS = new Set(['sample_spec', 'fallback_generalizations']);

/**
 * LiteLLM's `model_prices_and_context_window.json` as candidates: US dollars a unit. A model id is the entry's key, without
 * the `litellm_provider/` that the file puts before the ids of most providers. `_above_200k_tokens` and the like are rows
 * for larger inputs, `_batches`, `_flex` and `_priority` rows of that tier. `deprecation_date` up to `at` is deprecated.
 * Throws `invalid_price_document`.
 */
export function importLitellm(document: unknown, at: string): PriceCandidates {
  const list = new CandidateList('litellm');
  for (const [key, value] of Object.entries(objectOf(document, 'The document'))) {
    if (NO_MODELS.has(key)) continue;
    const entry = objectOf(value, key.slice(0, 64));
    const named = entry.litellm_provider;
    if (typeof named !== 'string') continue;
    const provider = Object.hasOwn(PROVIDERS, named) ? PROVIDERS[named]! : named;
    const model_id = key.startsWith(`${named}/`) ? key.slice(named.length + 1) : key;
    for (const [name, price] of Object.entries(entry)) addPrice(list, { provider, model_id }, name, price, entry.mode);
    const { deprecation_date: deprecated } = entry;
    if (typeof deprecated === 'string' && /^\d{4}-\d{2}-\d{2}$/.test(deprecated) && deprecated <= at.slice(0, 10)) {
      list.deprecate(provider, model_id);
    }
  }
  return list.result();
}

function addPrice(
  list: CandidateList,
  model: { provider: string; model_id: string },
  name: string,
  value: unknown,
  mode: unknown,
): void {
  if (!name.includes('cost') || value === null) return;
  if (name === 'search_context_cost_per_query') {
    addSearches(list, model, value);
    return;
  }
  const { base, tier, context_over } = splitName(name);
  const known = Object.hasOwn(KEYS, base) ? KEYS[base]! : undefined;
  if (known === undefined || (known.modes && !known.modes.includes(String(mode)))) {
    list.skip(model, name, 'no meter of the catalog');
    return;
  }
  const slot = {
    ...model,
    meter: known.meter,
    per: 1,
    ...(context_over === null ? {} : { context_over }),
    ...(tier === null ? {} : { service_tier: tier }),
  };
  list.add(slot, name, value);
}

/** The endings of a key, in either order: `..._above_200k_tokens_priority`, `..._flex_above_272k_tokens`. */
function splitName(name: string): { base: string; tier: string | null; context_over: number | null } {
  let base = name;
  let tier: string | null = null;
  let context_over: number | null = null;
  for (let ending = /^(.+?)_(?:(batches|flex|priority)|above_(\d+)k_tokens)$/.exec(base); ending !== null; ) {
    const [, rest, tierName, thousands] = ending;
    base = rest!;
    if (tierName !== undefined) tier = TIERS[tierName]!;
    else context_over = Number(thousands) * 1_000;
    ending = /^(.+?)_(?:(batches|flex|priority)|above_(\d+)k_tokens)$/.exec(base);
  }
  return { base, tier, context_over };
}

/** Web searches cost by the size of their context; a meter has one price, so only one for all sizes can be taken. */
function addSearches(list: CandidateList, model: { provider: string; model_id: string }, value: unknown): void {
  const prices = new Set(Object.values(objectOf(value, 'search_context_cost_per_query')));
  const name = 'search_context_cost_per_query';
  if (prices.size === 1) list.add({ ...model, meter: 'web_searches', per: 1 }, name, [...prices][0]);
  else list.skip(model, name, 'more than one price by the size of the search context');
}
