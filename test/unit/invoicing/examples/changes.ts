import type { PlanInput } from '../../../../src/contracts/plan.js';
import { type Case, chats, credit, december, HALF, pages, reports, rest, TIERS } from '../plan-cases.js';

const PAGES = { match: { meter: 'pages' } };
const partner = (percent: string): Partial<PlanInput> => ({ discounts: [{ name: 'Partner', percent }] });

/** A plan until the 16th of November and another one from then on; and contracts in other currencies. */
export const CHANGE_COMBINATIONS: Case[] = [
  [
    'tiers of each half end at the half: 50 x 0.50 + 450 x 0.20 + 1 x 0.10; the other half 30 x 1.5',
    {
      plans: [{ rules: [{ ...PAGES, graduated: TIERS }, rest] }, { rules: [{ markup: '0.5' }] }],
      used: [pages(501), { ...reports, segment: 1 }],
    },
    ['usage 45.00', 'usage 25.00', 'usage 90.00', 'usage 0.10'],
    '160.10',
  ],
  [
    'a flat price of each half, and seats of the first: 30 / 2 + 50 / 2 + 4 x 10 / 2',
    {
      plans: [
        {
          rules: [{ match: { feature: 'chat' }, flat: '30' }, rest],
          seats: { meter: 'seats', price: '10', included: 1 },
        },
        { rules: [{ match: { feature: 'report' }, flat: '50' }, rest] },
      ],
      used: [chats, { ...reports, segment: 1 }],
      seats: '5',
    },
    ['usage 15.00', 'usage 25.00', 'seats 20.00'],
    '60.00',
  ],
  [
    'discounts of one name are one line: 100 x 0.1 + 30 x 0.2',
    {
      plans: [partner('0.1'), partner('0.2')],
      used: [chats, { ...reports, segment: 1 }],
    },
    ['usage 100.00', 'usage 30.00', 'discount -16.00'],
    '114.00',
  ],
  [
    'a discount with dates counts for its share of each part: 10 of 15 days of 30%, then all 15',
    {
      plans: [
        { discounts: [{ name: 'Trial', percent: '0.3', from: '2026-11-06T00:00:00Z' }] },
        { discounts: [{ name: 'Trial', percent: '0.3', from: '2026-11-06T00:00:00Z' }] },
      ],
      used: [chats, { ...reports, segment: 1 }],
    },
    ['usage 100.00', 'usage 30.00', 'discount -29.00'],
    '101.00',
  ],
  [
    'credits of each half: 20 / 2 + 50 / 2, then 12 of a pack',
    {
      plans: [{ allowance: { credits: '20' } }, { allowance: { credits: '50' } }],
      used: [chats, { ...reports, segment: 1 }],
      opening: { credits: [credit(1, '12')] },
    },
    ['usage 100.00', 'usage 30.00', 'credits -35.00', 'credits -12.00'],
    '83.00',
  ],
  [
    'included usage is of its own part: 40 / 2 of 100; 80 / 2 of 30 are 30, the rest is lost',
    {
      plans: [{ allowance: { charge: '40' } }, { allowance: { charge: '80' } }],
      used: [chats, { ...reports, segment: 1 }],
    },
    ['usage 100.00', 'usage 30.00', 'allowance -50.00'],
    '80.00',
  ],
  [
    'included usage passes to the next version of its plan: 40 / 2 of 5 leave 15; 15 + 20 of 50',
    {
      plans: [
        { allowance: { charge: '40', rollover: true } },
        { plan_id: 'pro', allowance: { charge: '40', rollover: true } },
      ],
      used: [{ cost: '5' }, { cost: '50', segment: 1 }],
      versions: [1, 2],
    },
    ['usage 5.00', 'usage 50.00', 'allowance -40.00'],
    '15.00',
  ],
  [
    'a maximum of the first half and a minimum of the second: 100 at most 120 / 2; 30 + 15 at least 100 / 2',
    {
      plans: [{ maximum_spend: '120' }, { base_fee: '30', minimum_spend: '100' }],
      used: [chats, { ...reports, segment: 1 }],
    },
    ['usage 100.00', 'usage 30.00', 'base_fee 15.00', 'minimum_spend 5.00', 'maximum_spend -40.00'],
    '110.00',
  ],
  [
    'a commitment that is left owes its time: 300 x 1.5 / 3 - 50 - 30; the usage of the other plan does not count',
    {
      plans: [{ commitment: { amount: '300', periods: 3 } }, { base_fee: '30' }],
      used: [reports, { ...chats, segment: 1 }],
      next: december({ plan_id: 'plan-1' }),
      opening: {
        commitment: {
          plan_id: 'pro',
          amount: '300',
          periods: 3,
          early_end: 'prorated',
          over: 1,
          elapsed: '1',
          spent: '50',
        },
      },
    },
    ['usage 30.00', 'usage 100.00', 'base_fee 15.00', 'commitment 70.00'],
    '215.00',
  ],
  [
    'a commitment goes on where its plan is taken up again: the fee of 10 of 30 days counts, 300 are not due yet',
    {
      plans: [
        { base_fee: '30', commitment: { amount: '300', periods: 3 } },
        {},
        { plan_id: 'pro', base_fee: '30', commitment: { amount: '300', periods: 3 } },
      ],
      from: [null, '2026-11-06T00:00:00.000Z', '2026-11-26T00:00:00.000Z'],
      plan_at_end: 'pro',
      used: [reports, { ...chats, segment: 1 }],
      next: december(),
      opening: {
        commitment: {
          plan_id: 'pro',
          amount: '300',
          periods: 3,
          early_end: 'prorated',
          over: 1,
          elapsed: '1',
          spent: '50',
        },
      },
    },
    ['usage 30.00', 'usage 100.00', 'base_fee 10.00'],
    '140.00',
  ],
  [
    'from a fee in arrears to one in advance: 20 / 2 + 30 / 2, and 30 for December',
    {
      plans: [{ base_fee: '20' }, { base_fee: { amount: '30', timing: 'advance' } }],
      next: december({ plan_id: 'plan-1', advance_fee: '30' }),
    },
    ['base_fee 10.00', 'base_fee 15.00', 'advance_fee 30.00'],
    '55.00',
  ],
  [
    'billing begins on the 16th and the plan changes on the 21st: 30 x 5 / 30 + 60 x 10 / 30, allowance 12 x 10 / 30',
    {
      plans: [{ base_fee: '30' }, { base_fee: '60', allowance: { charge: '12' } }],
      from: [null, '2026-11-21T00:00:00.000Z'],
      period: HALF,
      used: [chats, { ...reports, segment: 1 }],
    },
    ['usage 100.00', 'usage 30.00', 'base_fee 5.00', 'base_fee 20.00', 'allowance -4.00'],
    '151.00',
  ],
  [
    'euros: 100 usd are 90 eur, / (1 - 0.25) = 120; the fee is in euros',
    {
      plan: { rules: [{ margin: '0.25' }], base_fee: '49' },
      currency: 'eur',
      exchange_rates: { usd: '0.9' },
      used: [chats],
    },
    ['usage 120.00', 'base_fee 49.00'],
    '169.00',
  ],
  [
    'a floor in euros after the exchange: 1.00 usd are 0.90 eur, at least 1,000 x 0.002 = 2.00; dear pages 4.50',
    {
      plan: {
        rules: [{ ...PAGES, markup: '0', floor_per_unit: { price: '0.002' }, fee_per_action: '0.10' }, rest],
      },
      currency: 'eur',
      exchange_rates: { usd: '0.9' },
      used: [pages(1_000), pages(1_000, '5')],
      actions: { 'rule 0': 2 },
    },
    ['usage 6.50', 'action_fee 0.20'],
    '6.70',
  ],
  [
    'two currencies of the catalog on one line: 100 x 0.9 + 50 x 1.2 = 150 eur, less 10%',
    {
      plan: partner('0.1'),
      currency: 'eur',
      exchange_rates: { usd: '0.9', gbp: '1.2' },
      used: [chats, { cost: '50', currency: 'gbp' }],
    },
    ['usage 150.00', 'discount -15.00'],
    '135.00',
  ],
  [
    'yen have no minor unit: 100 x 1.3 x 151.235 = 19660.55; 10% of 19661 are 1966.1; 17695 to 20000',
    {
      plan: { rules: [{ markup: '0.3' }], ...partner('0.1'), minimum_spend: '20000' },
      currency: 'jpy',
      exchange_rates: { usd: '151.235' },
      used: [chats],
    },
    ['usage 19661', 'discount -1966', 'minimum_spend 2305'],
    '20000',
  ],
  [
    'dinars end in 0: 10 x 0.3075 = 3.075 is 3.080; 10.005 is 10.010; 20 / 3 a third of the time is 2.220',
    {
      plan: { base_fee: '10.005', discounts: [{ name: 'Trial', amount: '6.67', to: '2026-11-11T00:00:00Z' }] },
      currency: 'kwd',
      exchange_rates: { usd: '0.3075' },
      used: [{ cost: '10' }],
    },
    ['usage 3.080', 'base_fee 10.010', 'discount -2.220'],
    '10.870',
  ],
  [
    'kronur are whole: 100 x 137.45 = 13745; 5% are 687.25; 1000 of a pack',
    {
      plan: partner('0.05'),
      currency: 'isk',
      exchange_rates: { usd: '137.45' },
      used: [chats],
      opening: { credits: [credit(1, '1000.00')] },
    },
    ['usage 13745.00', 'discount -687.00', 'credits -1000.00'],
    '12058.00',
  ],
];
