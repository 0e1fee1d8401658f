import type { Catalog } from '../catalog/catalog.js';
import type { HeldDecision } from '../contracts/held-decision.js';
import type { Plan, PlanRule } from '../contracts/plan.js';
import type { CostPlusRule } from '../contracts/plan-rule.js';
import type { Currency } from '../money/currency.js';
import { add, type Fraction, format, fromExactText, sum, ZERO } from '../money/fraction.js';
import { isPricedByTotal } from '../plans/plan-parts.js';
import { type GroupAttributes, matchRule } from '../plans/plan-rules.js';
import { groupCharges } from '../pricing/group-charge.js';
import { groupCost } from '../pricing/group-cost.js';
import { createPricer } from '../pricing/price-events.js';
import type { CostGroup, HeldReason, PricingInputs, UsageRow } from '../pricing/pricing-result.js';
import { groupAttributes, ruleOf } from '../pricing/totals.js';

/** One event's cost and charge, found by the same pricing that bills it. */
export interface ChargedEvent {
  provider: string;
  priced_as: string;
  /** Index into the plans of the inputs. */
  segment: number;
  rows: {
    meter: string;
    quantity: string;
    price_id: string;
    price: string;
    /** What tier, region and price book multiply the price by; null where nothing does. */
    multiplier: string | null;
    per: number;
    currency: string;
    cost: string;
  }[];
  rules: { meter: string; index: number; rule: PlanRule }[];
  /** Attributes of each of its groups: which line each meter stands in. */
  attributes: GroupAttributes[];
  /** Exact decimal strings. */
  cost: string;
  /** In `charge_currency`; without what a rule charges on the total of a period (tiers, packages, actions). */
  charge: string;
  charge_currency: Currency;
}

/**
 * Prices and charges one event alone, or says why it is held, or which decision wrote it off. An event without units costs
 * nothing. `decisions` are those of `inputs.decisions`.
 */
export function chargeEvent(
  catalog: Catalog,
  inputs: PricingInputs,
  plans: Plan[],
  row: UsageRow,
  decisions: readonly HeldDecision[] = [],
): ChargedEvent | { held: HeldReason } | { written_off: number } {
  const pricer = createPricer(catalog, inputs, { plans, decisions });
  pricer.add(row);
  const { groups, held, written_off } = pricer.result();
  if (held[0]) return { held: held[0].reason };
  if (written_off?.[0]) return { written_off: written_off[0].decision_id };
  const attributes = groups.map((group) => groupAttributes(inputs, group));
  const charge = chargeOf(inputs, plans, groups);
  return {
    provider: groups[0]?.provider ?? row.provider ?? '',
    priced_as: groups[0]?.priced_as ?? row.model_id,
    segment: groups[0]?.segment ?? 0,
    rows: groups.map((group) => ({
      meter: group.meter,
      quantity: format(fromExactText(group.quantity)),
      price_id: group.price_id,
      price: group.price,
      multiplier: group.multiplier ?? null,
      per: group.per,
      currency: group.currency,
      cost: format(groupCost(group)),
    })),
    rules: groups.map((group, i) => {
      const plan = plans[group.segment]!;
      const index = matchRule(plan, attributes[i]!);
      return { meter: group.meter, index, rule: plan.rules[index]! };
    }),
    attributes,
    cost: format(groups.reduce((total, group) => add(total, groupCost(group)), ZERO)),
    charge: format(charge.amount),
    charge_currency: charge.currency,
  };
}

/**
 * What the rules add up to for one event: in the catalog's currency where something of it is charged on cost, else in the
 * plan's. Amounts of another currency than that are not in it: no rate is known before the period ends.
 */
function chargeOf(
  inputs: PricingInputs,
  plans: Plan[],
  groups: readonly CostGroup[],
): { amount: Fraction; currency: Currency } {
  const amounts = groups.flatMap((group) => {
    const rule = ruleOf(inputs, plans, group);
    const unbounded = 'markup' in rule || 'margin' in rule ? withoutBounds(rule) : rule;
    const to = { currency: plans[group.segment]!.currency, rates: {} };
    return isPricedByTotal(rule) ? [] : groupCharges(to.currency === group.currency ? rule : unbounded, group, to);
  });
  const currencies = amounts.map(([currency]) => currency);
  const currency =
    currencies.find((one) => one === groups[0]?.currency) ?? currencies[0] ?? plans[groups[0]?.segment ?? 0]!.currency;
  return { currency, amount: sum(amounts.flatMap(([one, amount]) => (one === currency ? amount : []))) };
}

/** Bounds of a unit are in the plan's currency: without a rate a cost in another one cannot be held against them. */
function withoutBounds(rule: CostPlusRule): CostPlusRule {
  const { floor_per_unit: _floor, cap_per_unit: _cap, ...rest } = rule;
  return rest;
}
