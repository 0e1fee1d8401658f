import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parsePriceSources } from '../../../src/catalog/price-sources.js';
import { readPrice } from '../../../src/catalog/published-price.js';
import { readCandidates } from '../../../src/catalog/read-candidates.js';
import type { CandidateRow, PriceCandidates, PriceSourceName } from '../../../src/contracts/price-proposal.js';

const AT = '2026-11-24T12:00:00Z';
const read = (source: PriceSourceName, file: string): PriceCandidates => {
  const path = fileURLToPath(new URL(`../../fixtures/price-sources/${file}.json`, import.meta.url));
  return readCandidates(source, JSON.parse(readFileSync(path, 'utf8')), AT);
};
/** `meter[>context][@tier]` and price of a model's rows. */
const pricesOf = ({ rows }: PriceCandidates, provider: string, model: string) =>
  Object.fromEntries(
    rows
      .filter((row) => row.provider === provider && row.model_id === model)
      .map((row: CandidateRow) => [
        `${row.meter}${row.context_over === undefined ? '' : `>${row.context_over}`}${row.service_tier ? `@${row.service_tier}` : ''}${row.daily_window ? `@${row.daily_window.from}` : ''}`,
        `${row.price}/${row.per}`,
      ]),
  );
const skippedOf = ({ skipped }: PriceCandidates, model: string) =>
  Object.fromEntries(skipped.filter(({ model_id }) => model_id === model).map(({ key, reason }) => [key, reason]));

describe('a price in a document', () => {
  it.each([
    [3e-6, '0.000003'],
    [1.25e-7, '0.000000125'],
    [0.1, '0.1'],
    [15, '15'],
    [6.25e-8, '0.0000000625'],
    ['0.00000375', '0.00000375'],
    ['1e-7', '0.0000001'],
  ])('%s is %s, exactly', (value, price) => {
    expect(readPrice(value)).toEqual({ price });
  });

  it('is rounded to what can have been published where binary floating point left its marks, and kept raw', () => {
    expect(readPrice(1.8000000000000002e-7)).toEqual({ price: '0.00000018', raw_price: '1.8000000000000002e-7' });
  });

  it.each([0, '0', '0.0', -1, '-1', null, 'free', '', Number.NaN, 1e-40])('%s is none', (value) => {
    expect(readPrice(value)).toHaveProperty('reason');
  });
});

describe('LiteLLM’s price map', () => {
  const candidates = read('litellm', 'litellm');

  it('gives prices by token, by size of input, cache writes of both kinds, searches', () => {
    expect(pricesOf(candidates, 'anthropic', 'claude-sonnet-4-5')).toEqual({
      input_tokens: '0.000003/1',
      'input_tokens>200000': '0.000006/1',
      output_tokens: '0.000015/1',
      'output_tokens>200000': '0.0000225/1',
      cache_read_tokens: '0.0000003/1',
      'cache_read_tokens>200000': '0.0000006/1',
      cache_write_tokens: '0.00000375/1',
      'cache_write_tokens>200000': '0.0000075/1',
      cache_write_1h_tokens: '0.000006/1',
      'cache_write_1h_tokens>200000': '0.000012/1',
      web_searches: '0.01/1',
    });
  });

  it('gives prices of service tiers, and of tiers above a size', () => {
    expect(pricesOf(candidates, 'openai', 'gpt-5')).toMatchObject({
      'input_tokens@flex': '0.000000625/1',
      'input_tokens@priority': '0.0000025/1',
      'cache_read_tokens@flex': '0.0000000625/1',
    });
    expect(pricesOf(candidates, 'openai', 'gpt-4o-mini')).toMatchObject({ 'input_tokens@batch': '0.000000075/1' });
    const pro = pricesOf(candidates, 'google', 'gemini-2.5-pro');
    expect(pro['input_tokens>200000@priority']).toBe('0.0000045/1');
  });

  it('takes neither of two prices that one document has for a slot', () => {
    expect(pricesOf(candidates, 'google', 'gemini-2.5-pro')).not.toHaveProperty('cache_read_tokens');
    expect(skippedOf(candidates, 'gemini-2.5-pro')).toMatchObject({
      cache_read_input_token_cost: 'the document has two prices for it',
    });
    expect(pricesOf(candidates, 'google', 'gemini-2.5-pro')).toMatchObject({ input_tokens: '0.00000125/1' });
  });

  it('reads units other than tokens only in the kinds of model that they mean something in', () => {
    expect(pricesOf(candidates, 'cohere', 'rerank-v3.5')).toEqual({ search_units: '0.002/1' });
    expect(skippedOf(candidates, 'rerank-v3.5')).toMatchObject({
      input_cost_per_token: expect.stringMatching(/^zero/),
    });
    expect(pricesOf(candidates, 'openai', 'whisper-1')).toEqual({ input_audio_seconds: '0.0001/1' });
    expect(skippedOf(candidates, 'whisper-1')).toEqual({ output_cost_per_second: 'no meter of the catalog' });
  });

  it('cuts nothing from names but the provider that the file put before them', () => {
    const names = new Set(candidates.rows.map(({ provider, model_id }) => `${provider}/${model_id}`));
    expect(names).toContain('anthropic/claude-sonnet-4-5-20250929');
    expect(names).toContain('reseller/claude-sonnet-4-5');
    expect(names).not.toContain('gemini/gemini-2.5-pro');
  });

  it('says which models are deprecated by then', () => {
    expect(candidates.deprecated).toEqual([{ provider: 'openai', model_id: 'old-embedding' }]);
  });
});

