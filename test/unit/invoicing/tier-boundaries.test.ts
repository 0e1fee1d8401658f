import { describe, it } from 'vitest';
import type { PlanInput } from '../../../src/contracts/plan.js';
import { chats, check, type Example, HALF, pages, rest } from './plan-cases.js';

type Rule = PlanInput['rules'][number];
type Price = { graduated: object[] } | { volume: object[] } | { package: object };

/** The same quantity, counted as units of a meter, as events, or as actions. */
const COUNTS: [count: string, of: (price: Price, quantity: number) => Example][] = [
  [
    'units',
    (price, quantity) => ({
      plan: { rules: [{ match: { meter: 'pages' }, ...price } as Rule, rest] },
      used: [pages(quantity)],
    }),
  ],
  [
    'events',
    (price, quantity) => ({
      plan: { rules: [{ count: 'events', match: { feature: 'chat' }, ...price } as Rule, rest] },
      used: [{ ...chats, events: quantity }],
    }),
  ],
  [
    'actions',
    (price, quantity) => ({
      plan: { rules: [{ count: 'actions', match: { feature: 'chat' }, ...price } as Rule, rest] },
      used: [chats],
      actions: { 'rule 0': quantity },
    }),
  ],
];

/** Up to 100 at 0.50, up to 1,000 at 0.20 and 10, beyond at 0.10. */
const TIERS = [{ up_to: '100', price: '0.50' }, { up_to: '1000', price: '0.20', flat_fee: '10' }, { price: '0.10' }];
/** The first of November until the eleventh: 10 of 30 days. */
const THIRD = { start: '2026-11-01T00:00:00.000Z', end: '2026-11-11T00:00:00.000Z' };

/** What, the quantity, what each line comes to, their sum. */
type Row = [what: string, quantity: number, lines: string[], total: string];

