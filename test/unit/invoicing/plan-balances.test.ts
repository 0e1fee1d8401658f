import { describe, expect, it } from 'vitest';
import { parseDecimal } from '../../../src/money/fraction.js';
import {
  type Case,
  chats,
  check,
  compose,
  credit,
  december,
  type Example,
  linesOf,
  pages,
  REPORT,
  reports,
  rest,
} from './plan-cases.js';

describe('a commitment', () => {
  const plan = { commitment: { amount: '300', periods: 3 } };
  const state = { plan_id: 'pro', amount: '300', periods: 3, early_end: 'prorated' as const };
  it.each<Case>([
    ['asks for nothing before its last period', { plan, used: [reports], next: december() }, ['usage 30.00'], '30.00'],
    [
      'is topped up in the last one: 300 - 150 - 30 = 120',
      {
        plan,
        used: [reports],
        next: december(),
        opening: { commitment: { ...state, over: 2, elapsed: '2', spent: '150' } },
      },
      ['usage 30.00', 'commitment 120.00'],
      '150.00',
    ],
    [
      'that is met exactly is not: 300 - 270 - 30',
      {
        plan,
        used: [reports],
        next: december(),
        opening: { commitment: { ...state, over: 2, elapsed: '2', spent: '270' } },
      },
      ['usage 30.00'],
      '30.00',
    ],
    [
      'that ends after 2 of 3 periods asks for 2 / 3: 200 - 50 - 30',
      { plan, used: [reports], opening: { commitment: { ...state, over: 1, elapsed: '1', spent: '50' } } },
      ['usage 30.00', 'commitment 120.00'],
      '150.00',
    ],
    [
      'that is due in full asks for all of it: 300 - 50 - 30',
      {
        plan: { commitment: { ...plan.commitment, early_end: 'full' } },
        used: [reports],
        opening: { commitment: { ...state, early_end: 'full', over: 1, elapsed: '1', spent: '50' } },
      },
      ['usage 30.00', 'commitment 220.00'],
      '250.00',
    ],
  ])('%s', (_what, example, lines, total) => check(example, lines, total));

  it('of a plan that is taken up again goes on, where the seal says so; without, it ends as it did: 300 x (1 + 1/3) / 3', () => {
    const example: Example = {
      plans: [plan, {}, { ...plan, plan_id: 'pro' }],
      from: [null, '2026-11-06T00:00:00.000Z', '2026-11-26T00:00:00.000Z'],
      used: [reports],
      next: december(),
      opening: { commitment: { ...state, over: 1, elapsed: '1', spent: '50' } },
    };
    const sealed = compose({ ...example, plan_at_end: 'pro' });
    expect(linesOf(sealed)).toEqual(['usage 30.00']);
    expect(sealed.content.balances.closing.commitment).toEqual({ ...state, over: 2, elapsed: '4/3', spent: '80' });
    // 133.33 - 50 - 30
    expect(linesOf(compose(example))).toEqual(['usage 30.00', 'commitment 53.33']);
  });

  it('goes on with what was spent, of which credits paid nothing back', () => {
    const { balances } = compose({
      plan,
      used: [reports],
      next: december(),
      opening: { credits: [credit(1, '30')] },
    }).content;
    expect(balances.closing.commitment).toEqual({ ...state, over: 1, elapsed: '1', spent: '30' });
  });
});

