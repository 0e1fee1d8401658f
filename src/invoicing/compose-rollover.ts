import type { AllowanceUse, OpeningBalances, RolledOver } from '../contracts/balances.js';
import type { Plan } from '../contracts/plan.js';
import type { Allowance } from '../contracts/plan-terms.js';
import {
  add,
  type Fraction,
  fromExactText,
  isZero,
  maximum,
  minimum,
  negate,
  parseDecimal,
  subtract,
  toExactText,
  ZERO,
} from '../money/fraction.js';
import { allowanceKey, allowancesOf } from '../plans/plan-parts.js';
import { type PlanPart, planOf } from './compose-parts.js';

/** What an invoice took of an allowance of a plan version, and what it did not cover of the usage that it is for. */
export interface CoveredUse extends AllowanceUse {
  uncovered: string;
}

/** What is left of allowances with rollover, and what was used of each. Immutable: `keep` and `use` answer new balances. */
export class RolloverBalances {
  readonly #left: ReadonlyMap<string, Fraction>;
  readonly #uses: readonly CoveredUse[];

  constructor(left: ReadonlyMap<string, Fraction>, uses: readonly CoveredUse[] = []) {
    this.#left = left;
    this.#uses = uses;
  }

  carried(planId: string, key: string): Fraction {
    return this.#left.get(`${planId} ${key}`) ?? ZERO;
  }

  /** Replaces what an allowance has left: nothing where it does not roll over, at most its limit where it has one. */
  keep(planId: string, key: string, allowance: Allowance, left: Fraction): RolloverBalances {
    const { rollover, rollover_limit: limit } = allowance;
    const kept = rollover !== true ? ZERO : limit === undefined ? left : minimum(left, parseDecimal(limit));
    return new RolloverBalances(new Map(this.#left).set(`${planId} ${key}`, kept), this.#uses);
  }

  /** Notes what usage of a part took of an allowance, of all that it could have covered. */
  use(part: PlanPart, key: string, used: Fraction, wanted: Fraction): RolloverBalances {
    const noted = {
      ...planOf(part),
      key,
      used: toExactText(used),
      uncovered: toExactText(maximum(subtract(wanted, used), ZERO)),
    };
    return new RolloverBalances(this.#left, [...this.#uses, noted]);
  }

  get uses(): readonly CoveredUse[] {
    return this.#uses;
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

/** The sum of several lists of uses, by plan version and allowance. */
export function addUses(...lists: (readonly AllowanceUse[])[]): AllowanceUse[] {
  const sums = new Map<string, { use: AllowanceUse; used: Fraction }>();
  for (const use of lists.flat()) {
    const name = `${use.plan_id}@${use.version} ${use.key}`;
    const known = sums.get(name);
    sums.set(name, { use, used: add(known?.used ?? ZERO, fromExactText(use.used)) });
  }
  return [...sums.values()]
    .filter(({ used }) => !isZero(used))
    .map(({ use: { plan_id, version, key }, used }) => ({ plan_id, version, key, used: toExactText(used) }));
}

/** What the first list has beyond the second. */
export function lessUses(uses: readonly AllowanceUse[], less: readonly AllowanceUse[]): AllowanceUse[] {
  return addUses(
    uses,
    less.map((use) => ({ ...use, used: toExactText(negate(fromExactText(use.used))) })),
  );
}

/**
 * What is left where late usage leaves `derived`: the credits that a plan granted stay as `known`, they pay for no late
 * usage of their period.
 */
export function leftBeside(known: readonly RolledOver[], derived: readonly RolledOver[]): RolledOver[] {
  const isCredits = ({ key }: RolledOver) => key === 'credits';
  return [...derived.filter((one) => !isCredits(one)), ...known.filter(isCredits)];
}
