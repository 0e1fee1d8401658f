import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readBundledCatalog } from '../../src/catalog/bundled-catalog.js';
import { Catalog } from '../../src/catalog/catalog.js';
import { CatalogCache } from '../../src/catalog/catalog-cache.js';
import { currentCatalogVersion, listCatalogVersions, readCatalog } from '../../src/catalog/catalog-store.js';
import { ensureBundledCatalog, publishCatalogVersion } from '../../src/catalog/publish.js';
import { contentHash } from '../../src/contracts/canonical-json.js';
import { type CatalogVersionInput, catalogVersionSchema, type PriceRowInput } from '../../src/contracts/catalog.js';
import { lockKey } from '../../src/database/locks.js';
import { CATALOG_POLL_MILLISECONDS } from '../../src/limits.js';
import { cloneDatabase } from '../support/database.js';

const NOW = Date.parse('2026-11-24T12:00:00Z');
const BY = { actor: 'finance', source: 'api' };

const price = (more: Partial<PriceRowInput> = {}): PriceRowInput => ({
  provider: 'p',
  model_id: 'm',
  meter: 'input_tokens',
  effective_from: '2026-01-01T00:00:00Z',
  ...(more.same_as === undefined && more.price === undefined ? { price: '1' } : {}),
  ...more,
});
const body = (more: Omit<CatalogVersionInput, 'note'>) => catalogVersionSchema.parse({ note: 'a note', ...more });

describe('the bundled catalog in a database', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  beforeAll(async () => {
    database = await cloneDatabase();
  });
  afterAll(() => database.drop());

  it('publishes the bundled prices once, however many processes start at the same time', async () => {
    const { pool } = database;
    const versions = await Promise.all([1, 2, 3].map(() => ensureBundledCatalog(pool)));
    expect(versions).toEqual([1, 1, 1]);
    expect(await ensureBundledCatalog(pool)).toBe(1);
    const page = await listCatalogVersions(pool, { cursor: null, limit: 10 });
    const bundled = await readBundledCatalog();
    expect(page.data).toMatchObject([
      { version: 1, published_by: 'costplus', content_hash: contentHash(bundled), prices: bundled.prices.length },
    ]);
  });

  it('reads back what was published, in the same order and with the same meaning', async () => {
    const stored = await readCatalog(database.pool, 1);
    const direct = Catalog.fromBody(await readBundledCatalog());
    const names = [
      ['anthropic', 'claude-sonnet-4-5-20250929'],
      ['azure', 'gpt-4o-2024-08-06'],
      ['deepseek', 'deepseek-chat'],
      ['perplexity', 'sonar'],
      ['google', 'gemini-2.5-pro'],
    ] as const;
    for (const [provider, model_id] of names) {
      const name = { provider, provider_hint: null, model_id };
      const found = stored.resolveModel(name, NOW);
      expect(found).toEqual(direct.resolveModel(name, NOW));
      if ('held' in found) throw new Error(`${model_id} is held`);
      const rows = (catalog: Catalog) =>
        catalog.priceRowsInForce(found.provider, found.priced_as, NOW).map(({ price_id: _, ...row }) => row);
      expect(rows(stored)).toEqual(rows(direct));
      expect(rows(stored).length).toBeGreaterThan(0);
    }
  });
});

