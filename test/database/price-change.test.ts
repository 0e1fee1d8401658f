import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CatalogCache } from '../../src/catalog/catalog-cache.js';
import { proposeImport, publishProposal } from '../../src/catalog/proposals.js';
import { publishCatalogVersion } from '../../src/catalog/publish.js';
import { type CatalogVersionInput, catalogVersionSchema, type PriceRowInput } from '../../src/contracts/catalog.js';
import type { UsageEvent } from '../../src/contracts/usage-event.js';
import type { Appender } from '../../src/ledger/append.js';
import { readHorizon } from '../../src/ledger/horizon.js';
import { pricePeriod } from '../../src/ledger/price-period.js';
import { readPricingInputs } from '../../src/ledger/pricing-inputs.js';
import { priceRange, readHead, readResult } from '../../src/ledger/pricing-runs.js';
import { readSealablePeriod } from '../../src/ledger/seal.js';
import { toUsageEvent } from '../../src/usage/usage-event.js';
import { cloneDatabase } from '../support/database.js';
import { appenderOn, customer, publishBasics } from '../support/ledger.js';

const BY = { actor: 'test', source: 'test' };
const NOON = '2026-11-16T12:00:00Z';
const NOON_MS = Date.parse(NOON);

interface Usage {
  model_id?: string;
  provider?: string | null;
  source_id?: string | null;
  service_tier?: string | null;
  region?: string | null;
  at?: number;
  input?: number;
}

