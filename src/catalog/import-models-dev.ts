import type { PriceCandidates } from '../contracts/price-proposal.js';
import { CandidateList, objectOf } from './candidate-list.js';

/** Its providers that the catalog calls otherwise. */
const PROVIDERS: Readonly<Record<string, string>> = {
  'amazon-bedrock': 'aws',
  'google-vertex': 'google',
  'google-vertex-anthropic': 'google',
  'fireworks-ai': 'fireworks',
  togetherai: 'together',
  xai: 'x-ai',
};

const KEYS: Readonly<Record<string, string>> = {
  input: 'input_tokens',
  output: 'output_tokens',
  cache_read: 'cache_read_tokens',
  cache_write: 'cache_write_tokens',
  input_audio: 'input_audio_tokens',
  output_audio: 'output_audio_tokens',
  reasoning: 'output_reasoning_tokens',
};

/**
 * The `api.json` of models.dev as candidates: US dollars a million tokens. `tiers` are rows for larger inputs; where there
 * are none, `context_over_200k` is. `status: "deprecated"` is deprecated. Throws `invalid_price_document`.
 */
export function importModelsDev(document: unknown): PriceCandidates {
  const list = new CandidateList('models.dev');
  for (const [name, value] of Object.entries(objectOf(document, 'The document'))) {
    const provider = Object.hasOwn(PROVIDERS, name) ? PROVIDERS[name]! : name;
    const models = objectOf(objectOf(value, name.slice(0, 64)).models, `${name.slice(0, 64)}.models`);
    for (const [model_id, entry] of Object.entries(models)) {
      const { cost, status } = objectOf(entry, model_id.slice(0, 64));
      if (status === 'deprecated') list.deprecate(provider, model_id);
      if (cost === undefined || cost === null) continue;
      addCost(list, { provider, model_id }, objectOf(cost, `${model_id.slice(0, 64)}.cost`));
    }
  }
  return list.result();
}

function addCost(list: CandidateList, model: { provider: string; model_id: string }, cost: Record<string, unknown>) {
  const { tiers, context_over_200k: over200k, ...base } = cost;
  addRates(list, model, base, null);
  if (Array.isArray(tiers)) {
    for (const rates of tiers) {
      const { tier, ...prices } = objectOf(rates, 'a tier');
      const { type, size } = objectOf(tier, 'the size of a tier');
      if (type === 'context' && Number.isSafeInteger(size)) addRates(list, model, prices, size as number);
      else list.skip(model, 'tiers', 'a tier of another kind than the size of the context');
    }
  } else if (over200k !== undefined && over200k !== null) {
    addRates(list, model, objectOf(over200k, 'context_over_200k'), 200_000);
  }
}

function addRates(
  list: CandidateList,
  model: { provider: string; model_id: string },
  rates: Record<string, unknown>,
  contextOver: number | null,
): void {
  for (const [name, price] of Object.entries(rates)) {
    const meter = Object.hasOwn(KEYS, name) ? KEYS[name] : undefined;
    if (meter === undefined) {
      list.skip(model, name, 'no meter of the catalog');
      continue;
    }
    const cliff = contextOver === null ? {} : { context_over: contextOver };
    list.add({ ...model, meter, per: 1_000_000, ...cliff }, name, price);
  }
}
