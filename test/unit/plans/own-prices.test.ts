import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type PlanRule, ruleSchema } from '../../../src/contracts/plan-rule.js';
import { add, equals, type Fraction, format, multiply, ONE, parseDecimal, sum } from '../../../src/money/fraction.js';
import { priceQuantity } from '../../../src/plans/own-prices.js';
import { isOwnPrice } from '../../../src/plans/plan-parts.js';

/** An own price with its defaults. */
function price(rule: object): Extract<PlanRule, { count: string }> {
  const parsed = ruleSchema.parse({ match: { meter: 'pages' }, ...rule });
  if (!isOwnPrice(parsed)) throw new Error('not an own price');
  return parsed;
}
const charge = (rule: object, quantity: string, share: Fraction = ONE) =>
  format(sum(priceQuantity(price(rule), parseDecimal(quantity), share).map((part) => part.charge)));

const TIERS = [{ up_to: '100', price: '0.50' }, { up_to: '1000', price: '0.20', flat_fee: '10' }, { price: '0.10' }];

describe('own prices', () => {
  it.each([
    // [what, rule, quantity, charge]
    ['a unit price: 12 x 0.40 = 4.80', { unit_price: '0.40' }, '12', '4.8'],
    ['a unit price for 1,000: 2,500 x 3 / 1,000 = 7.50', { unit_price: '3', per: 1_000 }, '2500', '7.5'],
    ['a unit price of a fraction: 0.5 x 0.30 = 0.15', { unit_price: '0.30' }, '0.5', '0.15'],
    ['no packages: nothing was used', { package: { size: '1000', price: '5' } }, '0', '0'],
    ['one package that was begun', { package: { size: '1000', price: '5' } }, '1', '5'],
    ['one package, exactly full', { package: { size: '1000', price: '5' } }, '1000', '5'],
    ['two packages: one unit more', { package: { size: '1000', price: '5' } }, '1001', '10'],
    ['packages of a fraction: 2.5 / 0.5 = 5 x 1', { package: { size: '0.5', price: '1' } }, '2.5', '5'],
    ['a flat price, however much is used', { flat: '50' }, '123456', '50'],
    ['no flat price where nothing is used', { flat: '50' }, '0', '0'],
    ['graduated, first tier: 99 x 0.50', { graduated: TIERS }, '99', '49.5'],
    ['graduated, the last of the first tier: 100 x 0.50', { graduated: TIERS }, '100', '50'],
    ['graduated, the first of the second: 100 x 0.50 + 1 x 0.20 + 10', { graduated: TIERS }, '101', '60.2'],
    ['graduated, the last of the second: 50 + 900 x 0.20 + 10', { graduated: TIERS }, '1000', '240'],
    ['graduated, the first of the third: 50 + 180 + 10 + 0.10', { graduated: TIERS }, '1001', '240.1'],
    ['graduated, a fraction beyond a bound: 50 + 0.5 x 0.20 + 10', { graduated: TIERS }, '100.5', '60.1'],
    ['volume, the last of the first tier: 100 x 0.50', { volume: TIERS }, '100', '50'],
    ['volume, the first of the second: 101 x 0.20 + 10', { volume: TIERS }, '101', '30.2'],
    ['volume, the last of the second: 1,000 x 0.20 + 10', { volume: TIERS }, '1000', '210'],
    ['volume, the first of the third: 1,001 x 0.10', { volume: TIERS }, '1001', '100.1'],
    ['volume of nothing', { volume: TIERS }, '0', '0'],
  ])('%s', (_what, rule, quantity, expected) => {
    expect(charge(rule, quantity)).toBe(expected);
  });

  it.each([
    ['a unit price does not shrink: 12 x 0.40', { unit_price: '0.40' }, '12', '4.8'],
    ['a package does not', { package: { size: '1000', price: '5' } }, '1001', '10'],
    ['a flat price does: 50 / 2', { flat: '50' }, '1', '25'],
    ['bounds do: 50 units are the first tier', { graduated: TIERS }, '50', '25'],
    ['the 51st is in the second: 25 + 0.20 + 10 / 2', { graduated: TIERS }, '51', '30.2'],
    ['volume: 500 are the last of the second: 100 + 5', { volume: TIERS }, '500', '105'],
    ['volume: 501 are in the third', { volume: TIERS }, '501', '50.1'],
  ])('in half a period %s', (_what, rule, quantity, expected) => {
    expect(charge(rule, quantity, { n: 1n, d: 2n })).toBe(expected);
  });

  it('tell the tiers apart, with what is free', () => {
    const rule = price({ count: 'actions', match: {}, graduated: [{ up_to: '1000', price: '0' }, { price: '0.02' }] });
    expect(
      priceQuantity(rule, parseDecimal('1200'), ONE).map(({ quantity, charge, free }) => [
        format(quantity),
        format(charge),
        free,
      ]),
    ).toEqual([
      ['1000', '0', true],
      ['200', '4', false],
    ]);
  });

  const share = fc.tuple(fc.integer({ min: 1, max: 30 }), fc.constant(30n)).map(([n, d]) => ({ n: BigInt(n), d }));
  const quantity = fc.nat(5_000).map((n) => ({ n: BigInt(n), d: 2n }));

  it('for a share of a period are that share of the price of the same pace kept up', () => {
    fc.assert(
      fc.property(fc.constantFrom('graduated', 'volume'), quantity, share, (kind, used, part) => {
        const rule = price({ [kind]: TIERS });
        const of = (amount: Fraction, time: Fraction) =>
          sum(priceQuantity(rule, amount, time).map((one) => one.charge));
        const whole = of({ n: used.n * part.d, d: used.d * part.n }, ONE);
        expect(equals(of(used, part), multiply(whole, part))).toBe(true);
      }),
    );
  });

  it('never lose a unit between tiers', () => {
    fc.assert(
      fc.property(quantity, share, (used, part) => {
        const parts = priceQuantity(price({ graduated: TIERS }), used, part);
        expect(
          equals(
            parts.reduce((total, one) => add(total, one.quantity), { n: 0n, d: 1n }),
            used,
          ),
        ).toBe(true);
      }),
    );
  });
});
