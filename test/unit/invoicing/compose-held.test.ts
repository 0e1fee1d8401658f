import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AllowanceUse } from '../../../src/contracts/balances.js';
import { composeInvoice } from '../../../src/invoicing/compose.js';
import { NO_BOUNDS } from '../../../src/invoicing/compose-held.js';
import { addUses, lessUses } from '../../../src/invoicing/compose-rollover.js';
import { check, compose, inputOf, linesOf, pages } from './plan-cases.js';

const money = (cents: number) => `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, '0')}`;
const exact = (cents: number) => (cents % 100 === 0 ? `${cents / 100}` : `${cents}/100`);
const amount = fc.nat(3_000);
const use = (used: string, version = 1): AllowanceUse => ({ plan_id: 'pro', version, key: 'charge', used });
const passedOn = (amount: string, key = 'charge') => [{ plan_id: 'pro', key, amount }];
/** Cents of an exact text. */
function cents(text: string): number {
  const [n, d = '1'] = text.split('/');
  return Math.round((Number(n) * 100) / Number(d));
}

const ROLLS = { rules: [{ markup: '0' }], allowance: { charge: '20', rollover: true } };

describe('an allowance that others have a part of', () => {
  it('covers what is there, and leaves at least what was passed on', () => {
    const bounds = { ...NO_BOUNDS, passed_on: passedOn('12') };
    check({ plan: ROLLS, used: [{ cost: '15' }], bounds }, ['usage 15.00', 'allowance -8.00'], '7.00');
    const { content } = compose({ plan: ROLLS, used: [{ cost: '5' }], bounds });
    expect(content.total).toBe('0.00');
    expect(content.balances.closing.rollover).toEqual([{ plan_id: 'pro', key: 'charge', amount: '15' }]);
  });

  it('lacks what late usage took that others carry, and has no more than it grants', () => {
    const bounds = { ...NO_BOUNDS, taken: [use('6')] };
    check({ plan: ROLLS, used: [{ cost: '30' }], bounds }, ['usage 30.00', 'allowance -14.00'], '16.00');
    const over = { ...NO_BOUNDS, passed_on: passedOn('15'), taken: [use('10')] };
    check({ plan: ROLLS, used: [{ cost: '30' }], bounds: over }, ['usage 30.00'], '30.00');
  });

  it('holds for quantities and for credits that a plan grants', () => {
    const quantity = {
      rules: [{ markup: '0' }],
      allowance: { quantity: '100', count: 'units' as const, match: { meter: 'pages' }, rollover: true },
    };
    const key = 'quantity units {"meter":"pages"}';
    const composed = compose({
      plan: quantity,
      used: [pages(80, '80')],
      bounds: { ...NO_BOUNDS, passed_on: passedOn('60', key) },
    });
    expect(linesOf(composed)).toEqual(['usage 40.00', 'overage 40.00', 'allowance -40.00']);
    const credits = { rules: [{ markup: '0' }], allowance: { credits: '20', rollover: true } };
    const bounds = { ...NO_BOUNDS, passed_on: passedOn('15', 'credits') };
    check({ plan: credits, used: [{ cost: '9' }], bounds }, ['usage 9.00', 'credits -5.00'], '4.00');
  });

  it('is passed on by the last part of a plan that changed its version: what that grants is passed on first', () => {
    const input = inputOf({
      plans: [ROLLS, { ...ROLLS, plan_id: 'pro' }],
      used: [
        { cost: '10', segment: 0 },
        { cost: '10', segment: 1 },
      ],
      bounds: { ...NO_BOUNDS, passed_on: passedOn('10'), taken: [use('4')] },
    });
    const [first, second] = input.inputs.assignments;
    const assignments = [first!, { ...second!, version: 2 }];
    const composed = composeInvoice({ ...input, inputs: { ...input.inputs, assignments } });
    // Ten dollars each for half the time: of the first part's others took four, the second part's are passed on.
    expect(linesOf(composed)).toContain('allowance -6.00');
    expect(composed.content.balances.closing.rollover).toEqual(passedOn('10'));
    expect(composed.allowances.map(({ version, used }) => [version, used])).toEqual([
      [1, '6'],
      [2, '0'],
    ]);
  });

  it('is never more, in all, than was granted and carried over', () => {
    fc.assert(
      fc.property(amount, amount, amount, amount, amount, (usage, carried, taken, passed, granted) => {
        const { content, allowances } = compose({
          plan: { ...ROLLS, allowance: { charge: money(granted), rollover: true } },
          used: usage === 0 ? [] : [{ cost: money(usage) }],
          opening: { rollover: carried === 0 ? [] : passedOn(exact(carried)) },
          bounds: { ...NO_BOUNDS, taken: [use(exact(taken))], passed_on: passedOn(exact(passed)) },
        });
        const used = allowances.reduce((sum, one) => sum + cents(one.used), 0);
        const left = content.balances.closing.rollover.reduce((sum, one) => sum + cents(one.amount), 0);
        const there = granted + carried;
        expect(used).toBe(Math.min(usage, Math.max(0, there - taken - passed)));
        expect(left).toBe(Math.max(0, there - taken - used));
        // What is passed on is left, as far as there ever was that much.
        expect(left).toBeGreaterThanOrEqual(Math.min(passed, Math.max(0, there - taken)));
      }),
    );
  });

  it('gives late usage what is left, for that usage alone', () => {
    fc.assert(
      fc.property(amount, amount, amount, amount, (own, late, passed, uncovered) => {
        const covered = (usage: number, bounds: object) =>
          compose({
            plan: ROLLS,
            used: usage === 0 ? [] : [{ cost: money(usage) }],
            bounds: { ...NO_BOUNDS, passed_on: passedOn(exact(passed)), ...bounds },
          }).allowances.reduce((sum, one) => sum + cents(one.used), 0);
        // The invoice as it stands left some of its usage uncovered that it could cover by now.
        const booked = Math.max(0, covered(own, {}) - uncovered);
        const standing = { booked: [use(exact(booked))] };
        expect(covered(own, { ...standing, only_booked: true })).toBe(booked);
        const all = covered(own + late, { ...standing, uncovered: [use(exact(own - booked))] });
        expect(all).toBeGreaterThanOrEqual(booked);
        expect(all - booked).toBeLessThanOrEqual(late);
        expect(all).toBeLessThanOrEqual(Math.max(booked, 2_000 - passed));
      }),
    );
  });
});

describe('lists of uses', () => {
  it('add up, and take off, by plan version and allowance', () => {
    const uses = addUses([use('1/2'), use('3', 2)], [use('1/2')]);
    expect(uses).toEqual([use('1'), use('3', 2)]);
    expect(lessUses(uses, [use('1'), use('1', 2)])).toEqual([use('2', 2)]);
  });
});
