import type { InvoiceContent, InvoiceLine } from '../contracts/invoice.js';
import type { Plan, PlanRule } from '../contracts/plan.js';
import type { Seal } from '../ledger/seal.js';
import type { Currency } from '../money/currency.js';
import {
  add,
  divide,
  type Fraction,
  format,
  fromExactText,
  fromInteger,
  multiply,
  parseDecimal,
  ZERO,
} from '../money/fraction.js';
import { priceQuantity } from '../plans/own-prices.js';
import { isOwnPrice, isPricedByTotal } from '../plans/plan-parts.js';
import { type ChargeCurrency, groupCharges } from '../pricing/group-charge.js';
import type { CostGroup } from '../pricing/pricing-result.js';
import { unitFor } from './compose-own-prices.js';
import { planParts } from './compose-parts.js';
import { describeRule } from './rule-words.js';

/** How the charge of one meter of an event comes about. */
export interface EventCharge {
  meter: string;
  plan: { plan_id: string; version: number };
  /** Index of the rule in the plan. */
  rule: number;
  /**
   * `event`: the event is charged by itself. `total`: the price is for the period's total (tiers, packages, flat prices,
   * actions), so that no event has one of its own. `rate`: a bound of a unit is in another currency than the cost, and is
   * applied at the exchange rate of the period's end.
   */
  priced_by: 'event' | 'total' | 'rate';
  /** Exact, where it is charged by itself; several currencies where cost and fees have different ones. */
  amounts: { amount: string; currency: string }[];
  /** What of it counts into the total: units, or 1 for an event that is counted. Null where neither is. */
  counted: string | null;
  /** How its rule charges. */
  explanation: string;
  /** What the rule came to for the whole period, once an invoice says it. */
  total: RuleTotalView | null;
}

/** What a rule that is priced by its total came to on an invoice. */
export interface RuleTotalView {
  /** As the lines show it; null where they count different things. */
  quantity: string | null;
  unit: string | null;
  /** Exact, before the rounding of the lines. */
  charge: string;
  currency: string;
  /** Numbers of its lines. */
  lines: number[];
  /** The tiers that the total reached, in the unit of the lines: from above a bound to one inclusive. */
  tiers: { above: string; up_to: string | null; quantity: string; charge: string }[];
}

/** The charge of a group of one event. `rates` are those of the period's seal, empty while there is none. */
export function eventCharge(
  group: CostGroup,
  rule: PlanRule,
  index: number,
  { plan, version }: { plan: Plan; version: number },
  rates: ChargeCurrency['rates'],
): EventCharge & { exact: [Currency, Fraction][] | null } {
  const to = { currency: plan.currency, rates };
  const known = group.currency === to.currency || Object.hasOwn(rates, group.currency);
  const bounded = !isOwnPrice(rule) && (rule.floor_per_unit !== undefined || rule.cap_per_unit !== undefined);
  const priced_by = isPricedByTotal(rule) ? 'total' : bounded && !known ? 'rate' : 'event';
  const exact = priced_by === 'event' ? groupCharges(rule, group, to) : null;
  return {
    meter: group.meter,
    plan: { plan_id: plan.plan_id, version },
    rule: index,
    priced_by,
    amounts: (exact ?? []).map(([currency, amount]) => ({ amount: format(amount), currency })),
    counted: priced_by === 'total' && isOwnPrice(rule) ? countedOf(group, rule) : null,
    explanation: describeRule(rule),
    total: null,
    exact,
  };
}

function countedOf(group: CostGroup, rule: Extract<PlanRule, { count: string }>): string | null {
  if ('flat' in rule || rule.count === 'actions') return null;
  return rule.count === 'events' ? String(group.events) : format(fromExactText(group.quantity));
}

/**
 * What a rule priced by its total came to on an invoice, or null where its lines are not there (folded into others, or
 * nothing was charged). `share`: the part of the period in which its plan was in force, which bounds of tiers shrink with.
 */
function totalOfRule(
  lines: readonly InvoiceLine[],
  currency: string,
  of: { plan: Plan; version: number; rule: number; share: Fraction },
): RuleTotalView | null {
  const own = lines.flatMap((line, at) => {
    const isOf = line.plan?.plan_id === of.plan.plan_id && line.plan.version === of.version && line.rule === of.rule;
    return isOf && line.kind === 'usage' ? [{ ...line, number: at + 1 }] : [];
  });
  const [first] = own;
  if (first === undefined) return null;
  const rule = of.plan.rules[of.rule]!;
  const alike = own.every(({ unit, quantity }) => unit === first.unit && quantity !== null);
  const quantity = alike ? own.reduce((sum, line) => add(sum, parseDecimal(line.quantity!)), ZERO) : null;
  const { per } = unitFor(rule, of.plan);
  const tiered = isOwnPrice(rule) && ('graduated' in rule || 'volume' in rule);
  const parts = tiered && quantity !== null ? priceQuantity(rule, multiply(quantity, fromInteger(per)), of.share) : [];
  const shown = (units: Fraction) => format(divide(units, fromInteger(per)));
  return {
    quantity: quantity === null ? null : format(quantity),
    unit: quantity === null ? null : first.unit,
    charge: format(own.reduce((sum, { charge }) => add(sum, parseDecimal(charge)), ZERO)),
    currency,
    lines: own.map(({ number }) => number),
    tiers: parts.map(({ above, up_to, quantity: inside, charge }) => ({
      above: shown(above),
      up_to: up_to === null ? null : shown(up_to),
      quantity: shown(inside),
      charge: format(charge),
    })),
  };
}

/** The charges with what their rules came to on the invoice of this seal. */
export function withTotals(charges: readonly EventCharge[], invoice: InvoiceContent, { inputs }: Seal): EventCharge[] {
  const times = {
    period: invoice.period,
    calendar: { from: inputs.period.calendar_from, to: inputs.period.calendar_to },
  };
  const { parts } = planParts(times, inputs.pricing, inputs.plans, invoice.currency);
  return charges.map((charge) => {
    const part = parts.find(
      ({ plan, version }) => plan.plan_id === charge.plan.plan_id && version === charge.plan.version,
    );
    if (charge.priced_by !== 'total' || part === undefined) return charge;
    const { plan, version, share } = part;
    return {
      ...charge,
      total: totalOfRule(invoice.lines, invoice.currency, { plan, version, rule: charge.rule, share }),
    };
  });
}
