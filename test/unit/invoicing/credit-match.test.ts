import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { OpenCredit } from '../../../src/contracts/balances.js';
import type { PlanInput } from '../../../src/contracts/plan.js';
import { CostplusError } from '../../../src/errors/error.js';
import { composeInvoice } from '../../../src/invoicing/compose.js';
import { billableStepMinor, roundToMinor } from '../../../src/money/currency.js';
import { parseDecimal } from '../../../src/money/fraction.js';
import { type NaiveCredit, type NaiveTerms, naiveBurns, type UsedEvent } from './naive-credits.js';
import {
  type Case,
  chats,
  check,
  compose,
  credit,
  type Example,
  inputOf,
  linesOf,
  REPORT,
  reports,
  rest,
} from './plan-cases.js';

/** Credits for what they match; in the order of the list. */
const only = (grant_id: number, remaining: string, match: OpenCredit['match']) =>
  credit(grant_id, remaining, { applies_to: 'usage', match });
const chat = { feature: 'chat' };
const report = { feature: 'report' };
const claude = { ...chats, model_id: 'claude' };
const gpt = { ...reports, model_id: 'gpt' };

describe('credits with a match', () => {
  it.each<Case>([
    [
      'pay for the usage that they match and for no other',
      { used: [chats, reports], opening: { credits: [only(1, '50', report)] } },
      ['usage 130.00', 'credits -30.00'],
      '100.00',
    ],
    [
      'pay for no fees',
      { plan: { base_fee: '49' }, used: [reports], opening: { credits: [only(1, '50', report)] } },
      ['usage 30.00', 'base_fee 49.00', 'credits -30.00'],
      '49.00',
    ],
    [
      'pay what is left after a discount, of all usage alike: 130 - 13, of the reports 30 x 117 / 130',
      {
        plan: { discounts: [{ name: 'Partner', percent: '0.10' }] },
        used: [chats, reports],
        opening: { credits: [only(1, '50', report)] },
      },
      ['usage 130.00', 'discount -13.00', 'credits -27.00'],
      '90.00',
    ],
    [
      'pay what an allowance of charge leaves, which covers all usage alike: 130 - 65, of the reports 15',
      {
        plan: { allowance: { charge: '65' } },
        used: [chats, reports],
        opening: { credits: [only(1, '50', report)] },
      },
      ['usage 130.00', 'allowance -65.00', 'credits -15.00'],
      '50.00',
    ],
    [
      'pay nothing of what an allowance of quantity includes',
      {
        plan: { allowance: { quantity: '12', count: 'events', match: chat } },
        used: [chats, reports],
        opening: { credits: [only(1, '50', chat), only(2, '50', report)] },
      },
      ['usage 30.00', 'usage 100.00', 'allowance -100.00', 'credits -30.00'],
      '0.00',
    ],
    [
      'pay what goes beyond it: a third of the chats, and all reports are others’',
      {
        plan: { allowance: { quantity: '8', count: 'events', match: chat } },
        used: [{ ...chats, cost: '90' }, reports],
        opening: { credits: [only(1, '50', chat)] },
      },
      ['usage 30.00', 'usage 60.00', 'overage 30.00', 'allowance -60.00', 'credits -30.00'],
      '30.00',
    ],
    [
      'pay what a maximum leaves, which takes off all usage alike: 130 - 26, of the reports 24',
      {
        plan: { maximum_spend: '104' },
        used: [chats, reports],
        opening: { credits: [only(1, '50', report)] },
      },
      ['usage 130.00', 'maximum_spend -26.00', 'credits -24.00'],
      '80.00',
    ],
    [
      'never pay the same usage twice: of 100 the first pays 60, the second 40, and keeps the rest',
      { used: [chats], opening: { credits: [only(1, '60', chat), only(2, '60', { model_id: 'claude-sonnet-4-5' })] } },
      ['usage 100.00', 'credits -60.00', 'credits -40.00'],
      '0.00',
    ],
    [
      'find less where credits for all came first, which pay all usage alike: 65 of 130, of the reports 15',
      { used: [chats, reports], opening: { credits: [credit(1, '65'), only(2, '50', report)] } },
      ['usage 130.00', 'credits -65.00', 'credits -15.00'],
      '50.00',
    ],
    [
      'leave the rest to credits for all that come later',
      { used: [chats, reports], opening: { credits: [only(1, '50', report), credit(2, '65')] } },
      ['usage 130.00', 'credits -30.00', 'credits -65.00'],
      '35.00',
    ],
    [
      'pay for a rule with a price of its own by what it counts: 1 of 4 events',
      {
        plan: { rules: [REPORT, rest] },
        used: [
          { ...reports, model_id: 'claude', events: 1 },
          { ...reports, model_id: 'gpt', events: 3 },
        ],
        actions: { 'rule 0': 100 },
        opening: { credits: [only(1, '50', { model_id: 'claude' })] },
      },
      ['usage 40.00', 'credits -10.00'],
      '30.00',
    ],
    [
      'pay for tiers by quantity: 300 of 400 pages in each tier',
      {
        plan: {
          rules: [
            { match: { meter: 'pages' }, graduated: [{ up_to: '100', price: '0.50' }, { price: '0.20' }] },
            { markup: '0' },
          ],
        },
        used: [
          { meter: 'pages', quantity: 300, model_id: 'claude' },
          { meter: 'pages', quantity: 100, model_id: 'gpt' },
        ],
        opening: { credits: [only(1, '500', { model_id: 'claude' })] },
      },
      ['usage 50.00', 'usage 60.00', 'credits -82.50'],
      '27.50',
    ],
    [
      'pay for fees of actions by the events of the rule',
      {
        plan: { rules: [{ match: chat, markup: '0', fee_per_action: '2' }, rest] },
        used: [
          { ...chats, model_id: 'claude', events: 3 },
          { ...chats, model_id: 'gpt', cost: '10', events: 1 },
        ],
        actions: { 'rule 0': 4 },
        opening: { credits: [only(1, '500', { model_id: 'claude' })] },
      },
      ['usage 110.00', 'action_fee 8.00', 'credits -106.00'],
      '12.00',
    ],
    [
      'pay after the exchange',
      {
        plan: { currency: 'eur' },
        currency: 'eur',
        exchange_rates: { usd: '0.9' },
        used: [chats, reports],
        opening: { credits: [only(1, '50', report)] },
      },
      ['usage 117.00', 'credits -27.00'],
      '90.00',
    ],
    [
      'pay in billable units of the currency: half of 1.010 is 0.510, the odd step is that of the matched',
      {
        plan: { currency: 'kwd' },
        currency: 'kwd',
        used: [
          { cost: '0.505', currency: 'kwd', feature: 'chat' },
          { cost: '0.505', currency: 'kwd', feature: 'report' },
        ],
        opening: { credits: [only(1, '50', report)] },
      },
      ['usage 1.010', 'credits -0.510'],
      '0.500',
    ],
    [
      'pay at most the total: goodwill came before',
      {
        used: [chats],
        adjustments: [{ adjustment_id: 1, kind: 'goodwill', amount: '-80', description: 'For the outage' }],
        opening: { credits: [only(1, '50', chat)] },
      },
      ['usage 100.00', 'adjustment -80.00', 'credits -20.00'],
      '0.00',
    ],
  ])('%s', (_what, example, lines, total) => check({ ...example, ...grouped(example) }, lines, total));

  /** One line for all usage where an example does not say: what is matched is a part of a line. */
  function grouped({ plan }: Example): Pick<Example, 'plan'> {
    return { plan: { lines: { group_by: [] }, ...plan } };
  }

  it('know each word of a rule’s match', () => {
    const used = { ...claude, region: 'eu', service_tier: 'batch', source: 'app', subscription_item_id: 'si_1' };
    const other = { ...gpt, region: 'us', service_tier: 'standard', source: 'web', subscription_item_id: 'si_2' };
    const words: OpenCredit['match'][] = [
      { model_id: ['claude', 'opus'] },
      { region: 'eu' },
      { service_tier: 'batch' },
      { source: 'app' },
      { subscription_item_id: 'si_1' },
      { feature: 'chat', region: 'eu' },
    ];
    for (const match of words) {
      const paid = linesOf(compose({ used: [used, other], opening: { credits: [only(1, '500', match)] } }));
      expect(paid.at(-1)).toBe('credits -100.00');
    }
    const nothing = compose({ used: [used, other], opening: { credits: [only(1, '500', { region: 'asia' })] } });
    expect(linesOf(nothing)).toEqual(['usage 100.00', 'usage 30.00']);
    expect(nothing.content.balances.closing.credits).toEqual([
      { grant_id: 1, burned: '0.00', expired: '0.00', remaining: '500.00' },
    ]);
  });

  it('pay for usage of this period, not for late usage of an earlier one', () => {
    const late = [
      {
        start_date: '2026-10-01',
        units: new Map(),
        events: 1,
        cost: parseDecimal('1'),
        charge: parseDecimal('20'),
        amount: 2_000n,
      },
    ];
    const composed = compose({ used: [reports], late, opening: { credits: [only(1, '500', {}), credit(2, '5')] } });
    expect(linesOf(composed)).toEqual(['usage 30.00', 'late_usage 20.00', 'credits -30.00', 'credits -5.00']);
  });

  it('pay each part of a changed plan what is left of that part', () => {
    const composed = compose({
      plans: [{ lines: { group_by: [] } }, { lines: { group_by: [] }, discounts: [{ name: 'Half', percent: '0.5' }] }],
      used: [chats, reports, { ...chats, segment: 1 }, { ...reports, segment: 1 }],
      opening: { credits: [only(1, '500', report)] },
    });
    expect(linesOf(composed)).toEqual(['usage 130.00', 'usage 130.00', 'discount -65.00', 'credits -45.00']);
  });

  it('leave an invoice as it is where no grant has a match', () => {
    const example = { used: [chats, reports], opening: { credits: [credit(1, '65'), credit(2, '10')] } };
    expect(compose(example).text).not.toContain('match');
  });
});

