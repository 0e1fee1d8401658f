import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Catalog } from '../../../src/catalog/catalog.js';
import { EMPTY_CATALOG, extendCatalog } from '../../../src/catalog/catalog-data.js';
import { checkCatalogVersion } from '../../../src/catalog/check-version.js';
import {
  type CatalogVersionInput,
  catalogVersionSchema,
  type MultiplierInput,
  type PriceRowInput,
} from '../../../src/contracts/catalog.js';
import { add, equals, format, ZERO } from '../../../src/money/fraction.js';
import { groupCost } from '../../../src/pricing/group-cost.js';
import { mergeResults } from '../../../src/pricing/merge-results.js';
import { priceEvent } from '../../../src/pricing/price-event.js';
import { createPricer } from '../../../src/pricing/price-events.js';
import type { PricingInputs, UsageRow } from '../../../src/pricing/pricing-result.js';
import { usageRow } from '../../support/usage-row.js';

const BEGIN = '2026-01-01T00:00:00Z';
const NOON = Date.parse('2026-11-01T12:00:00Z');

const price = (text: string, row: Partial<PriceRowInput> = {}): PriceRowInput => ({
  provider: 'p',
  model_id: 'm',
  meter: 'input_tokens',
  price: text,
  effective_from: BEGIN,
  ...row,
});
const times = (multiplier: string | null, row: Partial<MultiplierInput>): MultiplierInput => ({
  provider: 'p',
  multiplier,
  effective_from: BEGIN,
  ...row,
});
function catalogOf(...bodies: Omit<CatalogVersionInput, 'note'>[]): Catalog {
  let data = EMPTY_CATALOG;
  for (const body of bodies) {
    const parsed = catalogVersionSchema.parse({ note: 'x', ...body });
    checkCatalogVersion(data, parsed);
    data = extendCatalog(data, parsed, data.version + 1);
  }
  return new Catalog(data);
}
const event = (row: Partial<UsageRow> = {}) =>
  usageRow({ provider: 'p', model_id: 'm', usage: { input_tokens: 10 }, occurred_at_ms: NOON, ...row });
const costOf = (catalog: Catalog, row: Partial<UsageRow> = {}) => {
  const priced = priceEvent(catalog, event(row));
  return 'held' in priced ? priced.held.reason : format(priced.total);
};

describe('a price row with a condition', () => {
  const catalog = catalogOf({
    prices: [
      price('10'),
      price('20', { context_over: 5 }),
      price('5', { service_tier: 'batch' }),
      price('12', { region: 'eu' }),
      price('6', { service_tier: 'batch', region: 'eu' }),
      price('3', { book: 'committed' }),
      price('2', { book: 'committed', service_tier: 'batch' }),
      price('1', { meter: 'output_tokens' }),
    ],
    source_books: [
      { source_id: 'gateway', book: 'committed', effective_from: '2026-11-01T12:00:00Z' },
      { source_id: 'gateway', book: null, effective_from: '2026-11-02T12:00:00Z' },
    ],
  });

  it('is before a row without, also before one of a cliff', () => {
    expect(costOf(catalog)).toBe('200');
    expect(costOf(catalog, { service_tier: 'batch' })).toBe('50');
    expect(costOf(catalog, { region: 'eu' })).toBe('120');
    expect(costOf(catalog, { service_tier: 'batch', region: 'eu' })).toBe('60');
  });

  it('applies to exactly its value', () => {
    expect(costOf(catalog, { service_tier: 'Batch' })).toBe('200');
    expect(costOf(catalog, { region: 'eu-1' })).toBe('200');
  });

  it('leaves meters that it does not name to the rows without', () => {
    expect(costOf(catalog, { service_tier: 'batch', usage: { output_tokens: 7 } })).toBe('7');
  });

  it('of a price book is before all others, for usage of the book’s sources and in its time', () => {
    const gateway = { source_id: 'gateway' };
    expect(costOf(catalog, gateway)).toBe('30');
    expect(costOf(catalog, { ...gateway, service_tier: 'batch' })).toBe('20');
    expect(costOf(catalog, { ...gateway, region: 'eu' })).toBe('30');
    expect(costOf(catalog, { ...gateway, occurred_at_ms: NOON - 1 })).toBe('200');
    expect(costOf(catalog, { ...gateway, occurred_at_ms: NOON + 86_400_000 })).toBe('200');
    expect(costOf(catalog, { source_id: 'other' })).toBe('200');
  });

  it('has a slot of its own: a newer base price does not hide it, its own withdrawal does', () => {
    const first = { prices: [price('10'), price('5', { service_tier: 'batch' })] };
    const batch = { service_tier: 'batch' };
    expect(costOf(catalogOf(first, { prices: [price('11')] }), batch)).toBe('50');
    const withdrawn = { ...price('1', batch), price: null, effective_from: '2026-11-01T12:00:00Z' };
    const later = catalogOf(first, { prices: [withdrawn] });
    expect(costOf(later, { ...batch, occurred_at_ms: NOON - 1 })).toBe('50');
    expect(costOf(later, batch)).toBe('100');
  });
});

