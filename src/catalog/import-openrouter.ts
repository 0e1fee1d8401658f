import type { PriceCandidates } from '../contracts/price-proposal.js';
import { CostplusError } from '../errors/error.js';
import { CandidateList, objectOf } from './candidate-list.js';

/** Its keys that the catalog has a meter for; `image` and `audio` are prices of an input, by no unit that is metered. */
const KEYS: Readonly<Record<string, { meter: string; perEvent?: true }>> = {
  prompt: { meter: 'input_tokens' },
  completion: { meter: 'output_tokens' },
  input_cache_read: { meter: 'cache_read_tokens' },
  input_cache_write: { meter: 'cache_write_tokens' },
  input_cache_write_1h: { meter: 'cache_write_1h_tokens' },
  internal_reasoning: { meter: 'output_reasoning_tokens' },
  image_token: { meter: 'input_image_tokens' },
  image_output: { meter: 'output_image_tokens' },
  web_search: { meter: 'web_searches' },
  request: { meter: 'requests', perEvent: true },
};

/**
 * OpenRouter's `GET /api/v1/models` as candidates: decimal strings, US dollars a unit, of the default endpoint of each
 * model. An override for prompts from `min_prompt_tokens` on is a row for inputs above one less; one for a time of day is
 * a daily window. Zero and `"-1"` (it varies) are no prices. Throws `invalid_price_document`.
 */
export function importOpenrouter(document: unknown, at: string): PriceCandidates {
  const list = new CandidateList('openrouter');
  const { data } = objectOf(document, 'The document');
  if (!Array.isArray(data)) throw new CostplusError('invalid_price_document', 'The document has no list "data".');
  for (const value of data) {
    const { id, pricing, expiration_date: expires } = objectOf(value, 'A model');
    if (typeof id !== 'string') throw new CostplusError('invalid_price_document', 'A model has no id.');
    const model = { provider: 'openrouter', model_id: id };
    if (typeof expires === 'string' && expires.slice(0, 10) <= at.slice(0, 10)) list.deprecate(model.provider, id);
    const { overrides, discount: _discount, ...base } = objectOf(pricing, 'The pricing of a model');
    addRates(list, model, base, {});
    if (Array.isArray(overrides)) for (const override of overrides) addOverride(list, model, override);
  }
  return list.result();
}

type Condition = { context_over?: number; daily_window?: { from: string; to: string } };

function addOverride(list: CandidateList, model: { provider: string; model_id: string }, value: unknown): void {
  const override = objectOf(value, 'An override');
  const { min_prompt_tokens: from, utc_start: start, utc_end: end, ...rates } = override;
  const condition: Condition = {};
  if (Number.isSafeInteger(from) && (from as number) > 0) condition.context_over = (from as number) - 1;
  if (isTimeOfDay(start) && isTimeOfDay(end)) condition.daily_window = { from: start, to: end };
  const names = Object.keys(override).filter((name) => !Object.hasOwn(KEYS, name));
  const known = [
    ...(condition.context_over === undefined ? [] : ['min_prompt_tokens']),
    ...(condition.daily_window === undefined ? [] : ['utc_start', 'utc_end']),
  ];
  if (known.length === 0 || names.some((name) => !known.includes(name))) {
    list.skip(model, 'overrides', 'a condition that the catalog has no words for');
    return;
  }
  addRates(list, model, rates, condition);
}

function isTimeOfDay(value: unknown): value is string {
  return typeof value === 'string' && /^([01]\d|2[0-3]):[0-5]\d$/.test(value);
}

function addRates(
  list: CandidateList,
  model: { provider: string; model_id: string },
  rates: Record<string, unknown>,
  condition: Condition,
): void {
  for (const [name, price] of Object.entries(rates)) {
    const known = Object.hasOwn(KEYS, name) ? KEYS[name] : undefined;
    if (known === undefined) {
      list.skip(model, name, 'no meter of the catalog');
      continue;
    }
    const perEvent = known.perEvent ? { per_event: true } : {};
    list.add({ ...model, meter: known.meter, per: 1, ...condition, ...perEvent }, name, price);
  }
}
