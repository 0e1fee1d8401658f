import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { billableStepMinor, formatMinor, fromMinor, minorDigits, roundToMinor } from '../../../src/money/currency.js';
import { compare, equals, type Fraction, negate, parseDecimal, subtract } from '../../../src/money/fraction.js';

const currency = fc.constantFrom('usd', 'eur', 'jpy', 'krw', 'kwd', 'bhd', 'isk', 'ugx');
const amount: fc.Arbitrary<Fraction> = fc
  .tuple(fc.bigInt(-(10n ** 16n), 10n ** 16n), fc.bigInt(1n, 10n ** 9n))
  .map(([n, d]) => ({ n, d }));

describe('rounding to a billable amount', () => {
  it.each([
    // two decimals: cents
    ['usd', '1.005', '1.01'],
    ['usd', '1.0049999', '1.00'],
    ['usd', '-1.005', '-1.01'],
    // none: whole yen
    ['jpy', '149.5', '150'],
    ['jpy', '149.49', '149'],
    // three decimals, the last one 0: Stripe takes thousandths that end in 0
    ['kwd', '1.234', '1.230'],
    ['kwd', '1.235', '1.240'],
    ['kwd', '-1.235', '-1.240'],
    // two decimals, both 0: whole krónur and shillings
    ['isk', '149.49', '149.00'],
    ['isk', '149.50', '150.00'],
    ['ugx', '0.5', '1.00'],
  ])('%s %s becomes %s', (code, exact, rounded) => {
    expect(formatMinor(roundToMinor(parseDecimal(exact), code), code)).toBe(rounded);
  });

  it('gives a multiple of the billable step, at most half a step away, alike on both sides of zero', () => {
    fc.assert(
      fc.property(currency, amount, (code, exact) => {
        const minor = roundToMinor(exact, code);
        const step = billableStepMinor(code);
        expect(minor % step).toBe(0n);
        const error = subtract(exact, fromMinor(minor, code));
        const magnitude = error.n < 0n ? negate(error) : error;
        const half = { n: step, d: 2n * 10n ** BigInt(minorDigits(code)) };
        expect(compare(magnitude, half)).toBeLessThanOrEqual(0);
        expect(roundToMinor(negate(exact), code)).toBe(-minor);
      }),
    );
  });

  it('leaves an amount alone that is billable already', () => {
    fc.assert(
      fc.property(currency, fc.bigInt(-(10n ** 12n), 10n ** 12n), (code, steps) => {
        const minor = steps * billableStepMinor(code);
        expect(roundToMinor(fromMinor(minor, code), code)).toBe(minor);
      }),
    );
  });

  it('keeps the order of amounts', () => {
    fc.assert(
      fc.property(currency, amount, amount, (code, a, b) => {
        const [low, high] = compare(a, b) <= 0 ? [a, b] : [b, a];
        expect(roundToMinor(low, code) <= roundToMinor(high, code)).toBe(true);
      }),
    );
  });
});

describe('minor units as text', () => {
  it.each([
    ['usd', 0n, '0.00'],
    ['usd', -5n, '-0.05'],
    ['usd', 123456n, '1234.56'],
    ['jpy', 0n, '0'],
    ['jpy', 1500n, '1500'],
    ['kwd', 1230n, '1.230'],
    ['isk', 14900n, '149.00'],
  ])('%s %s is %s', (code, minor, text) => {
    expect(formatMinor(minor, code)).toBe(text);
  });

  it('read back as the same amount', () => {
    fc.assert(
      fc.property(currency, fc.bigInt(-(10n ** 12n), 10n ** 12n), (code, minor) =>
        equals(parseDecimal(formatMinor(minor, code)), fromMinor(minor, code)),
      ),
    );
  });
});