const features = ['chat', 'report', 'search'];
const models = ['claude', 'gpt'];
const event: fc.Arbitrary<UsedEvent> = fc.record({
  feature: fc.constantFrom(...features),
  model: fc.constantFrom(...models),
  cents: fc.nat(3_000),
});
const naiveCredit: fc.Arbitrary<NaiveCredit> = fc.record({
  cents: fc.nat(4_000),
  on: fc.oneof(
    fc.constantFrom('all' as const, 'usage' as const, 'fees' as const),
    fc.record({ features: fc.subarray(features, { minLength: 1 }) }),
    fc.record({ model: fc.constantFrom(...models) }),
    fc.record({ features: fc.subarray(features, { minLength: 1 }), model: fc.constantFrom(...models) }),
  ),
});
const sometimes = (most: number) => fc.oneof(fc.constant(0), fc.nat(most));
const terms: fc.Arbitrary<NaiveTerms> = fc.record({
  markup: sometimes(150),
  fee: sometimes(4_900),
  discount: sometimes(100),
  included: sometimes(5_000),
  goodwill: sometimes(5_000),
  late: sometimes(2_000),
});
const money = (cents: number) => `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, '0')}`;

function exampleOf(naive: NaiveTerms, events: UsedEvent[], credits: NaiveCredit[]): Example {
  const charge = parseDecimal(money(naive.late));
  return {
    plan: {
      rules: [{ markup: money(naive.markup) }],
      lines: { group_by: ['feature'] },
      ...(naive.fee === 0 ? {} : { base_fee: money(naive.fee) }),
      ...(naive.discount === 0
        ? {}
        : { discounts: [{ name: 'Discount', percent: money(naive.discount), on: 'usage' as const }] }),
      ...(naive.included === 0 ? {} : { allowance: { charge: money(naive.included) } }),
    },
    used: events.map(({ feature, model, cents }) => ({ cost: money(cents), feature, model_id: model })),
    ...(naive.late === 0
      ? {}
      : {
          late: [
            { start_date: '2026-10-01', units: new Map(), events: 1, cost: charge, charge, amount: BigInt(naive.late) },
          ],
        }),
    ...(naive.goodwill === 0
      ? {}
      : {
          adjustments: [
            { adjustment_id: 1, kind: 'goodwill' as const, amount: `-${money(naive.goodwill)}`, description: 'Sorry' },
          ],
        }),
    opening: {
      credits: credits.map(({ cents, on }, index) =>
        credit(
          index + 1,
          money(cents),
          typeof on === 'string'
            ? { applies_to: on }
            : {
                applies_to: 'usage',
                match: {
                  ...(on.features === undefined ? {} : { feature: on.features }),
                  ...(on.model === undefined ? {} : { model_id: on.model }),
                },
              },
        ),
      ),
    },
  };
}

