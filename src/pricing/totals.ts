import type { Plan } from '../contracts/plan.js';
import type { Currency } from '../money/currency.js';
import { add, type Fraction, fromExactText, fromInteger, multiply, ONE, sum, ZERO } from '../money/fraction.js';
import { priceQuantity } from '../plans/own-prices.js';
import { isOwnPrice, isPricedByTotal } from '../plans/plan-parts.js';
import { type GroupAttributes, matchRule } from '../plans/plan-rules.js';
import { type ChargeCurrency, exchangeRate, groupCharges } from './group-charge.js';
import { groupCost } from './group-cost.js';
import type { CostGroup, PricingInputs, PricingResult } from './pricing-result.js';

/** What the priced events cost us, exact, in the catalog's currency. */
export function periodCost(pricing: PricingResult): Fraction {
  return sum(pricing.groups.map(groupCost));
}

/** What a period comes to so far. */
export interface PeriodTotals {
  cost: Fraction;
  /** Before fees, allowances and rounding. Prices for actions are not in it: nobody has counted them yet. */
  charge: Fraction;
  currency: Currency;
}

/**
 * Cost and charge of a period so far, exact. In the plan's currency where the rates of all catalog currencies are known;
 * else in the catalog's, and then without what the plan itself prices.
 */
export function periodTotals(
  inputs: PricingInputs,
  plans: Plan[],
  pricing: PricingResult,
  to: ChargeCurrency,
): PeriodTotals {
  const currencies = [...new Set(pricing.groups.map(({ currency }) => currency))];
  if (!currencies.every((from) => from === to.currency || Object.hasOwn(to.rates, from))) {
    const charge = sum(
      pricing.groups.flatMap((group) => {
        const rule = ruleOf(inputs, plans, group);
        // Bounds of a unit would have to be compared in the plan's currency.
        return isOwnPrice(rule) || rule.floor_per_unit || rule.cap_per_unit
          ? []
          : groupCharges(rule, group, to).flatMap(([currency, amount]) => (currency === group.currency ? amount : []));
      }),
    );
    return { cost: periodCost(pricing), charge, currency: currencies[0]! };
  }
  const cost = sum(pricing.groups.map((group) => multiply(groupCost(group), exchangeRate(group.currency, to))));
  return { cost, charge: periodCharge(inputs, plans, pricing, to), currency: to.currency };
}

/**
 * What the priced events are charged by the rules of their plan segments, exact, before fees, allowances and rounding,
 * in the plan's currency. Prices for actions are left out, tiers are taken whole. Throws `no_exchange_rate`.
 */
export function periodCharge(
  inputs: PricingInputs,
  plans: Plan[],
  pricing: PricingResult,
  to: ChargeCurrency,
): Fraction {
  let total = ZERO;
  /** Quantities of rules that are priced by their total, by plan version and rule. */
  const quantities = new Map<string, { segment: number; rule: number; quantity: Fraction }>();
  for (const group of pricing.groups) {
    const plan = plans[group.segment]!;
    const index = matchRule(plan, groupAttributes(inputs, group));
    const rule = plan.rules[index]!;
    if (!isPricedByTotal(rule)) {
      for (const [currency, amount] of groupCharges(rule, group, to)) {
        total = add(total, multiply(amount, exchangeRate(currency, to)));
      }
      continue;
    }
    if (isOwnPrice(rule) && rule.count === 'actions') continue;
    const { plan_id, version } = inputs.assignments[group.segment]!;
    const key = `${plan_id}@${version} ${index}`;
    const known = quantities.get(key)?.quantity ?? ZERO;
    const counted =
      isOwnPrice(rule) && rule.count === 'events' ? fromInteger(group.events) : fromExactText(group.quantity);
    quantities.set(key, { segment: group.segment, rule: index, quantity: add(known, counted) });
  }
  for (const { segment, rule: index, quantity } of quantities.values()) {
    const rule = plans[segment]!.rules[index]!;
    if (isOwnPrice(rule)) total = add(total, sum(priceQuantity(rule, quantity, ONE).map(({ charge }) => charge)));
  }
  return total;
}

/** The first rule of its segment's plan that matches a group. */
export function ruleOf(inputs: PricingInputs, plans: Plan[], group: CostGroup): Plan['rules'][number] {
  const plan = plans[group.segment]!;
  return plan.rules[matchRule(plan, groupAttributes(inputs, group))]!;
}

/** The attributes of a group by name, as rules and lines name them. */
export function groupAttributes(inputs: PricingInputs, group: CostGroup): GroupAttributes {
  const attributes: GroupAttributes = {
    provider: group.provider,
    model_id: group.model_id,
    priced_as: group.priced_as,
    meter: group.meter,
  };
  inputs.attributes.forEach((name, index) => {
    attributes[name] = group.attributes[index] ?? null;
  });
  return attributes;
}
