import type { Plan } from '../contracts/plan.js';
import type { PlanRule } from '../contracts/plan-rule.js';
import type { Currency } from '../money/currency.js';
import {
  divide,
  type Fraction,
  format,
  fromInteger,
  isZero,
  multiply,
  ONE,
  parseDecimal,
  ZERO,
} from '../money/fraction.js';
import { type PricedPart, priceQuantity } from '../plans/own-prices.js';
import { isOwnPrice } from '../plans/plan-parts.js';
import { countedActions, type PlanPart, type Terms } from './compose-parts.js';
import { anEmptySum, shareOf, type UsageSum, unitOf } from './compose-sums.js';
import { groupDigits, ruleLabel } from './line-wording.js';

/** The usage of a part that a rule prices by its total. */
export interface RuleTotal {
  part: number;
  rule: number;
  /** Sum over all meters; only of use where they share a unit. */
  quantity: Fraction;
  events: number;
  units: Map<string, Fraction>;
  costs: Map<Currency, Fraction>;
}

/**
 * The lines of a rule that is priced by its total: one for each tier that was reached, else one. The cost is shared by
 * quantity, the events stand on the first.
 */
export function totalPrices(total: RuleTotal, part: PlanPart, { counts }: Terms, currency: Currency): UsageSum[] {
  const rule = part.plan.rules[total.rule]!;
  if (!isOwnPrice(rule)) throw new RangeError('a rule on cost is not priced by its total');
  const whole: UsageSum = {
    ...anEmptySum(total.part),
    rule: total.rule,
    label: ruleLabel(rule),
    events: total.events,
    costs: total.costs,
    charges: new Map([[currency, ZERO]]),
  };
  if ('flat' in rule) {
    const [priced] = priceQuantity(rule, ONE, part.share);
    return [{ ...whole, units: total.units, charges: new Map([[currency, priced!.charge]]) }];
  }
  const quantity =
    rule.count === 'units'
      ? total.quantity
      : fromInteger(rule.count === 'events' ? total.events : countedActions(part, `rule ${total.rule}`, counts));
  const { name, per } = unitFor(rule, part.plan);
  const priced = priceQuantity(rule, quantity, part.share);
  // Cost without anything that is counted: it is shown, and charged nothing.
  if (priced.length === 0) return [{ ...whole, units: new Map([[name, ZERO]]) }];
  return priced.map((tier, index): UsageSum => {
    const shared = shareOf(whole, divide(tier.quantity, quantity), index === 0 ? total.events : 0);
    const units = new Map([[name, divide(tier.quantity, fromInteger(per))]]);
    const label = labelOfTier(rule, tier, part);
    return { ...shared, units, label, charges: new Map([[currency, tier.charge]]) };
  });
}

/** Fees for each action of cost-plus rules: a line of their own for each rule that has one. */
export function actionFees(parts: PlanPart[], { counts }: Terms, currency: Currency): UsageSum[] {
  return parts.flatMap((part, at) =>
    part.plan.rules.flatMap((rule, index): UsageSum[] => {
      if (isOwnPrice(rule) || rule.fee_per_action === undefined || isZero(part.share)) return [];
      const actions = fromInteger(countedActions(part, `rule ${index}`, counts));
      return [
        {
          ...anEmptySum(at),
          kind: 'action_fee',
          rule: index,
          label: `${ruleLabel(rule)}, fee for each`,
          units: new Map([['actions', actions]]),
          charges: new Map([[currency, multiply(parseDecimal(rule.fee_per_action), actions)]]),
        },
      ];
    }),
  );
}

/** What the counted thing is called, and how many of it are one on the invoice. */
export function unitFor(rule: PlanRule, plan: Plan): { name: string; per: number } {
  if (!isOwnPrice(rule)) return { name: 'units', per: 1 };
  if (rule.count !== 'units') return { name: rule.unit ?? rule.count, per: 1 };
  const meter = [rule.match?.meter ?? []].flat()[0] ?? '';
  return rule.unit === undefined ? unitOf(plan, meter) : { name: rule.unit, per: 1 };
}

function labelOfTier(rule: PlanRule, tier: PricedPart, part: PlanPart): string {
  const label = ruleLabel(rule);
  if (!('graduated' in rule) || rule.graduated.length === 1) return label;
  const { per } = unitFor(rule, part.plan);
  const shown = (bound: Fraction) => groupDigits(format(divide(bound, fromInteger(per)), 2));
  if (tier.free && tier.up_to !== null) return `${label}, included up to ${shown(tier.up_to)}`;
  if (isZero(tier.above)) return `${label}, up to ${shown(tier.up_to ?? ZERO)}`;
  const beyond = `${label}, beyond ${shown(tier.above)}`;
  return tier.up_to === null ? beyond : `${beyond} up to ${shown(tier.up_to)}`;
}
