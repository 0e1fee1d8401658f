import { describe, it } from 'vitest';
import { type Case, chats, check, december, HALF, UNTIL_HALF } from './plan-cases.js';

describe('fees', () => {
  const advance = { base_fee: { amount: '49.00', timing: 'advance' as const } };
  it.each<Case>([
    [
      'the first invoice carries two: this period and the next',
      { plan: advance, next: december({ advance_fee: '49.00' }) },
      ['base_fee 49.00', 'advance_fee 49.00'],
      '98.00',
    ],
    [
      'later ones carry the next alone',
      {
        plan: advance,
        next: december({ advance_fee: '49.00' }),
        opening: { advance: { plan_id: 'pro', version: 1, amount: '49.00' } },
      },
      ['advance_fee 49.00'],
      '49.00',
    ],
    [
      'the last one carries none',
      { plan: advance, opening: { advance: { plan_id: 'pro', version: 1, amount: '49.00' } } },
      [],
      '0.00',
    ],
    [
      'a cancellation on the 16th credits the half that is unused: 24.50 - 49.00',
      {
        plan: advance,
        period: UNTIL_HALF,
        opening: { advance: { plan_id: 'pro', version: 1, amount: '49.00' } },
      },
      ['base_fee 24.50', 'advance_fee -49.00'],
      '-24.50',
    ],
    [
      'a next period that ends on 16 December (15.5 of 31 days) is charged so far: 24.50',
      {
        plan: advance,
        next: december({ advance_fee: '49.00', end: '2026-12-16T12:00:00.000Z' }),
        opening: { advance: { plan_id: 'pro', version: 1, amount: '49.00' } },
      },
      ['advance_fee 24.50'],
      '24.50',
    ],
    [
      'an upgrade in the middle: 10 / 2 + 30 / 2 = 20.00, of which 10.00 were paid',
      {
        plans: [{ base_fee: { amount: '10', timing: 'advance' } }, { base_fee: { amount: '30', timing: 'advance' } }],
        next: december({ plan_id: 'plan-1', advance_fee: '30' }),
        opening: { advance: { plan_id: 'pro', version: 1, amount: '10.00' } },
      },
      ['base_fee 5.00', 'base_fee 15.00', 'advance_fee -10.00', 'advance_fee 30.00'],
      '40.00',
    ],
    [
      'seats: (12 - 5) x 10.00 = 70.00',
      { plan: { seats: { meter: 'seats', price: '10', included: 5 } }, seats: '12' },
      ['seats 70.00'],
      '70.00',
    ],
    [
      'seats, exactly those included',
      { plan: { seats: { meter: 'seats', price: '10', included: 5 } }, seats: '5' },
      ['seats 0.00'],
      '0.00',
    ],
    [
      'seats for half a period: 4 x 10.00 / 2',
      { plan: { seats: { meter: 'seats', price: '10' } }, seats: '4', period: HALF },
      ['seats 20.00'],
      '20.00',
    ],
    [
      'an adjustment and goodwill come after the plan: 100 + 12.34 - 20',
      {
        used: [chats],
        adjustments: [
          { adjustment_id: 1, kind: 'adjustment', amount: '12.34', description: 'Onboarding' },
          { adjustment_id: 2, kind: 'goodwill', amount: '-20', description: 'For the outage' },
        ],
      },
      ['usage 100.00', 'adjustment 12.34', 'adjustment -20.00'],
      '92.34',
    ],
    [
      'goodwill is not eaten by a minimum: 100 top-up, then -20',
      {
        plan: { minimum_spend: '100' },
        adjustments: [{ adjustment_id: 1, kind: 'goodwill', amount: '-20', description: 'For the outage' }],
      },
      ['minimum_spend 100.00', 'adjustment -20.00'],
      '80.00',
    ],
  ])('%s', (_what, example, lines, total) => check(example, lines, total));
});

describe('discounts', () => {
  const name = 'Partner';
  it.each<Case>([
    [
      'a share of all: (100 + 50) x 0.2 = 30',
      { plan: { base_fee: '50', discounts: [{ name, percent: '0.2' }] }, used: [chats] },
      ['usage 100.00', 'base_fee 50.00', 'discount -30.00'],
      '120.00',
    ],
    [
      'a share of usage alone',
      { plan: { base_fee: '50', discounts: [{ name, percent: '0.2', on: 'usage' }] }, used: [chats] },
      ['usage 100.00', 'base_fee 50.00', 'discount -20.00'],
      '130.00',
    ],
    [
      'a share of fees alone',
      { plan: { base_fee: '50', discounts: [{ name, percent: '0.2', on: 'fees' }] }, used: [chats] },
      ['usage 100.00', 'base_fee 50.00', 'discount -10.00'],
      '140.00',
    ],
    [
      'an amount',
      { plan: { discounts: [{ name, amount: '15' }] }, used: [chats] },
      ['usage 100.00', 'discount -15.00'],
      '85.00',
    ],
    [
      'an amount larger than all there is',
      { plan: { base_fee: '5', discounts: [{ name, amount: '500' }] }, used: [chats] },
      ['usage 100.00', 'base_fee 5.00', 'discount -105.00'],
      '0.00',
    ],
    [
      'one after the other: 100 x 0.5 = 50, 50 x 0.1 = 5',
      {
        plan: {
          discounts: [
            { name, percent: '0.5' },
            { name: 'More', percent: '0.1' },
          ],
        },
        used: [chats],
      },
      ['usage 100.00', 'discount -50.00', 'discount -5.00'],
      '45.00',
    ],
    [
      'in force for the last 10 of 30 days: 100 x 0.3 / 3',
      { plan: { discounts: [{ name, percent: '0.3', from: '2026-11-21T00:00:00Z' }] }, used: [chats] },
      ['usage 100.00', 'discount -10.00'],
      '90.00',
    ],
    [
      'over before the period begins: its end is exclusive',
      { plan: { discounts: [{ name, percent: '0.3', to: '2026-11-01T00:00:00Z' }] }, used: [chats] },
      ['usage 100.00'],
      '100.00',
    ],
    [
      'an amount in force for half the period: 30 / 2',
      { plan: { discounts: [{ name, amount: '30', to: '2026-11-16T00:00:00Z' }] }, used: [chats] },
      ['usage 100.00', 'discount -15.00'],
      '85.00',
    ],
  ])('%s', (_what, example, lines, total) => check(example, lines, total));
});
