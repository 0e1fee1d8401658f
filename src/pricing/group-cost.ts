import { type Fraction, fromExactText, multiply, parseDecimal } from '../money/fraction.js';
import type { CostGroup } from './pricing-result.js';

/** What a group costs us, exact, in the group's currency: quantity x price x multiplier / per. */
export function groupCost(group: Pick<CostGroup, 'quantity' | 'price' | 'multiplier' | 'per'>): Fraction {
  const quantity = fromExactText(group.quantity);
  const price = parseDecimal(group.price);
  const cost = { n: quantity.n * price.n, d: quantity.d * price.d * BigInt(group.per) };
  return group.multiplier === undefined ? cost : multiply(cost, parseDecimal(group.multiplier));
}