describe('a multiplier', () => {
  it('is exact, and several conditions of one event multiply', () => {
    const catalog = catalogOf({
      prices: [price('0.000003', { per: 7 })],
      multipliers: [times('0.5', { service_tier: 'batch' }), times('1.1', { region: 'us' }), times('0.9', {})],
    });
    expect(costOf(catalog, { usage: { input_tokens: 7 } })).toBe('0.0000027');
    expect(costOf(catalog, { usage: { input_tokens: 7 }, service_tier: 'batch' })).toBe('0.00000135');
    expect(costOf(catalog, { usage: { input_tokens: 7 }, service_tier: 'batch', region: 'us' })).toBe('0.000001485');
  });

  it('of the model is taken instead of the provider’s, for the meters that it names', () => {
    const catalog = catalogOf({
      prices: [price('10'), price('100', { meter: 'web_searches' }), price('10', { model_id: 'other' })],
      multipliers: [
        times('0.5', { service_tier: 'batch' }),
        times('0.4', { service_tier: 'batch', model_id: 'm', meters: ['input_tokens'] }),
      ],
    });
    const batch = { service_tier: 'batch' };
    expect(costOf(catalog, batch)).toBe('40');
    expect(costOf(catalog, { ...batch, usage: { web_searches: 1 } })).toBe('50');
    expect(costOf(catalog, { ...batch, model_id: 'other' })).toBe('50');
  });

  it('leaves a row alone that is the price of the tier, the region, the book already', () => {
    const catalog = catalogOf({
      prices: [price('10'), price('4', { service_tier: 'batch' }), price('7', { book: 'b' })],
      multipliers: [
        times('0.5', { service_tier: 'batch' }),
        times('2', { region: 'eu' }),
        times('0.9', {}),
        times('0.5', { book: 'b' }),
      ],
      source_books: [{ source_id: 's', book: 'b', effective_from: BEGIN }],
    });
    expect(costOf(catalog, { service_tier: 'batch' })).toBe('36');
    expect(costOf(catalog, { service_tier: 'batch', region: 'eu' })).toBe('72');
    expect(costOf(catalog, { source_id: 's' })).toBe('70');
  });

  it('has dates, to the millisecond, and a newer version can withdraw it', () => {
    const dated = { service_tier: 'batch', effective_from: '2026-11-01T12:00:00Z' };
    const catalog = catalogOf({ prices: [price('10')], multipliers: [times('0.5', dated)] });
    const batch = { service_tier: 'batch' };
    expect(costOf(catalog, { ...batch, occurred_at_ms: NOON - 1 })).toBe('100');
    expect(costOf(catalog, batch)).toBe('50');
    const withdrawn = catalogOf(
      { prices: [price('10')], multipliers: [times('0.5', dated)] },
      { multipliers: [times(null, { ...dated, effective_from: '2026-11-02T00:00:00Z' })] },
    );
    expect(costOf(withdrawn, batch)).toBe('50');
    expect(costOf(withdrawn, { ...batch, occurred_at_ms: Date.parse('2026-11-02T00:00:00Z') })).toBe('100');
  });

  it('follows fallbacks to the price and multiplies that; what is free stays free', () => {
    const catalog = catalogOf({
      prices: [
        price('10'),
        { ...price('1', { meter: 'cache_read_tokens' }), price: undefined, same_as: 'input_tokens' },
        price('0', { meter: 'output_tokens', free: true }),
      ],
      multipliers: [times('0.5', { service_tier: 'batch' })],
    });
    const usage = { cache_read_tokens: 2, output_tokens: 9 };
    expect(costOf(catalog, { service_tier: 'batch', usage })).toBe('10');
  });

  it('is refused when it hides a later one of an older version, stands twice, or names two conditions', () => {
    const first = { multipliers: [times('0.5', { service_tier: 'batch', effective_from: '2026-06-01T00:00:00Z' })] };
    const earlier = times('0.4', { service_tier: 'batch' });
    expect(() => catalogOf(first, { multipliers: [earlier] })).toThrow(/would hide/);
    expect(() =>
      catalogOf(first, { multipliers: [{ ...earlier, effective_to: '2026-06-01T00:00:00Z' }] }),
    ).not.toThrow();
    expect(() => catalogOf(first, { multipliers: [{ ...earlier, supersede: true }] })).not.toThrow();
    expect(() => catalogOf({ multipliers: [earlier, earlier] })).toThrow(/twice/);
    const two = { note: 'x', multipliers: [times('0.4', { service_tier: 'batch', region: 'eu' })] };
    expect(catalogVersionSchema.safeParse(two).success).toBe(false);
    expect(catalogVersionSchema.safeParse({ note: 'x', multipliers: [times('0.0', {})] }).success).toBe(false);
  });
});

