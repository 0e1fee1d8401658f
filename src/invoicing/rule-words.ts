import type { CostPlusRule, OwnPriceRule, PlanRule, Tier } from '../contracts/plan-rule.js';
import { isOwnPrice } from '../plans/plan-parts.js';
import { groupDigits } from './line-wording.js';

/** How a rule charges, in a sentence for people: `3.00 for 1,000 units`. Numbers are those of the plan. */
export function describeRule(rule: PlanRule): string {
  return isOwnPrice(rule) ? ownPriceWords(rule) : costPlusWords(rule);
}

function costPlusWords(rule: CostPlusRule): string {
  const cost = rule.cost_basis === 'reported' ? 'The reported cost' : 'The cost';
  const floor = rule.floor_per_unit;
  const cap = rule.cap_per_unit;
  const parts = [
    'markup' in rule ? `${cost} x (1 + ${rule.markup})` : `${cost} / (1 - ${rule.margin})`,
    floor === undefined ? [] : `at least ${priceFor(floor, 'units')}`,
    cap === undefined ? [] : `at most ${priceFor(cap, 'units')}`,
    rule.fee_per_event === undefined ? [] : `and ${rule.fee_per_event} for the event`,
    rule.fee_per_action === undefined
      ? []
      : `and ${rule.fee_per_action} for each distinct action of the period, on a line of its own`,
  ];
  return `${parts.flat().join(', ')}.`;
}

function ownPriceWords(rule: OwnPriceRule): string {
  const counted = rule.count === 'units' ? 'units' : rule.count;
  if ('unit_price' in rule) {
    const price = priceFor(
      { price: rule.unit_price, per: rule.per },
      rule.count === 'actions' ? 'distinct actions' : counted,
    );
    return rule.count === 'actions' ? `${price} of the period.` : `${price}.`;
  }
  if ('flat' in rule) return `${rule.flat} for all usage of the period together.`;
  if ('package' in rule) {
    return `${rule.package.price} for each package of ${groupDigits(rule.package.size)} ${counted} that the period begins.`;
  }
  return 'graduated' in rule
    ? `The ${counted} of the period by tiers, each tier at its own price: ${tierWords(rule.graduated, counted)}.`
    : `All ${counted} of the period at the price of the tier that their total falls into: ${tierWords(rule.volume, counted)}.`;
}

function tierWords(tiers: Tier[], counted: string): string {
  return tiers
    .map((tier) => {
      const fee = tier.flat_fee === undefined ? '' : ` and ${tier.flat_fee} once`;
      const bound = tier.up_to === undefined ? 'beyond' : `up to ${groupDigits(tier.up_to)}`;
      return `${bound} at ${priceFor(tier, counted)}${fee}`;
    })
    .join('; ');
}

function priceFor({ price, per }: { price: string; per: number }, counted: string): string {
  return per === 1
    ? `${price} for each ${counted.slice(0, -1)}`
    : `${price} for ${groupDigits(String(per))} ${counted}`;
}
