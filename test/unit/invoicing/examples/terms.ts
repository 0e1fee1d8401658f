import type { PlanInput } from '../../../../src/contracts/plan.js';
import { parseDecimal } from '../../../../src/money/fraction.js';
import { type Case, chats, credit, december, type Example, HALF, reports } from '../plan-cases.js';

const ADVANCE: Partial<PlanInput> = { base_fee: { amount: '49', timing: 'advance' } };
const PAID = { plan_id: 'pro', version: 1, amount: '49.00' };
const SEATS = { meter: 'seats', price: '10', included: 5 };
const COMMITTED = { amount: '300', periods: 3 };
/** Two of three periods are over, 150 of 300 spent. */
const UNDER_WAY = { plan_id: 'pro', ...COMMITTED, early_end: 'prorated' as const, over: 2, elapsed: '2', spent: '150' };
const goodwill = (amount: string): Partial<Example> => ({
  adjustments: [{ adjustment_id: 1, kind: 'goodwill', amount, description: 'For the outage' }],
});
const late = (amount: string): Partial<Example> => ({
  late: [
    {
      start_date: '2026-10-01',
      units: new Map(),
      events: 1,
      cost: parseDecimal(amount),
      charge: parseDecimal(amount),
      amount: BigInt(amount) * 100n,
    },
  ],
});

