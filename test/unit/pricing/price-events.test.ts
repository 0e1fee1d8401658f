import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Catalog } from '../../../src/catalog/catalog.js';
import { EMPTY_CATALOG, extendCatalog } from '../../../src/catalog/catalog-data.js';
import { catalogVersionSchema, type PriceRowInput } from '../../../src/contracts/catalog.js';
import { add, equals, format, fromInteger, multiply, parseDecimal, sum, ZERO } from '../../../src/money/fraction.js';
import { heldReason } from '../../../src/pricing/find-prices.js';
import { groupCost } from '../../../src/pricing/group-cost.js';
import { mergeResults } from '../../../src/pricing/merge-results.js';
import { priceEvent } from '../../../src/pricing/price-event.js';
import { createPricer } from '../../../src/pricing/price-events.js';
import type { PricingInputs, PricingResult, UsageRow } from '../../../src/pricing/pricing-result.js';
import { usageRow } from '../../support/usage-row.js';

const NOON = Date.parse('2026-11-01T12:00:00Z');
const BEGIN = '2026-01-01T00:00:00Z';

const price = (model_id: string, meter: string, row: Partial<PriceRowInput>): PriceRowInput => ({
  provider: 'p',
  model_id,
  meter,
  per: 1_000_000,
  effective_from: BEGIN,
  ...row,
});

const catalog = new Catalog(
  extendCatalog(
    extendCatalog(
      EMPTY_CATALOG,
      catalogVersionSchema.parse({
        note: 'first',
        prices: [
          price('plain', 'input_tokens', { price: '3' }),
          price('plain', 'output_tokens', { price: '15' }),
          price('plain', 'cache_read_tokens', { same_as: 'input_tokens' }),
          price('plain', 'input_tokens', { price: '6', effective_from: '2026-11-01T12:00:00Z' }),
          price('cliff', 'input_tokens', { price: '1' }),
          price('cliff', 'input_tokens', { price: '2', context_over: 1_000 }),
          price('cliff', 'cache_read_tokens', { same_as: 'input_tokens' }),
          price('cliff', 'output_tokens', { price: '7.123456789012' }),
          price('night', 'input_tokens', { price: '10' }),
          price('night', 'input_tokens', { price: '4', daily_window: { from: '16:30', to: '00:30' } }),
          price('session', 'browser_seconds', { price: '0.1', per: 3_600 }),
          price('fee', 'input_tokens', { price: '1' }),
          price('fee', 'requests', { price: '5', per: 1_000, per_event: true }),
          price('gone', 'input_tokens', { price: '1', effective_to: '2026-11-01T12:00:00Z' }),
        ],
        models: [{ provider: 'p', model_id: 'gift', free: true }],
        aliases: [{ provider: 'p', alias: 'nick', model_id: 'plain', effective_from: '2026-11-01T12:00:00Z' }],
      }),
      1,
    ),
    catalogVersionSchema.parse({
      note: 'a correction of one afternoon',
      prices: [
        price('plain', 'output_tokens', {
          price: '14.9',
          effective_from: '2026-11-01T12:00:00Z',
          effective_to: '2026-11-01T18:00:00Z',
        }),
      ],
    }),
    2,
  ),
);

const inputs = (given: Partial<PricingInputs> = {}): PricingInputs => ({
  catalog_version: 2,
  assignments: [{ plan_id: 'pro', version: 1, from: null }],
  attributes: [],
  ...given,
});
const SPLIT = inputs({
  assignments: [
    { plan_id: 'pro', version: 1, from: null },
    { plan_id: 'pro', version: 2, from: '2026-11-01T12:00:00Z' },
  ],
  attributes: ['dimensions.team', 'feature'],
});

function priced(rows: UsageRow[], by: PricingInputs = inputs()): PricingResult {
  const pricer = createPricer(catalog, by);
  for (const row of rows) pricer.add(row);
  return pricer.result();
}

