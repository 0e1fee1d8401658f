import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { UsageCounts } from '../../../src/contracts/balances.js';
import type { Plan, PlanInput } from '../../../src/contracts/plan.js';
import { type ComposeInput, composeInvoice } from '../../../src/invoicing/compose.js';
import { format } from '../../../src/money/fraction.js';
import { allowancesOf, countsActions } from '../../../src/plans/plan-parts.js';
import type { CostGroup } from '../../../src/pricing/pricing-result.js';
import { type ChargeTerms, periodCharge, periodTotals } from '../../../src/pricing/totals.js';
import { aGroup, anInput, aPlan, costing } from '../invoicing/compose-fixtures.js';

/** The terms of an invoice's usage charge, as totals have them. */
function termsOf(input: ComposeInput): ChargeTerms {
  const [start, end] = [Date.parse(input.period.start), Date.parse(input.period.end)];
  return {
    inputs: input.inputs,
    plans: input.plans,
    span: {
      start_ms: start,
      end_ms: end,
      calendar_ms: Date.parse(input.calendar.to) - Date.parse(input.calendar.from),
    },
    counts: input.counts ?? { actions: [] },
    to: { currency: input.currency, rates: input.exchange_rates },
  };
}

function exchangeOf(input: ComposeInput): string {
  return composeInvoice(input).content.steps.find(({ step }) => step === 'exchange')!.amount;
}

const chargeOf = (input: ComposeInput) => format(periodCharge(termsOf(input), input.pricing));

const decimal = (most: number) => fc.integer({ min: 0, max: most }).map((n) => format({ n: BigInt(n), d: 100n }));
const count = fc.constantFrom<'units' | 'events' | 'actions'>('units', 'events', 'actions');
const tiers = fc
  .tuple(
    fc.integer({ min: 1, max: 2_000 }),
    fc.integer({ min: 1, max: 2_000 }),
    fc.array(decimal(500), { minLength: 5, maxLength: 5 }),
  )
  .map(([first, more, prices]) => [
    { up_to: `${first}`, price: prices[0]!, flat_fee: prices[1]! },
    { up_to: `${first + more}`, price: prices[2]! },
    { price: prices[3]!, per: 10, flat_fee: prices[4]! },
  ]);
const option = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });

/** Any way in which a rule can price. */
const price: fc.Arbitrary<Record<string, unknown>> = fc.oneof(
  fc.record({
    markup: decimal(200),
    fee_per_event: option(decimal(100)),
    fee_per_action: option(decimal(100)),
    floor_per_unit: option(decimal(100).map((amount) => ({ price: amount }))),
  }),
  fc.record({
    margin: decimal(99),
    fee_per_action: option(decimal(100)),
    cap_per_unit: option(decimal(100).map((amount) => ({ price: amount, per: 100 }))),
  }),
  fc.record({ count, unit_price: decimal(100), per: fc.constantFrom(1, 1_000) }),
  fc.record({ count, package: fc.record({ size: fc.constantFrom('7', '100'), price: decimal(1_000) }) }),
  fc.record({ count, graduated: tiers }),
  fc.record({ count, volume: tiers }),
  fc.record({ count, flat: decimal(5_000) }),
);

const clean = (rule: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(rule).filter(([, value]) => value !== undefined));

/** Rules by feature, allowances and seats, which are no usage charge, beside them. */
const anyPlan = (planId: string): fc.Arbitrary<Plan> =>
  fc
    .record({
      prices: fc.tuple(price, price, price),
      allowance: option(fc.record({ quantity: decimal(50_000), count })),
      seats: fc.boolean(),
    })
    .map(({ prices: [chat, report, rest], allowance, seats }) =>
      aPlan({
        plan_id: planId,
        currency: 'eur',
        rules: [
          { match: { feature: 'chat' }, ...clean(chat) },
          { match: { feature: 'report' }, ...clean(report) },
          clean(rest),
        ] as PlanInput['rules'],
        ...(allowance === undefined ? {} : { allowance: { ...allowance, match: { feature: 'chat' } } }),
        ...(seats ? { seats: { meter: 'seats', price: '10' } } : {}),
        lines: { group_by: ['feature', 'model_id'] },
      }),
    );

