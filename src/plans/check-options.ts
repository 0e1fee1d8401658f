import type { Plan } from '../contracts/plan.js';
import { invalidPlan } from './invalid-plan.js';

/** Refuses options of rules and plans that contradict each other. Throws `invalid_plan` with the field. */
export function checkOptions(plan: Plan): void {
  plan.rules.forEach((rule, index) => {
    if (!('cost_basis' in rule) || rule.cost_basis !== 'reported') return;
    if (rule.match?.meter !== undefined) {
      throw invalidPlan(
        `rules[${index}].match.meter`,
        'A cost is reported for a whole event: a rule that charges on it cannot name meters.',
      );
    }
  });
  if (plan.held_wait !== undefined && plan.on_held !== 'wait') {
    throw invalidPlan('held_wait', 'Only a plan with "on_held": "wait" waits.');
  }
}
