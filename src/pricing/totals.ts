import type { UsageCounts } from '../contracts/balances.js';
import type { Plan } from '../contracts/plan.js';
import type { PlanRule } from '../contracts/plan-rule.js';
import type { Currency } from '../money/currency.js';
import {
  add,
  type Fraction,
  fromExactText,
  fromInteger,
  isZero,
  multiply,
  ONE,
  parseDecimal,
  sum,
  ZERO,
} from '../money/fraction.js';
import { priceQuantity } from '../plans/own-prices.js';
import { isOwnPrice, isPricedByTotal } from '../plans/plan-parts.js';
import { type GroupAttributes, matchRule } from '../plans/plan-rules.js';
import { type PeriodSpan, type PlanTime, planTimes } from '../plans/plan-times.js';
import { type ChargeCurrency, exchangeRate, groupCharges } from './group-charge.js';
import { groupCost } from './group-cost.js';
import type { SeenGroup } from './pricing-observer.js';
import type { CostGroup, PricingInputs, PricingResult } from './pricing-result.js';

/** What a period's charge depends on beside its priced groups. */
export interface ChargeTerms {
  inputs: PricingInputs;
  /** In the order of `inputs.assignments`. */
  plans: Plan[];
  /** Bounds of tiers and flat prices shrink where a plan is in force for a part of it. */
  span: PeriodSpan;
  /** The actions of each rule that counts them (`countsActions`). */
  counts: Pick<UsageCounts, 'actions'>;
  /** The currency of the plans, and the rates into it that are known. */
  to: ChargeCurrency;
}

/** Exact amounts that stay in a catalog currency, since nobody published a rate from it. */
export interface UnexchangedAmounts {
  currency: Currency;
  cost: Fraction;
  /** Before floors and caps of a unit: these are compared in the plan's currency. */
  charge: Fraction;
}

/** What a period comes to so far, in the plan's currency. */
export interface PeriodTotals {
  cost: Fraction;
  /** Before fees, allowances and rounding. */
  charge: Fraction;
  currency: Currency;
  /** What is in neither: ordered by currency, one entry each. */
  without_rate: UnexchangedAmounts[];
}

/** What the priced events cost us, exact, in the catalog's currency. */
export function periodCost(pricing: PricingResult): Fraction {
  return sum(pricing.groups.map(groupCost));
}

/** Cost and charge of a period so far, exact; what has no exchange rate yet stands beside them, in its own currency. */
export function periodTotals(terms: ChargeTerms, pricing: PricingResult): PeriodTotals {
  const { to } = terms;
  const costs = new Map<Currency, Fraction>();
  for (const group of pricing.groups) addTo(costs, group.currency, groupCost(group));
  const charges = chargesByCurrency(terms, pricing);
  const without = [...new Set([...costs.keys(), ...charges.keys()])]
    .filter((from) => !hasRate(from, to))
    .map((currency) => ({
      currency,
      cost: costs.get(currency) ?? ZERO,
      charge: charges.get(currency) ?? ZERO,
    }))
    .filter(({ cost, charge }) => !isZero(cost) || !isZero(charge))
    .sort((a, b) => (a.currency < b.currency ? -1 : 1));
  const known = (amounts: Map<Currency, Fraction>) =>
    exchanged(new Map([...amounts].filter(([from]) => hasRate(from, to))), to);
  return { cost: known(costs), charge: known(charges), currency: to.currency, without_rate: without };
}

/**
 * What the priced events are charged by the rules of their plans, exact, in the plans' currency, before fees, allowances
 * and rounding: what the invoice comes to after the step "exchange". Throws `no_exchange_rate`.
 */
export function periodCharge(terms: ChargeTerms, pricing: PricingResult): Fraction {
  return exchanged(chargesByCurrency(terms, pricing), terms.to);
}

