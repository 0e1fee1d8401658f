import { GROUP_ATTRIBUTES, type Plan, type RuleMatch } from '../contracts/plan.js';
import type { CostPlusRule } from '../contracts/plan-rule.js';
import { add, compare, divide, type Fraction, multiply, ONE, parseDecimal, subtract } from '../money/fraction.js';
import { checkOptions } from './check-options.js';
import { checkPriceRules } from './check-prices.js';
import { checkTerms } from './check-terms.js';
import { invalidPlan, refuseRepeats } from './invalid-plan.js';
import { isCovered, type MatchSets } from './rule-coverage.js';

/**
 * What rules and lines see of a group of usage: who priced it, and by name the attributes that the plans ask for
 * (`neededAttributes`), for example `feature` or `dimensions.team`. Null: the events do not have it.
 */
export interface GroupAttributes {
  provider: string;
  /** The model as the events name it. */
  model_id: string;
  /** The catalog's model that priced it. */
  priced_as: string;
  meter: string;
  [attribute: string]: string | null;
}

/** Attributes that every group has; all others have to be asked for. */
const ALWAYS_THERE = new Set(['provider', 'model_id', 'meter']);

/**
 * Refuses a plan that parses and still cannot be meant: a missing catch-all, a rule that no usage can reach, a margin of
 * 1 or more, prices and terms that contradict each other, the same budget or grouping twice. Throws `invalid_plan` with
 * the field.
 */
export function checkPlan(plan: Plan): void {
  plan.rules.forEach((rule, index) => {
    if ('margin' in rule && compare(parseDecimal(rule.margin), ONE) >= 0) {
      throw invalidPlan(`rules[${index}].margin`, 'A margin must be below 1: charge = cost / (1 - margin).');
    }
  });
  const earlier: MatchSets[] = [];
  plan.rules.forEach((rule, index) => {
    const sets = matchSets(rule.match);
    if (isCovered(sets, earlier)) {
      throw invalidPlan(`rules[${index}]`, 'No usage can reach this rule: earlier rules match all that it matches.');
    }
    earlier.push(sets);
  });
  if (earlier.at(-1)!.size > 0) {
    throw invalidPlan(
      `rules[${plan.rules.length - 1}].match`,
      'The last rule must match all usage: leave its match out.',
    );
  }
  checkPriceRules(plan);
  checkTerms(plan);
  checkOptions(plan);
  refuseRepeats(plan.lines.group_by, (index) => `lines.group_by[${index}]`);
  refuseRepeats(
    plan.budgets.map((budget) => budget.budget_id),
    (index) => `budgets[${index}].budget_id`,
  );
}

/** The index of the first rule that matches. Throws a RangeError when none does (a checked plan has a catch-all). */
export function matchRule(plan: Pick<Plan, 'rules'>, attributes: GroupAttributes): number {
  const index = plan.rules.findIndex((rule) => matchesRule(rule.match, attributes));
  if (index < 0) throw new RangeError('no rule of the plan matches: it was published without a catch-all');
  return index;
}

/** The word of a cost-plus rule with its value. */
export type CostPlusWord =
  | Pick<Extract<CostPlusRule, { markup: string }>, 'markup'>
  | Pick<Extract<CostPlusRule, { margin: string }>, 'margin'>;

/** The exact charge for an exact cost, in the cost's currency: cost x (1 + markup), or cost / (1 - margin). */
export function chargeFor(rule: CostPlusWord, cost: Fraction): Fraction {
  if ('markup' in rule) return multiply(cost, add(ONE, parseDecimal(rule.markup)));
  const kept = subtract(ONE, parseDecimal(rule.margin));
  if (kept.n <= 0n) throw new RangeError('a margin of 1 or more has no charge');
  return divide(cost, kept);
}

/**
 * The attributes beside provider, model and meter that rules or lines of these plans name, or `matches` beside them
 * (those of credits), each once, in code unit order: what pricing has to keep apart.
 */
export function neededAttributes(
  plans: Pick<Plan, 'rules' | 'lines' | 'allowance'>[],
  matches: readonly RuleMatch[] = [],
): string[] {
  const ofPlans = plans.flatMap((plan) => [
    ...plan.lines.group_by,
    ...plan.rules.flatMap((rule) => [...matchSets(rule.match).keys()]),
    ...[plan.allowance ?? []].flat().flatMap((one) => ('match' in one ? [...matchSets(one.match).keys()] : [])),
  ]);
  const names = [...ofPlans, ...matches.flatMap((match) => [...matchSets(match).keys()])];
  return [...new Set(names)].filter((name) => !ALWAYS_THERE.has(name)).sort();
}

/** Whether a match takes usage with these attributes; no match takes all. */
export function matchesRule(match: RuleMatch | undefined, attributes: GroupAttributes): boolean {
  if (match === undefined) return true;
  return GROUP_ATTRIBUTES.every((name) => {
    const wanted = match[name];
    if (wanted === undefined) return true;
    if (name === 'model_id' && isOneOf(wanted, attributes.priced_as)) return true;
    return isOneOf(wanted, attributes[name] ?? null);
  });
}

function isOneOf(wanted: string | string[], value: string | null): boolean {
  return typeof wanted === 'string' ? wanted === value : value !== null && wanted.includes(value);
}

/** A match as sets of values; no key: any value. */
function matchSets(match: RuleMatch | undefined): MatchSets {
  const sets = new Map<string, ReadonlySet<string>>();
  for (const name of GROUP_ATTRIBUTES) {
    const wanted = match?.[name];
    if (wanted !== undefined) sets.set(name, new Set(typeof wanted === 'string' ? [wanted] : wanted));
  }
  return sets;
}
