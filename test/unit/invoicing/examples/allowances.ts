import { type Case, chats, credit, HALF, pages, reports, rest, TIERS } from '../plan-cases.js';

const CHATS = { quantity: '20', count: 'actions' as const, match: { feature: 'chat' }, name: 'chats' };
const PAGES = { match: { meter: 'pages' } };

/** Included usage of each kind with rules, discounts, bounds, and with each other. */
export const ALLOWANCE_COMBINATIONS: Case[] = [
  [
    'chats under a margin: 70 / 0.7 = 100, of which 20 / 25 are included',
    {
      plan: { rules: [{ margin: '0.3' }], allowance: CHATS },
      used: [{ ...chats, cost: '70' }],
      actions: { 'allowance 0': 25 },
    },
    ['usage 80.00', 'overage 20.00', 'allowance -80.00'],
    '20.00',
  ],
  [
    'events at a unit price: 12 x 0.10 = 1.20, of which 5 / 12 are included',
    {
      plan: {
        rules: [{ count: 'events', unit_price: '0.10' }],
        allowance: { quantity: '5', count: 'events', match: { feature: 'chat' } },
      },
      used: [chats],
    },
    ['usage 0.50', 'overage 0.70', 'allowance -0.50'],
    '0.70',
  ],
  [
    'the fee for each event is included with it: 100 + 10 x 0.05 = 100.50, of which 5 / 10',
    {
      plan: {
        rules: [{ markup: '0', fee_per_event: '0.05' }],
        allowance: { quantity: '5', count: 'events' },
      },
      used: [{ ...chats, events: 10 }],
    },
    ['usage 50.25', 'overage 50.25', 'allowance -50.25'],
    '50.25',
  ],
  [
    'the fee for each action is not: 100 are included, 12 x 0.25 = 3.00 stay',
    {
      plan: { rules: [{ markup: '0', fee_per_action: '0.25' }], allowance: CHATS },
      used: [chats],
      actions: { 'rule 0': 12, 'allowance 0': 12 },
    },
    ['usage 100.00', 'action_fee 3.00', 'allowance -100.00'],
    '3.00',
  ],
  [
    'units at their floor: 1,000 x 0.002 = 2.00, of which 250 / 1,000 are included',
    {
      plan: {
        rules: [{ ...PAGES, markup: '0', floor_per_unit: { price: '0.002' } }, rest],
        allowance: { quantity: '250', ...PAGES },
      },
      used: [pages(1_000)],
    },
    ['usage 0.50', 'overage 1.50', 'allowance -0.50'],
    '1.50',
  ],
  [
    'a quantity takes nothing of tiers: 101 pages are 100 x 0.50 + 0.20; of 25 chats 20 are included',
    {
      plan: { rules: [{ ...PAGES, graduated: TIERS }, rest], allowance: CHATS },
      used: [chats, pages(101)],
      actions: { 'allowance 0': 25 },
    },
    ['usage 80.00', 'overage 20.00', 'usage 50.00', 'usage 0.20', 'allowance -80.00'],
    '70.20',
  ],
  [
    'a charge takes of tiers too: 50 + 0.20 of pages and 100 of chats, less 120',
    {
      plan: { rules: [{ ...PAGES, graduated: TIERS }, rest], allowance: { charge: '120' } },
      used: [chats, pages(101)],
    },
    ['usage 100.00', 'usage 50.00', 'usage 0.20', 'allowance -120.00'],
    '30.20',
  ],
  [
    'a quantity of chats and one of pages: 80 of 100, and 40 x 0.10 of 100 x 0.10',
    {
      plan: {
        rules: [{ ...PAGES, unit_price: '0.10' }, rest],
        allowance: [CHATS, { quantity: '40', count: 'units', ...PAGES }],
        lines: { group_by: ['feature'] },
      },
      used: [chats, { ...pages(100), feature: 'scan' }],
      actions: { 'allowance 0': 25 },
    },
    ['usage 80.00', 'overage 20.00', 'usage 4.00', 'overage 6.00', 'allowance -80.00', 'allowance -4.00'],
    '26.00',
  ],
  [
    'half a period and what rolled over: 20 / 2 + 15 = 25 of 25 chats',
    {
      plan: { allowance: { ...CHATS, rollover: true, rollover_limit: '30' } },
      used: [chats],
      actions: { 'allowance 0': 25 },
      period: HALF,
      opening: { rollover: [{ plan_id: 'pro', key: 'quantity actions {"feature":"chat"}', amount: '15' }] },
    },
    ['usage 100.00', 'allowance -100.00'],
    '0.00',
  ],
  [
    'a charge for half a period and what rolled over: 20 / 2 + 15 = 25 of 30',
    {
      plan: { allowance: { charge: '20', rollover: true } },
      used: [reports],
      period: HALF,
      opening: { rollover: [{ plan_id: 'pro', key: 'charge', amount: '15' }] },
    },
    ['usage 30.00', 'allowance -25.00'],
    '5.00',
  ],
  [
    'lines beyond a charge before the discount: 100 cut at 30; 20% of 100 off; 30 of the 80 that are left',
    {
      plan: {
        discounts: [{ name: 'Partner', percent: '0.2' }],
        allowance: { charge: '30' },
        lines: { group_by: [], overage: true },
      },
      used: [chats],
    },
    ['usage 30.00', 'overage 70.00', 'discount -20.00', 'allowance -30.00'],
    '50.00',
  ],
  [
    'lines beyond a charge, then a minimum: 30 cut at 20; 10 + 15 to 25',
    {
      plan: { allowance: { charge: '20' }, minimum_spend: '25', lines: { group_by: [], overage: true } },
      used: [reports],
    },
    ['usage 20.00', 'overage 10.00', 'allowance -20.00', 'minimum_spend 15.00'],
    '25.00',
  ],
  [
    'a charge after an amount off: 100 - 15 = 85, less 60',
    {
      plan: { discounts: [{ name: 'Partner', amount: '15' }], allowance: { charge: '60' } },
      used: [chats],
    },
    ['usage 100.00', 'discount -15.00', 'allowance -60.00'],
    '25.00',
  ],
  [
    'a charge does not pay for the base fee: 30 of 50, and 49 stay',
    { plan: { base_fee: '49', allowance: { charge: '50' } }, used: [reports] },
    ['usage 30.00', 'base_fee 49.00', 'allowance -30.00'],
    '49.00',
  ],
  [
    'a charge before a maximum: 100 - 20 = 80, at most 70',
    { plan: { allowance: { charge: '20' }, maximum_spend: '70' }, used: [chats] },
    ['usage 100.00', 'allowance -20.00', 'maximum_spend -10.00'],
    '70.00',
  ],
  [
    'credits after a maximum: 100 + 49, at most 120, less 20',
    { plan: { base_fee: '49', maximum_spend: '120', allowance: { credits: '20' } }, used: [chats] },
    ['usage 100.00', 'base_fee 49.00', 'maximum_spend -29.00', 'credits -20.00'],
    '100.00',
  ],
  [
    'credits that rolled over, then a pack: 10 + 5 = 15 and 12 of 30',
    {
      plan: { allowance: { credits: '10', rollover: true, rollover_limit: '8' } },
      used: [reports],
      opening: {
        rollover: [{ plan_id: 'pro', key: 'credits', amount: '5' }],
        credits: [credit(1, '12')],
      },
    },
    ['usage 30.00', 'credits -15.00', 'credits -12.00'],
    '3.00',
  ],
  [
    'an event of each thing that can be matched, and the first allowance that matches: 1 of each is included, 2 of ours',
    {
      plan: {
        allowance: [
          { quantity: '1', count: 'events', match: { provider: 'openai' } },
          { quantity: '1', count: 'events', match: { model_id: 'small' } },
          { quantity: '1', count: 'events', match: { subscription_item_id: 'si_1' } },
          { quantity: '1', count: 'events', match: { region: 'eu' } },
          { quantity: '1', count: 'events', match: { service_tier: 'batch' } },
          { quantity: '1', count: 'events', match: { source: 'gateway' } },
          { quantity: '1', count: 'events', match: { paid_by: 'customer' } },
          { quantity: '2', count: 'events', match: { paid_by: 'us' } },
        ],
        lines: { group_by: [] },
        base_fee: '5',
      },
      used: [
        { cost: '1', provider: 'openai', region: 'eu' },
        { cost: '2', model_id: 'small' },
        { cost: '3', subscription_item_id: 'si_1' },
        { cost: '4', region: 'eu' },
        { cost: '5', service_tier: 'batch' },
        { cost: '6', source: 'gateway' },
        { cost: '7', paid_by: 'customer' },
        { cost: '8', paid_by: 'us' },
        { cost: '9' },
      ],
    },
    [
      'usage 9.00',
      ...[1, 2, 3, 4, 5, 6, 7, 8].map((amount) => `usage ${amount}.00`),
      'base_fee 5.00',
      ...[1, 2, 3, 4, 5, 6, 7, 8].map((amount) => `allowance -${amount}.00`),
    ],
    '14.00',
  ],
];