function chargesByCurrency(terms: ChargeTerms, pricing: PricingResult): Map<Currency, Fraction> {
  const { inputs, plans, to, counts } = terms;
  const charges = new Map<Currency, Fraction>();
  const times = planTimesOf(terms);
  /** What rules that are priced by their total sum up, by plan version and rule. */
  const totals = new Map<
    string,
    { rule: PlanRule; index: number; time: PlanTime; quantity: Fraction; events: number }
  >();
  for (const group of pricing.groups) {
    const plan = plans[group.segment]!;
    // Reports of seats are priced as a fee.
    if (plan.seats?.meter === group.meter && isZero(groupCost(group))) continue;
    const index = matchRule(plan, groupAttributes(inputs, group));
    const rule = plan.rules[index]!;
    if (!isPricedByTotal(rule)) {
      for (const [currency, amount] of chargesOf(rule, group, to)) addTo(charges, currency, amount);
      continue;
    }
    const time = times.find(({ segments }) => segments.includes(group.segment))!;
    const key = `${time.plan_id}@${time.version} ${index}`;
    const known = totals.get(key) ?? { rule, index, time, quantity: ZERO, events: 0 };
    const quantity = add(known.quantity, fromExactText(group.quantity));
    totals.set(key, { ...known, quantity, events: known.events + group.events });
  }
  for (const { rule, index, time, quantity, events } of totals.values()) {
    if (!isOwnPrice(rule)) continue;
    const counted =
      'flat' in rule
        ? ONE
        : rule.count === 'units'
          ? quantity
          : fromInteger(rule.count === 'events' ? events : actionsOf(time, index, counts));
    addTo(charges, to.currency, sum(priceQuantity(rule, counted, time.share).map(({ charge }) => charge)));
  }
  for (const time of times) {
    if (isZero(time.share)) continue;
    plans[time.segments[0]!]!.rules.forEach((rule, index) => {
      if (isOwnPrice(rule) || rule.fee_per_action === undefined) return;
      const actions = fromInteger(actionsOf(time, index, counts));
      addTo(charges, to.currency, multiply(parseDecimal(rule.fee_per_action), actions));
    });
  }
  return charges;
}

function planTimesOf({ inputs, span }: ChargeTerms): PlanTime[] {
  return planTimes(
    span,
    inputs.assignments.map(({ from, ...plan }) => ({ ...plan, from_ms: from === null ? null : Date.parse(from) })),
  );
}

/** Bounds of a unit are left out where there is no rate to compare them at: the amount is then one without a rate. */
function chargesOf(rule: PlanRule, group: CostGroup, to: ChargeCurrency): [Currency, Fraction][] {
  if (isOwnPrice(rule) || hasRate(group.currency, to)) return groupCharges(rule, group, to);
  const { floor_per_unit: _floor, cap_per_unit: _cap, ...unbounded } = rule;
  return groupCharges({ ...unbounded } as PlanRule, group, to);
}

/** Throws a RangeError where the rule's actions were not counted. */
function actionsOf({ plan_id, version }: PlanTime, rule: number, { actions }: ChargeTerms['counts']): number {
  const of = `rule ${rule}`;
  const counted = actions.find((one) => one.plan_id === plan_id && one.version === version && one.of === of);
  if (!counted) throw new RangeError(`the actions of ${of} of plan ${plan_id} were not counted`);
  return counted.actions;
}

function exchanged(amounts: Map<Currency, Fraction>, to: ChargeCurrency): Fraction {
  return sum([...amounts].map(([from, amount]) => multiply(amount, exchangeRate(from, to))));
}

function hasRate(from: Currency, { currency, rates }: ChargeCurrency): boolean {
  return from === currency || Object.hasOwn(rates, from);
}

function addTo(sums: Map<Currency, Fraction>, currency: Currency, amount: Fraction): void {
  sums.set(currency, add(sums.get(currency) ?? ZERO, amount));
}

/** The first rule of its segment's plan that matches a group. */
export function ruleOf(inputs: PricingInputs, plans: Plan[], group: CostGroup): Plan['rules'][number] {
  const plan = plans[group.segment]!;
  return plan.rules[matchRule(plan, groupAttributes(inputs, group))]!;
}

/** The attributes of a group by name, as rules and lines name them. */
export function groupAttributes(inputs: PricingInputs, group: SeenGroup): GroupAttributes {
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
