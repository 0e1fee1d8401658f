import { compare, divide, type Fraction, fromInteger, isZero, multiply, subtract, sum } from './fraction.js';

/**
 * Shares a whole number out in proportion to weights, exactly: the shares are whole multiples of `step` and sum to
 * `total`. Each gets the whole steps of its exact share; what is left goes, a step each, to those with the largest rest,
 * of equal ones to the earlier. `total`: a multiple of `step`, not negative; weights: not negative. Throws a RangeError
 * where there is something to share and no weight.
 */
export function apportion(total: bigint, weights: readonly Fraction[], step = 1n): bigint[] {
  const steps = total / step;
  if (steps === 0n) return weights.map(() => 0n);
  const whole = sum(weights);
  if (isZero(whole)) throw new RangeError('nothing says how to share it out');
  const exact = weights.map((weight) => divide(multiply(fromInteger(steps), weight), whole));
  const shares = exact.map(({ n, d }) => n / d);
  const rests = exact.map((share, index) => ({ index, rest: subtract(share, fromInteger(shares[index]!)) }));
  rests.sort((a, b) => compare(b.rest, a.rest) || a.index - b.index);
  const left = steps - shares.reduce((a, b) => a + b, 0n);
  for (const { index } of rests.slice(0, Number(left))) shares[index]! += 1n;
  return shares.map((share) => share * step);
}