const rows = fc.array(
  fc
    .record({
      provider: fc.constantFrom('p', null),
      model_id: fc.constantFrom('plain', 'cliff', 'night', 'session', 'fee', 'gone', 'gift', 'nick', 'unknown'),
      occurred_at_ms: fc.oneof(
        fc.constantFrom(NOON - 1, NOON, NOON + 1, Date.parse('2026-11-01T16:30:00Z') - 1, NOON + 21_600_000),
        fc.integer({ min: NOON - 86_400_000, max: NOON + 86_400_000 }),
      ),
      usage: fc.option(
        fc.dictionary(
          fc.constantFrom('input_tokens', 'output_tokens', 'cache_read_tokens', 'requests', 'unpriced'),
          fc.oneof(fc.nat(2_000), fc.constant(0), fc.constant(Number.MAX_SAFE_INTEGER)),
          { maxKeys: 4, noNullPrototype: true },
        ),
        { freq: 20 },
      ),
      seconds: fc.option(fc.constantFrom('0', '0.000', '1.5', '3600', '0.000000000000000000000001')),
      feature: fc.constantFrom('report', 'chat', null),
      team: fc.constantFrom('search', '', undefined),
    })
    .map(({ seconds, team, usage, ...rest }) =>
      usageRow({
        ...rest,
        usage: usage && seconds !== null ? { ...usage, browser_seconds: seconds } : usage,
        dimensions: team ? { team } : null,
      }),
    ),
  { maxLength: 40 },
);

/** The rules of prices said as plainly as they can be: for one meter of one event, its row by looking at all rows. */
function rowOf(model: string, meter: string, input: number, atMs: number): { price: string; per: number } | null {
  if (model === 'gift') return { price: '0', per: 1 };
  const afternoon = atMs >= NOON;
  const minute = new Date(atMs).getUTCHours() * 60 + new Date(atMs).getUTCMinutes();
  const mtok = (text: string) => ({ price: text, per: 1_000_000 });
  switch (`${model === 'nick' && afternoon ? 'plain' : model} ${meter}`) {
    case 'plain input_tokens':
    case 'plain cache_read_tokens':
      return mtok(afternoon ? '6' : '3');
    case 'plain output_tokens':
      return mtok(afternoon && atMs < NOON + 6 * 3_600_000 ? '14.9' : '15');
    case 'cliff input_tokens':
    case 'cliff cache_read_tokens':
      return mtok(input > 1_000 ? '2' : '1');
    case 'cliff output_tokens':
      return mtok('7.123456789012');
    case 'night input_tokens':
      return mtok(minute >= 16 * 60 + 30 || minute < 30 ? '4' : '10');
    case 'session browser_seconds':
      return { price: '0.1', per: 3_600 };
    case 'fee input_tokens':
      return mtok('1');
    case 'fee requests':
      return { price: '5', per: 1_000 };
    case 'gone input_tokens':
      return afternoon ? null : mtok('1');
    default:
      return null;
  }
}

/** What an event costs by those rules, or that it is held. */
function plainCost({ model_id: model, usage, occurred_at_ms: atMs }: UsageRow) {
  if (usage === null || model === 'unknown' || (model === 'nick' && atMs < NOON)) return 'held';
  const meters = Object.entries(usage).filter(([, quantity]) => Number(quantity) !== 0);
  if (model === 'fee' && !meters.some(([meter]) => meter === 'requests')) meters.push(['requests', 1]);
  const input = Number(usage.input_tokens ?? 0) + Number(usage.cache_read_tokens ?? 0);
  let cost = ZERO;
  for (const [meter, quantity] of meters) {
    const row = rowOf(model, meter, input, atMs);
    if (row === null) return 'held';
    const units = typeof quantity === 'number' ? fromInteger(quantity) : parseDecimal(quantity);
    const unit = { n: 1n, d: BigInt(row.per) };
    cost = add(cost, multiply(multiply(units, parseDecimal(row.price)), unit));
  }
  return cost;
}

