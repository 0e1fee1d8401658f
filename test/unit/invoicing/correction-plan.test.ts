import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compareLines,
  type EndedInvoice,
  fitPlan,
  planCorrection,
  supplementAfter,
  supplementLines,
} from '../../../src/invoicing/correction-plan.js';
import type { ComparedLine } from '../../../src/invoicing/line-identity.js';
import { INVOICE_LINES_COUNT } from '../../../src/limits.js';

const paid = (id: string, subtotal: number, credited = 0): EndedInvoice => ({
  id,
  ended: 'paid',
  subtotal,
  credited,
  creditable: subtotal - credited,
  lines: null,
});
const line = (name: string, amount: number): ComparedLine => ({
  what: name,
  across_plans: name,
  hint: 'tokens',
  description: `${name} · 12 tokens`,
  amount,
  stripe: null,
});

const endedInvoice = fc.record({
  subtotal: fc.integer({ min: -2_000, max: 5_000 }),
  share: fc.nat(100),
  ended: fc.constantFrom('paid' as const, 'part_paid' as const, 'void' as const, 'deleted' as const),
});

describe('what a correction needs', () => {
  it.each([
    {
      name: 'nothing stands: all of it',
      ended: [],
      total: 500,
      is: { invoice: 'whole', invoice_amount: 500, credits: [] },
    },
    { name: 'nothing stands and nothing is due', ended: [], total: 0, is: { invoice: 'none', credits: [] } },
    {
      name: 'too little stands',
      ended: [paid('a', 300)],
      total: 500,
      is: { invoice: 'supplement', invoice_amount: 200 },
    },
    { name: 'it stands already', ended: [paid('a', 600, 100)], total: 500, is: { invoice: 'none', credits: [] } },
    {
      name: 'too much stands: the newest first',
      ended: [paid('a', 300), paid('b', 200)],
      total: 250,
      is: {
        invoice: 'none',
        credits: [
          { stripe_invoice_id: 'b', amount: 200 },
          { stripe_invoice_id: 'a', amount: 50 },
        ],
      },
    },
    {
      name: 'more than invoices can give back',
      ended: [paid('a', 300)],
      total: -100,
      is: {
        invoice: 'supplement',
        invoice_amount: -100,
        credits: [{ stripe_invoice_id: 'a', amount: 300 }],
      },
    },
  ])('$name', ({ ended, total, is }) => {
    expect(planCorrection(ended, total)).toMatchObject(is);
  });

  it('counts an invoice that was paid in part as one that stands', () => {
    expect(planCorrection([{ ...paid('a', 300), ended: 'part_paid' }], 500)).toMatchObject({
      live: 300,
      invoice: 'supplement',
      invoice_amount: 200,
    });
  });

  it('asks for what credit notes cannot give by a negative invoice', () => {
    const plan = planCorrection([paid('a', 300)], 100);
    const credit = { stripe_invoice_id: 'a', part: 1, amount: 199, lines: [] };
    expect(fitPlan(plan, [credit])).toMatchObject({ credits: [credit], invoice: 'supplement', invoice_amount: -1 });
    expect(fitPlan(plan, [{ ...credit, amount: 200 }])).toMatchObject({ invoice: 'none', invoice_amount: 0 });
  });

  it('always leaves the books at the total, and credits no invoice beyond itself', () => {
    fc.assert(
      fc.property(fc.array(endedInvoice, { maxLength: 5 }), fc.integer({ min: -3_000, max: 9_000 }), (found, total) => {
        const ended = found.map(({ subtotal, share, ended: how }, at): EndedInvoice => {
          const credited = Math.floor((Math.max(0, subtotal) * share) / 100);
          return { ...paid(`in_${at}`, subtotal, credited), ended: how };
        });
        const plan = planCorrection(ended, total);
        const credits = plan.credits.reduce((sum, { amount }) => sum + amount, 0);
        expect(plan.live - credits + plan.invoice_amount).toBe(total);
        for (const { stripe_invoice_id: id, amount } of plan.credits) {
          const { subtotal, credited } = ended.find((one) => one.id === id)!;
          expect(amount).toBeGreaterThan(0);
          expect(amount).toBeLessThanOrEqual(subtotal - credited);
        }
      }),
    );
  });
});

describe('the lines of a difference', () => {
  it('are those that changed, by how much, whatever their wording', () => {
    const before = [line('same', 100), line('more', 200), line('gone', 50)];
    const after = [{ ...line('same', 100), description: 'same · 13 tokens' }, line('more', 260), line('new', 5)];
    const differences = compareLines(before, after);
    expect(differences.map(({ before: was, after: is }) => [was, is])).toEqual([
      [200, 260],
      [0, 5],
      [50, 0],
    ]);
    expect(supplementLines(differences, 15)).toEqual([
      { description: 'Correction · more · 12 tokens', amount_minor: 60 },
      { description: 'Correction · new · 12 tokens', amount_minor: 5 },
      { description: 'Correction · gone · 12 tokens', amount_minor: -50 },
    ]);
  });

  it('sum to the amount and fit on an invoice, however many changed', () => {
    const many = Array.from({ length: 600 }, (_, at) => line(`m${at}`, at));
    const lines = supplementLines(compareLines(many.slice(0, 300), many.slice(300)), 12_345);
    expect(lines.length).toBeLessThanOrEqual(INVOICE_LINES_COUNT);
    expect(lines.reduce((sum, { amount_minor }) => sum + amount_minor, 0)).toBe(12_345);
    expect(lines.at(-1)!.description).toBe('Correction of what was billed before');
  });

  it('have come to what their own lines have come down by since', () => {
    const [before, revision] = [
      [line('a', 100), line('b', 50)],
      [line('a', 130), line('b', 90), line('c', -20)],
    ];
    const lines = supplementLines(compareLines(before, revision), 50);
    expect(lines.map(({ amount_minor }) => amount_minor)).toEqual([30, 40, -20]);
    const now = (...later: ComparedLine[]) => [...supplementAfter(lines, [before, revision, later]).values()];
    expect(now(...revision)).toEqual([30, 40, -20]);
    expect(now(line('a', 130), line('b', 75), line('c', -5))).toEqual([30, 25, -5]);
    // No more than there is of them, and no more than they were.
    expect(now(line('a', 500), line('b', 0))).toEqual([30, 0, 0]);
    // Made with other words: nothing is said.
    expect(supplementAfter([{ description: 'Rest', amount_minor: 50 }], [before, revision, []]).size).toBe(0);
  });
});
