import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Plan, PlanInput } from '../../../src/contracts/plan.js';
import { type ComposeInput, composeInvoice } from '../../../src/invoicing/compose.js';
import { billableStepMinor, formatMinor } from '../../../src/money/currency.js';
import {
  add,
  equals,
  format,
  fromExactText,
  multiply,
  ONE,
  parseDecimal,
  sum,
  toExactText,
} from '../../../src/money/fraction.js';
import { mergeResults } from '../../../src/pricing/merge-results.js';
import type { CostGroup } from '../../../src/pricing/pricing-result.js';
import { periodCost } from '../../../src/pricing/totals.js';
import { anInput, aPlan } from './compose-fixtures.js';

const money = fc.tuple(fc.nat(100_000), fc.nat(3)).map(([n, places]) => formatMinorLike(n, places));
const currency = fc.constantFrom('usd', 'jpy', 'kwd', 'isk');
/** Markups, and margins below 1. */
const word = fc.oneof(
  fc.nat(300).map((n) => ({ markup: formatMinorLike(n, 2) })),
  fc.nat(99).map((n) => ({ margin: formatMinorLike(n, 2) })),
);
const attribute = fc.constantFrom<'provider' | 'model_id' | 'meter' | 'feature' | 'dimensions.team'>(
  'provider',
  'model_id',
  'meter',
  'feature',
  'dimensions.team',
);

const planBody = fc.record({
  rules: fc
    .tuple(word, word, word)
    .map(([a, b, c]) => [
      { match: { provider: 'openai' }, ...a },
      { match: { feature: 'chat', meter: ['output_tokens', 'web_searches'] }, ...b },
      c,
    ]),
  base_fee: fc.option(money, { nil: undefined }),
  allowance: fc.option(
    money.map((charge) => ({ charge })),
    { nil: undefined },
  ),
  bounds: fc.option(fc.tuple(money, money), { nil: undefined }),
  group_by: fc.uniqueArray(attribute, { maxLength: 3 }),
});

function toPlan(
  { bounds, group_by, ...body }: typeof planBody extends fc.Arbitrary<infer B> ? B : never,
  rest: Partial<PlanInput>,
): Plan {
  const [low, high] = (bounds ?? []).toSorted((a, b) => Number(a) - Number(b));
  const given = { ...body, ...(bounds ? { minimum_spend: low, maximum_spend: high } : {}), lines: { group_by } };
  return aPlan({
    ...(Object.fromEntries(Object.entries(given).filter(([, v]) => v !== undefined)) as PlanInput),
    ...rest,
  });
}

/** `segments`: how many assignments the period has. */
const group = (segments: number): fc.Arbitrary<CostGroup> =>
  fc
    .record({
      segment: fc.nat(segments - 1),
      provider: fc.constantFrom('openai', 'anthropic'),
      model_id: fc.constantFrom('gpt-5', 'claude-x', 'claude-y'),
      priced_as: fc.constantFrom('gpt-5', 'claude-x'),
      meter: fc.constantFrom('input_tokens', 'output_tokens', 'web_searches', 'browser_seconds'),
      price: fc.tuple(fc.nat(10_000), fc.nat(8)).map(([n, places]) => formatMinorLike(n, places)),
      per: fc.constantFrom(1, 1_000, 1_000_000),
      currency: fc.constant('usd'),
      attributes: fc.tuple(fc.constantFrom(null, 'search', 'chat'), fc.constantFrom(null, 'chat', 'report')),
      quantity: fc
        .tuple(fc.bigInt(0n, 10n ** 9n), fc.constantFrom(1n, 10n, 1_000n))
        .map(([n, d]) => toExactText({ n, d })),
      events: fc.nat(1_000),
    })
    // A price row is of one catalog model, with one price.
    .map((one) => ({ ...one, price_id: `${one.priced_as} ${one.price} ${one.per}` }));