const group: fc.Arbitrary<CostGroup> = fc
  .record({
    segment: fc.nat(2),
    provider: fc.constantFrom('openai', 'anthropic'),
    meter: fc.constantFrom('input_tokens', 'output_tokens', 'seats'),
    price: fc.constantFrom('0', '0.003', '2', '0.12'),
    currency: fc.constantFrom('usd', 'eur', 'cny'),
    attributes: fc.constantFrom('chat', 'report', null).map((feature) => [feature]),
    quantity: fc.oneof(
      fc.nat(5_000).map((n) => `${n}`),
      fc.nat(5_000).map((n) => `${2 * n + 1}/2`),
    ),
    events: fc.nat(300),
  })
  .map((one) => aGroup({ ...one, per: 1, price_id: `${one.provider} ${one.price} ${one.currency}` }));

/** Actions of everything that counts them, whatever the events say: both sides take them as they are counted. */
function countsOf(plans: Plan[], versions: number[], actions: readonly number[]): UsageCounts {
  let next = 0;
  const counted = plans.flatMap((plan, at) =>
    [
      ...plan.rules.flatMap((rule, index) => (countsActions(rule) ? [`rule ${index}`] : [])),
      ...allowancesOf(plan).map((_, index) => `allowance ${index}`),
    ].map((of) => ({ plan_id: plan.plan_id, version: versions[at]!, of, actions: actions[next++ % actions.length]! })),
  );
  const largest = plans.map(({ plan_id }, at) => ({ plan_id, version: versions[at]!, meter: 'seats', quantity: '3' }));
  return { actions: counted, largest };
}

/** A period that begins and changes its plan at any time: the first plan, another one, the first one again. */
const anyPeriod: fc.Arbitrary<ComposeInput> = fc
  .record({
    plans: fc.tuple(anyPlan('first'), anyPlan('second')),
    groups: fc.array(group, { maxLength: 15 }),
    actions: fc.array(fc.nat(400), { minLength: 1, maxLength: 8 }),
    days: fc.uniqueArray(fc.integer({ min: 0, max: 27 }), { minLength: 3, maxLength: 3 }),
  })
  .map(({ plans: [first, second], groups, actions, days }) => {
    const [start, change, back] = days
      .toSorted((a, b) => a - b)
      .map((day) => new Date(Date.UTC(2026, 10, 1 + day, day)).toISOString());
    const input = anInput({
      currency: 'eur',
      plans: [first, second, first],
      versions: [1, 4, 1],
      from: [null, change!, back!],
      period: { start: start!, end: '2026-12-01T00:00:00.000Z' },
      exchange_rates: { usd: '0.91', cny: '0.1253' },
      groups,
      counts: countsOf([first, second], [1, 4], actions),
    });
    return { ...input, inputs: { ...input.inputs, attributes: ['feature'] } };
  });

