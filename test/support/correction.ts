import type Stripe from 'stripe';
import { expect } from 'vitest';
import type { InvoiceLine } from '../../src/contracts/invoice.js';
import type { StripeReference } from '../../src/contracts/plan-rule.js';
import type { Pool } from '../../src/database/pool.js';
import type { StandInTax } from '../../src/dev/stripe-tax.js';
import { CostplusError } from '../../src/errors/error.js';
import { type CorrectOutcome, correctInvoice } from '../../src/invoicing/correct.js';
import type { SubmitDeps } from '../../src/invoicing/submit.js';
import { sweepSubmission } from '../../src/invoicing/sweep-drafts.js';
import { insertInvoice } from './invoice-fixture.js';
import { openScenario, type Scenario, settleLateRequests } from './submission.js';

/** What became of an invoice before the period is billed again; of a `part_paid` one two fifths are paid. */
export type Before =
  | 'draft'
  | 'open'
  | 'paid'
  | 'part_paid'
  | 'uncollectible'
  | 'part_uncollectible'
  | 'void'
  | 'deleted'
  | 'nothing';

/** Tax and discounts that come on top of an invoice at Stripe. */
export interface OnTop {
  /** Stripe Tax, as the plan asks for it. */
  automatic?: StandInTax;
  /** Product or tax code of each line, in every revision. */
  references?: (StripeReference | null)[];
  /** What a person puts on the draft before issuing it. */
  byHand?: (sdk: Stripe) => Promise<Stripe.InvoiceUpdateParams>;
}

/** A period whose first revision is at Stripe in some state, and whose second is composed. */
export interface CorrectionScenario extends Scenario {
  /** Composes a further revision and begins its correction. */
  next: (amounts: number[], refund?: 'balance' | 'refund', lines?: Partial<InvoiceLine>[]) => Promise<void>;
  correct: (failpoint?: SubmitDeps['failpoint']) => Promise<CorrectOutcome>;
  correctUntilDone: () => Promise<CorrectOutcome>;
  /** A person or Stripe changes an invoice. */
  change: (id: string, to: 'paid' | 'uncollectible' | 'void') => Promise<void>;
  pay: (id: string) => Promise<void>;
  /** Live invoices minus credit notes, as the stand-in has them. */
  books: () => number;
  total: () => number;
}

export async function openCorrection(
  pool: Pool,
  options: {
    before: Before;
    first: number[];
    onTop?: OnTop;
    timeoutMilliseconds?: number;
    freesItems?: boolean;
    lines?: Partial<InvoiceLine>[];
  },
): Promise<CorrectionScenario> {
  const { automatic, byHand } = options.onTop ?? {};
  const references = options.onTop?.references === undefined ? {} : { references: options.onTop.references };
  const scenario = await openScenario(pool, {
    amounts: options.first,
    ...(options.before === 'draft' || options.before === 'deleted' || byHand !== undefined ? { mode: 'draft' } : {}),
    ...references,
    ...(options.lines === undefined ? {} : { lines: options.lines }),
    freesItems: options.freesItems ?? false,
    ...(options.timeoutMilliseconds === undefined ? {} : { timeoutMilliseconds: options.timeoutMilliseconds }),
  });
  const { stripe, standIn, fixture } = scenario;
  const change = async (id: string, to: 'paid' | 'uncollectible' | 'void') => {
    await stripe.call('change', {}, (sdk) =>
      to === 'paid'
        ? sdk.invoices.pay(id)
        : to === 'void'
          ? sdk.invoices.voidInvoice(id)
          : sdk.invoices.markUncollectible(id),
    );
  };
  if (automatic !== undefined) {
    standIn.setTax(automatic);
    const { id } = standIn.state().customers[0]!;
    await stripe.call('address', {}, (sdk) => sdk.customers.update(id, { address: { country: 'DE' } }));
    scenario.ref.stripe = { automatic_tax: true, default_tax_code: 'txcd_10000000' };
  }
  if (options.before !== 'nothing') {
    const outcome = await scenario.submit();
    if (outcome.outcome === 'parked') throw new Error(outcome.reason);
    const id = outcome.stripe_invoice_id;
    if (byHand !== undefined) {
      await stripe.call('edit', {}, async (sdk) => sdk.invoices.update(id, await byHand(sdk)));
      await stripe.call('issue', {}, (sdk) => sdk.invoices.finalizeInvoice(id));
    }
    if (options.before === 'part_paid' || options.before === 'part_uncollectible') {
      standIn.payPart(id, Math.ceil((standIn.state().invoices[0]!.amount_remaining * 2) / 5));
    }
    if (options.before === 'part_uncollectible') await change(id, 'uncollectible');
    if (options.before === 'deleted') await stripe.call('delete', {}, (sdk) => sdk.invoices.del(id));
    if (options.before === 'paid' || options.before === 'uncollectible' || options.before === 'void') {
      if (standIn.state().invoices[0]!.status === 'open') await change(id, options.before);
    }
  }
  const ref = { ...scenario.ref, mode: 'stripe' as const };
  let total = fixture.subtotal_minor;
  const correct = (failpoint?: SubmitDeps['failpoint']) => correctInvoice(scenario.deps(failpoint), { ...ref });
  return {
    ...scenario,
    change,
    pay: (id) => change(id, 'paid'),
    async next(amounts, refund = 'balance', lines = []) {
      ref.revision++;
      const made = await insertInvoice(pool, {
        amounts,
        customerId: fixture.customer_id,
        revision: ref.revision,
        lines,
        ...references,
      });
      total = made.subtotal_minor;
      await pool.query(
        `INSERT INTO invoice_corrections (period_id, revision, refund, reason, requested_by) VALUES ($1, $2, $3, 'test', 'test')`,
        [fixture.period_id, ref.revision, refund],
      );
    },
    correct,
    async correctUntilDone() {
      for (let tries = 0; tries < 20; tries++) {
        try {
          return await correct();
        } catch (error) {
          if (!(error instanceof CostplusError) || !error.retryable) throw error;
          // Time passes between attempts: beyond the life of a key that may hold a saved failure, and of any request.
          await settleLateRequests(standIn);
          await pool.query(
            `UPDATE invoice_credit_notes SET tried_at = tried_at - interval '1 hour' WHERE period_id = $1`,
            [fixture.period_id],
          );
        }
      }
      throw new Error('the correction never came to an end');
    },
    // Losers of every revision.
    sweep: async () => {
      for (let revision = 1; revision <= ref.revision; revision++) {
        await sweepSubmission(scenario.deps(), { period_id: ref.period_id, revision });
      }
    },
    books: () => booksOf(standIn.state()),
    total: () => total,
  };
}

