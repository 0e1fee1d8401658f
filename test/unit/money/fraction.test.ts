import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  add,
  compare,
  divide,
  equals,
  type Fraction,
  format,
  fromExactText,
  isDecimal,
  isZero,
  maximum,
  minimum,
  multiply,
  negate,
  parseDecimal,
  reduce,
  roundToInteger,
  subtract,
  sum,
  toExactText,
  ZERO,
} from '../../../src/money/fraction.js';

const fraction: fc.Arbitrary<Fraction> = fc
  .tuple(fc.bigInt(-(10n ** 30n), 10n ** 30n), fc.bigInt(1n, 10n ** 20n))
  .map(([n, d]) => ({ n, d }));
const nonZero = fraction.filter((value) => !isZero(value));
const decimal = fc
  .tuple(fc.boolean(), fc.bigInt(0n, 10n ** 15n - 1n), fc.option(fc.stringMatching(/^\d{1,24}$/)))
  .map(([negative, whole, places]) => `${negative ? '-' : ''}${whole}${places === null ? '' : `.${places}`}`);

describe('a fraction', () => {
  it('obeys the laws of exact numbers', () => {
    fc.assert(
      fc.property(fraction, fraction, fraction, (a, b, c) => {
        expect(equals(add(a, b), add(b, a))).toBe(true);
        expect(equals(add(add(a, b), c), add(a, add(b, c)))).toBe(true);
        expect(equals(multiply(a, add(b, c)), add(multiply(a, b), multiply(a, c)))).toBe(true);
        expect(isZero(add(a, negate(a)))).toBe(true);
        expect(equals(subtract(a, b), negate(subtract(b, a)))).toBe(true);
      }),
    );
  });

  it('divides back what it multiplied', () => {
    fc.assert(fc.property(fraction, nonZero, (a, b) => equals(divide(multiply(a, b), b), a)));
  });

  it('keeps its denominator above zero', () => {
    fc.assert(fc.property(fraction, nonZero, (a, b) => divide(a, b).d > 0n && add(a, b).d > 0n && reduce(a).d > 0n));
  });

  it('has no quotient by zero', () => {
    expect(() => divide({ n: 1n, d: 1n }, ZERO)).toThrow(RangeError);
  });

  it('sums to the same in any order', () => {
    fc.assert(
      fc.property(fc.array(fraction, { maxLength: 12 }), (values) => {
        expect(toExactText(sum(values.toReversed()))).toBe(toExactText(sum(values)));
      }),
    );
  });

  it('is ordered as its difference is signed, and minimum and maximum are the two of a pair', () => {
    fc.assert(
      fc.property(fraction, fraction, (a, b) => {
        const { n } = subtract(a, b);
        expect(compare(a, b)).toBe(n < 0n ? -1 : n > 0n ? 1 : 0);
        expect(equals(add(minimum(a, b), maximum(a, b)), add(a, b))).toBe(true);
        expect(compare(minimum(a, b), maximum(a, b))).toBeLessThanOrEqual(0);
      }),
    );
  });

  it('has one exact text, which reads back as the same number', () => {
    fc.assert(
      fc.property(fraction, fc.bigInt(1n, 1_000n), (a, k) => {
        expect(equals(fromExactText(toExactText(a)), a)).toBe(true);
        expect(toExactText({ n: a.n * k, d: a.d * k })).toBe(toExactText(a));
      }),
    );
    expect(toExactText({ n: 6n, d: -3n * -1n })).toBe('2');
    expect(toExactText({ n: -10n, d: 4n })).toBe('-5/2');
  });

  it.each(['', '1/0', '1.5', '1/-2', ' 1', '1/2/3', 'NaN'])('is not read from %j', (text) => {
    expect(() => fromExactText(text)).toThrow(RangeError);
  });
});

describe('a decimal', () => {
  it('is exact: written again it is the same without needless zeros', () => {
    fc.assert(
      fc.property(decimal, (text) => {
        const value = parseDecimal(text);
        const written = format(value);
        expect(equals(parseDecimal(written), value)).toBe(true);
        expect(written).toMatch(/^-?\d+(\.\d*[1-9])?$/);
      }),
    );
  });

  it.each([
    ['0.0000003', '0.0000003'],
    ['0.10', '0.1'],
    ['-0', '0'],
    ['007.50', '7.5'],
    ['1.000000000000000000000001', '1.000000000000000000000001'],
  ])('%s is shown as %s', (text, shown) => {
    expect(format(parseDecimal(text))).toBe(shown);
  });

  it.each(['', '.5', '5.', '1e3', '+1', '1,000', '0x1', '1234567890123456', '٣', '1\n'])('is not %j', (text) => {
    expect(isDecimal(text)).toBe(false);
    expect(() => parseDecimal(text)).toThrow(RangeError);
  });

  it('that does not end is shown to 18 places, rounded half away from zero', () => {
    expect(format({ n: 1000n, d: 7n })).toBe('142.857142857142857143');
    expect(format({ n: -1000n, d: 7n })).toBe('-142.857142857142857143');
    expect(format({ n: 1n, d: 3n }, 2)).toBe('0.33');
    expect(format({ n: 2n, d: 3n }, 0)).toBe('1');
  });

  it('shown to 18 places is within half a unit of the last place', () => {
    const half = parseDecimal('0.0000000000000000005');
    fc.assert(
      fc.property(fc.bigInt(-(10n ** 14n), 10n ** 14n), fc.bigInt(1n, 10n ** 9n), (n, d) => {
        const error = subtract({ n, d }, fromShown(format({ n, d })));
        expect(compare(maximum(error, negate(error)), half)).toBeLessThanOrEqual(0);
      }),
    );
  });
});

describe('rounding to a whole number', () => {
  it.each([
    [1n, 2n, 1n],
    [-1n, 2n, -1n],
    [3n, 2n, 2n],
    [-3n, 2n, -2n],
    [5n, 2n, 3n],
    [49n, 100n, 0n],
    [-49n, 100n, 0n],
    [149n, 100n, 1n],
    [0n, 7n, 0n],
  ])('%s/%s becomes %s', (n, d, rounded) => {
    expect(roundToInteger({ n, d })).toBe(rounded);
  });

  it('goes to a nearest one, away from zero where two are as near, and alike on both sides of zero', () => {
    fc.assert(
      fc.property(fraction, (a) => {
        const rounded = roundToInteger(a);
        const twice = 2n * (rounded * a.d - a.n);
        const magnitude = twice < 0n ? -twice : twice;
        expect(magnitude <= a.d).toBe(true);
        if (magnitude === a.d) expect(rounded * rounded * a.d * a.d > a.n * a.n).toBe(true);
        expect(roundToInteger(negate(a))).toBe(-rounded);
      }),
    );
  });

  it('rounds every half away from zero', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 10n ** 30n), (whole) => {
        expect(roundToInteger({ n: 2n * whole + 1n, d: 2n })).toBe(whole + 1n);
        expect(roundToInteger({ n: -2n * whole - 1n, d: 2n })).toBe(-whole - 1n);
      }),
    );
  });
});

/** A shown text can be longer than a decimal that the API accepts. */
function fromShown(text: string): Fraction {
  const [whole, places = ''] = text.replace('-', '').split('.');
  const value = { n: BigInt(whole + places), d: 10n ** BigInt(places.length) };
  return text.startsWith('-') ? negate(value) : value;
}
