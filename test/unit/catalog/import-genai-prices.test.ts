import { readFile } from 'node:fs/promises';
import { calcPrice, type ModelInfo, type ModelPrice, type Provider, waitForUpdate } from '@pydantic/genai-prices';
import { beforeAll, describe, expect, it } from 'vitest';
import { bundledNote, formatCatalogFile, readBundledCatalog } from '../../../src/catalog/bundled-catalog.js';
import { Catalog } from '../../../src/catalog/catalog.js';
import { EMPTY_CATALOG } from '../../../src/catalog/catalog-data.js';
import { checkCatalogVersion } from '../../../src/catalog/check-version.js';
import { importGenaiPrices } from '../../../src/catalog/import-genai-prices.js';
import { type CatalogVersionBody, catalogVersionSchema } from '../../../src/contracts/catalog.js';
import type { Fraction } from '../../../src/money/fraction.js';
import { priceEvent } from '../../../src/pricing/price-event.js';
import { usageRow } from '../../support/usage-row.js';

let providers: Provider[];
let body: CatalogVersionBody;
let catalog: Catalog;
beforeAll(async () => {
  providers = (await waitForUpdate())!;
  body = importGenaiPrices(providers, bundledNote('0.1.8'));
  catalog = Catalog.fromBody(body);
});

function entriesOf(model: ModelInfo): { constraint?: unknown; prices: ModelPrice }[] {
  return Array.isArray(model.prices) ? model.prices : [{ prices: model.prices }];
}

/** Before and after everything, around each start date, and around each bound of a daily window. */
function instantsOf(model: ModelInfo): number[] {
  const instants = [Date.UTC(2021, 5, 1, 12), Date.UTC(2026, 10, 24, 2, 30), Date.UTC(2028, 1, 1, 17)];
  for (const { constraint } of entriesOf(model) as { constraint?: Record<string, string> }[]) {
    if (constraint?.start_date) {
      const start = Date.parse(constraint.start_date);
      instants.push(start - 1, start, start + 8 * 3_600_000);
    }
    for (const bound of [constraint?.start_time, constraint?.end_time]) {
      if (!bound) continue;
      for (const day of ['2026-05-05', '2026-11-24']) {
        const at = Date.parse(`${day}T${bound}`);
        instants.push(at - 1, at);
      }
    }
  }
  return instants;
}

/** A small event, and events whose whole input is exactly at, and one above, each cliff. */
function usagesOf(model: ModelInfo): Record<string, number>[] {
  const entries = entriesOf(model);
  const has = (key: string) => entries.every(({ prices }) => prices[key] !== undefined);
  const usage: Record<string, number> = {};
  if (has('input_mtok')) {
    Object.assign(usage, {
      input_tokens: 1_001,
      cache_read_tokens: 203,
      cache_write_tokens: 37,
      cache_write_1h_tokens: 41,
      input_audio_tokens: 11,
      cache_read_audio_tokens: 5,
      input_image_tokens: 17,
      cache_read_image_tokens: 3,
      input_video_tokens: 19,
      tool_use_input_tokens: 23,
    });
  }
  if (has('output_mtok')) {
    Object.assign(usage, {
      output_tokens: 613,
      output_audio_tokens: 31,
      output_image_tokens: 43,
      output_video_tokens: 47,
      output_reasoning_tokens: 53,
      output_citation_tokens: 59,
    });
  }
  if (has('web_searches_kcount')) usage.web_searches = 3;
  if (has('storage_searches_kcount')) usage.file_searches = 2;
  if (has('input_text_messages_kcount')) usage.input_text_messages = 7;
  if (has('input_document_kpages')) usage.pages = 13;
  if (has('input_annotated_document_kpages')) usage.annotated_pages = 5;
  if (has('input_audio_hours') || has('audio_hours')) usage.input_audio_seconds = 61;
  if (has('audio_hours')) usage.output_audio_seconds = 83;
  const usages = [usage];
  if (has('input_mtok')) usages.push({ input_tokens: 7 }, { cache_read_tokens: 1_000_003 });
  if (has('output_mtok')) usages.push({ output_tokens: 9 });
  const starts = new Set(
    entries.flatMap(({ prices }) =>
      Object.values(prices).flatMap((price) =>
        typeof price === 'object' ? price.tiers.map(({ start }) => start) : [],
      ),
    ),
  );
  for (const start of starts) {
    // 359 tokens of other input meters stand beside input_tokens.
    for (const whole of [start - 1, start, start + 1]) usages.push({ ...usage, input_tokens: whole - 359 });
  }
  return usages;
}