describe('publishing catalog versions', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  beforeAll(async () => {
    database = await cloneDatabase();
  });
  afterAll(() => database.drop());
  const publish = (more: Omit<CatalogVersionInput, 'note'>) => publishCatalogVersion(database.pool, body(more), BY);
  const prices = async (version?: number) =>
    (await readCatalog(database.pool, version)).priceRowsInForce('p', 'm', NOW).map((row) => row.price);

  it('numbers versions one after the other, also those published at the same time', async () => {
    const before = await currentCatalogVersion(database.pool);
    const published = await Promise.all(
      [1, 2, 3, 4, 5].map((n) => publish({ prices: [price({ model_id: `parallel-${n}` })] })),
    );
    expect(published.map(({ version }) => version).sort((a, b) => a - b)).toEqual(
      [1, 2, 3, 4, 5].map((n) => before + n),
    );
  });

  it('waits for seals: publishing takes exclusively the lock that they share', async () => {
    const client = await database.pool.connect();
    await client.query('BEGIN');
    await client.query('SELECT pg_advisory_xact_lock_shared($1::bigint)', [lockKey('catalog')]);
    const version = await currentCatalogVersion(client);
    const publishing = publish({ prices: [price({ model_id: 'waits' })] });
    const waiting = async () => {
      const { rows } = await database.pool.query<{ n: number }>(
        `SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
      );
      return rows[0]!.n;
    };
    await expect.poll(waiting).toBe(1);
    expect(await currentCatalogVersion(client)).toBe(version);
    await client.query('COMMIT');
    client.release();
    expect((await publishing).version).toBe(version + 1);
  });

  it('corrects, withdraws and keeps what older versions said', async () => {
    const first = await publish({ prices: [price(), price({ price: '5', context_over: 100 })] });
    const second = await publish({ prices: [price({ price: '2', effective_from: '2026-06-01T00:00:00Z' })] });
    const third = await publish({ prices: [price({ price: null, context_over: 100 })] });
    const fourth = await publish({ prices: [price({ price: null, effective_from: '2026-11-01T00:00:00Z' })] });
    expect(await prices(first.version)).toEqual(['1', '5']);
    expect(await prices(second.version)).toEqual(['2', '5']);
    expect(await prices(third.version)).toEqual(['2']);
    expect(await prices(fourth.version)).toEqual([]);
    expect(await prices()).toEqual([]);
  });

  it('refuses to bury a later price unless told to, and then leaves nothing behind', async () => {
    await publish({ prices: [price({ model_id: 'future', effective_from: '2027-01-01T00:00:00Z' })] });
    const version = await currentCatalogVersion(database.pool);
    const early = price({ model_id: 'future', price: '3' });
    await expect(publish({ prices: [early] })).rejects.toMatchObject({ code: 'buries_prices', field: 'prices[0]' });
    expect(await currentCatalogVersion(database.pool)).toBe(version);
    expect((await publish({ prices: [{ ...early, supersede: true }] })).version).toBe(version + 1);
  });

  it('refuses fallbacks that run in a circle through rows of older versions', async () => {
    await publish({ prices: [price({ model_id: 'circle', meter: 'a', same_as: 'b' })] });
    await expect(publish({ prices: [price({ model_id: 'circle', meter: 'b', same_as: 'a' })] })).rejects.toMatchObject({
      code: 'invalid_catalog',
    });
  });

  it('keeps every column of a row', async () => {
    const row = price({
      model_id: 'whole',
      meter: 'requests',
      price: '0.000000000000000000000001',
      raw_price: '1e-24',
      per: 1_000,
      currency: 'eur',
      effective_from: '2026-05-01T00:00:00.001Z',
      effective_to: '2026-12-01T00:00:00+02:00',
      context_over: 7,
      daily_window: { from: '11:30', to: '00:15' },
      per_event: true,
      service_tier: 'batch',
      region: 'eu',
      book: 'committed',
      supersede: true,
    });
    const { version } = await publish({ prices: [row] });
    const [found] = (await readCatalog(database.pool)).priceRowsInForce('p', 'whole', NOW);
    expect(found).toEqual({
      price_id: expect.stringMatching(/^\d+$/),
      version,
      provider: 'p',
      model_id: 'whole',
      meter: 'requests',
      price: '0.000000000000000000000001',
      per: 1_000,
      currency: 'eur',
      same_as: null,
      free: false,
      per_event: true,
      effective_from: '2026-05-01T00:00:00.001Z',
      effective_to: '2026-11-30T22:00:00.000Z',
      context_over: 7,
      daily_window: { from: '11:30', to: '00:15' },
      service_tier: 'batch',
      region: 'eu',
      book: 'committed',
    });
    const { rows } = await database.pool.query('SELECT raw_price FROM catalog_prices WHERE version = $1', [version]);
    expect(rows).toEqual([{ raw_price: '1e-24' }]);
  });

  it('keeps aliases with their dates, rules, and fallbacks of a newer version instead of the older ones', async () => {
    const models = [
      { provider: 'q', model_id: 'x' },
      { provider: 'r', model_id: 'x' },
    ];
    const alias = { provider: 'q', alias: 'nick', model_id: 'x', effective_to: '2026-11-24T12:00:00Z' };
    const fallback = (name: string) => [{ provider: 'cloud', fallback_providers: [name] }];
    const rule = { provider: 'q', clause: { or: [{ contains: 'y' }] }, model_id: 'x' };
    await publish({ models, aliases: [alias], match_rules: [rule], fallback_providers: fallback('q') });
    await publish({ fallback_providers: fallback('r') });
    const catalog = await readCatalog(database.pool);
    const find = (provider: string, model_id: string, at: number) =>
      catalog.resolveModel({ provider, provider_hint: null, model_id }, at);
    expect(find('q', 'nick', NOW - 1)).toMatchObject({ priced_as: 'x', how: 'alias' });
    expect(find('q', 'nick', NOW)).toEqual({ held: 'unknown_model' });
    expect(find('q', 'any', NOW)).toMatchObject({ priced_as: 'x', how: 'rule' });
    expect(find('cloud', 'x', NOW)).toMatchObject({ provider: 'r', how: 'fallback_provider' });
  });

  it('keeps multipliers, price books of sources and what is said of a model', async () => {
    const multiplier = {
      provider: 'm',
      model_id: 'x',
      region: 'eu',
      meters: ['input_tokens'],
      multiplier: '1.1',
      effective_from: '2026-05-01T00:00:00Z',
      effective_to: '2027-05-01T00:00:00Z',
    };
    const models = [
      { provider: 'm', model_id: 'x', name: 'X', deprecated: true, successor: 'y' },
      { provider: 'm', model_id: 'y' },
    ];
    const source_books = [{ source_id: 'gateway', book: 'committed', effective_from: '2026-05-01T00:00:00Z' }];
    const { version } = await publish({ models, multipliers: [multiplier], source_books });
    const catalog = await readCatalog(database.pool);
    expect(catalog.multipliersInForce('m', 'x', NOW)).toEqual([
      {
        ...multiplier,
        multiplier_id: expect.stringMatching(/^\d+$/),
        version,
        service_tier: null,
        book: null,
        effective_from: '2026-05-01T00:00:00.000Z',
        effective_to: '2027-05-01T00:00:00.000Z',
      },
    ]);
    expect(catalog.modelEntry('m', 'x')).toEqual({ version, ...models[0], free: false });
    const usage = { source_id: 'gateway', service_tier: null, region: null };
    expect(catalog.conditionsOf(usage, NOW)).toMatchObject({ book: 'committed' });
    expect(catalog.conditionsOf(usage, Date.parse('2026-04-30T23:59:59.999Z'))).toMatchObject({ book: null });
  });

  it('writes who published what into the audit log', async () => {
    const { version, content_hash } = await publish({ prices: [price({ model_id: 'audited' })] });
    const { rows } = await database.pool.query('SELECT actor, action, detail FROM audit_log WHERE subject = $1', [
      `catalog/${version}`,
    ]);
    expect(rows).toEqual([
      { actor: 'finance', action: 'catalog.publish', detail: { content_hash, prices: 1, note: 'a note' } },
    ]);
  });

  it.each([
    'versions',
    'prices',
    'models',
    'match_rules',
    'fallback_providers',
    'aliases',
    'multipliers',
    'source_books',
  ])('is refused by the database to change catalog_%s afterwards', async (table) => {
    await expect(database.pool.query(`UPDATE catalog_${table} SET version = version`)).rejects.toThrow('immutable');
    await expect(database.pool.query(`DELETE FROM catalog_${table}`)).rejects.toThrow('immutable');
  });

  it('lists versions, the newest first, page by page', async () => {
    const all: number[] = [];
    let cursor: string | null = null;
    do {
      const page: Awaited<ReturnType<typeof listCatalogVersions>> = await listCatalogVersions(database.pool, {
        cursor,
        limit: 4,
      });
      all.push(...page.data.map(({ version }) => version));
      cursor = page.next_cursor;
    } while (cursor !== null);
    const newest = await currentCatalogVersion(database.pool);
    expect(all).toEqual(Array.from({ length: newest }, (_, i) => newest - i));
    await expect(listCatalogVersions(database.pool, { cursor: 'x', limit: 4 })).rejects.toMatchObject({
      code: 'invalid_request',
    });
  });

  it('does not read a version that is not published', async () => {
    await expect(readCatalog(database.pool, 99_999)).rejects.toMatchObject({ code: 'not_found' });
  });
});

describe('the cache of catalogs', () => {
  it('compiles a version once, and notices a new one after the poll interval', async () => {
    const database = await cloneDatabase();
    let now = 1_000;
    const cache = new CatalogCache(database.pool, () => now);
    const publish = (model_id: string) =>
      publishCatalogVersion(database.pool, body({ prices: [price({ model_id })] }), BY);
    await publish('a');
    const first = await cache.current();
    expect(first.version).toBe(1);
    expect(await cache.at(1)).toBe(first);
    await publish('b');
    now += CATALOG_POLL_MILLISECONDS - 1;
    expect(await cache.current()).toBe(first);
    now += 1;
    expect((await cache.current()).version).toBe(2);
    await expect(cache.at(3)).rejects.toMatchObject({ code: 'not_found' });
    await publish('c');
    expect((await cache.at(3)).version).toBe(3);
    await database.drop();
  });
});
