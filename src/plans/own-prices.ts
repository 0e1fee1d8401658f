import type { OwnPriceRule, Tier } from '../contracts/plan-rule.js';
import {
  add,
  compare,
  divide,
  type Fraction,
  fromInteger,
  isZero,
  minimum,
  multiply,
  parseDecimal,
  subtract,
  ZERO,
} from '../money/fraction.js';

/** The part of a quantity that one tier prices; other prices have one part. */
export interface PricedPart {
  /** Where the tier begins (exclusive) and ends (inclusive); null: without end. */
  above: Fraction;
  up_to: Fraction | null;
  quantity: Fraction;
  /** Exact, in the plan's currency. */
  charge: Fraction;
  /** Whether it costs nothing: usage that is included. */
  free: boolean;
}

/**
 * What a period's quantity is charged by a price that does not depend on cost, in the plan's currency. `share` is the
 * part of a whole period in which the plan was in force: bounds of tiers, flat fees and flat prices shrink with it; a
 * price of a unit or a package does not. No quantity: no charge.
 */
export function priceQuantity(rule: OwnPriceRule, quantity: Fraction, share: Fraction): PricedPart[] {
  if (quantity.n <= 0n) return [];
  const whole = (charge: Fraction): PricedPart[] => [
    { above: ZERO, up_to: null, quantity, charge, free: isZero(charge) },
  ];
  if ('unit_price' in rule) return whole(perUnit(quantity, rule.unit_price, rule.per));
  if ('package' in rule) {
    const packages = roundUp(divide(quantity, parseDecimal(rule.package.size)));
    return whole(multiply(fromInteger(packages), parseDecimal(rule.package.price)));
  }
  if ('flat' in rule) return whole(multiply(parseDecimal(rule.flat), share));
  return 'graduated' in rule ? graduated(rule.graduated, quantity, share) : [volume(rule.volume, quantity, share)];
}

function graduated(tiers: Tier[], quantity: Fraction, share: Fraction): PricedPart[] {
  const parts: PricedPart[] = [];
  let above = ZERO;
  for (const tier of tiers) {
    const bound = upperBound(tier, share);
    const inside = subtract(bound === null ? quantity : minimum(quantity, bound), above);
    if (inside.n <= 0n) break;
    parts.push({ above, up_to: bound, quantity: inside, ...chargeOfTier(tier, inside, share) });
    if (bound === null) break;
    above = bound;
  }
  return parts;
}

function volume(tiers: Tier[], quantity: Fraction, share: Fraction): PricedPart {
  let above = ZERO;
  for (const tier of tiers) {
    const bound = upperBound(tier, share);
    if (bound === null || compare(quantity, bound) <= 0) {
      return { above, up_to: bound, quantity, ...chargeOfTier(tier, quantity, share) };
    }
    above = bound;
  }
  throw new RangeError('the last tier of a price ends: it was published unchecked');
}

function chargeOfTier(tier: Tier, quantity: Fraction, share: Fraction): { charge: Fraction; free: boolean } {
  const fee = tier.flat_fee === undefined ? ZERO : multiply(parseDecimal(tier.flat_fee), share);
  const charge = add(perUnit(quantity, tier.price, tier.per), fee);
  return { charge, free: isZero(charge) };
}

/** Bounds are inclusive: a quantity of exactly `up_to` is still in the tier. */
function upperBound(tier: Tier, share: Fraction): Fraction | null {
  return tier.up_to === undefined ? null : multiply(parseDecimal(tier.up_to), share);
}

function perUnit(quantity: Fraction, price: string, per: number): Fraction {
  return divide(multiply(quantity, parseDecimal(price)), fromInteger(per));
}

/** The smallest whole number that is not below a positive fraction. */
function roundUp({ n, d }: Fraction): bigint {
  return (n + d - 1n) / d;
}
