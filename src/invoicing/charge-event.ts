import type { Catalog } from '../catalog/catalog.js';
import type { HeldDecision } from '../contracts/held-decision.js';
import type { Plan, PlanRule } from '../contracts/plan.js';
import type { Currency } from '../money/currency.js';
import { add, type Fraction, format, fromExactText, multiply, sum, ZERO } from '../money/fraction.js';
import { type GroupAttributes, matchRule } from '../plans/plan-rules.js';
import { type ChargeCurrency, exchangeRate } from '../pricing/group-charge.js';
import { groupCost } from '../pricing/group-cost.js';
import { createPricer } from '../pricing/price-events.js';
import type { HeldReason, PricingInputs, UsageRow } from '../pricing/pricing-result.js';
import { groupAttributes } from '../pricing/totals.js';
import { type EventCharge, eventCharge } from './event-charges.js';

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
  /** How the charge of each of its groups comes about. */
  charges: EventCharge[];
  /** Exact decimal strings. */
  cost: string;
  /** In `charge_currency`; null where a rule charges on the total of a period, or a rate is not known yet. */
  charge: string | null;
  charge_currency: Currency;
}

/**
 * Prices and charges one event alone, or says why it is held, or which decision wrote it off. An event without units costs
 * nothing. `decisions` are those of `inputs.decisions`, `rates` those of the period's seal, if it has one.
 */
export function chargeEvent(
  catalog: Catalog,
  inputs: PricingInputs,
  plans: Plan[],
  row: UsageRow,
  decisions: readonly HeldDecision[] = [],
  rates: Readonly<Record<Currency, string>> = {},
): ChargedEvent | { held: HeldReason } | { written_off: number } {
  const pricer = createPricer(catalog, inputs, { plans, decisions });
  pricer.add(row);
  const { groups, held, written_off } = pricer.result();
  if (held[0]) return { held: held[0].reason };
  if (written_off?.[0]) return { written_off: written_off[0].decision_id };
  const attributes = groups.map((group) => groupAttributes(inputs, group));
  const rules = groups.map((group, i) => {
    const plan = plans[group.segment]!;
    const index = matchRule(plan, attributes[i]!);
    return { meter: group.meter, index, rule: plan.rules[index]! };
  });
  const charges = groups.map((group, i) => {
    const { index, rule } = rules[i]!;
    const { version } = inputs.assignments[group.segment]!;
    return eventCharge(group, rule, index, { plan: plans[group.segment]!, version }, rates);
  });
  const to = { currency: plans[groups[0]?.segment ?? 0]!.currency, rates };
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
    rules,
    attributes,
    cost: format(groups.reduce((total, group) => add(total, groupCost(group)), ZERO)),
    charges: charges.map(({ exact: _exact, ...charge }) => charge),
    ...sumOf(charges, to),
  };
}

/**
 * What the charges of its meters add up to, where each is charged by itself: in their one currency, else in the plan's at
 * the rates. Null where something is priced on the period's total, or a rate is missing.
 */
function sumOf(
  charges: readonly { exact: [Currency, Fraction][] | null }[],
  to: ChargeCurrency,
): { charge: string | null; charge_currency: Currency } {
  const amounts = charges.flatMap(({ exact }) => exact ?? []);
  const [only, ...others] = [...new Set(amounts.map(([currency]) => currency))];
  const charge_currency = others.length === 0 ? (only ?? to.currency) : to.currency;
  const known = amounts.every(([from]) => from === charge_currency || Object.hasOwn(to.rates, from));
  if (!known || charges.some(({ exact }) => exact === null)) return { charge: null, charge_currency };
  const into = { currency: charge_currency, rates: to.rates };
  return {
    charge: format(sum(amounts.map(([from, amount]) => multiply(amount, exchangeRate(from, into))))),
    charge_currency,
  };
}
