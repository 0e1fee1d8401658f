import { add, type Fraction, fromInteger, parseDecimal, ZERO } from '../money/fraction.js';

/**
 * An exact running sum of quantities. Whole numbers gather in a double while it stays exact (below 2^53) and are then
 * carried over to a BigInt; decimal strings are summed as fractions.
 */
export class QuantitySum {
  #small = 0;
  #large = 0n;
  #fraction: Fraction = ZERO;

  /** Adds a quantity of zero or more. Throws a RangeError for a number that is not a safe whole one. */
  add(quantity: number | string): void {
    if (typeof quantity !== 'number') {
      this.#fraction = add(this.#fraction, parseDecimal(quantity));
      return;
    }
    if (!Number.isSafeInteger(quantity) || quantity < 0) throw new RangeError('a quantity that is no whole number');
    const next = this.#small + quantity;
    if (next <= Number.MAX_SAFE_INTEGER) {
      this.#small = next;
      return;
    }
    this.#large += BigInt(this.#small);
    this.#small = quantity;
  }

  get total(): Fraction {
    return add(fromInteger(this.#large + BigInt(this.#small)), this.#fraction);
  }
}
