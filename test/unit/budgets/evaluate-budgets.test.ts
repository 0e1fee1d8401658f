import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { budgetStates, reachedThresholds, spentOf } from '../../../src/budgets/evaluate-budgets.js';
import type { Budget } from '../../../src/contracts/plan.js';

const budget: Budget = { budget_id: 'b', measure: 'charge', amount: '100.00', thresholds: ['0.5', '0.8', '1'] };

describe('budgets', () => {
  it.each([
    ['49.999999999999999999', []],
    ['50', ['0.5']],
    ['80.000000000000000001', ['0.5', '0.8']],
    ['100', ['0.5', '0.8', '1']],
    ['250', ['0.5', '0.8', '1']],
  ])('a charge of %s reaches %j', (charge, expected) => {
    const reached = reachedThresholds([budget], { cost: '0', charge });
    expect(reached.map(({ threshold }) => threshold)).toEqual(expected);
  });

  it('watches cost where the budget says cost', () => {
    const reached = reachedThresholds([{ ...budget, measure: 'cost' }], { cost: '60', charge: '0' });
    expect(reached).toEqual([{ budget: { ...budget, measure: 'cost' }, threshold: '0.5', spent: '60' }]);
  });

  it('shows which thresholds are reached and since when', () => {
    const raised = new Map([['b 0.5', new Date('2026-11-03T00:00:00Z')]]);
    expect(
      budgetStates([budget], { cost: '1', charge: '85' }, { currency: 'usd', without_rate: [] }, raised)[0]!.thresholds,
    ).toEqual([
      { threshold: '0.5', reached: true, raised_at: '2026-11-03T00:00:00.000Z' },
      { threshold: '0.8', reached: true, raised_at: null },
      { threshold: '1', reached: false, raised_at: null },
    ]);
  });

  it('say which currencies have no rate: what is spent lacks them', () => {
    const totals = { currency: 'eur', without_rate: [{ currency: 'usd', cost: '900', charge: '1000' }] };
    expect(budgetStates([budget], { cost: '0', charge: '2.5' }, totals, new Map())).toMatchObject([
      { spent: '2.5', currency: 'eur', without_rate: ['usd'], thresholds: [{ reached: false }, {}, {}] },
    ]);
  });

  it('count late usage that the period would carry into the charge, and not into the cost', () => {
    expect(spentOf({ cost: '40', charge: '45.000000000000000001', late_charge: '4.999999999999999999' })).toEqual({
      cost: '40',
      charge: '50',
    });
    expect(spentOf({ cost: '1', charge: '10', late_charge: '-2.5' }).charge).toBe('7.5');
  });

  it('take exact amounts of more places than the API accepts of a decimal', () => {
    const charge = `49.${'9'.repeat(40)}`;
    expect(reachedThresholds([budget], spentOf({ cost: '0', charge, late_charge: '0' }))).toEqual([]);
    const more = spentOf({ cost: '0', charge, late_charge: `0.${'0'.repeat(39)}1` });
    expect(reachedThresholds([budget], more)).toMatchObject([{ threshold: '0.5', spent: '50' }]);
  });

  it('never takes back a threshold when more is spent', () => {
    const cents = fc.integer({ min: 0, max: 100_000 });
    fc.assert(
      fc.property(cents, cents, (spent, more) => {
        const charge = (value: number) => `${Math.floor(value / 100)}.${String(value % 100).padStart(2, '0')}`;
        const before = reachedThresholds([budget], { cost: '0', charge: charge(spent) }).length;
        const after = reachedThresholds([budget], { cost: '0', charge: charge(spent + more) }).length;
        expect(after).toBeGreaterThanOrEqual(before);
      }),
    );
  });
});
