import type { Plan, PlanRule } from '../contracts/plan.js';
import {
  add,
  divide,
  type Fraction,
  fromExactText,
  fromInteger,
  isZero,
  ONE,
  subtract,
  ZERO,
} from '../money/fraction.js';
import { placeUsage } from '../plans/place-usage.js';
import { isOwnPrice, isPricedByTotal } from '../plans/plan-parts.js';
import { type ChargeCurrency, groupCharges } from '../pricing/group-charge.js';
import { groupCost } from '../pricing/group-cost.js';
import {
  type CostGroup,
  type PricingInputs,
  type PricingResult,
  REPORTED_COST_METER,
} from '../pricing/pricing-result.js';
import { groupAttributes } from '../pricing/totals.js';
import { actionFees, type RuleTotal, totalPrices } from './compose-own-prices.js';
import type { PlanParts, Terms } from './compose-parts.js';
import { addPiece, inPieces, type Takers, takersOf } from './compose-pieces.js';
import { type QuantityShare, type QuantityUse, useAllowances } from './compose-quantities.js';
import type { RolloverBalances } from './compose-rollover.js';
import { addTo, anEmptySum, shareOf, type UsageSum, unitOf } from './compose-sums.js';

export interface ChargedUsage {
  usage: UsageSum[];
  included: QuantityShare[];
  rollover: RolloverBalances;
  seat_events: number[];
}

/**
 * Step "charges": sums the priced groups by plan part and by the values of the plan's `lines.group_by`, each charged by
 * the rule that matches; what a rule prices by its total has lines of its own. Usage that an allowance of quantity takes
 * is cut into what is included and what goes beyond: all units of a period share alike in both, so that no order of
 * events decides. Where credits have a match, each line knows its pieces. Ordered by group values in code unit order, then
 * by plan; own prices follow by plan and rule.
 */
export function chargeUsage(
  inputs: PricingInputs,
  plans: Plan[],
  pricing: PricingResult,
  { parts, part_of_segment }: PlanParts,
  terms: Terms,
  to: ChargeCurrency,
): ChargedUsage {
  const lines = new Map<string, { sum: UsageSum; values: (string | null)[] }>();
  const totals = new Map<string, RuleTotal>();
  const quantities = new Map<string, QuantityUse>();
  const seatEvents = parts.map(() => 0);
  const takersFor = takersOf(terms.opening.credits);
  /** What rules count that make lines on their total, by part and rule. */
  const weights = new Map<string, Map<Takers, Fraction>>();
  for (const priced of pricing.groups) {
    const plan = plans[priced.segment]!;
    const part = part_of_segment[priced.segment]!;
    const cost = groupCost(priced);
    if (plan.seats?.meter === priced.meter && isZero(cost)) {
      seatEvents[part]! += priced.events;
      continue;
    }
    const attributes = groupAttributes(inputs, priced);
    const { rule: index, allowance } = placeUsage(plan, attributes);
    const rule = plan.rules[index]!;
    const takers = takersFor?.(attributes);
    const key = `${part} ${index}`;
    if (takers !== undefined) {
      const known = weights.get(key) ?? new Map<Takers, Fraction>();
      addTo(known, takers, countsUnits(rule) ? fromExactText(priced.quantity) : fromInteger(priced.events));
      weights.set(key, known);
    }
    if (isPricedByTotal(rule)) {
      const total = totals.get(key) ?? {
        part,
        rule: index,
        quantity: ZERO,
        events: 0,
        units: new Map(),
        costs: new Map(),
      };
      total.quantity = add(total.quantity, fromExactText(priced.quantity));
      total.events += priced.events;
      addUnits(total.units, plan, priced);
      addTo(total.costs, priced.currency, cost);
      totals.set(key, total);
      continue;
    }
    const values = plan.lines.group_by.map((name) => attributes[name] ?? null);
    const lineKey = JSON.stringify([part, allowance, ...values]);
    let line = lines.get(lineKey);
    if (!line) {
      const group = Object.fromEntries(plan.lines.group_by.map((name, at) => [name, values[at]!]));
      line = { sum: { ...anEmptySum(part), group, allowance }, values };
      lines.set(lineKey, line);
    }
    line.sum.events += priced.events;
    addUnits(line.sum.units, plan, priced);
    addTo(line.sum.costs, priced.currency, cost);
    for (const [currency, amount] of groupCharges(rule, priced, to)) {
      addTo(line.sum.charges, currency, amount);
      if (takers !== undefined) addPiece(line.sum, takers, currency, amount);
    }
    if (allowance === null) continue;
    const used = quantities.get(`${part} ${allowance}`) ?? { units: ZERO, events: 0 };
    used.units = add(used.units, fromExactText(priced.quantity));
    used.events += priced.events;
    quantities.set(`${part} ${allowance}`, used);
  }
  const { included, rollover } = useAllowances(quantities, terms);
  const grouped = [...lines.values()]
    .sort(
      (a, b) =>
        compareValues(a.values, b.values) ||
        a.sum.part - b.sum.part ||
        (a.sum.allowance ?? -1) - (b.sum.allowance ?? -1),
    )
    .flatMap(({ sum }) => cutAtAllowance(sum, included));
  const own = [...totals.values()].sort((a, b) => a.part - b.part || a.rule - b.rule);
  const onTotals = [
    ...own.flatMap((total) => totalPrices(total, parts[total.part]!, terms, to.currency)),
    ...actionFees(parts, terms, to.currency),
  ].map((line) => (takersFor === null ? line : inPieces(line, weights.get(`${line.part} ${line.rule}`))));
  return {
    usage: [...grouped, ...onTotals].filter(
      (line) => line.events > 0 || ![...line.costs.values(), ...line.charges.values()].every(isZero),
    ),
    included,
    rollover,
    seat_events: seatEvents,
  };
}

/** Whether what a rule charges on its total is shared by units; else it is by events. */
function countsUnits(rule: PlanRule): boolean {
  return isOwnPrice(rule) && rule.count === 'units' && !('flat' in rule);
}

function cutAtAllowance(usage: UsageSum, included: ChargedUsage['included']): UsageSum[] {
  const use = included.find(({ part, allowance }) => part === usage.part && allowance === usage.allowance);
  if (!use) return [usage];
  const beyond: UsageSum = { ...usage, kind: 'overage' };
  if (isZero(use.used)) return [usage];
  const share = divide(use.included, use.used);
  if (isZero(share)) return [beyond];
  if (isZero(subtract(ONE, share))) return [usage];
  return [shareOf(usage, share, usage.events), shareOf(beyond, subtract(ONE, share), 0)];
}

function addUnits(units: Map<string, Fraction>, plan: Plan, priced: CostGroup): void {
  // An amount of money stands in it, no quantity of anything.
  if (priced.meter === REPORTED_COST_METER) return;
  const { name, per } = unitOf(plan, priced.meter);
  addTo(units, name, divide(fromExactText(priced.quantity), fromInteger(per)));
}

/** Code unit order, element by element; null before any text. */
function compareValues(a: (string | null)[], b: (string | null)[]): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const [x, y] = [a[i]!, b[i]!];
    if (x === y) continue;
    return x === null || (y !== null && x < y) ? -1 : 1;
  }
  return a.length - b.length;
}
