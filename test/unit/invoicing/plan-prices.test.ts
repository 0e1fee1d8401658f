import { describe, expect, it } from 'vitest';
import { type Case, chats, check, compose, HALF, pages, REPORT, reports, rest, TIERS } from './plan-cases.js';

describe('rules on cost', () => {
  it.each<Case>([
    [
      'a floor for each unit: 1,000 pages cost 1.00, x 1.2 = 1.20; at least 1,000 x 0.002 = 2.00',
      {
        plan: { rules: [{ match: { meter: 'pages' }, markup: '0.2', floor_per_unit: { price: '0.002' } }, rest] },
        used: [pages(1_000)],
      },
      ['usage 2.00'],
      '2.00',
    ],
    [
      'a floor that is reached exactly: 2.00 x 1 = 2.00',
      {
        plan: { rules: [{ match: { meter: 'pages' }, markup: '0', floor_per_unit: { price: '0.002' } }, rest] },
        used: [pages(1_000, '2')],
      },
      ['usage 2.00'],
      '2.00',
    ],
    [
      'a cap for each 1,000 units: 9.00 x 1.5 = 13.50; at most 3 x 4.00 = 12.00',
      {
        plan: {
          rules: [{ match: { meter: 'pages' }, markup: '0.5', cap_per_unit: { price: '4', per: 1_000 } }, rest],
        },
        used: [pages(3_000, '9')],
      },
      ['usage 12.00'],
      '12.00',
    ],
    [
      'a floor for each price apart: dear pages pay their price, cheap ones the floor: 5.00 + 2.00',
      {
        plan: { rules: [{ match: { meter: 'pages' }, markup: '0', floor_per_unit: { price: '0.002' } }, rest] },
        used: [pages(1_000, '5'), pages(1_000, '1')],
      },
      ['usage 7.00'],
      '7.00',
    ],
    [
      'a fee for each event: 100 x 1 + 12 x 0.05 = 100.60',
      { plan: { rules: [{ markup: '0', fee_per_event: '0.05' }] }, used: [chats] },
      ['usage 100.60'],
      '100.60',
    ],
    [
      'a fee for each action, on a line of its own: 3 x 0.25 = 0.75',
      { plan: { rules: [{ markup: '0', fee_per_action: '0.25' }] }, used: [chats], actions: { 'rule 0': 3 } },
      ['usage 100.00', 'action_fee 0.75'],
      '100.75',
    ],
  ])('%s', (_what, example, lines, total) => check(example, lines, total));

  it('show both words for either: 100 / 0.8 = 125 is a markup of 0.25 and a margin of 0.2', () => {
    const [line] = compose({ plan: { rules: [{ margin: '0.2' }] }, used: [chats] }).content.lines;
    expect(line).toMatchObject({ markup: '0.25', margin: '0.2' });
  });

  it('show them on the total too: 125 + 75 = 200 over 100 is a markup of 1 and a margin of 0.5', () => {
    const { content } = compose({ plan: { rules: [{ margin: '0.2' }], base_fee: '75' }, used: [chats] });
    expect(content).toMatchObject({ total: '200.00', markup: '1', margin: '0.5' });
    expect(content.lines[1]).toMatchObject({ kind: 'base_fee', markup: null, margin: null });
  });

  it('show them after the exchange: 100 usd are 90 eur; 99 eur are a markup of 0.1', () => {
    const example = { plan: { rules: [{ markup: '0.1' }] }, currency: 'eur', exchange_rates: { usd: '0.9' } };
    expect(compose({ ...example, used: [chats] }).content).toMatchObject({ total: '99.00', markup: '0.1' });
  });
});