/** A period of two plans, the first of them taken up again, with usage in all three stretches. */
const period: fc.Arbitrary<ComposeInput> = fc
  .record({
    currency,
    bodies: fc.tuple(planBody, planBody),
    groups: fc.array(group(3), { maxLength: 40 }),
    cutDays: fc.nat(9),
  })
  .map(({ currency, bodies, groups, cutDays }) => {
    const [first, second] = [toPlan(bodies[0], { currency }), toPlan(bodies[1], { currency, plan_id: 'other' })];
    const start = new Date(Date.UTC(2026, 10, 1 + cutDays)).toISOString();
    const input = anInput({
      currency,
      plans: [first, second, first],
      versions: [1, 1, 1],
      from: [null, '2026-11-11T12:34:56.000Z', '2026-11-25T00:00:00.000Z'],
      exchange_rates: { usd: '3.1415' },
      period: { start, end: '2026-12-01T00:00:00.000Z' },
      groups,
    });
    // Pricing gives the attributes that the plans name; here both, whether named or not.
    return { ...input, inputs: { ...input.inputs, attributes: ['dimensions.team', 'feature'] } };
  });

describe('a composed invoice', () => {
  it('has lines that sum to its total, each a billable amount, and never less than nothing in all', () => {
    fc.assert(
      fc.property(period, (input) => {
        const { content, line_amounts_minor, subtotal_minor } = composeInvoice(input);
        expect(line_amounts_minor.reduce((a, b) => a + b, 0n)).toBe(subtotal_minor);
        expect(equals(sum(content.lines.map((line) => parseDecimal(line.amount))), parseDecimal(content.total))).toBe(
          true,
        );
        expect(content.total).toBe(formatMinor(subtotal_minor, input.currency));
        expect(line_amounts_minor.every((amount) => amount % billableStepMinor(input.currency) === 0n)).toBe(true);
        expect(subtotal_minor >= 0n).toBe(true);
      }),
    );
  });

  it('is the same bytes in whatever order the groups come', () => {
    fc.assert(
      fc.property(
        period.chain((input) =>
          fc.tuple(
            fc.constant(input),
            fc.shuffledSubarray(input.pricing.groups, { minLength: input.pricing.groups.length }),
          ),
        ),
        ([input, groups]) => {
          expect(composeInvoice({ ...input, pricing: { ...input.pricing, groups } }).text).toBe(
            composeInvoice(input).text,
          );
        },
      ),
    );
  });

  it('is the same bytes however the usage was cut into parts before it was summed', () => {
    fc.assert(
      fc.property(period, fc.infiniteStream(fc.nat(100)), (input, percentages) => {
        const parts = input.pricing.groups.flatMap((whole): CostGroup[] => {
          const share = { n: BigInt(percentages.next().value!), d: 100n };
          const quantity = multiply(fromExactText(whole.quantity), share);
          const events = Math.floor(whole.events / 3);
          return [
            { ...whole, quantity: toExactText(quantity), events },
            {
              ...whole,
              quantity: toExactText(add(fromExactText(whole.quantity), { n: -quantity.n, d: quantity.d })),
              events: whole.events - events,
            },
          ];
        });
        expect(composeInvoice({ ...input, pricing: { ...input.pricing, groups: parts } }).text).toBe(
          composeInvoice(input).text,
        );
      }),
    );
  });

  it('is the same bytes whether the usage was priced at once or in two ranges that were merged', () => {
    fc.assert(
      fc.property(period, fc.nat(40), (input, at) => {
        const { groups } = input.pricing;
        const range = (some: CostGroup[]) => ({ groups: some, held: [], events: 0 });
        const merged = mergeResults(range(groups.slice(at)), range(groups.slice(0, at)));
        expect(composeInvoice({ ...input, pricing: merged }).text).toBe(composeInvoice(input).text);
      }),
    );
  });

  it('loses no cost: its lines have the cost of the period', () => {
    fc.assert(
      fc.property(period, (input) => {
        const { content } = composeInvoice(input);
        expect(content.cost).toBe(format(periodCost(input.pricing)));
        // Costs are prices times quantities: their expansions end, so that the shown texts are exact.
        expect(equals(sum(content.lines.map((line) => parseExact(line.cost))), periodCost(input.pricing))).toBe(true);
      }),
    );
  });

  it('counts each event once', () => {
    fc.assert(
      fc.property(period, (input) => {
        const events = input.pricing.groups.reduce((count, one) => count + one.events, 0);
        expect(composeInvoice(input).content.events).toBe(events);
      }),
    );
  });

  it('is at most half a billable step a line from the exact charge', () => {
    fc.assert(
      fc.property(period, (input) => {
        const { content } = composeInvoice(input);
        const amount = (step: string) => parseExact(content.steps.find((one) => one.step === step)!.amount);
        const difference = add(amount('rounding'), multiply(amount('exchange'), { n: -1n, d: 1n }));
        const usage = BigInt(content.lines.filter((line) => line.kind === 'usage').length);
        const step = { jpy: '1', kwd: '0.01', isk: '1' }[input.currency] ?? '0.01';
        // The exact charge is shown to 18 places: a hair of room for its last one.
        const bound = add(multiply(parseDecimal(step), { n: usage, d: 2n }), parseDecimal('0.000000000000000001'));
        const magnitude = difference.n < 0n ? -difference.n : difference.n;
        expect(magnitude * bound.d <= bound.n * difference.d).toBe(true);
      }),
    );
  });

  it('of a markup m is that of the margin m / (1 + m)', () => {
    // Pairs that are decimals on both sides: 0.25 and 0.2, 1 and 0.5, 3 and 0.75, 0.6 and 0.375.
    const pair = fc.constantFrom(['0.25', '0.2'], ['1', '0.5'], ['3', '0.75'], ['0.6', '0.375'], ['0', '0']);
    fc.assert(
      fc.property(pair, fc.array(group(1), { maxLength: 20 }), ([markup, margin], groups) => {
        expect(equals(multiply(add(ONE, parseDecimal(markup!)), add(ONE, negative(margin!))), ONE)).toBe(true);
        const priced = groups.map((one) => ({ ...one, attributes: [] }));
        const lines = (rules: PlanInput['rules']) =>
          composeInvoice(anInput({ plans: [aPlan({ rules })], groups: priced })).content.lines;
        expect(lines([{ markup: markup! }])).toEqual(lines([{ margin: margin! }]));
      }),
    );
  });

  it('covers with an allowance at most the usage, and ends between minimum and maximum', () => {
    fc.assert(
      fc.property(planBody, fc.array(group(1), { maxLength: 10 }), (body, groups) => {
        const plan = toPlan(body, {});
        const input = anInput({ plans: [plan], groups });
        const { content, subtotal_minor } = composeInvoice({
          ...input,
          inputs: { ...input.inputs, attributes: ['dimensions.team', 'feature'] },
        });
        const cents = (kind: string) =>
          content.lines.filter((line) => line.kind === kind).reduce((total, line) => total + toCents(line.amount), 0n);
        expect(-cents('allowance') <= cents('usage')).toBe(true);
        expect(cents('allowance') <= 0n && cents('minimum_spend') >= 0n && cents('maximum_spend') <= 0n).toBe(true);
        if (plan.minimum_spend !== undefined) expect(subtotal_minor >= roundCents(plan.minimum_spend)).toBe(true);
        if (plan.maximum_spend !== undefined) expect(subtotal_minor <= roundCents(plan.maximum_spend)).toBe(true);
      }),
    );
  });
});

/** n / 10^places as a decimal string. */
function formatMinorLike(n: number, places: number): string {
  return format({ n: BigInt(n), d: 10n ** BigInt(places) });
}

/** A shown text can have more places than a decimal that the API accepts. */
function parseExact(text: string) {
  const [whole, places = ''] = text.replace('-', '').split('.');
  const n = BigInt(whole + places);
  return { n: text.startsWith('-') ? -n : n, d: 10n ** BigInt(places.length) };
}

function negative(text: string) {
  const { n, d } = parseDecimal(text);
  return { n: -n, d };
}

/** Of a text with two places. */
function toCents(text: string): bigint {
  return BigInt(text.replace('.', ''));
}

/** Whole cents of a decimal of up to three places, half up. */
function roundCents(text: string): bigint {
  const [whole, places = ''] = text.split('.');
  return (BigInt(whole + places.padEnd(3, '0')) + 5n) / 10n;
}
