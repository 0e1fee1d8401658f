import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ClosingBalances } from '../../../src/contracts/balances.js';
import { chainLinkSchema, lessLate, linkFrom } from '../../../src/invoicing/chain-link.js';
import { add, compare, fromExactText, toExactText, ZERO } from '../../../src/money/fraction.js';

const SEPTEMBER = { start_date: '2026-09-01', ends_at: new Date('2026-10-01T00:00:00Z') };
const nothing: ClosingBalances = { rollover: [], advance: null, commitment: null, credits: [] };
const rolled = (amount: string, key = 'charge') => ({ plan_id: 'pro', key, amount });

describe('what a supposed period leaves', () => {
  it('crosses a page as it is', () => {
    const closing: ClosingBalances = {
      rollover: [rolled('65/4'), rolled('7', 'quantity actions {"feature":"chat"}')],
      advance: { plan_id: 'pro', version: 3, amount: '49.00' },
      commitment: {
        plan_id: 'pro',
        amount: '100',
        periods: 3,
        early_end: 'prorated',
        over: 1,
        elapsed: '29/30',
        spent: '375/100',
      },
      credits: [{ grant_id: 7, burned: '3.00', expired: '0.00', remaining: '2.00' }],
    };
    const link = linkFrom(SEPTEMBER, closing, null);
    expect(link).toMatchObject({ start_date: '2026-09-01', end: '2026-10-01T00:00:00.000Z', credits: [[7, '2.00']] });
    expect(chainLinkSchema.parse(JSON.parse(JSON.stringify(link)))).toEqual(link);
  });

  it('remembers grants that an earlier period of the chain used up', () => {
    const used = { grant_id: 7, burned: '5.00', expired: '0.00', remaining: '0.00' };
    const september = linkFrom(SEPTEMBER, { ...nothing, credits: [used] }, null);
    const other = { grant_id: 8, burned: '1.00', expired: '0.00', remaining: '4.00' };
    const october = linkFrom(SEPTEMBER, { ...nothing, credits: [other] }, september);
    expect(october.credits).toEqual([
      [7, '0.00'],
      [8, '4.00'],
    ]);
  });

  it('is less by what late usage really took, and never below nothing', () => {
    const left = [rolled('14'), rolled('3', 'credits')];
    expect(lessLate(left, [rolled('65/4')], [rolled('25/2')])).toEqual([rolled('41/4'), rolled('3', 'credits')]);
    expect(lessLate([rolled('2')], [rolled('65/4')], [])).toEqual([]);
    // Another plan's balance is no business of it.
    expect(lessLate(left, [{ ...rolled('9'), plan_id: 'other' }], [])).toEqual(left);
  });

  it('is what was pinned less late usage where the chain left just that', () => {
    const amount = fc.tuple(fc.bigInt(1n, 10_000n), fc.constantFrom(1n, 3n, 100n)).map(([n, d]) => ({ n, d }));
    fc.assert(
      fc.property(amount, amount, (opened, taken) => {
        const pinned = [rolled(toExactText(add(opened, taken)))];
        const [only] = lessLate(pinned, pinned, [rolled(toExactText(opened))]);
        expect(compare(only === undefined ? ZERO : fromExactText(only.amount), opened)).toBe(0);
      }),
    );
  });
});
