import { describe, expect, it } from 'vitest';
import { Catalog } from '../../../src/catalog/catalog.js';
import { type CatalogData, EMPTY_CATALOG, extendCatalog } from '../../../src/catalog/catalog-data.js';
import { type CatalogVersionInput, catalogVersionSchema, type PriceRowInput } from '../../../src/contracts/catalog.js';

const NOW = Date.parse('2026-11-24T12:00:00Z');

const price = (provider: string, model_id: string, row: Partial<PriceRowInput> = {}): PriceRowInput => ({
  provider,
  model_id,
  meter: 'input_tokens',
  effective_from: '2026-01-01T00:00:00Z',
  ...(row.same_as === undefined && row.price === undefined ? { price: '1' } : {}),
  ...row,
});

/** The catalog of some bodies, each a version on top of those before it. */
function catalogOf(...bodies: Omit<CatalogVersionInput, 'note'>[]): Catalog {
  const data = bodies.reduce<CatalogData>(
    (before, body, index) => extendCatalog(before, catalogVersionSchema.parse({ note: 'x', ...body }), index + 1),
    EMPTY_CATALOG,
  );
  return new Catalog(data);
}

const name = (model_id: string, provider: string | null = null, provider_hint: string | null = null) => ({
  provider,
  provider_hint,
  model_id,
});

describe('which provider an event means', () => {
  const catalog = catalogOf({
    prices: [
      price('anthropic', 'claude'),
      price('openrouter', 'anthropic/claude'),
      price('openrouter', 'qwen/qwen3'),
      price('qwen', 'other'),
      price('openai', 'shared'),
      price('groq', 'shared'),
      price('groq', 'llama'),
    ],
    match_rules: [
      { provider: 'openai', clause: { starts_with: 'gpt-' }, model_id: 'shared' },
      { provider: 'groq', clause: { contains: 'llama' }, model_id: 'llama' },
      { provider: 'openai', clause: { equals: 'llama' }, model_id: 'shared' },
      { provider: 'groq', clause: { starts_with: 'gpt-oss' }, model_id: 'llama' },
    ],
  });
  const find = (...of: Parameters<typeof name>) => catalog.resolveModel(name(...of), NOW);

  it('is the one that it names, and no other when that one has no such model', () => {
    expect(find('anthropic/claude', 'openrouter')).toMatchObject({ provider: 'openrouter', how: 'exact' });
    expect(find('llama', 'anthropic', 'groq')).toEqual({ held: 'unknown_model' });
    expect(find('claude', 'nobody')).toEqual({ held: 'unknown_model' });
  });

  it('is else the prefix of a provider/model id, when that provider has the model', () => {
    expect(find('anthropic/claude', null, 'openrouter')).toEqual({
      provider: 'anthropic',
      priced_as: 'claude',
      how: 'exact',
    });
    expect(find('qwen/qwen3', null, 'openrouter')).toMatchObject({ provider: 'openrouter', priced_as: 'qwen/qwen3' });
  });

  it('is else the hint', () => {
    expect(find('shared', null, 'groq')).toEqual({ provider: 'groq', priced_as: 'shared', how: 'exact' });
  });

  it('is else the only one that has the model', () => {
    expect(find('claude')).toEqual({ provider: 'anthropic', priced_as: 'claude', how: 'exact' });
    expect(find('gpt-9')).toEqual({ provider: 'openai', priced_as: 'shared', how: 'rule' });
  });

  it('prefers the provider that lists the id over one whose rules would match it', () => {
    expect(find('llama')).toEqual({ provider: 'groq', priced_as: 'llama', how: 'exact' });
  });

  it('is marked when it is not the one of the hint', () => {
    expect(find('claude', null, 'openai')).toEqual({
      provider: 'anthropic',
      priced_as: 'claude',
      how: 'fallback_provider',
    });
  });

  it('is nobody when two could be meant, and the event waits', () => {
    expect(find('shared')).toEqual({ held: 'ambiguous_provider' });
    expect(find('gpt-oss-20b')).toEqual({ held: 'ambiguous_provider' });
    expect(find('mystery', null, 'openai')).toEqual({ held: 'unknown_model' });
  });
});

