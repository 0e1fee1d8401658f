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
  checkSubscription(plan);
}

/** Lines on a subscription's invoice: what is not a line is that invoice's own business, and so is how it is collected. */
function checkSubscription({ invoice_on, submission, collection, stripe }: Plan): void {
  if (invoice_on !== 'subscription') return;
  if (submission !== 'stripe') {
    throw invalidPlan(
      'submission',
      'Stripe issues the invoice of a subscription by itself: only "stripe" goes with it.',
    );
  }
  if (collection.method !== 'charge_automatically') {
    throw invalidPlan('collection', 'How it is collected is set on the subscription at Stripe: leave it out.');
  }
  for (const option of ['automatic_tax', 'footer', 'memo', 'custom_fields'] as const) {
    if (stripe?.[option] === undefined) continue;
    throw invalidPlan(`stripe.${option}`, 'It is set on the subscription at Stripe: leave it out.');
  }
}
