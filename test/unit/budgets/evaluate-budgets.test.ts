import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { budgetStates, reachedThresholds } from '../../../src/budgets/evaluate-budgets.js';
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
    expect(budgetStates([budget], { cost: '1', charge: '85' }, 'usd', raised)[0]!.thresholds).toEqual([
      { threshold: '0.5', reached: true, raised_at: '2026-11-03T00:00:00.000Z' },
      { threshold: '0.8', reached: true, raised_at: null },
      { threshold: '1', reached: false, raised_at: null },
    ]);
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