/** Live invoices minus credit notes before tax, in minor units; drafts that nothing will finalize are no part of them. */
export function booksOf(state: ReturnType<Scenario['standIn']['state']>): number {
  const live = state.invoices.filter(({ status }) => status !== 'void' && status !== 'draft');
  const credited = state.credit_notes
    .filter(({ invoice, status }) => status === 'issued' && live.some(({ id }) => id === invoice))
    .reduce((sum, { subtotal }) => sum + subtotal, 0);
  return live.reduce((sum, { subtotal }) => sum + subtotal, 0) - credited;
}

/** What must hold of money at Stripe, whatever was corrected: with tax and discounts, by invoice. */
export function expectMoneyRight(state: ReturnType<Scenario['standIn']['state']>): void {
  for (const invoice of state.invoices) {
    const notes = state.credit_notes.filter((note) => note.invoice === invoice.id && note.status === 'issued');
    const sum = (of: (note: (typeof notes)[number]) => number) => notes.reduce((all, note) => all + of(note), 0);
    expect(sum((note) => note.total)).toBeLessThanOrEqual(Math.max(0, invoice.total));
    expect(sum((note) => note.refund_amount)).toBeLessThanOrEqual(invoice.amount_paid - invoice.amount_paid_off_stripe);
    expect(sum((note) => note.refund_amount + note.credit_amount)).toBe(invoice.post_payment_credit_notes_amount);
    // Taken back as a whole, its tax and its discounts are as well.
    if (
      notes.length > 0 &&
      sum((note) => note.subtotal) === invoice.subtotal &&
      notes.every(({ lines }) => lines.length)
    ) {
      expect(sum((note) => note.total)).toBe(invoice.total);
    }
  }
}

/** Ends a correction that was disturbed. Throws unless the books are right and nothing is left over. */
export async function expectCorrected(scenario: CorrectionScenario): Promise<CorrectOutcome> {
  scenario.standIn.faults.clear();
  const outcome = await scenario.correctUntilDone();
  if (outcome.outcome === 'parked') throw new Error(outcome.reason);
  await settleLateRequests(scenario.standIn);
  await scenario.sweep();
  expect(scenario.books()).toBe(scenario.total());
  expectMoneyRight(scenario.standIn.state());
  expect(scenario.invoices().filter(({ status }) => status === 'draft')).toEqual([]);
  const { rows } = await scenario.pool.query(
    `SELECT count(*) FILTER (WHERE completed_at IS NULL)::int AS open FROM invoice_corrections WHERE period_id = $1`,
    [scenario.fixture.period_id],
  );
  expect(rows[0]).toEqual({ open: 0 });
  return outcome;
}
