import type { AllowanceUse, HeldElsewhere } from '../contracts/balances.js';
import type { Currency } from '../money/currency.js';
import { fromMinor } from '../money/currency.js';
import {
  add,
  type Fraction,
  fromExactText,
  isZero,
  maximum,
  minimum,
  multiply,
  parseDecimal,
  subtract,
  sum,
  ZERO,
} from '../money/fraction.js';
import { allowanceKey, allowancesOf } from '../plans/plan-parts.js';
import { type PlanPart, termOf } from './compose-parts.js';

/** How much of its allowances an invoice may take, beside what they grant. */
export interface AllowanceBounds extends HeldElsewhere {
  /** What was taken before, and is taken again whatever others hold. */
  booked: AllowanceUse[];
  /** Take just that: the invoice as it stands. */
  only_booked: boolean;
  /** What was not covered before, and is not covered now: what is added is for usage that is added. */
  uncovered: AllowanceUse[];
}

export const NO_BOUNDS: AllowanceBounds = { passed_on: [], taken: [], booked: [], only_booked: false, uncovered: [] };

/** Of an allowance of a part. */
export interface Reach {
  /** What this invoice can take of it. */
  usable: Fraction;
  /** What others took: with what this one takes, it is no longer left. */
  taken: Fraction;
}

/**
 * What an invoice can take of an allowance of a part that has `whole`, granted and carried over: all but what other
 * invoices took of it, and what the next period opened with, as far as parts that come later do not grant it. `wanted`:
 * the usage that it could cover.
 */
export function reachOf(
  { parts, currency, bounds }: { parts: readonly PlanPart[]; currency: Currency; bounds: AllowanceBounds },
  index: number,
  key: string,
  whole: Fraction,
  wanted: Fraction = whole,
): Reach {
  if (bounds === NO_BOUNDS) return { usable: whole, taken: ZERO };
  const { plan } = parts[index]!;
  const taken = usedIn(parts, index, key, bounds.taken);
  const passedOn = sum(
    bounds.passed_on
      .filter((one) => one.plan_id === plan.plan_id && one.key === key)
      .map(({ amount }) => fromExactText(amount)),
  );
  let later = ZERO;
  for (let at = index + 1; at < parts.length; at++) {
    if (parts[at]!.plan.plan_id !== plan.plan_id) continue;
    const granted = grantedBy(parts[at]!, key, currency);
    later = add(later, maximum(subtract(granted, usedIn(parts, at, key, bounds.taken)), ZERO));
  }
  const kept = maximum(subtract(passedOn, later), ZERO);
  const free = maximum(subtract(subtract(whole, taken), kept), ZERO);
  const booked = minimum(whole, usedIn(parts, index, key, bounds.booked));
  const open = subtract(wanted, usedIn(parts, index, key, bounds.uncovered));
  return { usable: bounds.only_booked ? booked : maximum(minimum(free, open), booked), taken };
}

/** What uses say of a part: by its plan version; of versions that the period does not have (any more), its plan's last. */
function usedIn(parts: readonly PlanPart[], index: number, key: string, uses: readonly AllowanceUse[]): Fraction {
  const { plan, version } = parts[index]!;
  const own = uses.filter((one) => one.plan_id === plan.plan_id && one.key === key);
  if (own.length === 0) return ZERO;
  const versions = parts.filter((part) => part.plan.plan_id === plan.plan_id).map((part) => part.version);
  const isLast = versions.at(-1) === version;
  return sum(
    own
      .filter((one) => one.version === version || (isLast && !versions.includes(one.version)))
      .map(({ used }) => fromExactText(used)),
  );
}

/** What an allowance grants a part, for the part's time; nothing where its plan does not have it. */
function grantedBy(part: PlanPart, key: string, currency: Currency): Fraction {
  const allowance = allowancesOf(part.plan).find((one) => allowanceKey(one) === key);
  if (allowance === undefined || isZero(part.share)) return ZERO;
  if ('quantity' in allowance) return multiply(parseDecimal(allowance.quantity), part.share);
  const term = termOf(part, 'charge' in allowance ? allowance.charge : allowance.credits, currency);
  return term === null ? ZERO : fromMinor(term.minor, currency);
}
