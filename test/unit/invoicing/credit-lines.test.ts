import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CreditableLine, chooseLines, inParts, total } from '../../../src/invoicing/credit-lines.js';
import { CREDIT_NOTE_LINES_COUNT } from '../../../src/limits.js';

const line = (number: number, amount: number, credited = 0): CreditableLine => ({
  id: `il_${number}`,
  line_number: number,
  amount,
  credited,
  contained_tax: 0,
});
const chosen = (lines: CreditableLine[], amount: number, after: [number, number][] = []) =>
  chooseLines(lines, amount, new Map(after)).map(({ invoice_line_item, amount: of }) => [invoice_line_item, of]);

describe('the lines that a credit note takes from', () => {
  const lines = [line(1, 500), line(2, 300), line(3, -100), line(4, 200, 50)];

  it('are those that came down, as far as they did', () => {
    expect(
      chosen(lines, 130, [
        [1, 500],
        [2, 200],
        [3, -100],
        [4, 120],
      ]),
    ).toEqual([
      ['il_2', 100],
      ['il_4', 30],
    ]);
  });

  it('are then the others in their order', () => {
    expect(
      chosen(lines, 250, [
        [1, 500],
        [2, 200],
        [3, -100],
        [4, 150],
      ]),
    ).toEqual([
      ['il_1', 150],
      ['il_2', 100],
    ]);
  });

  it('are less of the last ones where others went up', () => {
    expect(
      chosen(lines, 90, [
        [1, 560],
        [2, 200],
        [3, -100],
        [4, 100],
      ]),
    ).toEqual([['il_2', 90]]);
  });

  it('are negative ones as far as they came down themselves', () => {
    expect(
      chosen(lines, 240, [
        [1, 200],
        [2, 300],
        [3, -40],
        [4, 150],
      ]),
    ).toEqual([
      ['il_1', 300],
      ['il_3', -60],
    ]);
  });

  it('are all, where everything that is left is taken back', () => {
    expect(chosen(lines, 850)).toEqual([
      ['il_1', 500],
      ['il_2', 300],
      ['il_3', -100],
      ['il_4', 150],
    ]);
  });

  const creditable = fc.record({
    amount: fc.integer({ min: -400, max: 900 }),
    share: fc.nat(100),
    after: fc.option(fc.integer({ min: -400, max: 900 }), { nil: undefined }),
  });

  it('come to the amount, no line beyond what is left of it, in parts above zero that Stripe takes', () => {
    fc.assert(
      fc.property(
        fc.array(creditable, { minLength: 1, maxLength: 3 * CREDIT_NOTE_LINES_COUNT }),
        fc.nat(),
        (found, seed) => {
          const given = found.map(({ amount, share }, at) => line(at + 1, amount, Math.trunc((amount * share) / 100)));
          const left = given.reduce((sum, { amount, credited }) => sum + amount - credited, 0);
          fc.pre(left > 0);
          const amount = 1 + (seed % left);
          const after = new Map(
            found.flatMap((one, at) => (one.after === undefined ? [] : [[at + 1, one.after] as const])),
          );
          const lines = chooseLines(given, amount, after);
          expect(total(lines)).toBe(amount);
          const parts = inParts(lines);
          expect(total(parts.flat())).toBe(amount);
          for (const part of parts) {
            expect(part.length).toBeLessThanOrEqual(CREDIT_NOTE_LINES_COUNT);
            expect(total(part)).toBeGreaterThan(0);
            for (const one of part) {
              const { amount: of, credited } = given.find(({ id }) => id === one.invoice_line_item)!;
              expect(Math.sign(one.amount)).toBe(Math.sign(of));
              expect(Math.abs(one.amount)).toBeLessThanOrEqual(Math.abs(of - credited));
            }
          }
        },
      ),
    );
  });
});