describe('pricing a set of events', () => {
  it('costs what the rules of prices say, event by event', () => {
    fc.assert(
      fc.property(rows, (events) => {
        const costs = events.map(plainCost);
        const result = priced(events);
        const total = sum(costs.map((cost) => (cost === 'held' ? ZERO : cost)));
        expect(format(sum(result.groups.map(groupCost)))).toBe(format(total));
        const held = costs.filter((cost) => cost === 'held').length;
        expect(result.held.reduce((count, group) => count + group.events, 0)).toBe(held);
        expect(result.events).toBe(events.length);
        events.forEach((event, index) => {
          const one = priceEvent(catalog, event);
          expect('held' in one ? 'held' : format(one.total)).toBe(
            costs[index] === 'held' ? 'held' : format(costs[index] as { n: bigint; d: bigint }),
          );
          expect(heldReason(catalog, event)).toEqual('held' in one ? one.held : null);
        });
      }),
      { numRuns: 300 },
    );
  });

  it('does not depend on order', () => {
    fc.assert(
      fc.property(
        rows.chain((events) =>
          fc.tuple(fc.constant(events), fc.shuffledSubarray(events, { minLength: events.length })),
        ),
        ([events, shuffled]) => {
          expect(priced(shuffled, SPLIT)).toEqual(priced(events, SPLIT));
        },
      ),
    );
  });

  it('does not depend on batches: results merge to the result of the whole, in any grouping', () => {
    fc.assert(
      fc.property(rows, rows, rows, (a, b, c) => {
        const whole = priced([...a, ...b, ...c], SPLIT);
        const [x, y, z] = [priced(a, SPLIT), priced(b, SPLIT), priced(c, SPLIT)];
        expect(mergeResults(mergeResults(x, y), z)).toEqual(whole);
        expect(mergeResults(x, mergeResults(y, z))).toEqual(whole);
        expect(mergeResults(z, mergeResults(y, x))).toEqual(whole);
        expect(JSON.stringify(mergeResults(whole, priced([], SPLIT)))).toBe(JSON.stringify(whole));
      }),
    );
  });

  it('changes the price at noon exactly, in whatever order events come', () => {
    const at = (instant: string) =>
      usageRow({
        provider: 'p',
        model_id: 'plain',
        occurred_at_ms: Date.parse(instant),
        usage: { input_tokens: 1_000 },
      });
    const events = [at('2026-11-01T12:00:00.000Z'), at('2026-11-01T11:59:59.999Z'), at('2026-11-01T12:00:00.001Z')];
    const expected = [
      { price: '3', quantity: '1000', events: 1 },
      { price: '6', quantity: '2000', events: 2 },
    ];
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [1, 0, 2],
      [0, 2, 1],
      [1, 2, 0],
      [2, 0, 1],
    ]) {
      const { groups } = priced(order.map((index) => events[index]!));
      expect(groups.map(({ price: p, quantity, events: n }) => ({ price: p, quantity, events: n }))).toEqual(
        expect.arrayContaining(expected),
      );
      expect(groups).toHaveLength(2);
    }
  });

  it('sums beyond 2^53 and keeps every unit', () => {
    const row = (tokens: number) => usageRow({ provider: 'p', model_id: 'plain', usage: { input_tokens: tokens } });
    const { groups } = priced([row(Number.MAX_SAFE_INTEGER), row(1), row(1), row(Number.MAX_SAFE_INTEGER), row(3)]);
    expect(groups[0]!.quantity).toBe((2n * (2n ** 53n - 1n) + 5n).toString());
  });

  it('sums fractions of units exactly', () => {
    const row = (seconds: string | number) =>
      usageRow({ provider: 'p', model_id: 'session', usage: { browser_seconds: seconds } });
    const { groups } = priced([...Array.from({ length: 10 }, () => row('0.1')), row(2)]);
    expect(groups[0]).toMatchObject({ quantity: '3', meter: 'browser_seconds', events: 11 });
    expect(equals(groupCost(groups[0]!), { n: 3n, d: 36_000n })).toBe(true);
  });

  it('holds an event whole when one of its meters has no price', () => {
    const usage = { input_tokens: 5, zebra: 1, aardvark: 2 };
    const { groups, held } = priced([usageRow({ provider: 'p', model_id: 'plain', usage })]);
    expect(groups).toEqual([]);
    expect(held).toEqual([{ reason: 'no_price', provider: 'p', model_id: 'plain', meter: 'aardvark', events: 1 }]);
  });

  it('is not held by quantities of zero', () => {
    const usage = { input_tokens: 5, zebra: 0, browser_seconds: '0.00' };
    expect(priced([usageRow({ provider: 'p', model_id: 'plain', usage })]).held).toEqual([]);
  });

  it('counts each event once over its groups', () => {
    const usage = { output_tokens: 1, input_tokens: 2, cache_read_tokens: 3 };
    const { groups } = priced([usageRow({ provider: 'p', model_id: 'plain', usage })]);
    expect(groups.map(({ meter, events }) => [meter, events])).toEqual([
      ['cache_read_tokens', 1],
      ['input_tokens', 0],
      ['output_tokens', 0],
    ]);
  });

  it('puts events into the plan segment of their instant and the group of their attributes', () => {
    const row = (at: number, feature: string | null, team: string | null) =>
      usageRow({
        provider: 'p',
        model_id: 'fee',
        occurred_at_ms: at,
        usage: { input_tokens: 1 },
        feature,
        dimensions: team === null ? null : { team },
      });
    const { groups } = priced(
      [row(NOON, 'chat', null), row(NOON - 1, 'chat', 'search'), row(NOON - 1, null, null)],
      SPLIT,
    );
    expect(groups.filter(({ meter }) => meter === 'input_tokens').map((g) => [g.segment, ...g.attributes])).toEqual([
      [0, null, null],
      [0, 'search', 'chat'],
      [1, null, 'chat'],
    ]);
  });

  it('charges a fee for each call once, whether the event carries it or not', () => {
    const row = (usage: Record<string, number>) => usageRow({ provider: 'p', model_id: 'fee', usage });
    const { groups } = priced([row({ input_tokens: 1 }), row({ requests: 1 }), row({ requests: 3 }), row({})]);
    expect(groups.find(({ meter }) => meter === 'requests')).toMatchObject({ quantity: '6', price: '5', per: 1_000 });
  });

  it('groups held events by reason, name and meter', () => {
    const unknown = usageRow({ model_id: 'unknown', usage: { input_tokens: 1 } });
    const impossible = usageRow({ provider: 'p', model_id: 'plain', usage: null, held_reason: 'counts contradict' });
    expect(priced([unknown, impossible, unknown]).held).toEqual([
      { reason: 'impossible_counts', provider: 'p', model_id: 'plain', meter: null, events: 1 },
      { reason: 'unknown_model', provider: null, model_id: 'unknown', meter: null, events: 2 },
    ]);
  });

  it('keeps the ledger’s own reason of a held event', () => {
    const row = usageRow({
      provider: 'p',
      model_id: 'plain',
      held_reason: 'outside_billing',
      usage: { input_tokens: 1 },
    });
    expect(heldReason(catalog, row)).toEqual({ reason: 'outside_billing', meter: null });
  });

  it('refuses a catalog that the inputs do not name, and quantities that are no whole numbers', () => {
    expect(() => createPricer(catalog, inputs({ catalog_version: 1 }))).toThrow('version 1');
    const row = usageRow({ provider: 'p', model_id: 'plain', usage: { input_tokens: 0.5 } });
    expect(() => priced([row])).toThrow(RangeError);
  });
});

describe('pricing one event', () => {
  it('splits the cost by direction and names the rows, fallbacks included', () => {
    const usage = { input_tokens: 1_000, cache_read_tokens: 500, output_tokens: 10 };
    const event = priceEvent(catalog, usageRow({ provider: 'p', model_id: 'plain', occurred_at_ms: NOON, usage }));
    if ('held' in event) throw new Error('held');
    expect([event.total, event.input, event.output].map((amount) => format(amount))).toEqual([
      '0.009149',
      '0.009',
      '0.000149',
    ]);
    const cached = event.meters.find(({ meter }) => meter === 'cache_read_tokens')!;
    expect(cached.row).toMatchObject({ meter: 'input_tokens', price: '6', version: 1 });
    expect(cached.via).toMatchObject([{ meter: 'cache_read_tokens', same_as: 'input_tokens' }]);
    expect(event.meters.find(({ meter }) => meter === 'output_tokens')!.row.version).toBe(2);
  });
});
