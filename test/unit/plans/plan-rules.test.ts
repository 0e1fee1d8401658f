import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type PlanInput, planSchema } from '../../../src/contracts/plan.js';
import {
  compare,
  divide,
  equals,
  type Fraction,
  format,
  ONE,
  parseDecimal,
  subtract,
} from '../../../src/money/fraction.js';
import {
  chargeFor,
  checkPlan,
  type GroupAttributes,
  matchRule,
  neededAttributes,
} from '../../../src/plans/plan-rules.js';

const plan = (body: Partial<PlanInput>) =>
  planSchema.parse({ plan_id: 'pro', currency: 'usd', rules: [{ markup: '0.25' }], ...body });
const usage = (attributes: Partial<GroupAttributes> = {}): GroupAttributes => ({
  provider: 'anthropic',
  model_id: 'claude-sonnet-4-5-20250929',
  priced_as: 'claude-sonnet-4-5',
  meter: 'input_tokens',
  ...attributes,
});

describe('a charge', () => {
  it('of a 30% markup on 100 is 100 x 1.30 = 130', () => {
    expect(format(chargeFor({ markup: '0.30' }, parseDecimal('100')))).toBe('130');
  });

  it('of a 30% margin on 100 is 100 / 0.70 = 142.857142...', () => {
    expect(format(chargeFor({ margin: '0.30' }, parseDecimal('100')))).toBe('142.857142857142857143');
  });

  it('of no markup and of no margin is the cost', () => {
    expect(format(chargeFor({ markup: '0' }, parseDecimal('12.34')))).toBe('12.34');
    expect(format(chargeFor({ margin: '0' }, parseDecimal('12.34')))).toBe('12.34');
  });

  it('can be a markup above 1 and never a margin of 1', () => {
    expect(format(chargeFor({ markup: '2.5' }, parseDecimal('4')))).toBe('14');
    expect(() => chargeFor({ margin: '1' }, ONE)).toThrow(RangeError);
    expect(() => chargeFor({ margin: '1.5' }, ONE)).toThrow(RangeError);
  });

  it('leaves the margin as the share of itself that is not cost', () => {
    fc.assert(
      fc.property(cost, share, (amount, margin) => {
        const charge = chargeFor({ margin: format(margin) }, amount);
        expect(equals(divide(subtract(charge, amount), charge), margin)).toBe(true);
      }),
    );
  });

  it('of the markup m is that of the margin m / (1 + m)', () => {
    // m = g / (1 - g) is the same statement from the other side, and a margin g of two places is a decimal.
    fc.assert(
      fc.property(cost, share, (amount, margin) => {
        const markup = divide(margin, subtract(ONE, margin));
        const byMargin = chargeFor({ margin: format(margin) }, amount);
        expect(equals(divide(markup, { n: markup.n + markup.d, d: markup.d }), margin)).toBe(true);
        expect(equals(byMargin, { n: amount.n * (markup.n + markup.d), d: amount.d * markup.d })).toBe(true);
      }),
    );
    expect(equals(chargeFor({ markup: '0.25' }, ONE), chargeFor({ margin: '0.2' }, ONE))).toBe(true);
    expect(equals(chargeFor({ markup: '1' }, ONE), chargeFor({ margin: '0.5' }, ONE))).toBe(true);
  });

  it('is never below the cost', () => {
    fc.assert(
      fc.property(cost, share, (amount, value) => {
        expect(compare(chargeFor({ markup: format(value) }, amount), amount)).toBeGreaterThanOrEqual(0);
        expect(compare(chargeFor({ margin: format(value) }, amount), amount)).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});

const cost: fc.Arbitrary<Fraction> = fc
  .tuple(fc.bigInt(1n, 10n ** 15n), fc.nat(12))
  .map(([n, places]) => ({ n, d: 10n ** BigInt(places) }));
const share: fc.Arbitrary<Fraction> = fc.bigInt(0n, 99n).map((n) => ({ n, d: 100n }));

describe('the rule of a group', () => {
  const rules = plan({
    rules: [
      { match: { provider: 'anthropic', service_tier: 'batch' }, markup: '0.1' },
      { match: { model_id: ['claude-opus-4-5', 'gpt-5'] }, markup: '0.2' },
      { match: { source: 'gateway-eu' }, markup: '0.3' },
      { markup: '0.4' },
    ],
  });

  it('is the first that matches, in array order', () => {
    expect(matchRule(rules, usage({ service_tier: 'batch', priced_as: 'claude-opus-4-5' }))).toBe(0);
    expect(matchRule(rules, usage({ priced_as: 'claude-opus-4-5' }))).toBe(1);
    expect(matchRule(rules, usage({ source: 'gateway-eu' }))).toBe(2);
    expect(matchRule(rules, usage())).toBe(3);
  });

  it('needs every key of its match', () => {
    expect(matchRule(rules, usage({ provider: 'google', service_tier: 'batch' }))).toBe(3);
  });

  it('matches a model as it was sent or as the catalog priced it', () => {
    expect(matchRule(rules, usage({ model_id: 'gpt-5', priced_as: 'gpt-5-2025-08-07' }))).toBe(1);
    expect(matchRule(rules, usage({ model_id: 'gpt-5-latest', priced_as: 'gpt-5' }))).toBe(1);
    expect(matchRule(rules, usage({ model_id: 'gpt-5-latest', priced_as: 'gpt-5-mini' }))).toBe(3);
  });

  it('does not match what the usage does not have', () => {
    expect(matchRule(rules, usage({ service_tier: null, source: null }))).toBe(3);
  });

  it('tells an empty match from none by nothing', () => {
    expect(matchRule(plan({ rules: [{ match: {}, markup: '0' }] }), usage())).toBe(0);
  });
});

describe('attributes that pricing keeps apart', () => {
  it('are those that rules and lines name beside provider, model and meter, sorted and once', () => {
    const first = plan({
      rules: [{ match: { provider: 'openai', feature: 'chat' }, markup: '0.1' }, { markup: '0' }],
      lines: { group_by: ['model_id', 'dimensions.team'] },
    });
    const second = plan({ lines: { group_by: ['source', 'feature', 'meter'] } });
    expect(neededAttributes([first, second])).toEqual(['dimensions.team', 'feature', 'source']);
    expect(neededAttributes([plan({})])).toEqual([]);
  });
});

describe('a plan is refused', () => {
  const cases: [string, Partial<PlanInput>, string][] = [
    ['without a catch-all', { rules: [{ match: { provider: 'openai' }, markup: '0.1' }] }, 'rules[0].match'],
    ['with a margin of 1', { rules: [{ margin: '1.0' }] }, 'rules[0].margin'],
    [
      'with a margin above 1',
      { rules: [{ match: { meter: 'images' }, margin: '30' }, { markup: '0' }] },
      'rules[0].margin',
    ],
    [
      'with a rule after a catch-all',
      { rules: [{ markup: '0.1' }, { match: { provider: 'openai' }, markup: '0.2' }] },
      'rules[1]',
    ],
    ['with two catch-alls', { rules: [{ markup: '0.1' }, { match: {}, margin: '0.2' }] }, 'rules[1]'],
    [
      'with a rule that an earlier one covers',
      {
        rules: [
          { match: { provider: ['openai', 'google'] }, markup: '0.1' },
          { match: { provider: 'openai', model_id: 'gpt-5' }, markup: '0.2' },
          { markup: '0' },
        ],
      },
      'rules[1]',
    ],
    [
      'with a rule that several earlier ones cover together',
      {
        rules: [
          { match: { provider: 'openai', meter: ['input_tokens', 'output_tokens'] }, markup: '0.1' },
          { match: { provider: 'google', meter: 'input_tokens' }, markup: '0.1' },
          { match: { meter: 'output_tokens' }, markup: '0.1' },
          { match: { provider: ['openai', 'google'], meter: ['input_tokens', 'output_tokens'] }, markup: '0.2' },
          { markup: '0' },
        ],
      },
      'rules[3]',
    ],
    ['with a minimum above the maximum', { minimum_spend: '100', maximum_spend: '99.99' }, 'minimum_spend'],
    ['that groups twice by the same', { lines: { group_by: ['feature', 'model_id', 'feature'] } }, 'lines.group_by[2]'],
    [
      'that has a budget twice',
      {
        budgets: [
          { budget_id: 'month', amount: '1' },
          { budget_id: 'month', amount: '2' },
        ],
      },
      'budgets[1].budget_id',
    ],
  ];
  it.each(cases)('%s', (_what, body, field) => {
    expect(() => checkPlan(plan(body))).toThrow(expect.objectContaining({ code: 'invalid_plan', field }));
  });
});

describe('a plan is taken', () => {
  const cases: [string, Partial<PlanInput>][] = [
    ['with a single catch-all', {}],
    ['with an empty match as catch-all', { rules: [{ match: {}, markup: '0' }] }],
    ['with a markup above 1', { rules: [{ markup: '12.5' }] }],
    ['with a margin just below 1', { rules: [{ margin: '0.999999' }] }],
    ['with a minimum that is the maximum', { minimum_spend: '100', maximum_spend: '100.00' }],
    [
      'with a wide rule after narrow ones',
      {
        rules: [
          { match: { provider: 'openai', model_id: 'gpt-5' }, markup: '0.1' },
          { match: { provider: 'openai' }, markup: '0.2' },
          { markup: '0' },
        ],
      },
    ],
    [
      'with a rule of which an earlier one leaves a part',
      {
        rules: [
          { match: { provider: 'openai', feature: 'chat' }, markup: '0.1' },
          { match: { provider: ['openai', 'google'], feature: 'chat' }, markup: '0.2' },
          { markup: '0' },
        ],
      },
    ],
  ];
  it.each(cases)('%s', (_what, body) => {
    expect(() => checkPlan(plan(body))).not.toThrow();
  });
});

describe('unreachable rules', () => {
  const values = ['a', 'b', 'c'];
  const oneOrMore = fc.option(fc.uniqueArray(fc.constantFrom(...values), { minLength: 1 }), { nil: undefined });
  const match = fc
    .record({ provider: oneOrMore, feature: oneOrMore, region: oneOrMore })
    .map((keys) => Object.fromEntries(Object.entries(keys).filter(([, value]) => value !== undefined)));

  it('are refused exactly where no usage comes to them first', () => {
    // All usage there can be, for rules of three attributes: each listed value, one that no rule lists, and none.
    const all = [...values, 'other', null];
    const everyUsage = all.flatMap((provider) =>
      all.flatMap((feature) =>
        all.map((region): GroupAttributes => usage({ provider: provider ?? 'none', feature, region })),
      ),
    );
    fc.assert(
      fc.property(fc.array(match, { maxLength: 5 }), (matches) => {
        const rules = [...matches.map((one) => ({ match: one, markup: '0' })), { markup: '0' }];
        const candidate = plan({ rules });
        const reached = new Set(everyUsage.map((attributes) => matchRule(candidate, attributes)));
        const isRefused = reached.size < rules.length;
        if (isRefused) expect(() => checkPlan(candidate)).toThrow(/No usage can reach/);
        else expect(() => checkPlan(candidate)).not.toThrow();
      }),
      { numRuns: 300 },
    );
  });

  it('are given up looking for where rules cut each other into too many pieces: the plan is taken', () => {
    const names = ['provider', 'model_id', 'feature', 'region', 'service_tier', 'source'] as const;
    const many = Array.from({ length: 60 }, (_, index) => `v${index}`);
    const every = (count: number) =>
      Object.fromEntries(names.map((name, place) => [name, many.filter((_, index) => (index + place) % count !== 0)]));
    const narrow = Array.from({ length: 50 }, (_, index) => ({ match: every(index + 2), markup: '0' }));
    const wide = Object.fromEntries(names.map((name) => [name, many]));
    expect(() => checkPlan(plan({ rules: [...narrow, { match: wide, markup: '0' }, { markup: '0' }] }))).not.toThrow();
  });
});