/** Some of what is drawn contradicts itself: publishing refuses it. */
function canBePublished(example: Example): boolean {
  try {
    inputOf(example);
    return true;
  } catch (error) {
    if (error instanceof CostplusError && error.code === 'invalid_plan') return false;
    throw error;
  }
}

describe('what credits pay', () => {
  const burnsOf = (example: Example) =>
    composeInvoice(inputOf(example)).content.balances.closing.credits.map(({ burned }) =>
      BigInt(burned.replace('.', '')),
    );

  it('is what a plain computation over single events finds, for any mix of grants', () => {
    fc.assert(
      fc.property(
        terms,
        fc.array(event, { maxLength: 20 }),
        fc.array(naiveCredit, { minLength: 1, maxLength: 5 }),
        (naive, events, credits) => {
          expect(burnsOf(exampleOf(naive, events, credits))).toEqual(naiveBurns(naive, events, credits));
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it('is never more than what they match was charged, in whole billable units, whatever the plan and the currency', () => {
    const amount = fc.integer({ min: 1, max: 90 }).map(String);
    const match = fc.constantFrom(chat, report, { model_id: 'claude' }, { model_id: 'gpt', feature: 'chat' });
    const rule = fc.oneof(
      fc.record({ markup: amount }),
      fc.record({ markup: amount, fee_per_event: amount, fee_per_action: amount }),
      fc.record({ unit_price: amount, count: fc.constantFrom('events' as const, 'actions' as const) }),
      fc.record({ flat: amount }),
      fc.record({
        graduated: fc.tuple(fc.record({ up_to: fc.constant('3'), price: amount }), fc.record({ price: amount })),
      }),
      fc.record({
        package: fc.record({ size: fc.constant('2'), price: amount }),
        count: fc.constant('events' as const),
      }),
    );
    const plan = fc.record(
      {
        discounts: fc.constantFrom('0.1', '0.333', '1').map((percent) => [{ name: 'Off', percent }]),
        allowance: fc.oneof(
          fc.record({ charge: amount }),
          fc.record({ quantity: amount, count: fc.constant('events' as const), match: fc.constant(chat) }),
          fc.record({ credits: amount }),
        ),
        maximum_spend: amount,
        minimum_spend: fc.constant('0'),
      },
      { requiredKeys: [] },
    );
    const used = fc.record({
      feature: fc.constantFrom('chat', 'report', 'search'),
      model_id: fc.constantFrom('claude', 'gpt'),
      cost: fc.nat(50_000).map((mills) => `${Math.floor(mills / 1_000)}.${String(mills % 1_000).padStart(3, '0')}`),
      quantity: fc.integer({ min: 1, max: 9 }),
      events: fc.nat(4),
    });
    fc.assert(
      fc.property(
        fc.tuple(rule, rule),
        plan,
        fc.array(used, { maxLength: 10 }),
        fc.array(fc.tuple(amount, fc.option(match, { nil: null })), { minLength: 1, maxLength: 5 }),
        fc.constantFrom('usd', 'kwd', 'isk', 'jpy'),
        fc.constantFrom<('feature' | 'model_id')[]>([], ['feature'], ['model_id']),
        ([first, second], terms, usage, grants, currency, group_by) => {
          const of = (one: object, match: object) => ({
            ...one,
            match: { ...match, ...('graduated' in one ? { meter: 'pages' } : {}) },
          });
          const rules = [of(first, chat), of(second, report), rest] as PlanInput['rules'];
          const body: Partial<PlanInput> = { currency, lines: { group_by }, ...terms, rules };
          const example = {
            plan: body,
            currency,
            used: usage.map((one) => ({ ...one, meter: 'pages', currency })),
            actions: { 'rule 0': 5, 'rule 1': 7 },
          };
          fc.pre(canBePublished(example));
          const composed = compose({
            ...example,
            opening: {
              credits: grants.map(([remaining, one], index) =>
                one === null ? credit(index, remaining) : only(index, remaining, one),
              ),
            },
          });
          const minor = (text: string) => roundToMinor(parseDecimal(text), currency);
          const { credits } = composed.content.balances.closing;
          expect(composed.subtotal_minor >= 0n).toBe(true);
          const step = billableStepMinor(currency);
          const charged = compose(example);
          const whole = charged.content.lines.filter(({ kind }) => ['usage', 'overage', 'action_fee'].includes(kind));
          const most = whole.reduce((sum, line) => sum + minor(line.amount), 0n);
          const burnedByMatch = credits
            .filter((_use, index) => grants[index]![1] !== null)
            .reduce((sum, { burned }) => sum + minor(burned), 0n);
          expect(burnedByMatch <= most).toBe(true);
          for (const [index, { burned, remaining }] of credits.entries()) {
            expect(minor(burned) % step).toBe(0n);
            expect(minor(burned) + minor(remaining)).toBe(minor(grants[index]![0]));
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  it('does not depend on the order of usage', () => {
    fc.assert(
      fc.property(
        terms,
        fc.array(event, { minLength: 2, maxLength: 12 }),
        fc.array(naiveCredit, { minLength: 1, maxLength: 4 }),
        fc.nat(),
        (naive, events, credits, turn) => {
          const at = turn % events.length;
          const turned = [...events.slice(at), ...events.slice(0, at)];
          const text = (some: UsedEvent[]) => composeInvoice(inputOf(exampleOf(naive, some, credits))).text;
          expect(text(turned)).toBe(text(events));
        },
      ),
      { numRuns: 100 },
    );
  });
});