describe('models.dev', () => {
  const candidates = read('models.dev', 'models-dev');

  it('gives prices by million tokens, and above 200,000', () => {
    expect(pricesOf(candidates, 'anthropic', 'claude-sonnet-4-5')).toEqual({
      input_tokens: '3/1000000',
      'input_tokens>200000': '6/1000000',
      output_tokens: '15/1000000',
      'output_tokens>200000': '22.5/1000000',
      cache_read_tokens: '0.3/1000000',
      cache_write_tokens: '3.75/1000000',
    });
  });

  it('takes its tiers before the older form of the same', () => {
    expect(pricesOf(candidates, 'openai', 'gpt-tiers')).toEqual({
      input_tokens: '5/1000000',
      output_tokens: '30/1000000',
      'input_tokens>272000': '10/1000000',
      'output_tokens>272000': '45/1000000',
    });
    expect(skippedOf(candidates, 'gpt-tiers')).toHaveProperty('tiers');
  });

  it('does not take zero for free, nor a model without prices', () => {
    expect(candidates.rows.filter(({ provider }) => provider === 'x-ai')).toEqual([]);
    expect(skippedOf(candidates, 'grok-free')).toEqual({
      input: expect.stringMatching(/^zero/),
      output: expect.stringMatching(/^zero/),
    });
    expect(candidates.deprecated).toEqual([{ provider: 'anthropic', model_id: 'claude-2' }]);
  });
});

describe('OpenRouter’s models', () => {
  const candidates = read('openrouter', 'openrouter');

  it('gives decimal strings by unit, and overrides for long prompts', () => {
    expect(pricesOf(candidates, 'openrouter', 'anthropic/claude-sonnet-4.5')).toEqual({
      input_tokens: '0.000003/1',
      'input_tokens>200000': '0.000006/1',
      output_tokens: '0.000015/1',
      'output_tokens>200000': '0.0000225/1',
      cache_read_tokens: '0.0000003/1',
      cache_write_tokens: '0.00000375/1',
      web_searches: '0.01/1',
    });
  });

  it('gives times of day and fees for each call, and no condition that the catalog has no words for', () => {
    expect(pricesOf(candidates, 'openrouter', 'deepseek/deepseek-night')).toEqual({
      input_tokens: '0.00000027/1',
      'input_tokens@16:30': '0.000000135/1',
      output_tokens: '0.0000011/1',
      requests: '0.001/1',
    });
    expect(skippedOf(candidates, 'deepseek/deepseek-night')).toHaveProperty('overrides');
  });

  it('does not take prices that vary, nor zero', () => {
    expect(pricesOf(candidates, 'openrouter', 'openrouter/auto')).toEqual({});
    expect(skippedOf(candidates, 'openrouter/auto').prompt).toMatch(/varies/);
    expect(pricesOf(candidates, 'openrouter', 'meta/free:free')).toEqual({});
    expect(candidates.deprecated).toEqual([{ provider: 'openrouter', model_id: 'old/model' }]);
  });
});

describe('a document of another shape', () => {
  it.each([
    ['litellm', []],
    ['litellm', { model: 'text' }],
    ['models.dev', { openai: { id: 'openai' } }],
    ['openrouter', { data: {} }],
    ['openrouter', { data: [{ id: 'm' }] }],
    ['genai-prices', {}],
    ['genai-prices', [{ id: 'p', models: [{ id: 'm', prices: { unheard_mtok: 1 } }] }]],
  ] as const)('is refused as %s', (source, document) => {
    expect(() => readCandidates(source, document, AT)).toThrowError(
      expect.objectContaining({ code: 'invalid_price_document' }),
    );
  });
});

describe('PRICE_SOURCES', () => {
  it('is pairs, or JSON with providers', () => {
    expect(parsePriceSources('litellm=https://example.com/a?b=c , openrouter=/tmp/or.json')).toEqual([
      { source: 'litellm', from: 'https://example.com/a?b=c', providers: null },
      { source: 'openrouter', from: '/tmp/or.json', providers: null },
    ]);
    expect(parsePriceSources('[{"source":"models.dev","from":"x","providers":["openai"]}]')).toEqual([
      { source: 'models.dev', from: 'x', providers: ['openai'] },
    ]);
    expect(parsePriceSources(undefined)).toEqual([]);
  });

  it.each([
    'litellm',
    'other=https://secret.example',
    '[{',
    '[{"source":"litellm"}]',
    'litellm=a,litellm=b',
    'litellm=',
  ])('is refused as %s, without repeating it', (text) => {
    expect(() => parsePriceSources(text)).toThrowError(
      expect.objectContaining({ code: 'configuration', message: expect.not.stringContaining('secret') }),
    );
  });
});
