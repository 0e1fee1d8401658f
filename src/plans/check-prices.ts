import { meterUnit } from '../contracts/meters.js';
import type { Plan, RuleMatch } from '../contracts/plan.js';
import type { PlanRule, Tier } from '../contracts/plan-rule.js';
import { compare, divide, type Fraction, fromInteger, isZero, parseDecimal, ZERO } from '../money/fraction.js';
import { invalidPlan } from './invalid-plan.js';
import { countsActions, isPricedByTotal } from './plan-parts.js';

/** Refuses prices that cannot be meant. Throws `invalid_plan` with the field. */
export function checkPriceRules(plan: Pick<Plan, 'rules'>): void {
  plan.rules.forEach((rule, index) => {
    const at = `rules[${index}]`;
    if ('markup' in rule || 'margin' in rule) checkBounds(rule, at);
    else checkCount(rule, at);
    if ('package' in rule && isZero(parseDecimal(rule.package.size))) {
      throw invalidPlan(`${at}.package.size`, 'A package holds more than nothing.');
    }
    if ('graduated' in rule) checkTiers(rule.graduated, `${at}.graduated`);
    if ('volume' in rule) checkTiers(rule.volume, `${at}.volume`);
    if (rule.stripe !== undefined && !isPricedByTotal(rule) && !countsActions(rule)) {
      throw invalidPlan(`${at}.stripe`, 'Its usage shares lines with that of other rules: use lines.stripe.usage.');
    }
    if (rule.stripe?.product !== undefined && rule.stripe.tax_code !== undefined) {
      throw invalidPlan(`${at}.stripe`, 'A product has its own tax code at Stripe: name one of the two.');
    }
  });
}

/**
 * Units can only be counted where they are of one kind: the match has to name meters, and all of them measure the same.
 * Events and actions are whole, so that a meter cannot choose among them.
 */
export function checkCounted(count: 'units' | 'events' | 'actions', match: RuleMatch | undefined, at: string): void {
  const meters = match?.meter === undefined ? [] : [match.meter].flat();
  if (count !== 'units') {
    if (meters.length > 0 && count === 'events') {
      throw invalidPlan(`${at}.match.meter`, 'An event has several meters: count units of a meter, or leave it out.');
    }
    return;
  }
  if (meters.length === 0) {
    throw invalidPlan(
      `${at}.match`,
      'Units are counted of meters: name them in match.meter, or count events or actions.',
    );
  }
  if (new Set(meters.map(meterUnit)).size > 1) {
    throw invalidPlan(`${at}.match.meter`, 'These meters have different units: their sum means nothing.');
  }
}

type CostPlus = Extract<PlanRule, { markup: string } | { margin: string }>;

function checkBounds(rule: CostPlus, at: string): void {
  const { floor_per_unit: floor, cap_per_unit: cap } = rule;
  if (floor === undefined && cap === undefined) return;
  const name = floor === undefined ? 'cap_per_unit' : 'floor_per_unit';
  if (rule.match?.meter === undefined) {
    throw invalidPlan(`${at}.${name}`, 'A bound of a unit needs to know the unit: name meters in match.meter.');
  }
  checkCounted('units', rule.match, at);
  if (floor === undefined || cap === undefined) return;
  const unit = ({ price, per }: { price: string; per: number }): Fraction =>
    divide(parseDecimal(price), fromInteger(per));
  if (compare(unit(floor), unit(cap)) > 0) {
    throw invalidPlan(`${at}.floor_per_unit`, 'The floor of a unit must not be above its cap.');
  }
}

function checkCount(rule: Exclude<PlanRule, CostPlus>, at: string): void {
  if ('flat' in rule) {
    if (rule.count !== 'units') throw invalidPlan(`${at}.count`, 'A flat price counts nothing: leave it out.');
    return;
  }
  checkCounted(rule.count, rule.match, at);
}

function checkTiers(tiers: Tier[], at: string): void {
  let above = ZERO;
  tiers.forEach((tier, index) => {
    const isLast = index === tiers.length - 1;
    if (tier.up_to === undefined) {
      if (!isLast) throw invalidPlan(`${at}[${index}].up_to`, 'Only the last tier is without end.');
      return;
    }
    if (isLast) throw invalidPlan(`${at}[${index}].up_to`, 'The last tier takes all that is left: leave up_to out.');
    const bound = parseDecimal(tier.up_to);
    if (compare(bound, above) <= 0) {
      throw invalidPlan(`${at}[${index}].up_to`, 'Tiers ascend: each ends above the one before it.');
    }
    above = bound;
  });
}
