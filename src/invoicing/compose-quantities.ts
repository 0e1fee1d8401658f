import {
  add,
  compare,
  type Fraction,
  fromInteger,
  isZero,
  maximum,
  minimum,
  multiply,
  parseDecimal,
  subtract,
  ZERO,
} from '../money/fraction.js';
import { allowanceKey, allowancesOf } from '../plans/plan-parts.js';
import { reachOf } from './compose-held.js';
import type { IncludedUsage } from './compose-lines.js';
import { countedActions, type Terms } from './compose-parts.js';
import { openRollover, type RolloverBalances } from './compose-rollover.js';

/** What usage an allowance of quantity takes. */
export interface QuantityUse {
  units: Fraction;
  events: number;
}

/** What an allowance of quantity includes in a part: of `used`, at most `available`. */
export interface QuantityShare extends Omit<IncludedUsage, 'amount'> {
  used: Fraction;
}

/**
 * For each part and each of its allowances of quantity: what there was to use (granted for the part's time, and carried
 * over, less what other invoices have of it), what was used, and what of it is included. What is left rolls over where the plan says so.
 */
export function useAllowances(
  quantities: ReadonlyMap<string, QuantityUse>,
  terms: Terms,
): { included: QuantityShare[]; rollover: RolloverBalances } {
  const { parts, opening, counts } = terms;
  let rollover = openRollover(opening);
  const included: QuantityShare[] = [];
  parts.forEach((part, index) => {
    if (isZero(part.share)) return;
    allowancesOf(part.plan).forEach((allowance, at) => {
      if (!('quantity' in allowance)) return;
      const use = quantities.get(`${index} ${at}`) ?? { units: ZERO, events: 0 };
      const used =
        allowance.count === 'units'
          ? use.units
          : fromInteger(allowance.count === 'events' ? use.events : countedActions(part, `allowance ${at}`, counts));
      const key = allowanceKey(allowance);
      const granted = multiply(parseDecimal(allowance.quantity), part.share);
      const whole = add(granted, rollover.carried(part.plan.plan_id, key));
      const { usable, taken } = reachOf(terms, index, key, whole, used);
      const own = compare(used, ZERO) > 0 ? minimum(used, usable) : ZERO;
      const left = maximum(subtract(subtract(whole, taken), own), ZERO);
      rollover = rollover.keep(part.plan.plan_id, key, allowance, left).use(part, key, own, used);
      included.push({ part: index, allowance: at, used, included: own, available: usable });
    });
  });
  return { included, rollover };
}
