import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PlanInput } from '../../../src/contracts/plan.js';
import { composeInvoice } from '../../../src/invoicing/compose.js';
import { type NaiveEvent, type NaivePlan, type NaiveRule, naiveTotal } from './naive-invoice.js';
import { type Example, inputOf, type Used } from './plan-cases.js';

const FEATURES = ['chat', 'report', 'search', 'other'];
const money = (cents: number) => `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, '0')}`;
const amount = fc.nat(20_000);

const event: fc.Arbitrary<NaiveEvent> = fc.record({
  feature: fc.constantFrom(...FEATURES),
  action: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
  cents: fc.nat(3_000),
  pages: fc.integer({ min: 1, max: 40 }),
});

const count = fc.constantFrom('units' as const, 'events' as const, 'actions' as const);
const tiers = fc
  .tuple(
    fc.integer({ min: 1, max: 6 }),
    fc.integer({ min: 1, max: 40 }),
    fc.array(fc.nat(300), { minLength: 6, maxLength: 6 }),
  )
  .map(([first, more, [a, b, c, d, e, f]]) => [
    { up_to: first, cents: a!, flat: b! },
    { up_to: first + more, cents: c!, flat: d! },
    { up_to: null, cents: e!, flat: f! },
  ]);
const ruleOf = (feature: string | null): fc.Arbitrary<NaiveRule> => {
  const markup = fc.record({ kind: fc.constant('markup' as const), hundredths: fc.nat(200) });
  if (feature === null) return markup.map((rule) => ({ feature, ...rule }));
  const own = fc.oneof(
    markup,
    fc.record({ kind: fc.constant('unit_price' as const), cents: fc.nat(500), count }),
    fc.record({
      kind: fc.constant('package' as const),
      size: fc.integer({ min: 1, max: 30 }),
      cents: fc.nat(900),
      count,
    }),
    fc.record({ kind: fc.constantFrom('graduated' as const, 'volume' as const), tiers, count }),
    fc.record({ kind: fc.constant('flat' as const), cents: fc.nat(9_000) }),
  );
  return own.map((rule) => ({ feature, ...rule }));
};
const on = fc.constantFrom('all' as const, 'usage' as const, 'fees' as const);
const orNull = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null });

const plan: fc.Arbitrary<NaivePlan> = fc
  .record({
    rules: fc.tuple(ruleOf('chat'), ruleOf('report'), ruleOf('search'), ruleOf(null)),
    base_fee: orNull(amount),
    discount: orNull(fc.record({ hundredths: fc.nat(100), on })),
    included_actions: orNull(fc.integer({ min: 1, max: 6 })),
    included_cents: orNull(amount),
    bounds: orNull(fc.tuple(amount, amount)),
    credits: fc.array(fc.record({ cents: amount, on }), { maxLength: 3 }),
    days: fc.oneof(fc.constant(30), fc.integer({ min: 1, max: 30 })),
  })
  .map(({ bounds, included_actions, ...rest }) => {
    const [low, high] = (bounds ?? []).toSorted((a, b) => a - b);
    // Only what a rule on cost charges can be included by quantity.
    const included =
      included_actions !== null && rest.rules[0].kind === 'markup'
        ? { feature: 'chat', actions: included_actions }
        : null;
    return { ...rest, included_actions: included, minimum: low ?? null, maximum: high ?? null };
  });

describe('a composed invoice', () => {
  it('comes to what a plain computation over single events comes to, for any mix of plan elements', () => {
    fc.assert(
      fc.property(plan, fc.array(event, { maxLength: 25 }), (naive, events) => {
        const composed = composeInvoice(inputOf(exampleOf(naive, events)));
        expect(composed.subtotal_minor).toBe(naiveTotal(naive, events));
        expect(composed.line_amounts_minor.reduce((a, b) => a + b, 0n)).toBe(composed.subtotal_minor);
      }),
      { numRuns: 500 },
    );
  });

  it('is the same bytes however its usage is ordered and cut', () => {
    fc.assert(
      fc.property(plan, fc.array(event, { minLength: 2, maxLength: 12 }), fc.nat(), (naive, events, turn) => {
        const at = turn % events.length;
        const turned = [...events.slice(at), ...events.slice(0, at)];
        const compose = (some: NaiveEvent[]) => composeInvoice(inputOf(exampleOf(naive, some))).text;
        expect(compose(turned)).toBe(compose(events));
      }),
      { numRuns: 100 },
    );
  });
});