describe('which model of a provider an event means', () => {
  it('is the exact id before an alias, an alias before a rule', () => {
    const catalog = catalogOf({
      prices: [price('p', 'a'), price('p', 'b'), price('p', 'c')],
      aliases: [
        { provider: 'p', alias: 'a', model_id: 'b' },
        { provider: 'p', alias: 'nick', model_id: 'b' },
      ],
      match_rules: [
        { provider: 'p', clause: { equals: 'a' }, model_id: 'c' },
        { provider: 'p', clause: { contains: 'nick' }, model_id: 'c' },
      ],
    });
    expect(catalog.resolveModel(name('a', 'p'), NOW)).toMatchObject({ priced_as: 'a', how: 'exact' });
    expect(catalog.resolveModel(name('nick', 'p'), NOW)).toMatchObject({ priced_as: 'b', how: 'alias' });
    expect(catalog.resolveModel(name('Nickname', 'p'), NOW)).toMatchObject({ priced_as: 'c', how: 'rule' });
  });

  it('takes an alias at its time only, from inclusive, to exclusive', () => {
    const catalog = catalogOf({
      prices: [price('p', 'a'), price('p', 'b')],
      aliases: [
        { provider: 'p', alias: 'latest', model_id: 'a', effective_to: '2026-06-01T00:00:00Z' },
        { provider: 'p', alias: 'latest', model_id: 'b', effective_from: '2026-07-01T00:00:00Z' },
      ],
    });
    const at = (instant: string) => catalog.resolveModel(name('latest', 'p'), Date.parse(instant));
    expect(at('2026-05-31T23:59:59.999Z')).toMatchObject({ priced_as: 'a' });
    expect(at('2026-06-01T00:00:00.000Z')).toEqual({ held: 'unknown_model' });
    expect(at('2026-06-30T23:59:59.999Z')).toEqual({ held: 'unknown_model' });
    expect(at('2026-07-01T00:00:00.000Z')).toMatchObject({ priced_as: 'b' });
    expect(at('2026-05-01T00:00:00.000Z')).toMatchObject({ priced_as: 'a' });
  });

  it('asks the rules of newer versions first, each version’s in order', () => {
    const rule = (contains: string, model_id: string) => ({ provider: 'p', clause: { contains }, model_id });
    const old = { prices: [price('p', 'a'), price('p', 'b')], match_rules: [rule('x', 'a'), rule('xy', 'b')] };
    expect(catalogOf(old).resolveModel(name('xyz', 'p'), NOW)).toMatchObject({ priced_as: 'a' });
    const newer = { match_rules: [rule('xy', 'b')] };
    expect(catalogOf(old, newer).resolveModel(name('xyz', 'p'), NOW)).toMatchObject({ priced_as: 'b' });
    expect(catalogOf(old, newer).resolveModel(name('xz', 'p'), NOW)).toMatchObject({ priced_as: 'a' });
  });

  it('is a model of the fallback providers, in order and one step deep, and priced by them', () => {
    const catalog = catalogOf({
      prices: [price('first', 'a'), price('second', 'a'), price('second', 'b'), price('third', 'c')],
      fallback_providers: [
        { provider: 'cloud', fallback_providers: ['first', 'second'] },
        { provider: 'second', fallback_providers: ['third'] },
      ],
    });
    expect(catalog.resolveModel(name('a', 'cloud'), NOW)).toEqual({
      provider: 'first',
      priced_as: 'a',
      how: 'fallback_provider',
    });
    expect(catalog.resolveModel(name('b', 'cloud'), NOW)).toMatchObject({ provider: 'second' });
    expect(catalog.resolveModel(name('c', 'cloud'), NOW)).toEqual({ held: 'unknown_model' });
  });

  it('keeps a dated id from the price of another date: nothing is cut from a name', () => {
    const catalog = catalogOf({ prices: [price('openai', 'gpt-4o')] });
    expect(catalog.resolveModel(name('gpt-4o-2024-05-13', 'openai'), NOW)).toEqual({ held: 'unknown_model' });
  });
});