/** The same usage in the source's names, where a parent's count includes its children's. */
function sourceUsage(usage: Record<string, number>): Record<string, number> {
  const sum = (...meters: string[]) => meters.reduce((total, meter) => total + (usage[meter] ?? 0), 0);
  const source: Record<string, number> = {
    cache_read_tokens: sum('cache_read_tokens', 'cache_read_audio_tokens', 'cache_read_image_tokens'),
    cache_write_tokens: sum('cache_write_tokens', 'cache_write_1h_tokens'),
    cache_write_1h_tokens: sum('cache_write_1h_tokens'),
    input_audio_tokens: sum('input_audio_tokens', 'cache_read_audio_tokens'),
    cache_audio_read_tokens: sum('cache_read_audio_tokens'),
    input_image_tokens: sum('input_image_tokens', 'cache_read_image_tokens'),
    cache_image_read_tokens: sum('cache_read_image_tokens'),
    input_video_tokens: sum('input_video_tokens'),
    input_tool_tokens: sum('tool_use_input_tokens'),
    output_audio_tokens: sum('output_audio_tokens'),
    output_image_tokens: sum('output_image_tokens'),
    output_video_tokens: sum('output_video_tokens'),
    output_reasoning_tokens: sum('output_reasoning_tokens'),
    output_citation_tokens: sum('output_citation_tokens'),
    web_searches: sum('web_searches'),
    storage_searches: sum('file_searches'),
    input_text_messages: sum('input_text_messages'),
    input_document_pages: sum('pages', 'annotated_pages'),
    input_annotated_document_pages: sum('annotated_pages'),
    audio_seconds: sum('input_audio_seconds', 'output_audio_seconds'),
    input_audio_seconds: sum('input_audio_seconds'),
    output_audio_seconds: sum('output_audio_seconds'),
  };
  const isInput = (meter: string) => /^(input|cache)_.*tokens$|^tool_use/.test(meter);
  source.input_tokens = sum(...Object.keys(usage).filter(isInput));
  source.output_tokens = sum(...Object.keys(usage).filter((meter) => /^output_.*tokens$/.test(meter)));
  return source;
}

function toNumber({ n, d }: Fraction): number {
  return Number((n * 10n ** 30n) / d) / 1e30;
}

function differs(a: number, b: number): boolean {
  return Math.abs(a - b) > 1e-12 * Math.max(Math.abs(a), Math.abs(b));
}

