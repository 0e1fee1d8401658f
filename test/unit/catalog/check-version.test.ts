import { describe, expect, it } from 'vitest';
import { type CatalogData, EMPTY_CATALOG, extendCatalog } from '../../../src/catalog/catalog-data.js';
import { checkCatalogVersion } from '../../../src/catalog/check-version.js';
import { type CatalogVersionInput, catalogVersionSchema, type PriceRowInput } from '../../../src/contracts/catalog.js';

const row = (more: Partial<PriceRowInput> = {}): PriceRowInput => ({
  provider: 'p',
  model_id: 'm',
  meter: 'input_tokens',
  effective_from: '2026-01-01T00:00:00Z',
  ...(more.same_as === undefined && more.price === undefined ? { price: '1' } : {}),
  ...more,
});

const bodyOf = (body: Omit<CatalogVersionInput, 'note'>) => catalogVersionSchema.parse({ note: 'x', ...body });

function fault(body: Omit<CatalogVersionInput, 'note'>, before: CatalogData = EMPTY_CATALOG): string | null {
  try {
    checkCatalogVersion(before, bodyOf(body));
    return null;
  } catch (error) {
    const { code, field } = error as { code: string; field: string };
    return `${code} ${field}`;
  }
}

const FEBRUARY = '2026-02-01T00:00:00Z';
const MARCH = '2026-03-01T00:00:00Z';
const before = extendCatalog(EMPTY_CATALOG, bodyOf({ prices: [row(), row({ price: '2', effective_from: MARCH })] }), 1);

describe('a row of a catalog version', () => {
  it('says free when it costs nothing, and costs nothing when it says free', () => {
    expect(fault({ prices: [row({ price: '0.00' })] })).toBe('invalid_catalog prices[0].price');
    expect(fault({ prices: [row({ price: '0', free: true })] })).toBeNull();
    expect(fault({ prices: [row({ price: '1', free: true })] })).toBe('invalid_catalog prices[0].free');
    expect(fault({ prices: [row({ price: null, free: true })] })).toBe('invalid_catalog prices[0].free');
  });

  it('has a span and a window that are not empty', () => {
    const at = '2026-01-01T01:00:00+01:00';
    expect(fault({ prices: [row({ effective_to: at })] })).toBe('invalid_catalog prices[0].effective_to');
    const daily_window = { from: '06:00', to: '06:00' };
    expect(fault({ prices: [row({ daily_window })] })).toBe('invalid_catalog prices[0].daily_window');
  });

  it('is the only one of its slot and instant in a version', () => {
    expect(fault({ prices: [row(), row({ price: '2', effective_from: '2026-01-01T01:00:00+01:00' })] })).toBe(
      'invalid_catalog prices[1]',
    );
    expect(fault({ prices: [row(), row({ price: '2', context_over: 0 })] })).toBeNull();
  });

  it('does not lead in a circle of fallbacks at any instant', () => {
    const circle = [
      row({ same_as: 'cache_read_tokens' }),
      row({ meter: 'cache_read_tokens', same_as: 'input_tokens' }),
    ];
    expect(fault({ prices: circle })).toBe('invalid_catalog prices');
    expect(fault({ prices: [row({ same_as: 'input_tokens' })] })).toBe('invalid_catalog prices[0].same_as');
    const [first, second] = circle as [PriceRowInput, PriceRowInput];
    expect(
      fault({
        prices: [
          { ...first, effective_to: MARCH },
          { ...second, effective_from: MARCH },
        ],
      }),
    ).toBeNull();
    const older = extendCatalog(EMPTY_CATALOG, bodyOf({ prices: [first] }), 1);
    expect(fault({ prices: [{ ...second, effective_from: MARCH }] }, older)).toBe('invalid_catalog prices');
  });

  it('is in the one currency that its model has at that time', () => {
    const euros = row({ meter: 'output_tokens', currency: 'eur' });
    expect(fault({ prices: [row(), euros] })).toBe('invalid_catalog prices');
    expect(fault({ prices: [row({ effective_to: MARCH }), { ...euros, effective_from: MARCH }] })).toBeNull();
  });
});

describe('a row that would bury a later price of an older version', () => {
  it('is refused', () => {
    expect(fault({ prices: [row({ effective_from: FEBRUARY })] }, before)).toBe('buries_prices prices[0]');
    expect(fault({ prices: [row({ price: null, effective_from: FEBRUARY })] }, before)).toBe('buries_prices prices[0]');
    expect(
      fault({ prices: [row({ effective_from: FEBRUARY, effective_to: '2026-03-01T00:00:00.001Z' })] }, before),
    ).toBe('buries_prices prices[0]');
  });

  it('is taken when it says so', () => {
    expect(fault({ prices: [row({ effective_from: FEBRUARY, supersede: true })] }, before)).toBeNull();
  });

  it('is not one when it ends before, restates the later price, replaces it, or has another slot', () => {
    expect(fault({ prices: [row({ effective_from: FEBRUARY, effective_to: MARCH })] }, before)).toBeNull();
    const restated = [row({ effective_from: FEBRUARY }), row({ price: '2', effective_from: MARCH })];
    expect(fault({ prices: restated }, before)).toBeNull();
    expect(fault({ prices: [row({ price: '3', effective_from: MARCH })] }, before)).toBeNull();
    expect(fault({ prices: [row({ effective_from: FEBRUARY, context_over: 10 })] }, before)).toBeNull();
    expect(fault({ prices: [row({ effective_from: FEBRUARY, model_id: 'other' })] }, before)).toBeNull();
  });

  it('is one where a restated price ends before the older one does', () => {
    const prices = [
      row({ effective_from: FEBRUARY }),
      row({ effective_from: MARCH, effective_to: '2026-04-01T00:00:00Z' }),
    ];
    expect(fault({ prices }, before)).toBe('buries_prices prices[0]');
  });
});

describe('names of a catalog version', () => {
  it('lead to models that the provider has', () => {
    const alias = { provider: 'p', alias: 'a', model_id: 'm' };
    const rule = { provider: 'p', clause: { equals: 'a' }, model_id: 'm' };
    expect(fault({ aliases: [alias] })).toBe('invalid_catalog aliases[0].model_id');
    expect(fault({ match_rules: [rule] })).toBe('invalid_catalog match_rules[0].model_id');
    expect(fault({ aliases: [alias], match_rules: [rule] }, before)).toBeNull();
    expect(fault({ aliases: [alias], models: [{ provider: 'p', model_id: 'm' }] })).toBeNull();
  });

  it('are there once', () => {
    const model = { provider: 'p', model_id: 'm' };
    const alias = { ...model, alias: 'a' };
    expect(fault({ models: [model, model] })).toBe('invalid_catalog models[1]');
    expect(fault({ models: [model], aliases: [alias, alias] })).toBe('invalid_catalog aliases[1]');
    const fallback = { provider: 'p', fallback_providers: ['q'] };
    expect(fault({ fallback_providers: [fallback, fallback] })).toBe('invalid_catalog fallback_providers[1]');
  });

  it('are not found by patterns that may run for ever', () => {
    const rule = { provider: 'p', clause: { or: [{ regex: '(a+)+$' }] }, model_id: 'm' };
    expect(fault({ prices: [row()], match_rules: [rule] })).toBe('invalid_catalog match_rules[0].clause');
  });

  it('of an alias have a span that is not empty', () => {
    const alias = { provider: 'p', alias: 'a', model_id: 'm', effective_from: MARCH, effective_to: FEBRUARY };
    expect(fault({ prices: [row()], aliases: [alias] })).toBe('invalid_catalog aliases[0].effective_to');
  });
});
