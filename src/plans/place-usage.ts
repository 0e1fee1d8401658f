import type { Plan } from '../contracts/plan.js';
import { allowancesOf, isPricedByTotal } from './plan-parts.js';
import { type GroupAttributes, matchesRule, matchRule } from './plan-rules.js';

/** Where usage of a plan stands: the rule that charges it, and the allowance of quantity that can include it. */
export interface Placing {
  rule: number;
  /** Index into `allowancesOf(plan)`; null: none. */
  allowance: number | null;
}

/**
 * The first rule that matches, and the first allowance of quantity that does. What a rule prices by its total (tiers,
 * packages, flat prices, actions) is never in an allowance: its included part is a tier of its own.
 */
export function placeUsage(plan: Plan, attributes: GroupAttributes): Placing {
  const rule = matchRule(plan, attributes);
  if (isPricedByTotal(plan.rules[rule]!)) return { rule, allowance: null };
  const allowance = allowancesOf(plan).findIndex((one) => 'quantity' in one && matchesRule(one.match, attributes));
  return { rule, allowance: allowance < 0 ? null : allowance };
}
