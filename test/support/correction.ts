import { expect } from 'vitest';
import type { Pool } from '../../src/database/pool.js';
import { CostplusError } from '../../src/errors/error.js';
import { type CorrectOutcome, correctInvoice } from '../../src/invoicing/correct.js';
import type { SubmitDeps } from '../../src/invoicing/submit.js';
import { sweepSubmission } from '../../src/invoicing/sweep-drafts.js';
import { insertInvoice } from './invoice-fixture.js';
import { openScenario, type Scenario, settleLateRequests } from './submission.js';

/** What became of an invoice before the period is billed again. */
export type Before = 'draft' | 'open' | 'paid' | 'uncollectible' | 'void' | 'deleted' | 'nothing';

/** A period whose first revision is at Stripe in some state, and whose second is composed. */
export interface CorrectionScenario extends Scenario {
  /** Composes a further revision and begins its correction. */
  next: (amounts: number[], refund?: 'balance' | 'refund') => Promise<void>;
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
  options: { before: Before; first: number[]; timeoutMilliseconds?: number },
): Promise<CorrectionScenario> {
  const scenario = await openScenario(pool, {
    amounts: options.first,
    ...(options.before === 'draft' || options.before === 'deleted' ? { mode: 'draft' } : {}),
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
  if (options.before !== 'nothing') {
    const outcome = await scenario.submit();
    if (outcome.outcome === 'parked') throw new Error(outcome.reason);
    const id = outcome.stripe_invoice_id;
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
    async next(amounts, refund = 'balance') {
      ref.revision++;
      const made = await insertInvoice(pool, { amounts, customerId: fixture.customer_id, revision: ref.revision });
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

/** Live invoices minus credit notes, in minor units; drafts that nothing will finalize are no part of them. */
export function booksOf(state: ReturnType<Scenario['standIn']['state']>): number {
  const live = state.invoices.filter(({ status }) => status !== 'void' && status !== 'draft');
  const credited = state.credit_notes
    .filter(({ invoice }) => live.some(({ id }) => id === invoice))
    .reduce((sum, { amount }) => sum + amount, 0);
  return live.reduce((sum, { subtotal }) => sum + subtotal, 0) - credited;
}

/** Ends a correction that was disturbed. Throws unless the books are right and nothing is left over. */
export async function expectCorrected(scenario: CorrectionScenario): Promise<CorrectOutcome> {
  scenario.standIn.faults.clear();
  const outcome = await scenario.correctUntilDone();
  if (outcome.outcome === 'parked') throw new Error(outcome.reason);
  await settleLateRequests(scenario.standIn);
  await scenario.sweep();
  expect(scenario.books()).toBe(scenario.total());
  expect(scenario.invoices().filter(({ status }) => status === 'draft')).toEqual([]);
  const { rows } = await scenario.pool.query(
    `SELECT count(*) FILTER (WHERE completed_at IS NULL)::int AS open FROM invoice_corrections WHERE period_id = $1`,
    [scenario.fixture.period_id],
  );
  expect(rows[0]).toEqual({ open: 0 });
  return outcome;
}
