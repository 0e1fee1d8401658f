import { describe, expect, it } from 'vitest';
import { type PlanInput, planSchema } from '../../../src/contracts/plan.js';
import { checkPlan } from '../../../src/plans/plan-rules.js';

const check = (given: Partial<PlanInput>) => () =>
  checkPlan(planSchema.parse({ plan_id: 'pro', currency: 'usd', rules: [{ markup: '0.5' }], ...given }));

describe('options of a plan that contradict each other', () => {
  it('a rule on reported costs names no meter: such a cost is the whole event', () => {
    const reported = { markup: '0.5', cost_basis: 'reported' as const };
    expect(check({ rules: [reported] })).not.toThrow();
    expect(check({ rules: [{ ...reported, match: { meter: 'images' } }, { markup: '0' }] })).toThrow(
      'cannot name meters',
    );
  });

  it('only a plan that waits for held usage says how long', () => {
    expect(check({ on_held: 'wait', held_wait: 'P1D' })).not.toThrow();
    expect(check({ on_held: 'stop', held_wait: 'P1D' })).toThrow('waits');
    expect(check({ held_wait: 'P1D' })).toThrow('waits');
  });

  it('a rule can tell who paid the provider', () => {
    const rules = [{ match: { paid_by: 'customer' as const }, markup: '0', fee_per_event: '0.01' }, { markup: '0.5' }];
    expect(check({ rules })).not.toThrow();
    expect(check({ rules: [{ match: { paid_by: 'us' as const }, markup: '0' }, ...rules] })).not.toThrow();
  });
});
