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

  it('lines on a subscription leave to it what is not a line', () => {
    const invoice_on = 'subscription' as const;
    expect(check({ invoice_on })).not.toThrow();
    expect(check({ invoice_on, stripe: { default_tax_code: 'txcd_10103001' } })).not.toThrow();
    for (const submission of ['none', 'draft'] as const) {
      expect(check({ invoice_on, submission })).toThrow('only "stripe"');
    }
    const metered = { submission: 'meter_events' as const, meter_events: { event_name: 'usage' } };
    expect(check({ invoice_on, ...metered })).toThrow('only "stripe"');
    expect(check({ invoice_on, collection: { method: 'send_invoice', days_until_due: 30 } })).toThrow('collected');
    expect(check({ invoice_on, stripe: { automatic_tax: true } })).toThrow('on the subscription');
    expect(check({ invoice_on, stripe: { memo: 'Thank you' } })).toThrow('on the subscription');
    expect(check({ invoice_on: 'own', submission: 'draft', stripe: { memo: 'Thank you' } })).not.toThrow();
  });

  it('a rule can tell who paid the provider', () => {
    const rules = [{ match: { paid_by: 'customer' as const }, markup: '0', fee_per_event: '0.01' }, { markup: '0.5' }];
    expect(check({ rules })).not.toThrow();
    expect(check({ rules: [{ match: { paid_by: 'us' as const }, markup: '0' }, ...rules] })).not.toThrow();
  });
});
