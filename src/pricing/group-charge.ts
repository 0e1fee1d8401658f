import type { CostPlusRule, OwnPriceRule, PlanRule } from '../contracts/plan-rule.js';
import { CostplusError } from '../errors/error.js';
import type { Currency } from '../money/currency.js';
import {
  divide,
  type Fraction,
  fromExactText,
  fromInteger,
  isZero,
  maximum,
  minimum,
  multiply,
  ONE,
  parseDecimal,
} from '../money/fraction.js';
import { isOwnPrice } from '../plans/plan-parts.js';
import { chargeFor } from '../plans/plan-rules.js';
import { groupCost } from './group-cost.js';
import type { CostGroup } from './pricing-result.js';

/** The currency of plan and invoice, and what one unit of other currencies is in it (decimal strings above zero). */
export interface ChargeCurrency {
  currency: Currency;
  rates: Readonly<Record<Currency, string>>;
}

/**
 * What a group is charged by a rule, exact, as amounts by currency: cost-plus in the catalog's, what the plan itself
 * prices (fees, bounds of a unit, own prices) in the plan's. Sums over groups that were cut differently are the same.
 * What a rule charges on its total alone (`isPricedByTotal`, fees for actions) is not in it.
 * Throws `no_exchange_rate` where a bound has to be compared and there is none.
 */
export function groupCharges(rule: PlanRule, group: CostGroup, to: ChargeCurrency): [Currency, Fraction][] {
  if (isOwnPrice(rule)) return [[to.currency, ownCharge(rule, group)]];
  const fee = rule.fee_per_event;
  const fees: [Currency, Fraction][] =
    fee === undefined || group.events === 0
      ? []
      : [[to.currency, multiply(parseDecimal(fee), fromInteger(group.events))]];
  return [costPlusCharge(rule, group, to), ...fees];
}

/** The rate from a currency to that of the plan. Throws `no_exchange_rate` where it is missing or not above zero. */
export function exchangeRate(from: Currency, { currency, rates }: ChargeCurrency): Fraction {
  if (from === currency) return ONE;
  const text = Object.hasOwn(rates, from) ? rates[from] : undefined;
  if (text === undefined || parseDecimal(text).n <= 0n) {
    throw new CostplusError('no_exchange_rate', `There is no exchange rate from ${from} to ${currency}.`);
  }
  return parseDecimal(text);
}

function ownCharge(rule: OwnPriceRule, group: CostGroup): Fraction {
  if (!('unit_price' in rule)) throw new RangeError('this price is found on the total of its rule');
  const quantity = rule.count === 'events' ? fromInteger(group.events) : fromExactText(group.quantity);
  return divide(multiply(quantity, parseDecimal(rule.unit_price)), fromInteger(rule.per));
}

/** All units of a group cost the same, so that a bound of the unit is a bound of each of them. */
function costPlusCharge(rule: CostPlusRule, group: CostGroup, to: ChargeCurrency): [Currency, Fraction] {
  const charge = chargeFor(rule, groupCost(group));
  const { floor_per_unit: floor, cap_per_unit: cap } = rule;
  if (floor === undefined && cap === undefined) return [group.currency, charge];
  const quantity = fromExactText(group.quantity);
  const bound = ({ price, per }: { price: string; per: number }) =>
    divide(multiply(quantity, parseDecimal(price)), fromInteger(per));
  // A charge of nothing needs no rate: a free model in a currency that finance has never heard of.
  let amount = isZero(charge) ? charge : multiply(charge, exchangeRate(group.currency, to));
  if (floor !== undefined) amount = maximum(amount, bound(floor));
  if (cap !== undefined) amount = minimum(amount, bound(cap));
  return [to.currency, amount];
}