describe.each(COUNTS)('tiers of %s', (_count, exampleOf) => {
  const run = (price: Price, [, quantity, lines, total]: Row, period?: Example['period']) =>
    check(
      { ...exampleOf(price, quantity), ...(period === undefined ? {} : { period }) },
      lines.map((amount) => `usage ${amount}`),
      total,
    );

  it.each<Row>([
    ['the last but one of the first: 99 x 0.50', 99, ['49.50'], '49.50'],
    ['the last of the first: 100 x 0.50', 100, ['50.00'], '50.00'],
    ['the first of the second, which brings its fee: 50; 1 x 0.20 + 10', 101, ['50.00', '10.20'], '60.20'],
    ['the last but one of the second: 50; 899 x 0.20 + 10', 999, ['50.00', '189.80'], '239.80'],
    ['the last of the second: 50; 900 x 0.20 + 10', 1_000, ['50.00', '190.00'], '240.00'],
    ['the first of the third: 50; 190; 1 x 0.10', 1_001, ['50.00', '190.00', '0.10'], '240.10'],
  ])('graduated, %s', (...row) => run({ graduated: TIERS }, row));

  it.each<Row>([
    ['the last but one of the first: 99 x 0.50', 99, ['49.50'], '49.50'],
    ['the last of the first: 100 x 0.50', 100, ['50.00'], '50.00'],
    ['the first of the second: 101 x 0.20 + 10', 101, ['30.20'], '30.20'],
    ['the last but one of the second: 999 x 0.20 + 10', 999, ['209.80'], '209.80'],
    ['the last of the second: 1,000 x 0.20 + 10', 1_000, ['210.00'], '210.00'],
    ['the first of the third, without a fee: 1,001 x 0.10', 1_001, ['100.10'], '100.10'],
  ])('by volume, %s', (...row) => run({ volume: TIERS }, row));

  it.each<Row>([
    ['the last but one of the first: 49 x 0.50', 49, ['24.50'], '24.50'],
    ['the last of the first: 50 x 0.50', 50, ['25.00'], '25.00'],
    ['the first of the second, with half its fee: 25; 1 x 0.20 + 5', 51, ['25.00', '5.20'], '30.20'],
    ['the last but one of the second: 25; 449 x 0.20 + 5', 499, ['25.00', '94.80'], '119.80'],
    ['the last of the second: 25; 450 x 0.20 + 5', 500, ['25.00', '95.00'], '120.00'],
    ['the first of the third: 25; 95; 1 x 0.10', 501, ['25.00', '95.00', '0.10'], '120.10'],
  ])('graduated over half a period, %s', (...row) => run({ graduated: TIERS }, row, HALF));

  it.each<Row>([
    ['the last but one of the first: 49 x 0.50', 49, ['24.50'], '24.50'],
    ['the last of the first: 50 x 0.50', 50, ['25.00'], '25.00'],
    ['the first of the second: 51 x 0.20 + 5', 51, ['15.20'], '15.20'],
    ['the last but one of the second: 499 x 0.20 + 5', 499, ['104.80'], '104.80'],
    ['the last of the second: 500 x 0.20 + 5', 500, ['105.00'], '105.00'],
    ['the first of the third: 501 x 0.10', 501, ['50.10'], '50.10'],
  ])('by volume over half a period, %s', (...row) => run({ volume: TIERS }, row, HALF));

  it.each<Row>([
    ['below the bound of 33 1/3: 33 x 0.50', 33, ['16.50'], '16.50'],
    ['above it: 33 1/3 x 0.50 = 16.666...; 2/3 x 0.20 + 10 / 3 = 3.4666...', 34, ['16.67', '3.47'], '20.14'],
  ])('graduated over a third of a period, %s', (...row) => run({ graduated: TIERS }, row, THIRD));

  it.each<Row>([
    ['below the bound of 33 1/3: 33 x 0.50', 33, ['16.50'], '16.50'],
    ['above it: 34 x 0.20 + 10 / 3 = 10.1333...', 34, ['10.13'], '10.13'],
  ])('by volume over a third of a period, %s', (...row) => run({ volume: TIERS }, row, THIRD));

  it.each<Row>([
    ['the last but one of the first package', 9, ['3.00'], '3.00'],
    ['the first package, full', 10, ['3.00'], '3.00'],
    ['the second is begun: 2 x 3', 11, ['6.00'], '6.00'],
    ['two packages, full', 20, ['6.00'], '6.00'],
    ['the third is begun: 3 x 3', 21, ['9.00'], '9.00'],
    ['over half a period a package is as large: 2 x 3', 11, ['6.00'], '6.00'],
  ])('packages of 10 at 3, %s', (...row) =>
    run({ package: { size: '10', price: '3' } }, row, row[0].startsWith('over half') ? HALF : undefined),
  );

  it.each<Row>([
    ['one is left', 999, ['0.00'], '0.00'],
    ['all are used up', 1_000, ['0.00'], '0.00'],
    ['one more: 1 x 0.02', 1_001, ['0.00', '0.02'], '0.02'],
  ])('the first 1,000 included, %s', (...row) =>
    run({ graduated: [{ up_to: '1000', price: '0' }, { price: '0.02' }] }, row),
  );
});

describe('an allowance of 20 chats, 100 in all', () => {
  it.each<[what: string, actions: number, lines: string[], total: string]>([
    ['19 are included', 19, ['usage 100.00', 'allowance -100.00'], '0.00'],
    ['20 are', 20, ['usage 100.00', 'allowance -100.00'], '0.00'],
    [
      'of 21 20 are: 100 x 20 / 21 = 95.238..., 100 / 21 = 4.761... beyond',
      21,
      ['usage 95.24', 'overage 4.76', 'allowance -95.24'],
      '4.76',
    ],
  ])('%s', (_what, actions, lines, total) => {
    const allowance = { quantity: '20', count: 'actions' as const, match: { feature: 'chat' } };
    check({ plan: { allowance }, used: [chats], actions: { 'allowance 0': actions } }, lines, total);
  });
});
