import { describe, expect, it } from 'vitest';
import { type Case, chats, check, compose, HALF, pages, reports, rest, type Used } from './plan-cases.js';

describe('allowances', () => {
  const chatsIncluded = { quantity: '20', count: 'actions' as const, match: { feature: 'chat' }, name: 'chats' };
  it.each<Case>([
    [
      'a quantity with some left: 12 of 20 chats, all of it included',
      { plan: { allowance: chatsIncluded }, used: [chats], actions: { 'allowance 0': 12 } },
      ['usage 100.00', 'allowance -100.00'],
      '0.00',
    ],
    [
      'a quantity exactly used up',
      { plan: { allowance: chatsIncluded }, used: [chats], actions: { 'allowance 0': 20 } },
      ['usage 100.00', 'allowance -100.00'],
      '0.00',
    ],
    [
      'a quantity and what goes beyond: 20 of 25 included, 100 x 5 / 25 = 20 beyond',
      { plan: { allowance: chatsIncluded }, used: [chats], actions: { 'allowance 0': 25 } },
      ['usage 80.00', 'overage 20.00', 'allowance -80.00'],
      '20.00',
    ],
    [
      'other usage is not included',
      { plan: { allowance: chatsIncluded }, used: [chats, reports], actions: { 'allowance 0': 25 } },
      ['usage 30.00', 'usage 80.00', 'overage 20.00', 'allowance -80.00'],
      '50.00',
    ],
    [
      'a quantity of a meter: 600 of 1,000 pages at 0.10',
      {
        plan: {
          rules: [{ match: { meter: 'pages' }, unit_price: '0.10' }, rest],
          allowance: { quantity: '600', match: { meter: 'pages' }, name: 'pages' },
        },
        used: [pages(1_000)],
      },
      ['usage 60.00', 'overage 40.00', 'allowance -60.00'],
      '40.00',
    ],
    [
      'half a period, half the quantity: 10 of 25, 100 x 10 / 25 = 40 included',
      { plan: { allowance: chatsIncluded }, used: [chats], actions: { 'allowance 0': 25 }, period: HALF },
      ['usage 40.00', 'overage 60.00', 'allowance -40.00'],
      '60.00',
    ],
    [
      'with what rolled over: 20 + 5 = 25 chats',
      {
        plan: { allowance: { ...chatsIncluded, rollover: true } },
        used: [chats],
        actions: { 'allowance 0': 25 },
        opening: { rollover: [{ plan_id: 'pro', key: 'quantity actions {"feature":"chat"}', amount: '5' }] },
      },
      ['usage 100.00', 'allowance -100.00'],
      '0.00',
    ],
    [
      'after a discount the included part is discounted too: 100 - 20, of which 80 / 100 x 80 = 64 are included',
      {
        plan: { allowance: chatsIncluded, discounts: [{ name: 'Partner', percent: '0.2' }] },
        used: [chats],
        actions: { 'allowance 0': 25 },
      },
      ['usage 80.00', 'overage 20.00', 'discount -20.00', 'allowance -64.00'],
      '16.00',
    ],
    [
      'a charge with what rolled over: 20 + 15 = 35 of 100',
      {
        plan: { allowance: { charge: '20', rollover: true } },
        used: [chats],
        opening: { rollover: [{ plan_id: 'pro', key: 'charge', amount: '15' }] },
      },
      ['usage 100.00', 'allowance -35.00'],
      '65.00',
    ],
    [
      'a charge, and beyond it lines of their own: 100 are 20 and 80',
      { plan: { allowance: { charge: '20' }, lines: { group_by: [], overage: true } }, used: [chats] },
      ['usage 20.00', 'overage 80.00', 'allowance -20.00'],
      '80.00',
    ],
    [
      'a charge that is not used up has nothing beyond it',
      { plan: { allowance: { charge: '200' }, lines: { group_by: [], overage: true } }, used: [chats] },
      ['usage 100.00', 'allowance -100.00'],
      '0.00',
    ],
    [
      'a charge that ends between two lines cuts neither',
      {
        plan: { allowance: { charge: '30' }, lines: { group_by: ['feature'], overage: true } },
        used: [
          { ...reports, feature: 'a' },
          { ...chats, feature: 'b' },
        ],
      },
      ['usage 30.00', 'overage 100.00', 'allowance -30.00'],
      '100.00',
    ],
    [
      'credits pay for fees as well: 100 + 10 - 50',
      { plan: { base_fee: '10', allowance: { credits: '50' } }, used: [chats] },
      ['usage 100.00', 'base_fee 10.00', 'credits -50.00'],
      '60.00',
    ],
    [
      'a quantity, a charge and credits together: 80 by quantity, 5 by charge, 10 by credits',
      {
        plan: { allowance: [chatsIncluded, { charge: '5' }, { credits: '10' }] },
        used: [chats],
        actions: { 'allowance 0': 25 },
      },
      ['usage 80.00', 'overage 20.00', 'allowance -80.00', 'allowance -5.00', 'credits -10.00'],
      '5.00',
    ],
  ])('%s', (_what, example, lines, total) => check(example, lines, total));

  it('say what was used in the words of the customer', () => {
    const { lines } = compose({
      plan: { allowance: chatsIncluded, lines: { group_by: ['feature'], unit: { meter: 'requests', name: 'chats' } } },
      used: [{ ...chats, quantity: 25 }],
      actions: { 'allowance 0': 25 },
    }).content;
    expect(lines.map((line) => line.description)).toEqual([
      'chat · 20 chats (12 events)',
      'chat · 5 chats · beyond the included usage',
      'Included: 20 of 20 chats',
    ]);
  });

  it('leave what is left to the next period where it rolls over, up to its limit', () => {
    const left = (allowance: object, used: Used[]) =>
      compose({ plan: { allowance: allowance as never }, used }).content.balances.closing.rollover;
    expect(left({ charge: '120', rollover: true }, [chats])).toEqual([{ plan_id: 'pro', key: 'charge', amount: '20' }]);
    expect(left({ charge: '120', rollover: true, rollover_limit: '8' }, [chats])[0]).toMatchObject({ amount: '8' });
    expect(left({ charge: '120' }, [chats])).toEqual([]);
    expect(left({ charge: '90', rollover: true }, [chats])).toEqual([]);
  });
});
