import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { apportion } from '../../../src/money/apportion.js';
import { fromInteger, parseDecimal } from '../../../src/money/fraction.js';

const weights = (...decimals: string[]) => decimals.map(parseDecimal);

describe('sharing a whole number out', () => {
  it.each([
    ['in proportion', 100n, ['1', '3'], 1n, [25n, 75n]],
    ['the largest rest gets what is left', 100n, ['1', '1', '4'], 1n, [17n, 17n, 66n]],
    ['of equal rests the earlier does', 1n, ['1', '1'], 1n, [1n, 0n]],
    ['nothing to a weight of nothing', 5n, ['0', '0.001'], 1n, [0n, 5n]],
    ['in whole steps', 100n, ['1', '2'], 10n, [30n, 70n]],
    ['nothing', 0n, ['0', '0'], 1n, [0n, 0n]],
  ])('%s', (_what, total, decimals, step, shares) => {
    expect(apportion(total, weights(...decimals), step)).toEqual(shares);
  });

  it('needs something to go by', () => {
    expect(() => apportion(1n, weights('0'))).toThrow(RangeError);
  });

  it('gives out all of it, each within a step of its exact share, and nobody more than a whole weight', () => {
    fc.assert(
      fc.property(
        fc.array(fc.bigInt({ min: 0n, max: 1_000n }), { minLength: 1, maxLength: 8 }),
        fc.bigInt({ min: 0n, max: 1_000n }),
        fc.constantFrom(1n, 10n, 100n),
        (sizes, part, step) => {
          const whole = sizes.reduce((a, b) => a + b, 0n);
          fc.pre(whole > 0n);
          const total = ((whole * part) / 1_000n) * step;
          const shares = apportion(
            total,
            sizes.map((size) => fromInteger(size * step)),
            step,
          );
          expect(shares.reduce((a, b) => a + b, 0n)).toBe(total);
          shares.forEach((share, index) => {
            expect(share % step).toBe(0n);
            const off = share * whole - total * sizes[index]!;
            expect((off < 0n ? -off : off) < step * whole).toBe(true);
            expect(share <= sizes[index]! * step).toBe(true);
          });
        },
      ),
    );
  });
});
