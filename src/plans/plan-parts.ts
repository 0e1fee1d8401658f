import type { Plan } from '../contracts/plan.js';
import type { OwnPriceRule, PlanRule } from '../contracts/plan-rule.js';
import type { Allowance, QuantityAllowance } from '../contracts/plan-terms.js';

/** The plan's allowances as a list; their index is how they are referred to. */
export function allowancesOf(plan: Pick<Plan, 'allowance'>): Allowance[] {
  const { allowance } = plan;
  return allowance === undefined ? [] : Array.isArray(allowance) ? allowance : [allowance];
}

/** Names an allowance of a plan over its versions, for what rolls over. */
export function allowanceKey(allowance: Allowance): string {
  if ('charge' in allowance) return 'charge';
  if ('credits' in allowance) return 'credits';
  return `quantity ${allowance.count} ${JSON.stringify(allowance.match ?? {})}`;
}

/** Whether the rule has a price of its own, independent of cost. */
export function isOwnPrice(rule: PlanRule): rule is OwnPriceRule {
  return !('markup' in rule) && !('margin' in rule);
}

/** Whether what a rule charges depends on more than the sum of its parts: it is found on the period's total, alone. */
export function isPricedByTotal(rule: PlanRule): boolean {
  return isOwnPrice(rule) && (!('unit_price' in rule) || rule.count === 'actions');
}

/** Whether distinct actions have to be counted for the rule. */
export function countsActions(rule: PlanRule): boolean {
  return isOwnPrice(rule) ? rule.count === 'actions' && !('flat' in rule) : rule.fee_per_action !== undefined;
}

/** Whether something of the plan needs counts that the sums of pricing do not have. */
export function needsCounts(plan: Plan): boolean {
  return (
    plan.seats !== undefined ||
    plan.rules.some(countsActions) ||
    allowancesOf(plan).some((one): one is QuantityAllowance => 'quantity' in one && one.count === 'actions')
  );
}

/** What of the base fee is paid when: null where the plan has none. */
export function baseFeeOf(plan: Pick<Plan, 'base_fee'>): { amount: string; timing: 'arrears' | 'advance' } | null {
  const fee = plan.base_fee;
  if (fee === undefined) return null;
  return typeof fee === 'string' ? { amount: fee, timing: 'arrears' } : fee;
}
