import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { planSchema } from '../../../src/contracts/plan.js';
import { RULE_KINDS } from '../../../src/contracts/plan-rule.js';
import { checkPlan } from '../../../src/plans/plan-rules.js';

const page = readFileSync(new URL('../../../docs/how-to/plans.md', import.meta.url), 'utf8');
const plans = [...page.matchAll(/```json\n(.+?)```/gs)].map(([, text]) => JSON.parse(text!) as { plan_id: string });

describe('docs/how-to/plans.md', () => {
  it.each(plans.map((plan) => [plan.plan_id, plan] as const))('%s can be published', (_id, plan) => {
    expect(() => checkPlan(planSchema.parse(plan))).not.toThrow();
  });

  it('has a plan for each way to price and each term', () => {
    const parsed = plans.map((plan) => planSchema.parse(plan));
    const kinds = parsed.flatMap(({ rules }) => rules.flatMap((rule) => RULE_KINDS.filter((kind) => kind in rule)));
    expect([...new Set(kinds)].sort()).toEqual([...RULE_KINDS].sort());
    for (const term of [
      'base_fee',
      'seats',
      'allowance',
      'discounts',
      'minimum_spend',
      'maximum_spend',
      'commitment',
    ] as const) {
      expect(
        parsed.some((plan) => plan[term] !== undefined),
        term,
      ).toBe(true);
    }
  });
});