describe('a change of prices under usage', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  let catalogs: CatalogCache;
  let appender: Appender;
  let events = 0;
  let customers = 0;

  beforeAll(async () => {
    database = await cloneDatabase();
    catalogs = new CatalogCache(database.pool);
    await publishBasics(database.pool);
    appender = appenderOn(database.pool, { now: () => NOON_MS + 3_600_000 });
  });
  afterAll(async () => {
    await appender.close();
    await database.drop();
  });

  const publish = (body: Omit<CatalogVersionInput, 'note'>) =>
    publishCatalogVersion(database.pool, catalogVersionSchema.parse({ note: 'a change', ...body }), BY);
  const newCustomer = async () => {
    const id = `customer-${++customers}`;
    await customer(database.pool, id);
    return id;
  };
  const append = async (customerId: string, usages: Usage[]) => {
    const sent = usages.map((usage): UsageEvent => {
      const { provider = 'anthropic', service_tier, region } = usage;
      return toUsageEvent(
        {
          event_id: `evt-${++events}`,
          customer_id: customerId,
          ...(provider === null ? {} : { provider }),
          model_id: usage.model_id ?? 'claude-x',
          occurred_at: new Date(usage.at ?? NOON_MS).toISOString(),
          usage: { input_tokens: usage.input ?? 1_000_000 },
          ...(service_tier ? { service_tier } : {}),
          ...(region ? { region } : {}),
        },
        { source_id: usage.source_id ?? null, default_provider: null },
      );
    });
    const results = await appender.append(sent, { may_backfill: false });
    for (const { status } of results) expect(['accepted', 'held']).toContain(status);
  };
  const periodOf = async (customerId: string) => {
    const { rows } = await database.pool.query<{ period_id: number }>(
      'SELECT period_id FROM periods WHERE customer_id = $1',
      [customerId],
    );
    return rows[0]!.period_id;
  };
  /** Prices once everything appended is settled: transactions of other databases hold the horizon back too. */
  const price = async (customerId: string, sliceEvents?: number) => {
    const periodId = await periodOf(customerId);
    const { rows } = await database.pool.query<{ last: string }>(
      'SELECT max(chunk)::text AS last FROM usage_events WHERE period_id = $1',
      [periodId],
    );
    while ((await readHorizon(database.pool)) <= BigInt(rows[0]!.last)) await sleep(5);
    return pricePeriod({ pool: database.pool, catalogs, ...(sliceEvents ? { sliceEvents } : {}) }, periodId);
  };

  it('at noon is billed right on both sides of it, in any order of events, pricing and publishing', async () => {
    const [early, between, late] = [await newCustomer(), await newCustomer(), await newCustomer()];
    const before = { at: NOON_MS - 1 };
    const after = { at: NOON_MS };
    await append(early, [after, before]);
    await append(between, [after]);
    expect(await price(early)).toMatchObject({ cost: '6' });
    expect(await price(between)).toMatchObject({ cost: '3' });

    const document = {
      'claude-x': {
        litellm_provider: 'anthropic',
        input_cost_per_token: 4e-6,
        input_cost_per_token_batches: 2e-6,
      },
    };
    const { proposal } = await proposeImport(
      { pool: database.pool, catalogs },
      { source: 'litellm', document, effective_from: NOON, providers: null, withdraw_removed: false },
      'test',
    );
    await publishProposal({ pool: database.pool, catalogs }, proposal.proposal_id, 'test');

    // Priced before: the unit after noon again, the one before it as it was.
    expect(await price(early)).toMatchObject({ cost: '7', events: 2 });
    await append(between, [before, { ...after, service_tier: 'batch' }]);
    expect(await price(between)).toMatchObject({ cost: '9', events: 3 });
    await append(late, [before, { ...after, service_tier: 'batch' }, after]);
    expect(await price(late)).toMatchObject({ cost: '9', events: 3 });
  });

  it('by a multiplier of the provider, by a price book, reaches all usage that meets it', async () => {
    await publish({ prices: ['a', 'b'].map((id) => priced('wide', id, '10')) });
    const id = await newCustomer();
    const wide = (usage: Usage) => ({ provider: 'wide', model_id: 'a', at: NOON_MS, ...usage });
    await append(id, [wide({}), wide({ model_id: 'b', service_tier: 'batch' }), wide({ source_id: 'gateway' })]);
    expect(await price(id)).toMatchObject({ cost: '30' });
    const half = { provider: 'wide', service_tier: 'batch', multiplier: '0.5', effective_from: '2026-11-01T00:00:00Z' };
    await publish({ multipliers: [half] });
    expect(await price(id)).toMatchObject({ cost: '25' });
    await publish({ prices: [priced('wide', 'a', '7', { book: 'committed' })] });
    expect(await price(id)).toMatchObject({ cost: '25' });
    await publish({ source_books: [{ source_id: 'gateway', book: 'committed', effective_from: NOON }] });
    expect(await price(id)).toMatchObject({ cost: '22' });
  });

  it('priced for what it touches only, in whatever slices, is the same as pricing everything again at once', async () => {
    const instant = fc.constantFrom('2026-11-10T00:00:00Z', '2026-11-16T12:00:00Z', '2026-11-16T12:00:00.001Z');
    const model = fc.constantFrom('r', 's', 's-dated', 't');
    const tier = fc.constantFrom(undefined, 'batch', 'flex');
    const amount = fc.constantFrom('1', '2.5', '0.000000000001', '7');
    const row = fc.record({
      model,
      provider: fc.constantFrom('one', 'two'),
      amount,
      instant,
      tier,
      book: fc.boolean(),
    });
    const multiplier = fc.record({
      provider: fc.constantFrom('one', 'two'),
      model: fc.option(model),
      multiplier: fc.constantFrom('0.5', '1.1', null),
      instant,
      tier,
    });
    const change = fc.oneof(
      { weight: 4, arbitrary: fc.record({ rows: fc.array(row, { minLength: 1, maxLength: 3 }) }) },
      { weight: 3, arbitrary: fc.record({ multipliers: fc.array(multiplier, { minLength: 1, maxLength: 2 }) }) },
      { weight: 3, arbitrary: fc.record({ book: fc.constantFrom('committed', null), instant }) },
      { weight: 1, arbitrary: fc.record({ rule: fc.constantFrom('s', 't') }) },
    );
    type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;
    const usage = fc.record({
      model_id: fc.constantFrom('r', 's', 's-dated', 't', 'one/s', 'unknown'),
      provider: fc.constantFrom('one', 'two', null),
      source_id: fc.constantFrom(null, 'gateway'),
      service_tier: fc.constantFrom(null, 'batch', 'flex'),
      at: fc.constantFrom(NOON_MS - 1, NOON_MS, NOON_MS + 1),
      input: fc.integer({ min: 1, max: 1_000 }),
    });
    const bodyOf = (drawn: Change): Omit<CatalogVersionInput, 'note'> => {
      if ('rows' in drawn) {
        const rows = drawn.rows.map(({ provider, model: id, amount: text, instant: from, tier: name, book }) =>
          priced(provider, id, text, {
            effective_from: from,
            supersede: true,
            ...(name === undefined ? {} : { service_tier: name }),
            ...(book ? { book: 'committed' } : {}),
          }),
        );
        return { prices: unique(rows, (entry) => JSON.stringify({ ...entry, price: '' })) };
      }
      if ('multipliers' in drawn) {
        const rows = drawn.multipliers.map((entry) => ({
          provider: entry.provider,
          ...(entry.model === null ? {} : { model_id: entry.model }),
          ...(entry.tier === undefined ? {} : { service_tier: entry.tier }),
          multiplier: entry.multiplier,
          effective_from: entry.instant,
          supersede: true,
        }));
        return { multipliers: unique(rows, (entry) => JSON.stringify({ ...entry, multiplier: '' })) };
      }
      if ('book' in drawn) {
        return { source_books: [{ source_id: 'gateway', book: drawn.book, effective_from: drawn.instant }] };
      }
      return {
        models: [{ provider: 'one', model_id: drawn.rule }],
        match_rules: [{ provider: 'one', clause: { starts_with: 's' }, model_id: drawn.rule }],
      };
    };
    await fc.assert(
      fc.asyncProperty(
        fc.array(usage, { minLength: 1, maxLength: 15 }),
        fc.array(fc.tuple(change, fc.array(usage, { maxLength: 3 })), { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 1, max: 6 }),
        async (first, changes, sliceEvents) => {
          const id = await newCustomer();
          for (const one of first) await append(id, [one]);
          const periodId = await periodOf(id);
          await price(id, sliceEvents);
          for (const [drawn, more] of changes) {
            await publish(bodyOf(drawn));
            if (more.length > 0) await append(id, more);
            await price(id, sliceEvents);
            const head = (await readHead(database.pool, periodId))!;
            const period = (await readSealablePeriod(database.pool, periodId))!;
            const target = await readPricingInputs(database.pool, period, head.catalog_version);
            const range = { period_id: periodId, from_xid: 0n, to_xid: head.priced_to };
            const catalog = await catalogs.at(head.catalog_version);
            const scratch = await priceRange(database.pool, catalog, target.inputs, target, range);
            expect(await readResult(database.pool, periodId, head.inputs_hash)).toEqual(scratch);
          }
        },
      ),
      { numRuns: 25 },
    );
  });
});

const priced = (
  provider: string,
  model_id: string,
  price: string,
  row: Partial<PriceRowInput> = {},
): PriceRowInput => ({
  provider,
  model_id,
  meter: 'input_tokens',
  price,
  per: 1_000_000,
  effective_from: '2026-01-01T00:00:00Z',
  ...row,
});

function unique<T>(items: T[], keyOf: (item: T) => string): T[] {
  return [...new Map(items.map((item) => [keyOf(item), item])).values()];
}