/** Fees, discounts, minimum and maximum, commitments and credits with each other. */
export const TERM_COMBINATIONS: Case[] = [
  [
    'fee, discount on fees, minimum: 30 + 50 - 10 = 70, 30 more to 100',
    {
      plan: { base_fee: '50', discounts: [{ name: 'Start', percent: '0.2', on: 'fees' }], minimum_spend: '100' },
      used: [reports],
    },
    ['usage 30.00', 'base_fee 50.00', 'discount -10.00', 'minimum_spend 30.00'],
    '100.00',
  ],
  [
    'a discount takes its share of a fee that was paid before: 10% of 49; the next 49 wait for their own period',
    {
      plan: { ...ADVANCE, discounts: [{ name: 'Start', percent: '0.1', on: 'fees' }] },
      next: december({ advance_fee: '49' }),
      opening: { advance: PAID },
    },
    ['advance_fee 49.00', 'discount -4.90'],
    '44.10',
  ],
  [
    'a minimum counts the fee that was paid before, not the next one: 30 + 49 + 21 to 100, less 49, plus 49',
    {
      plan: { ...ADVANCE, minimum_spend: '100' },
      used: [reports],
      next: december({ advance_fee: '49' }),
      opening: { advance: PAID },
    },
    ['usage 30.00', 'advance_fee 49.00', 'minimum_spend 21.00'],
    '100.00',
  ],
  [
    'a fee in arrears beside seats: 49 + (12 - 5) x 10',
    { plan: { base_fee: { amount: '49', timing: 'arrears' }, seats: SEATS }, seats: '12' },
    ['base_fee 49.00', 'seats 70.00'],
    '119.00',
  ],
  [
    'seats for half a period, less an amount for half: (12 - 5) x 10 / 2 = 35; 30 / 2 = 15',
    { plan: { seats: SEATS, discounts: [{ name: 'Start', amount: '30' }] }, seats: '12', period: HALF },
    ['seats 35.00', 'discount -15.00'],
    '20.00',
  ],
  [
    'seats and usage up to a maximum: 100 + 70, at most 150',
    { plan: { seats: SEATS, maximum_spend: '150' }, used: [chats], seats: '12' },
    ['usage 100.00', 'seats 70.00', 'maximum_spend -20.00'],
    '150.00',
  ],
  [
    'a share, then an amount: 100 - 10 = 90, 90 - 15',
    {
      plan: {
        discounts: [
          { name: 'Partner', percent: '0.1' },
          { name: 'Start', amount: '15' },
        ],
      },
      used: [chats],
    },
    ['usage 100.00', 'discount -10.00', 'discount -15.00'],
    '75.00',
  ],
  [
    'an amount, then a share: 100 - 15 = 85, 85 x 0.1 = 8.50',
    {
      plan: {
        discounts: [
          { name: 'Start', amount: '15' },
          { name: 'Partner', percent: '0.1' },
        ],
      },
      used: [chats],
    },
    ['usage 100.00', 'discount -15.00', 'discount -8.50'],
    '76.50',
  ],
  [
    'one on usage and one on fees: 100 x 0.2 and 50 x 0.5',
    {
      plan: {
        base_fee: '50',
        discounts: [
          { name: 'Usage', percent: '0.2', on: 'usage' },
          { name: 'Fees', percent: '0.5', on: 'fees' },
        ],
      },
      used: [chats],
    },
    ['usage 100.00', 'base_fee 50.00', 'discount -20.00', 'discount -25.00'],
    '105.00',
  ],
  [
    'an amount on all takes of usage first: 30 of usage and 10 of the fee',
    {
      plan: { base_fee: '50', discounts: [{ name: 'Start', amount: '40', on: 'all' }], minimum_spend: '30' },
      used: [reports],
    },
    ['usage 30.00', 'base_fee 50.00', 'discount -40.00'],
    '40.00',
  ],
  [
    'usage and fees are rounded apart: 10% of 0.05 are 0.005, twice 0.01',
    {
      plan: { base_fee: '0.05', discounts: [{ name: 'Partner', percent: '0.1' }] },
      used: [{ cost: '0.05' }],
    },
    ['usage 0.05', 'base_fee 0.05', 'discount -0.02'],
    '0.08',
  ],
  [
    'dates in half a period: in force for 5 of the 15 days that are billed, 30% x 5 / 15 = 10%',
    {
      plan: { discounts: [{ name: 'Trial', percent: '0.3', to: '2026-11-21T00:00:00Z' }] },
      used: [chats],
      period: HALF,
    },
    ['usage 100.00', 'discount -10.00'],
    '90.00',
  ],
  [
    'an amount with dates in half a period: 30 x 15 / 30 x 5 / 15 = 5',
    {
      plan: {
        base_fee: '20',
        discounts: [{ name: 'Trial', amount: '30', from: '2026-11-18T00:00:00Z', to: '2026-11-23T00:00:00Z' }],
      },
      used: [chats],
      period: HALF,
    },
    ['usage 100.00', 'base_fee 10.00', 'discount -5.00'],
    '105.00',
  ],
  [
    'minimum and maximum for half a period: 30 + 24.50 to 60 / 2 is more than it, so at most 100 / 2',
    { plan: { base_fee: '49', minimum_spend: '60', maximum_spend: '100' }, used: [reports], period: HALF },
    ['usage 30.00', 'base_fee 24.50', 'maximum_spend -4.50'],
    '50.00',
  ],
  [
    'minimum and maximum alike are a fixed price: 30 + 69',
    { plan: { minimum_spend: '99', maximum_spend: '99' }, used: [reports] },
    ['usage 30.00', 'minimum_spend 69.00'],
    '99.00',
  ],
  [
    'a commitment counts what a maximum left: 300 - 150 - 80',
    {
      plan: { commitment: COMMITTED, maximum_spend: '100', discounts: [{ name: 'Partner', percent: '0.2' }] },
      used: [chats],
      next: december(),
      opening: { commitment: UNDER_WAY },
    },
    ['usage 100.00', 'discount -20.00', 'commitment 70.00'],
    '150.00',
  ],
  [
    'a commitment counts a minimum that was topped up: 300 - 150 - 50',
    {
      plan: { commitment: COMMITTED, minimum_spend: '50' },
      used: [reports],
      next: december(),
      opening: { commitment: UNDER_WAY },
    },
    ['usage 30.00', 'minimum_spend 20.00', 'commitment 100.00'],
    '150.00',
  ],
  [
    'a commitment counts the fee of its own period: 300 - 150 - 49 = 101; the next 49 count in theirs',
    {
      plan: { ...ADVANCE, commitment: COMMITTED },
      next: december({ advance_fee: '49' }),
      opening: { commitment: UNDER_WAY, advance: PAID },
    },
    ['advance_fee 49.00', 'commitment 101.00'],
    '150.00',
  ],
  [
    'a commitment in full that ends in the middle of its first period: 300 - 30',
    {
      plan: { commitment: { ...COMMITTED, early_end: 'full' } },
      used: [reports],
      period: { start: '2026-11-01T00:00:00.000Z', end: '2026-11-16T00:00:00.000Z' },
    },
    ['usage 30.00', 'commitment 270.00'],
    '300.00',
  ],
  [
    'a commitment by time that ends in the middle of its first period: 300 x 0.5 / 3 - 30',
    {
      plan: { commitment: { ...COMMITTED, early_end: 'prorated' } },
      used: [reports],
      period: { start: '2026-11-01T00:00:00.000Z', end: '2026-11-16T00:00:00.000Z' },
    },
    ['usage 30.00', 'commitment 20.00'],
    '50.00',
  ],
  [
    'goodwill does not count towards a commitment: 300 - 150 - 30, then -20',
    {
      plan: { commitment: COMMITTED },
      used: [reports],
      next: december(),
      opening: { commitment: UNDER_WAY },
      ...goodwill('-20'),
    },
    ['usage 30.00', 'commitment 120.00', 'adjustment -20.00'],
    '130.00',
  ],
  [
    'credits for usage do not pay for a commitment, those for all do: 30, then 120 of 200',
    {
      plan: { commitment: COMMITTED },
      used: [reports],
      next: december(),
      opening: {
        commitment: UNDER_WAY,
        credits: [credit(1, '90', { applies_to: 'usage' }), credit(2, '200')],
      },
    },
    ['usage 30.00', 'commitment 120.00', 'credits -30.00', 'credits -120.00'],
    '0.00',
  ],
  [
    'a minimum knows nothing of late usage, credits pay for it: 30 + 20 to 50, 25 late, less 60',
    {
      plan: { minimum_spend: '50' },
      used: [reports],
      opening: { credits: [credit(1, '60')] },
      ...late('25'),
    },
    ['usage 30.00', 'minimum_spend 20.00', 'late_usage 25.00', 'credits -60.00'],
    '15.00',
  ],
  [
    'a maximum below the fee leaves no usage to pay for but late usage: 30 + 50 at most 40, 25 late, 25 of 100',
    {
      plan: { base_fee: '50', maximum_spend: '40' },
      used: [reports],
      opening: { credits: [credit(1, '100', { applies_to: 'usage' })] },
      ...late('25'),
    },
    ['usage 30.00', 'base_fee 50.00', 'maximum_spend -40.00', 'late_usage 25.00', 'credits -25.00'],
    '40.00',
  ],
  [
    'credits pay what goodwill left, and no more: 100 - 20 = 80',
    { used: [chats], opening: { credits: [credit(1, '500')] }, ...goodwill('-20') },
    ['usage 100.00', 'adjustment -20.00', 'credits -80.00'],
    '0.00',
  ],
  [
    'credits for fees pay a charge that finance added: 49 + 12 of it, usage stays',
    {
      plan: { base_fee: '49' },
      used: [reports],
      adjustments: [{ adjustment_id: 1, kind: 'adjustment', amount: '12', description: 'Onboarding' }],
      opening: { credits: [credit(1, '100', { applies_to: 'fees' })] },
    },
    ['usage 30.00', 'base_fee 49.00', 'adjustment 12.00', 'credits -61.00'],
    '30.00',
  ],
];