describe('the import of @pydantic/genai-prices', () => {
  it('is what the bundled file holds', async () => {
    const file = await readFile(new URL('../../../src/catalog/bundled/catalog-v1.json', import.meta.url), 'utf8');
    expect(file === formatCatalogFile(body), 'run scripts/import-bundled-catalog.mjs').toBe(true);
    expect(await readBundledCatalog()).toEqual(body);
  });

  it('is a valid catalog version', async () => {
    expect(catalogVersionSchema.parse(JSON.parse(JSON.stringify(body)))).toEqual(body);
    expect(() => checkCatalogVersion(EMPTY_CATALOG, body)).not.toThrow();
  });

  it('prices every model like the source, before and after dates, in and out of windows, around cliffs', () => {
    const differences: string[] = [];
    let compared = 0;
    for (const provider of providers) {
      for (const model of provider.models) {
        if (entriesOf(model).some(({ prices }) => Object.keys(prices).length === 0)) continue;
        // Ask the source for exactly this model: its own match rules are compared elsewhere.
        const alone: Provider = { ...provider, models: [{ ...model, match: { equals: 'this' } }] };
        for (const at of instantsOf(model)) {
          for (const usage of usagesOf(model)) {
            const theirs = calcPrice(sourceUsage(usage), 'this', { provider: alone, timestamp: new Date(at) });
            const row = usageRow({ provider: provider.id, model_id: model.id, occurred_at_ms: at, usage });
            const ours = priceEvent(catalog, row);
            const name = `${provider.id}/${model.id} at ${new Date(at).toISOString()} ${JSON.stringify(usage)}`;
            compared++;
            if (theirs === null || 'held' in ours) {
              differences.push(`${name}: ${theirs === null ? 'unknown there' : JSON.stringify(ours)}`);
              continue;
            }
            // Pages stand on the input side there and on neither here; audio by the hour the other way round.
            const sameSides = usage.pages === undefined && usage.input_audio_seconds === undefined;
            if (
              differs(toNumber(ours.total), theirs.total_price) ||
              (sameSides && differs(toNumber(ours.input), theirs.input_price)) ||
              (sameSides && differs(toNumber(ours.output), theirs.output_price))
            ) {
              differences.push(`${name}: ${toNumber(ours.total)} here, ${theirs.total_price} there`);
            }
          }
        }
      }
    }
    expect(differences).toEqual([]);
    expect(compared).toBeGreaterThan(15_000);
  });

  it('holds models with empty prices, which cost nothing in the source', () => {
    const empty = providers.flatMap((provider) =>
      provider.models
        .filter((model) => entriesOf(model).every(({ prices }) => Object.keys(prices).length === 0))
        .map((model) => usageRow({ provider: provider.id, model_id: model.id, usage: { input_tokens: 1 } })),
    );
    expect(empty.length).toBe(163);
    for (const row of empty) {
      expect(priceEvent(catalog, row)).toEqual({ held: { reason: 'no_price', meter: 'input_tokens' } });
    }
  });

  it('holds meters that the source would charge at nothing for want of a price', () => {
    const row = usageRow({ provider: 'openai', model_id: 'text-embedding-3-small', usage: { output_tokens: 1 } });
    expect(priceEvent(catalog, row)).toEqual({ held: { reason: 'no_price', meter: 'output_tokens' } });
  });

  it('knows no minimum: a recording of 3 seconds costs 3 seconds, where the source charges 10 of groq', () => {
    const row = (seconds: number) =>
      usageRow({ provider: 'groq', model_id: 'whisper-large-v3', usage: { input_audio_seconds: seconds } });
    const [three, ten] = [priceEvent(catalog, row(3)), priceEvent(catalog, row(10))];
    const there = calcPrice({ input_audio_seconds: 3, audio_seconds: 3 }, 'whisper-large-v3', { providerId: 'groq' });
    if ('held' in three || 'held' in ten || there === null) throw new Error('not priced');
    expect(toNumber(ten.total)).toBeCloseTo(there.total_price, 15);
    expect(toNumber(three.total)).toBeCloseTo((there.total_price * 3) / 10, 15);
  });

  it('resolves each model id and each name of its match rules to the model that the source finds', () => {
    const differences: string[] = [];
    for (const provider of providers) {
      const names = provider.models.flatMap((model) => [model.id, ...namesIn(model.match)]);
      for (const name of new Set(names)) {
        const theirs = calcPrice({}, name, { providerId: provider.id });
        const ours = catalog.resolveModel({ provider: provider.id, provider_hint: null, model_id: name }, Date.now());
        // Ids that the source's own rules do not find are names here: they are what the catalog lists.
        if (theirs === null && 'how' in ours && ours.how === 'exact') continue;
        const found = 'held' in ours ? ours.held : ours.priced_as;
        if (found !== (theirs?.model.id ?? 'unknown_model')) {
          differences.push(`${provider.id}/${name}: ${found} here, ${theirs?.model.id} there`);
        }
      }
    }
    expect(differences).toEqual([]);
  });

  it('rounds what floating point made of a price and keeps what the source wrote', () => {
    const rounded = body.prices.filter((row) => row.raw_price !== undefined);
    expect(new Set(rounded.map(({ price, raw_price }) => `${raw_price} -> ${price}`))).toEqual(
      new Set(['0.18000000000000002 -> 0.18', '0.08333333333333334 -> 0.0833333333333']),
    );
  });

  it('stops at a kind of price that it does not know', () => {
    const [provider] = providers;
    const strange = { ...provider!, models: [{ id: 'x', match: { equals: 'x' }, prices: { moon_phases: 1 } }] };
    expect(() => importGenaiPrices([strange], 'x')).toThrow('moon_phases');
    const free = { ...provider!, models: [{ id: 'x', match: { equals: 'x' }, prices: { input_mtok: 0 } }] };
    expect(() => importGenaiPrices([free], 'x')).toThrow('zero');
  });
});

/** Names of at least the length that a client sends, made of the texts of a rule. */
function namesIn(match: ModelInfo['match']): string[] {
  if ('or' in match) return match.or.flatMap(namesIn);
  if ('equals' in match) return [match.equals];
  if ('starts_with' in match) return [match.starts_with, `${match.starts_with}-zzz`];
  if ('ends_with' in match) return [match.ends_with];
  if ('contains' in match) return [match.contains];
  return [];
}