describe('which rows are in force', () => {
  const inForce = (catalog: Catalog, instant: string) =>
    catalog.priceRowsInForce('p', 'm', Date.parse(instant)).map((row) => row.price);
  const row = (text: string | null, effective_from: string, more: Partial<PriceRowInput> = {}) =>
    price('p', 'm', { price: text, effective_from, ...more });

  it('begins with effective_from and ends before effective_to, to the millisecond', () => {
    const catalog = catalogOf({
      prices: [row('1', '2026-11-01T12:00:00Z', { effective_to: '2026-11-02T12:00:00Z' })],
    });
    expect(inForce(catalog, '2026-11-01T11:59:59.999Z')).toEqual([]);
    expect(inForce(catalog, '2026-11-01T12:00:00.000Z')).toEqual(['1']);
    expect(inForce(catalog, '2026-11-02T11:59:59.999Z')).toEqual(['1']);
    expect(inForce(catalog, '2026-11-02T12:00:00.000Z')).toEqual([]);
  });

  it('reads instants of any zone', () => {
    const catalog = catalogOf({ prices: [row('1', '2026-11-01T14:00:00+02:00')] });
    expect(inForce(catalog, '2026-11-01T11:59:59.999Z')).toEqual([]);
    expect(inForce(catalog, '2026-11-01T12:00:00Z')).toEqual(['1']);
  });

  it('is the newest version’s among those that cover the instant, then the latest to begin', () => {
    const catalog = catalogOf(
      { prices: [row('1', '2026-01-01T00:00:00Z'), row('2', '2026-06-01T00:00:00Z')] },
      { prices: [row('3', '2026-03-01T00:00:00Z', { effective_to: '2026-07-01T00:00:00Z' })] },
    );
    expect(inForce(catalog, '2026-02-28T23:59:59.999Z')).toEqual(['1']);
    expect(inForce(catalog, '2026-03-01T00:00:00Z')).toEqual(['3']);
    expect(inForce(catalog, '2026-06-15T00:00:00Z')).toEqual(['3']);
    expect(inForce(catalog, '2026-07-01T00:00:00Z')).toEqual(['2']);
  });

  it('withdraws a slot with price null, from its instant on', () => {
    const catalog = catalogOf(
      { prices: [row('1', '2026-01-01T00:00:00Z'), row('9', '2026-01-01T00:00:00Z', { context_over: 1_000 })] },
      { prices: [row(null, '2026-06-01T00:00:00Z', { context_over: 1_000 })] },
      { prices: [row(null, '2026-08-01T00:00:00Z')] },
    );
    expect(inForce(catalog, '2026-05-01T00:00:00Z')).toEqual(['1', '9']);
    expect(inForce(catalog, '2026-06-01T00:00:00Z')).toEqual(['1']);
    expect(inForce(catalog, '2026-08-01T00:00:00Z')).toEqual([]);
  });

  it('shows the window’s row inside its window and the other one outside, cliffs at any time', () => {
    const catalog = catalogOf({
      prices: [
        row('10', '2026-01-01T00:00:00Z'),
        row('4', '2026-01-01T00:00:00Z', { daily_window: { from: '22:00', to: '06:00' } }),
        row('20', '2026-01-01T00:00:00Z', { context_over: 5 }),
      ],
    });
    expect(inForce(catalog, '2026-11-24T21:59:59.999Z')).toEqual(['10', '20']);
    expect(inForce(catalog, '2026-11-24T22:00:00.000Z')).toEqual(['4', '20']);
    expect(inForce(catalog, '2026-11-24T05:59:59.999Z')).toEqual(['4', '20']);
    expect(inForce(catalog, '2026-11-24T06:00:00.000Z')).toEqual(['10', '20']);
  });

  it('says of a free model that all of it is free, until a newer version says otherwise', () => {
    const free = { models: [{ provider: 'p', model_id: 'm', free: true }] };
    expect(catalogOf(free).priceRowsInForce('p', 'm', NOW)).toMatchObject([{ price: '0', free: true, meter: '*' }]);
    const priced = { models: [{ provider: 'p', model_id: 'm' }] };
    expect(catalogOf(free, priced).priceRowsInForce('p', 'm', NOW)).toEqual([]);
  });
});

describe('which price an event meets', () => {
  const select = (rows: Partial<PriceRowInput>[], input: number, instant = '2026-11-24T12:00:00Z') => {
    const catalog = catalogOf({ prices: rows.map((more) => price('p', 'm', more)) });
    const atMs = Date.parse(instant);
    const { prices } = catalog.modelPrices('p', 'm').spanAt(atMs).select(input, atMs);
    return Object.fromEntries([...prices].map(([meter, { row }]) => [meter, row.price]));
  };

  it('is the highest cliff that the whole input is above', () => {
    const rows = [{ price: '1' }, { price: '2', context_over: 100 }, { price: '3', context_over: 200 }];
    expect([0, 100, 101, 200, 201].map((input) => select(rows, input).input_tokens)).toEqual(['1', '1', '2', '2', '3']);
  });

  it('is a cliff before a window, and of two windows the later one', () => {
    const day = { from: '08:00', to: '18:00' };
    const noon = { from: '11:00', to: '13:00' };
    const rows = [{ price: '1' }, { price: '2', daily_window: day }, { price: '3', daily_window: noon }];
    expect(select(rows, 1).input_tokens).toBe('3');
    expect(select(rows, 1, '2026-11-24T13:00:00Z').input_tokens).toBe('2');
    expect(select([...rows, { price: '4', context_over: 0 }], 1).input_tokens).toBe('4');
  });

  it('follows fallbacks to the row that would meet the other meter', () => {
    const rows = [
      { price: '1' },
      { price: '2', context_over: 100 },
      { meter: 'cache_read_tokens', same_as: 'input_tokens' },
      { meter: 'cache_read_audio_tokens', same_as: 'cache_read_tokens' },
      { meter: 'output_audio_tokens', same_as: 'output_tokens' },
    ];
    expect(select(rows, 101)).toEqual({ input_tokens: '2', cache_read_tokens: '2', cache_read_audio_tokens: '2' });
  });
});