describe('prepaid credits', () => {
  it.each<Case>([
    [
      'pay what there is to pay',
      { used: [chats], opening: { credits: [credit(1, '40')] } },
      ['usage 100.00', 'credits -40.00'],
      '60.00',
    ],
    [
      'pay no more than the total',
      { used: [chats], opening: { credits: [credit(1, '400')] } },
      ['usage 100.00', 'credits -100.00'],
      '0.00',
    ],
    [
      'pay in their order',
      { used: [chats], opening: { credits: [credit(7, '30'), credit(3, '90')] } },
      ['usage 100.00', 'credits -30.00', 'credits -70.00'],
      '0.00',
    ],
    [
      'for usage do not pay fees',
      { plan: { base_fee: '49' }, used: [reports], opening: { credits: [credit(1, '90', { applies_to: 'usage' })] } },
      ['usage 30.00', 'base_fee 49.00', 'credits -30.00'],
      '49.00',
    ],
    [
      'for fees do not pay usage',
      { plan: { base_fee: '49' }, used: [reports], opening: { credits: [credit(1, '90', { applies_to: 'fees' })] } },
      ['usage 30.00', 'base_fee 49.00', 'credits -49.00'],
      '30.00',
    ],
    [
      'come after those of the plan: 10 of the plan, 20 of the pack',
      { plan: { allowance: { credits: '10' } }, used: [reports], opening: { credits: [credit(1, '25')] } },
      ['usage 30.00', 'credits -10.00', 'credits -20.00'],
      '0.00',
    ],
    [
      'pay for a minimum as for a fee',
      { plan: { minimum_spend: '50' }, used: [reports], opening: { credits: [credit(1, '50')] } },
      ['usage 30.00', 'minimum_spend 20.00', 'credits -50.00'],
      '0.00',
    ],
    [
      'pay nothing of a credit note',
      {
        adjustments: [{ adjustment_id: 1, kind: 'goodwill', amount: '-20', description: 'For the outage' }],
        opening: { credits: [credit(1, '50')] },
      },
      ['adjustment -20.00'],
      '-20.00',
    ],
  ])('%s', (_what, example, lines, total) => check(example, lines, total));

  it('for usage pay for late usage too, those for fees do not', () => {
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
    const paid = (applies_to: 'usage' | 'fees') =>
      linesOf(compose({ late, opening: { credits: [credit(1, '50', { applies_to })] } }));
    expect(paid('usage')).toEqual(['late_usage 20.00', 'credits -20.00']);
    expect(paid('fees')).toEqual(['late_usage 20.00']);
  });

  it('leave their balance; what expires inside the period is gone at its end', () => {
    const example = { used: [chats] };
    const closing = (expires_at: string) =>
      compose({ ...example, opening: { credits: [credit(1, '130', { expires_at })] } }).content.balances.closing
        .credits;
    expect(closing('2026-12-01T00:00:00.000Z')).toEqual([
      { grant_id: 1, burned: '100.00', expired: '30.00', remaining: '0.00' },
    ]);
    expect(closing('2026-12-01T00:00:00.001Z')).toEqual([
      { grant_id: 1, burned: '100.00', expired: '0.00', remaining: '30.00' },
    ]);
  });
});

describe('combinations', () => {
  it.each<Case>([
    [
      'everything of a plan in its order',
      {
        // 100 x 1.25 = 125; 7 reports x 0.40 = 2.80; fee 49; seats 2 x 5 = 10.
        // Discount 10% of usage 127.80 = 12.78. Allowance 20. Left: 95.02 + 59 = 154.02, at most 150. Credits 50.
        plan: {
          rules: [REPORT, { markup: '0.25' }],
          base_fee: '49',
          seats: { meter: 'seats', price: '5', included: 3 },
          discounts: [{ name: 'Partner', percent: '0.1', on: 'usage' }],
          allowance: { charge: '20' },
          maximum_spend: '150',
        },
        used: [chats, reports],
        actions: { 'rule 0': 7 },
        seats: '5',
        opening: { credits: [credit(1, '50')] },
      },
      [
        'usage 125.00',
        'usage 2.80',
        'base_fee 49.00',
        'seats 10.00',
        'discount -12.78',
        'allowance -20.00',
        'maximum_spend -4.02',
        'credits -50.00',
      ],
      '100.00',
    ],
    [
      'two plans, each with its own: 100 + 25 - 10, 30 + 15 at least 50',
      {
        plans: [
          { base_fee: '50', allowance: { charge: '20' } },
          { base_fee: '30', minimum_spend: '100' },
        ],
        used: [
          { ...chats, segment: 0 },
          { ...reports, segment: 1 },
        ],
      },
      ['usage 100.00', 'usage 30.00', 'base_fee 25.00', 'base_fee 15.00', 'allowance -10.00', 'minimum_spend 5.00'],
      '165.00',
    ],
    [
      'yen, at one rate: floor 2 yen a page x 1,000, fee 5000',
      {
        plan: {
          rules: [{ match: { meter: 'pages' }, markup: '0', floor_per_unit: { price: '2' } }, rest],
          base_fee: '5000',
        },
        currency: 'jpy',
        exchange_rates: { usd: '150' },
        used: [pages(1_000)],
      },
      ['usage 2000', 'base_fee 5000'],
      '7000',
    ],
  ])('%s', (_what, example, lines, total) => check(example, lines, total));
});
