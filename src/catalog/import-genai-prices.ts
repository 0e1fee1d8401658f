import type {
  ConditionalPrice,
  MatchLogic,
  ModelInfo,
  ModelPrice,
  Provider,
  TieredPrices,
} from '@pydantic/genai-prices';
import { type CatalogVersionBody, catalogVersionSchema, type PriceRowInput } from '../contracts/catalog.js';
import { ALWAYS } from './catalog-data.js';
import { slotKey } from './model-prices.js';
import { publishedPrice } from './published-price.js';

interface SourceKey {
  meter: string;
  per: number;
  perEvent?: true;
}

/** The source's price keys as meters. A key that is not here stops the import: a new kind of price needs a decision. */
const KEYS: Readonly<Record<string, SourceKey>> = {
  input_mtok: { meter: 'input_tokens', per: 1_000_000 },
  cache_read_mtok: { meter: 'cache_read_tokens', per: 1_000_000 },
  cache_write_mtok: { meter: 'cache_write_tokens', per: 1_000_000 },
  cache_write_1h_mtok: { meter: 'cache_write_1h_tokens', per: 1_000_000 },
  input_audio_mtok: { meter: 'input_audio_tokens', per: 1_000_000 },
  cache_audio_read_mtok: { meter: 'cache_read_audio_tokens', per: 1_000_000 },
  input_image_mtok: { meter: 'input_image_tokens', per: 1_000_000 },
  cache_image_read_mtok: { meter: 'cache_read_image_tokens', per: 1_000_000 },
  input_video_mtok: { meter: 'input_video_tokens', per: 1_000_000 },
  output_mtok: { meter: 'output_tokens', per: 1_000_000 },
  output_audio_mtok: { meter: 'output_audio_tokens', per: 1_000_000 },
  output_image_mtok: { meter: 'output_image_tokens', per: 1_000_000 },
  output_video_mtok: { meter: 'output_video_tokens', per: 1_000_000 },
  output_reasoning_mtok: { meter: 'output_reasoning_tokens', per: 1_000_000 },
  output_citation_mtok: { meter: 'output_citation_tokens', per: 1_000_000 },
  // The source counts one request for each call, whatever usage says.
  requests_kcount: { meter: 'requests', per: 1_000, perEvent: true },
  web_searches_kcount: { meter: 'web_searches', per: 1_000 },
  storage_searches_kcount: { meter: 'file_searches', per: 1_000 },
  input_document_kpages: { meter: 'pages', per: 1_000 },
  input_annotated_document_kpages: { meter: 'annotated_pages', per: 1_000 },
  input_text_messages_kcount: { meter: 'input_text_messages', per: 1_000 },
  input_audio_hours: { meter: 'input_audio_seconds', per: 3_600 },
};

/** Where the source charges a meter without a price of its own: at the first of these that the model prices. */
const PARENTS: readonly (readonly [meter: string, parents: readonly string[]])[] = [
  ['cache_read_tokens', ['input_tokens']],
  ['cache_write_tokens', ['input_tokens']],
  ['cache_write_1h_tokens', ['cache_write_tokens', 'input_tokens']],
  ['input_audio_tokens', ['input_tokens']],
  ['cache_read_audio_tokens', ['cache_read_tokens', 'input_audio_tokens', 'input_tokens']],
  ['input_image_tokens', ['input_tokens']],
  ['cache_read_image_tokens', ['cache_read_tokens', 'input_image_tokens', 'input_tokens']],
  ['input_video_tokens', ['input_tokens']],
  ['tool_use_input_tokens', ['input_tokens']],
  ['output_audio_tokens', ['output_tokens']],
  ['output_image_tokens', ['output_tokens']],
  ['output_video_tokens', ['output_tokens']],
  ['output_reasoning_tokens', ['output_tokens']],
  ['output_citation_tokens', ['output_tokens']],
];

/**
 * The providers of `@pydantic/genai-prices` as the body of a catalog version: a pure function of the package's data.
 * Rows without a start date hold from 2020 on. Throws where the source uses a shape that this does not know.
 */
export function importGenaiPrices(providers: Provider[], note: string): CatalogVersionBody {
  return catalogVersionSchema.parse({
    note,
    prices: providers.flatMap((provider) => provider.models.flatMap((model) => modelRows(provider.id, model))),
    match_rules: providers.flatMap((provider) =>
      provider.models.map((model) => ({ provider: provider.id, clause: clauseOf(model.match), model_id: model.id })),
    ),
    models: providers.flatMap((provider) =>
      provider.models.map((model) => ({
        provider: provider.id,
        model_id: model.id,
        ...(model.name === undefined ? {} : { name: model.name }),
        ...(model.deprecated === true ? { deprecated: true } : {}),
      })),
    ),
    fallback_providers: providers.flatMap(({ id, fallback_model_providers }) =>
      fallback_model_providers ? [{ provider: id, fallback_providers: fallback_model_providers }] : [],
    ),
  });
}

