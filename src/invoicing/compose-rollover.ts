import type { OpeningBalances, RolledOver } from '../contracts/balances.js';
import type { Plan } from '../contracts/plan.js';
import type { Allowance } from '../contracts/plan-terms.js';
import { type Fraction, fromExactText, isZero, minimum, parseDecimal, toExactText, ZERO } from '../money/fraction.js';
import { allowanceKey, allowancesOf } from '../plans/plan-parts.js';

/** What is left of allowances with rollover. Immutable: `keep` answers new balances. */
export class RolloverBalances {
  readonly #left: ReadonlyMap<string, Fraction>;

  constructor(left: ReadonlyMap<string, Fraction>) {
    this.#left = left;
  }

  carried(planId: string, key: string): Fraction {
    return this.#left.get(`${planId} ${key}`) ?? ZERO;
  }

  /** Replaces what an allowance has left: nothing where it does not roll over, at most its limit where it has one. */
  keep(planId: string, key: string, allowance: Allowance, left: Fraction): RolloverBalances {
    const { rollover, rollover_limit: limit } = allowance;
    const kept = rollover !== true ? ZERO : limit === undefined ? left : minimum(left, parseDecimal(limit));
    return new RolloverBalances(new Map(this.#left).set(`${planId} ${key}`, kept));
  }

  /** What the next period takes over: balances of allowances that the plan in force at the end still has. */
  closing(plan: Plan): RolledOver[] {
    return allowancesOf(plan).flatMap((allowance) => {
      const key = allowanceKey(allowance);
      const left = this.carried(plan.plan_id, key);
      if (allowance.rollover !== true || isZero(left)) return [];
      return [{ plan_id: plan.plan_id, key, amount: toExactText(left) }];
    });
  }
}

export function openRollover({ rollover }: OpeningBalances): RolloverBalances {
  return new RolloverBalances(
    new Map(rollover.map(({ plan_id, key, amount }) => [`${plan_id} ${key}`, fromExactText(amount)])),
  );
}
