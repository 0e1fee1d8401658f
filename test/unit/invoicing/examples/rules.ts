import { type Case, chats, HALF, pages, REPORT, reports, rest } from '../plan-cases.js';

const PAGES = { match: { meter: 'pages' } };

/** Rules of several kinds in one plan, and options of rules with each other. */
export const RULE_COMBINATIONS: Case[] = [
  [
    'a markup for one provider and a margin for the others: 100 x 1.3 = 130; 70 / (1 - 0.3) = 100',
    {
      plan: { rules: [{ match: { provider: 'anthropic' }, markup: '0.3' }, { margin: '0.3' }] },
      used: [
        { cost: '100', model_id: 'a' },
        { cost: '70', model_id: 'b', provider: 'openai' },
      ],
    },
    ['usage 130.00', 'usage 100.00'],
    '230.00',
  ],
  [
    'a margin and a fee for each event: 70 / 0.7 = 100; 12 x 0.05 = 0.60',
    { plan: { rules: [{ margin: '0.3', fee_per_event: '0.05' }] }, used: [{ ...chats, cost: '70' }] },
    ['usage 100.60'],
    '100.60',
  ],
  [
    'a markup with fees for events and for actions: 100 x 1.2 + 12 x 0.05 = 120.60; 3 x 0.25 = 0.75',
    {
      plan: { rules: [{ markup: '0.2', fee_per_event: '0.05', fee_per_action: '0.25' }] },
      used: [chats],
      actions: { 'rule 0': 3 },
    },
    ['usage 120.60', 'action_fee 0.75'],
    '121.35',
  ],
  [
    'a margin and a floor: 1.00 / 0.5 = 2.00; at least 1,000 x 0.003 = 3.00',
    {
      plan: { rules: [{ ...PAGES, margin: '0.5', floor_per_unit: { price: '0.003' } }, rest] },
      used: [pages(1_000)],
    },
    ['usage 3.00'],
    '3.00',
  ],
  [
    'a floor and a cap over three prices: 1.00 is raised to 2.00, 3.00 stays, 9.00 is cut to 5.00',
    {
      plan: {
        rules: [
          {
            ...PAGES,
            markup: '0',
            floor_per_unit: { price: '2', per: 1_000 },
            cap_per_unit: { price: '5', per: 1_000 },
          },
          rest,
        ],
      },
      used: [pages(1_000, '1'), pages(1_000, '3'), pages(1_000, '9')],
    },
    ['usage 10.00'],
    '10.00',
  ],
  [
    'a cap does not hold back the fee for events: 9 x 1.5 = 13.50, at most 3 x 4 = 12; 4 x 0.50 = 2 on top',
    {
      plan: {
        rules: [{ ...PAGES, markup: '0.5', cap_per_unit: { price: '4', per: 1_000 }, fee_per_event: '0.50' }, rest],
      },
      used: [{ ...pages(3_000, '9'), events: 4 }],
    },
    ['usage 14.00'],
    '14.00',
  ],
  [
    'a price for 1,000 units beside packages: 2,500 x 3 / 1,000 = 7.50; 1,200 reads are 2 packages of 1,000 at 5 = 10',
    {
      plan: {
        rules: [
          { ...PAGES, unit_price: '3', per: 1_000 },
          { match: { meter: 'vector_reads' }, package: { size: '1000', price: '5' } },
          rest,
        ],
      },
      used: [pages(2_500), { meter: 'vector_reads', quantity: 1_200 }],
    },
    ['usage 7.50', 'usage 10.00'],
    '17.50',
  ],
  [
    'graduated pages with a fee for the second tier, the rest at a markup: 100 x 0.50; 50 x 0.20 + 7; 30 x 1.5',
    {
      plan: {
        rules: [
          {
            ...PAGES,
            graduated: [
              { up_to: '100', price: '0.50' },
              { price: '0.20', flat_fee: '7' },
            ],
          },
          { markup: '0.5' },
        ],
      },
      used: [pages(150), reports],
    },
    ['usage 45.00', 'usage 50.00', 'usage 17.00'],
    '112.00',
  ],
  [
    'pages by volume: 1,500 are all in the second tier, 1,500 x 2 / 1,000 + 4 = 7; chats at cost with a margin, 70 / 0.7',
    {
      plan: {
        rules: [
          {
            ...PAGES,
            count: 'units',
            volume: [
              { up_to: '1000', price: '3', per: 1_000 },
              { price: '2', per: 1_000, flat_fee: '4' },
            ],
          },
          { margin: '0.3', cost_basis: 'catalog' },
        ],
      },
      used: [pages(1_500), { ...chats, cost: '70' }],
    },
    ['usage 100.00', 'usage 7.00'],
    '107.00',
  ],
  [
    'reports by volume, and a fee for each chat: 11 reports are all 0.30 = 3.30; 100 x 1 + 3 x 0.10',
    {
      plan: {
        rules: [
          {
            match: { feature: 'report' },
            count: 'actions',
            volume: [{ up_to: '10', price: '0.40' }, { price: '0.30' }],
          },
          { markup: '0', fee_per_action: '0.10' },
        ],
      },
      used: [chats, reports],
      actions: { 'rule 0': 11, 'rule 1': 3 },
    },
    ['usage 100.00', 'usage 3.30', 'action_fee 0.30'],
    '103.60',
  ],
  [
    'a flat price beside a price of events: 15 for all chats; 4 events x 0.25 = 1.00',
    {
      plan: {
        rules: [
          { match: { feature: 'chat' }, flat: '15' },
          { count: 'events', unit_price: '0.25' },
        ],
      },
      used: [chats, reports],
    },
    ['usage 1.00', 'usage 15.00'],
    '16.00',
  ],
  [
    'events in packages beside events by tiers: 12 in packages of 5 are 3 x 2 = 6; 3 x 1 and 1 x 0.50',
    {
      plan: {
        rules: [
          { match: { feature: 'chat' }, count: 'events', package: { size: '5', price: '2' } },
          {
            match: { feature: 'report' },
            count: 'events',
            graduated: [{ up_to: '3', price: '1' }, { price: '0.50' }],
          },
          rest,
        ],
      },
      used: [chats, reports],
    },
    ['usage 6.00', 'usage 3.00', 'usage 0.50'],
    '9.50',
  ],
  [
    'a tier whose price is for 1,000 units, for half a period: bounds 250; 250 x 2 / 1,000; 150 x 1 / 1,000 + 3 / 2',
    {
      plan: {
        rules: [
          {
            ...PAGES,
            graduated: [
              { up_to: '500', price: '2', per: 1_000 },
              { price: '1', per: 1_000, flat_fee: '3' },
            ],
          },
          rest,
        ],
      },
      used: [pages(400)],
      period: HALF,
    },
    ['usage 0.50', 'usage 1.65'],
    '2.15',
  ],
  [
    'a reported cost where it is charged on, the cost of the catalog elsewhere: 3.00 x 1.1 = 3.30; 30 x 1.5 = 45',
    {
      plan: {
        rules: [{ match: { feature: 'chat' }, markup: '0.1', cost_basis: 'reported' }, { markup: '0.5' }],
        lines: { group_by: ['feature'] },
      },
      // Pricing hands over the reported amount as the quantity of a meter of its own, at a price of 1.
      used: [{ meter: 'reported-cost', cost: '3', quantity: 3, feature: 'chat' }, reports],
    },
    ['usage 3.30', 'usage 45.00'],
    '48.30',
  ],
  [
    'usage under a key of the customer pays a fee alone, ours a markup: 12 x 0.02 = 0.24; 30 x 1.5 = 45',
    {
      plan: {
        rules: [
          { match: { paid_by: 'customer' }, markup: '0', fee_per_event: '0.02' },
          { match: { paid_by: 'us' }, markup: '0.5' },
          rest,
        ],
        lines: { group_by: ['paid_by'] },
      },
      used: [
        { ...chats, cost: '0', paid_by: 'customer' },
        { ...reports, paid_by: 'us' },
      ],
    },
    ['usage 0.24', 'usage 45.00'],
    '45.24',
  ],
  [
    'a rule for each thing that can be matched, 1 to 8 an event, 9 for the rest: 1 + 2 + ... + 9 = 45',
    {
      plan: {
        rules: [
          { match: { provider: 'openai' }, markup: '0', fee_per_event: '1' },
          { match: { model_id: 'small' }, markup: '0', fee_per_event: '2' },
          { match: { meter: ['images'] }, markup: '0', fee_per_event: '3' },
          { match: { feature: 'chat' }, markup: '0', fee_per_event: '4' },
          { match: { subscription_item_id: 'si_1' }, markup: '0', fee_per_event: '5' },
          { match: { region: 'eu' }, markup: '0', fee_per_event: '6' },
          { match: { service_tier: 'batch' }, markup: '0', fee_per_event: '7' },
          { match: { source: 'gateway' }, markup: '0', fee_per_event: '8' },
          { match: { paid_by: 'customer' }, markup: '0', fee_per_event: '9' },
          rest,
        ],
        lines: { group_by: [] },
      },
      used: [
        { provider: 'openai' },
        { model_id: 'small' },
        { meter: 'images' },
        { feature: 'chat' },
        { subscription_item_id: 'si_1' },
        { region: 'eu' },
        { service_tier: 'batch' },
        { source: 'gateway' },
        { paid_by: 'customer' },
      ],
    },
    ['usage 45.00'],
    '45.00',
  ],
  [
    'the first rule that matches counts: a report of the small model is a report, 2 x 0.40; its other usage is 30 x 2',
    {
      plan: { rules: [REPORT, { match: { model_id: 'small' }, markup: '1' }, rest] },
      used: [
        { ...reports, model_id: 'small' },
        { cost: '30', model_id: 'small', feature: 'chat' },
      ],
      actions: { 'rule 0': 2 },
    },
    ['usage 60.00', 'usage 0.80'],
    '60.80',
  ],
];
