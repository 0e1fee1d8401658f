import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseCount } from '../../../src/invoicing/meter-count.js';
import { format } from '../../../src/money/fraction.js';

describe('a count as Stripe shows it', () => {
  it.each([
    ['0', '0'],
    ['750', '750'],
    ['-12.5', '-12.5'],
    ['1.5e-7', '0.00000015'],
    ['1e21', '1000000000000000000000'],
    ['1.2345e+22', '12345000000000000000000'],
    ['-2.5E3', '-2500'],
    ['100e-2', '1'],
  ])('%s is %s, exactly', (text, exact) => {
    expect(format(parseCount(text))).toBe(exact);
  });

  it('is what the number said, in whatever form it is written', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }),
        fc.integer({ min: 0, max: 18 }),
        (digits, places) => {
          const exact = parseCount(`${digits}e-${places}`);
          expect({ n: exact.n * 10n ** BigInt(places), d: exact.d }).toEqual({ n: digits * exact.d, d: exact.d });
          expect(parseCount(format(exact))).toEqual(exact);
        },
      ),
    );
  });

  it('is nothing else', () => {
    for (const text of ['', 'NaN', 'Infinity', '1e', '1.e3', '0x10', '1e9999']) {
      expect(() => parseCount(text)).toThrow(RangeError);
    }
  });
});
