import type { BudgetState, Totals } from '../contracts/period.js';
import type { Budget } from '../contracts/plan.js';
import { add, compare, format, multiply, parseDecimal, parseShown } from '../money/fraction.js';

/** What a period has spent so far: exact decimal strings in the budgets' currency. */
export type Spent = Record<Budget['measure'], string>;

/** What of a period's totals its budgets watch: late usage that it would carry is charged with it. */
export function spentOf({ cost, charge, late_charge }: Pick<Totals, 'cost' | 'charge' | 'late_charge'>): Spent {
  if (late_charge === '0') return { cost, charge };
  return { cost, charge: format(add(parseShown(charge), parseShown(late_charge))) };
}

/** A threshold that spending has reached. */
export interface ReachedThreshold {
  budget: Budget;
  threshold: string;
  spent: string;
}

/** All thresholds that are reached: spent >= threshold x amount, exactly. */
export function reachedThresholds(budgets: readonly Budget[], spent: Spent): ReachedThreshold[] {
  return budgets.flatMap((budget) =>
    budget.thresholds
      .filter((threshold) => isReached(budget, threshold, spent))
      .map((threshold) => ({ budget, threshold, spent: spent[budget.measure] })),
  );
}

function isReached(budget: Budget, threshold: string, spent: Spent): boolean {
  const bound = multiply(parseDecimal(threshold), parseDecimal(budget.amount));
  return compare(parseShown(spent[budget.measure]), bound) >= 0;
}

/** The state of each budget for a person: what is spent of it, which thresholds are reached and since when. */
export function budgetStates(
  budgets: readonly Budget[],
  spent: Spent,
  totals: Pick<Totals, 'currency' | 'without_rate'>,
  raised: ReadonlyMap<string, Date>,
): BudgetState[] {
  return budgets.map((budget) => ({
    budget_id: budget.budget_id,
    measure: budget.measure,
    amount: budget.amount,
    spent: spent[budget.measure],
    currency: totals.currency,
    without_rate: totals.without_rate.map(({ currency }) => currency),
    thresholds: budget.thresholds.map((threshold) => ({
      threshold,
      reached: isReached(budget, threshold, spent),
      raised_at: raised.get(alertKey(budget.budget_id, threshold))?.toISOString() ?? null,
    })),
  }));
}

/** Names one alert of a period. */
export function alertKey(budgetId: string, threshold: string): string {
  return `${budgetId} ${threshold}`;
}