/** The same plan and usage as the composer takes them: each event is a group of its own. */
function exampleOf(naive: NaivePlan, events: NaiveEvent[]): Example {
  const body: Partial<PlanInput> = {
    rules: naive.rules.map(toRule),
    lines: { group_by: ['feature'] },
    ...(naive.base_fee === null ? {} : { base_fee: money(naive.base_fee) }),
    ...(naive.discount === null
      ? {}
      : { discounts: [{ name: 'Discount', percent: money(naive.discount.hundredths), on: naive.discount.on }] }),
    ...(naive.minimum === null ? {} : { minimum_spend: money(naive.minimum) }),
    ...(naive.maximum === null ? {} : { maximum_spend: money(naive.maximum) }),
  };
  const allowances: PlanInput['allowance'] = [
    ...(naive.included_cents === null ? [] : [{ charge: money(naive.included_cents) }]),
    ...(naive.included_actions === null
      ? []
      : [
          {
            quantity: String(naive.included_actions.actions),
            count: 'actions' as const,
            match: { feature: naive.included_actions.feature },
          },
        ]),
  ];
  if (allowances.length > 0) body.allowance = allowances;
  const actions: Record<string, number> = {};
  const distinct = (features: (string | null)[]) =>
    new Set(events.filter(({ feature }) => features.includes(feature)).map(({ action }) => action)).size;
  naive.rules.forEach((rule, index) => {
    if ('count' in rule && rule.count === 'actions') actions[`rule ${index}`] = distinct([rule.feature]);
  });
  if (naive.included_actions !== null) actions[`allowance ${allowances.length - 1}`] = distinct(['chat']);
  return {
    plan: body,
    actions,
    period: {
      start: '2026-11-01T00:00:00.000Z',
      end: new Date(Date.UTC(2026, 10, 1 + naive.days)).toISOString(),
    },
    used: events.map(
      (one): Used => ({ cost: money(one.cents), meter: 'pages', quantity: one.pages, feature: one.feature }),
    ),
    opening: {
      credits: naive.credits.map(({ cents, on: applies_to }, index) => ({
        grant_id: index + 1,
        name: `pack ${index + 1}`,
        amount: money(cents),
        remaining: money(cents),
        priority: 100,
        expires_at: null,
        applies_to,
        cost_basis: null,
      })),
    },
  };
}

function toRule(rule: NaiveRule): PlanInput['rules'][number] {
  const { feature } = rule;
  const meter = 'count' in rule && rule.count === 'units' ? { meter: 'pages' } : {};
  const match = feature === null ? {} : { match: { feature, ...meter } };
  switch (rule.kind) {
    case 'markup':
      return { ...match, markup: money(rule.hundredths) };
    case 'unit_price':
      return { ...match, unit_price: money(rule.cents), count: rule.count };
    case 'package':
      return { ...match, package: { size: String(rule.size), price: money(rule.cents) }, count: rule.count };
    case 'flat':
      return { ...match, flat: money(rule.cents) };
    default: {
      const tiers = rule.tiers.map(({ up_to, cents, flat }) => ({
        price: money(cents),
        flat_fee: money(flat),
        ...(up_to === null ? {} : { up_to: String(up_to) }),
      }));
      return rule.kind === 'graduated'
        ? { ...match, graduated: tiers, count: rule.count }
        : { ...match, volume: tiers, count: rule.count };
    }
  }
}
