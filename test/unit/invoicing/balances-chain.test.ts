import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { OpenCredit, OpeningBalances } from '../../../src/contracts/balances.js';
import { compose, credit, december, type Example } from './plan-cases.js';

const money = (cents: number) => `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, '0')}`;
const amount = fc.nat(10_000);

/** Composes one period after the other: what each leaves is what the next opens with. */
function chain(months: number[], plan: Example['plan'] & object, grants: OpenCredit[]) {
  let opening: Partial<OpeningBalances> = { credits: grants };
  return months.map((usage) => {
    const { content } = compose({
      plan,
      used: usage === 0 ? [] : [{ cost: money(usage) }],
      next: december({ advance_fee: typeof plan.base_fee === 'object' ? plan.base_fee.amount : null }),
      opening,
    });
    const { closing } = content.balances;
    const credits = (opening.credits ?? []).flatMap((grant): OpenCredit[] => {
      const remaining = closing.credits.find(({ grant_id }) => grant_id === grant.grant_id)!.remaining;
      return /[1-9]/.test(remaining) ? [{ ...grant, remaining }] : [];
    });
    opening = { ...closing, credits };
    return content;
  });
}

describe('periods in a row', () => {
  it('come to what one who keeps the books by hand comes to: rollover, its limit, credits', () => {
    fc.assert(
      fc.property(fc.array(amount, { maxLength: 6 }), amount, amount, amount, (months, granted, limit, pack) => {
        const plan = { allowance: { charge: money(granted), rollover: true, rollover_limit: money(limit) } };
        const composed = chain(months, plan, pack === 0 ? [] : [credit(1, money(pack))]);
        let [left, credits] = [0, pack];
        const expected = months.map((usage) => {
          const available = granted + left;
          const covered = Math.min(available, usage);
          left = Math.min(available - covered, limit);
          const paid = Math.min(credits, usage - covered);
          credits -= paid;
          return money(usage - covered - paid);
        });
        expect(composed.map(({ total }) => total)).toEqual(expected);
      }),
    );
  });

  it('charge each period of a fee in advance once, whenever billing ends', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), amount, (count, fee) => {
        const plan = { base_fee: { amount: money(fee), timing: 'advance' as const } };
        const months = chain(
          Array.from({ length: count }, () => 0),
          plan,
          [],
        );
        // All periods and the one that follows: the last invoice was for it too.
        const cents = months.reduce((sum, { total }) => sum + Math.round(Number(total) * 100), 0);
        expect(cents).toBe((count + 1) * fee);
      }),
    );
  });

  it('never burn more of a grant than it had, and pay by grants in their order', () => {
    fc.assert(
      fc.property(
        fc.array(amount, { maxLength: 6 }),
        fc.array(fc.integer({ min: 1, max: 9_000 }), { maxLength: 4 }),
        (months, packs) => {
          const grants = packs.map((cents, index) => credit(index + 1, money(cents)));
          const uses = chain(months, {}, grants).flatMap(({ balances }) => balances.closing.credits);
          const usage = months.reduce((a, b) => a + b, 0);
          let left = usage;
          packs.forEach((cents, index) => {
            const burned = uses
              .filter(({ grant_id }) => grant_id === index + 1)
              .reduce((sum, one) => sum + Math.round(Number(one.burned) * 100), 0);
            expect(burned).toBe(Math.min(cents, left));
            left -= burned;
          });
        },
      ),
    );
  });

  it('ask for a commitment once, for just what is missing', () => {
    fc.assert(
      fc.property(fc.array(amount, { minLength: 3, maxLength: 3 }), fc.nat(40_000), (months, committed) => {
        const plan = { commitment: { amount: money(committed), periods: 3 } };
        const cents = chain(months, plan, []).reduce((sum, { total }) => sum + Math.round(Number(total) * 100), 0);
        expect(cents).toBe(
          Math.max(
            committed,
            months.reduce((a, b) => a + b, 0),
          ),
        );
      }),
    );
  });
});