describe('a tier that the catalog has no price for', () => {
  const catalog = catalogOf({
    prices: [price('10'), price('10', { model_id: 'n' }), price('5', { service_tier: 'batch' })],
    multipliers: [times('2', { service_tier: 'priority', model_id: 'n' })],
  });
  const tierOf = (row: Partial<UsageRow>) => {
    const priced = priceEvent(catalog, event(row));
    return 'held' in priced ? priced.held : priced.unpriced_tier;
  };

  it('is priced as listed and marked', () => {
    expect(costOf(catalog, { service_tier: 'turbo' })).toBe('100');
    expect(tierOf({ service_tier: 'turbo' })).toBe('turbo');
    expect(tierOf({ service_tier: 'priority' })).toBe('priority');
    expect(tierOf({ model_id: 'n', service_tier: 'batch' })).toBe('batch');
  });

  it('is not marked where a row or a multiplier says its price, or it is what list prices are for', () => {
    expect(tierOf({ service_tier: 'batch' })).toBeNull();
    expect(tierOf({ model_id: 'n', service_tier: 'priority' })).toBeNull();
    for (const tier of [null, 'standard', 'default', 'auto', 'ON_DEMAND'])
      expect(tierOf({ service_tier: tier })).toBeNull();
  });
});

describe('the sums of many events', () => {
  const catalog = catalogOf({
    prices: [
      price('3', { per: 1_000 }),
      price('5', { per: 1_000, effective_from: '2026-11-01T12:00:00Z' }),
      price('1.5', { per: 1_000, service_tier: 'batch' }),
      price('9', { per: 1_000, context_over: 50 }),
      price('2', { per: 1_000, book: 'committed' }),
      price('7', { meter: 'output_tokens', per: 1_000 }),
      price('4', { model_id: 'n', per: 1_000 }),
    ],
    multipliers: [
      times('0.5', { service_tier: 'flex' }),
      times('1.1', { region: 'eu', effective_from: '2026-11-01T12:00:00Z' }),
      times('0.75', { book: 'committed' }),
    ],
    source_books: [{ source_id: 's', book: 'committed', effective_from: '2026-11-01T12:00:00Z' }],
  });
  const inputs: PricingInputs = {
    catalog_version: 1,
    assignments: [{ plan_id: 'pro', version: 1, from: null }],
    attributes: [],
  };
  const rows = fc.array(
    fc.record({
      model_id: fc.constantFrom('m', 'n', 'unknown'),
      source_id: fc.constantFrom(null, 's', 't'),
      service_tier: fc.constantFrom(null, 'batch', 'flex', 'turbo'),
      region: fc.constantFrom(null, 'eu', 'us'),
      occurred_at_ms: fc.constantFrom(NOON - 1, NOON, NOON + 1),
      usage: fc.record({ input_tokens: fc.nat(100), output_tokens: fc.nat(100) }),
    }),
    { maxLength: 40 },
  );
  const sumOf = (events: UsageRow[]) => {
    const pricer = createPricer(catalog, inputs);
    for (const row of events) pricer.add(row);
    return pricer.result();
  };

  it('cost what the events cost one by one, in any order and in any parts', () => {
    fc.assert(
      fc.property(rows, fc.nat(40), (drawn, cut) => {
        const events = drawn.map(event);
        const whole = sumOf(events);
        const alone = events.reduce((total, row) => {
          const priced = priceEvent(catalog, row);
          return 'held' in priced ? total : add(total, priced.total);
        }, ZERO);
        const cost = whole.groups.map(groupCost).reduce(add, ZERO);
        expect(equals(cost, alone)).toBe(true);
        expect(sumOf([...events].reverse())).toEqual(whole);
        expect(mergeResults(sumOf(events.slice(cut)), sumOf(events.slice(0, cut)))).toEqual(whole);
      }),
    );
  });

  it('keep groups apart that have one price row and different multipliers', () => {
    const { groups } = sumOf([event(), event({ service_tier: 'flex' }), event({ region: 'eu' })]);
    expect(groups.map(({ price_id, multiplier }) => [price_id, multiplier])).toEqual([
      ['1.1', undefined],
      ['1.1', '0.5'],
      ['1.1', '1.1'],
    ]);
  });
});