describe('the charge of a period so far', () => {
  it('is what its invoice comes to before rounding, fees and allowances, for every plan element', () => {
    fc.assert(
      fc.property(anyPeriod, (input) => {
        expect(chargeOf(input)).toBe(exchangeOf(input));
      }),
      { numRuns: 400 },
    );
  });

  it('is the same in the totals, where every rate is known', () => {
    fc.assert(
      fc.property(anyPeriod, (input) => {
        const totals = periodTotals(termsOf(input), input.pricing);
        expect(format(totals.charge)).toBe(exchangeOf(input));
        expect(totals.without_rate).toEqual([]);
      }),
    );
  });

  it('has prices and fees for actions in it', () => {
    const plans = [
      aPlan({
        rules: [
          { match: { feature: 'report' }, unit_price: '0.40', count: 'actions' },
          { markup: '0.5', fee_per_action: '0.03' },
        ],
      }),
    ];
    const counts = {
      actions: [
        { plan_id: 'pro', version: 1, of: 'rule 0', actions: 12 },
        { plan_id: 'pro', version: 1, of: 'rule 1', actions: 7 },
      ],
      largest: [],
    };
    const groups = [costing('9', { attributes: ['report'] }), costing('2', { attributes: ['chat'] })];
    // 12 x 0.40 + 2 x 1.5 + 7 x 0.03.
    expect(chargeOf(anInput({ plans, counts, groups }))).toBe('8.01');
  });

  it('has tiers and flat prices by the time that their plan was in force', () => {
    // Half of November: 15 of 30 days.
    const tiered = aPlan({
      rules: [
        { match: { feature: 'report' }, flat: '50' },
        { graduated: [{ up_to: '100', price: '1' }, { price: '0.5' }] },
      ],
    });
    const groups = [costing('1', { attributes: ['report'] }), aGroup({ quantity: '80', attributes: [null] })];
    const from = [null, '2026-11-16T00:00:00.000Z'];
    const plans = [tiered, aPlan({ plan_id: 'next' })];
    // 50 / 2 + 50 x 1 + 30 x 0.5.
    expect(chargeOf(anInput({ plans, from, groups }))).toBe('90');
  });

  it('refuses to leave out actions that nobody counted', () => {
    const plans = [aPlan({ rules: [{ unit_price: '0.40', count: 'actions' }] })];
    expect(() => chargeOf(anInput({ plans, groups: [costing('1')] }))).toThrow('were not counted');
  });
});

describe('totals without an exchange rate', () => {
  const inEuro = (rules: PlanInput['rules'], groups: CostGroup[], rates: Record<string, string> = {}) => {
    const input = anInput({
      currency: 'eur',
      plans: [aPlan({ currency: 'eur', rules })],
      groups,
      exchange_rates: rates,
    });
    const totals = periodTotals(termsOf(input), input.pricing);
    return {
      cost: format(totals.cost),
      charge: format(totals.charge),
      currency: totals.currency,
      without_rate: totals.without_rate.map((one) => [one.currency, format(one.cost), format(one.charge)]),
    };
  };

  it('are in the plan’s currency all the same, and name what is in neither cost nor charge', () => {
    const groups = [costing('10'), costing('100', { currency: 'cny' }), costing('4', { currency: 'eur' })];
    expect(inEuro([{ markup: '0.5' }], groups, { usd: '0.9' })).toEqual({
      // 10 x 0.9 + 4; half as much again.
      cost: '13',
      charge: '19.5',
      currency: 'eur',
      without_rate: [['cny', '100', '150']],
    });
  });

  it('have what the plan itself prices: own prices and fees', () => {
    const groups = [costing('10', { events: 3 }), aGroup({ attributes: ['chat'], quantity: '20', price: '1', per: 1 })];
    const rules: PlanInput['rules'] = [
      { match: { feature: 'chat' }, unit_price: '0.25' },
      { markup: '0.5', fee_per_event: '1' },
    ];
    // 20 x 0.25 + 3 x 1; the costs of both wait for a rate.
    expect(inEuro(rules, groups)).toEqual({
      cost: '0',
      charge: '8',
      currency: 'eur',
      without_rate: [['usd', '30', '15']],
    });
  });

  it('leave floors and caps of a unit out of such an amount: they are compared in the plan’s currency', () => {
    const groups = [costing('10', { quantity: '1' })];
    const rules: PlanInput['rules'] = [{ markup: '0', cap_per_unit: { price: '1' } }];
    expect(inEuro(rules, groups).without_rate).toEqual([['usd', '10', '10']]);
    expect(inEuro(rules, groups, { usd: '0.9' }).charge).toBe('1');
  });
});