function clauseOf(match: MatchLogic): MatchLogic {
  return structuredClone(match);
}

/** In the source the last entry whose constraint holds gives all prices: dated ones in order, then daily windows. */
function modelRows(provider: string, model: ModelInfo): PriceRowInput[] {
  const entries: ConditionalPrice[] = Array.isArray(model.prices) ? model.prices : [{ prices: model.prices }];
  const rows: PriceRowInput[] = [];
  const open = new Map<string, PriceRowInput>();
  let since = '';
  let windows = 0;
  for (const [index, { constraint, prices }] of entries.entries()) {
    if (constraint?.type === 'time_of_date') {
      windows++;
      const daily_window = { from: timeOfDay(constraint.start_time), to: timeOfDay(constraint.end_time) };
      rows.push(...windowRows(provider, model.id, prices, daily_window, entries));
      continue;
    }
    const from = constraint ? `${constraint.start_date}T00:00:00Z` : ALWAYS;
    if ((constraint === undefined) !== (index === 0) || windows > 0 || from <= since) {
      throw new Error(`${provider}/${model.id}: price entries in an order that the importer does not know`);
    }
    since = from;
    const slots = new Map(entryRows(provider, model.id, prices, from).map((row) => [slotKey(row), row]));
    for (const [slot, row] of open) {
      if (slots.has(slot)) continue;
      row.effective_to = from;
      open.delete(slot);
    }
    for (const [slot, row] of slots) {
      const before = open.get(slot);
      if (before && before.price === row.price && before.same_as === row.same_as) continue;
      rows.push(row);
      open.set(slot, row);
    }
  }
  return rows;
}

/** A window's prices stand in for those of the rest of the day, so they must name the same meters and know no cliffs. */
function windowRows(
  provider: string,
  model_id: string,
  prices: ModelPrice,
  daily_window: { from: string; to: string },
  entries: ConditionalPrice[],
): PriceRowInput[] {
  const keys = Object.keys(prices).sort().join();
  const tiered = entries.some((entry) => Object.values(entry.prices).some((price) => typeof price === 'object'));
  if (tiered || entries.some((entry) => Object.keys(entry.prices).sort().join() !== keys)) {
    throw new Error(`${provider}/${model_id}: a daily window of a shape that the importer does not know`);
  }
  return pricedRows(provider, model_id, prices, ALWAYS).map((row) => ({ ...row, daily_window }));
}

function entryRows(provider: string, model_id: string, prices: ModelPrice, effective_from: string): PriceRowInput[] {
  const rows = pricedRows(provider, model_id, prices, effective_from);
  const priced = new Set(rows.map((row) => row.meter));
  for (const [meter, parents] of PARENTS) {
    const same_as = priced.has(meter) ? undefined : parents.find((parent) => priced.has(parent));
    if (same_as !== undefined) rows.push({ provider, model_id, meter, same_as, effective_from });
  }
  return rows;
}

function pricedRows(provider: string, model_id: string, prices: ModelPrice, effective_from: string): PriceRowInput[] {
  const rows: PriceRowInput[] = [];
  const push = ({ meter, per, perEvent }: SourceKey, price: number | TieredPrices) => {
    const base = typeof price === 'number' ? price : price.base;
    const row = { provider, model_id, meter };
    const rest = { per, effective_from, ...(perEvent ? { per_event: true } : {}) };
    rows.push({ ...row, ...publishedPrice(base), ...rest });
    for (const tier of typeof price === 'number' ? [] : price.tiers) {
      rows.push({ ...row, ...publishedPrice(tier.price), ...rest, context_over: tier.start });
    }
  };
  for (const [key, price] of Object.entries(prices)) {
    if (price === undefined) continue;
    if (key === 'audio_hours') {
      // Durations of either direction, where that direction has no price of its own.
      for (const meter of ['input_audio_seconds', 'output_audio_seconds']) {
        if (meter === 'output_audio_seconds' || prices.input_audio_hours === undefined)
          push({ meter, per: 3_600 }, price);
      }
      continue;
    }
    const known = KEYS[key];
    if (known === undefined) throw new Error(`${provider}/${model_id}: the importer knows no price "${key}"`);
    push(known, price);
  }
  return rows;
}

function timeOfDay(text: string): string {
  const match = /^(\d\d:\d\d):00Z$/.exec(text);
  if (!match) throw new Error(`a time of day that is not a whole UTC minute: ${text}`);
  return match[1]!;
}