describe('own prices', () => {
  it.each<Case>([
    [
      '$0.40 a report, whatever it costs: 7 x 0.40 = 2.80',
      { plan: { rules: [REPORT, rest] }, used: [chats, reports], actions: { 'rule 0': 7 } },
      ['usage 100.00', 'usage 2.80'],
      '102.80',
    ],
    [
      'the first 1,000 chats included, all of them used up: 0 + 0',
      {
        plan: {
          rules: [
            {
              match: { feature: 'chat' },
              count: 'actions',
              graduated: [{ up_to: '1000', price: '0' }, { price: '0.02' }],
            },
            rest,
          ],
        },
        used: [chats],
        actions: { 'rule 0': 1_000 },
      },
      ['usage 0.00'],
      '0.00',
    ],
    [
      'the 1,001st chat costs 0.02',
      {
        plan: {
          rules: [
            {
              match: { feature: 'chat' },
              count: 'actions',
              graduated: [{ up_to: '1000', price: '0' }, { price: '0.02' }],
            },
            rest,
          ],
        },
        used: [chats],
        actions: { 'rule 0': 1_001 },
      },
      ['usage 0.00', 'usage 0.02'],
      '0.02',
    ],
    [
      'a unit price of a meter stands in the lines of the plan: 50 x 0.10 = 5.00',
      { plan: { rules: [{ match: { meter: 'pages' }, unit_price: '0.10' }, rest] }, used: [pages(50)] },
      ['usage 5.00'],
      '5.00',
    ],
    [
      'packages over all models together: 600 + 600 = 1,200, 2 packages = 10.00',
      {
        plan: { rules: [{ match: { meter: 'pages' }, package: { size: '1000', price: '5' } }, rest] },
        used: [
          { ...pages(600), model_id: 'a' },
          { ...pages(600), model_id: 'b' },
        ],
      },
      ['usage 10.00'],
      '10.00',
    ],
    [
      'graduated, a line for each tier: 100 x 0.50, 900 x 0.20, 1 x 0.10',
      { plan: { rules: [{ match: { meter: 'pages' }, graduated: TIERS }, rest] }, used: [pages(1_001)] },
      ['usage 50.00', 'usage 180.00', 'usage 0.10'],
      '230.10',
    ],
    [
      'by volume, the last unit of the first tier: 100 x 0.50',
      { plan: { rules: [{ match: { meter: 'pages' }, volume: TIERS }, rest] }, used: [pages(100)] },
      ['usage 50.00'],
      '50.00',
    ],
    [
      'by volume, one unit more: 101 x 0.20',
      { plan: { rules: [{ match: { meter: 'pages' }, volume: TIERS }, rest] }, used: [pages(101)] },
      ['usage 20.20'],
      '20.20',
    ],
    [
      'a flat price for searches, however many',
      { plan: { rules: [{ match: { feature: 'chat' }, flat: '15' }, rest] }, used: [chats, reports] },
      ['usage 30.00', 'usage 15.00'],
      '45.00',
    ],
    [
      'events counted: 12 x 0.01 = 0.12',
      { plan: { rules: [{ count: 'events', unit_price: '0.01' }] }, used: [chats] },
      ['usage 0.12'],
      '0.12',
    ],
    [
      'in the currency of the plan, without any rate: 7 x 0.40 = 2.80 eur',
      {
        plan: { rules: [REPORT, { unit_price: '0', count: 'events' }] },
        currency: 'eur',
        used: [reports],
        actions: { 'rule 0': 7 },
      },
      ['usage 2.80'],
      '2.80',
    ],
    [
      'tiers of half a period end at the half: 50 x 0.50 + 450 x 0.20 + 1 x 0.10',
      {
        plan: { rules: [{ match: { meter: 'pages' }, graduated: TIERS }, rest] },
        used: [pages(501)],
        period: HALF,
      },
      ['usage 25.00', 'usage 90.00', 'usage 0.10'],
      '115.10',
    ],
  ])('%s', (_what, example, lines, total) => check(example, lines, total));

  it('need the counts of their actions: without them nothing is composed', () => {
    expect(() => compose({ plan: { rules: [REPORT, rest] }, used: [reports] })).toThrow('were not counted');
  });

  it('say what they count', () => {
    const { unit_price: _price, ...head } = REPORT;
    const tiers = { graduated: [{ up_to: '5', price: '0' }, { price: '2' }] };
    const { lines } = compose({
      plan: { rules: [{ ...head, ...tiers, name: 'Reports' }, rest] },
      used: [reports],
      actions: { 'rule 0': 7 },
    }).content;
    expect(lines.map((line) => line.description)).toEqual([
      'Reports, included up to 5 · 5 reports',
      'Reports, beyond 5 · 2 reports',
    ]);
    expect(lines.map((line) => [line.quantity, line.unit, line.events, line.rule])).toEqual([
      ['5', 'reports', 4, 0],
      ['2', 'reports', 0, 0],
    ]);
  });
});
