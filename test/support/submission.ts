import { randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import type { InvoiceLine } from '../../src/contracts/invoice.js';
import type { StripeReference } from '../../src/contracts/plan-rule.js';
import type { Pool } from '../../src/database/pool.js';
import type { StandInInvoice } from '../../src/dev/stripe-objects.js';
import { type StripeStandIn, startStripeStandIn } from '../../src/dev/stripe-stand-in.js';
import { CostplusError } from '../../src/errors/error.js';
import { type SubmitDeps, type SubmitOutcome, type SubmitRef, submitInvoice } from '../../src/invoicing/submit.js';
import { sweepSubmission } from '../../src/invoicing/sweep-drafts.js';
import { StripeClient } from '../../src/stripe/client.js';
import { type InvoiceFixture, insertInvoice } from './invoice-fixture.js';

/** Short enough for tests of lost answers, long enough for a loopback call on a busy machine. */
export const TEST_TIMEOUT_MILLISECONDS = 400;

/** One revision to submit, a Stripe stand-in of its own, and what there is to know afterwards. */
export interface Scenario {
  pool: Pool;
  standIn: StripeStandIn;
  stripe: StripeClient;
  fixture: InvoiceFixture;
  ref: SubmitRef;
  deps: (failpoint?: SubmitDeps['failpoint']) => SubmitDeps;
  submit: (failpoint?: SubmitDeps['failpoint']) => Promise<SubmitOutcome>;
  /** Submits again, as the engine does, until nothing retryable is thrown. */
  submitUntilDone: () => Promise<SubmitOutcome>;
  sweep: () => Promise<void>;
  /** Invoices that Stripe holds, whatever their status. */
  invoices: () => StandInInvoice[];
  close: () => Promise<void>;
}

/** Two chunks of lines: credits, zeros and amounts. */
export const MANY_AMOUNTS = Array.from({ length: 120 }, (_, index) => (index % 7 === 3 ? -50 : index * 100));

export async function openScenario(
  pool: Pool,
  options: {
    amounts?: number[];
    currency?: string;
    mode?: SubmitRef['mode'];
    collection?: SubmitRef['collection'];
    stripeCustomer?: 'given' | 'missing';
    timeoutMilliseconds?: number;
    references?: (StripeReference | null)[];
    lines?: Partial<InvoiceLine>[];
    freesItems?: boolean;
  } = {},
): Promise<Scenario> {
  const standIn = await startStripeStandIn({
    directory: null,
    environment: {},
    freesItems: options.freesItems ?? false,
    secretKey: `sk_test_${randomBytes(12).toString('hex')}`,
  });
  // Each scenario has a key, and so an account and a rate limit, of its own.
  const stripe = new StripeClient({
    secretKey: standIn.secretKey,
    apiBase: standIn.url,
    pool,
    callsPerSecond: 100_000,
    timeoutMilliseconds: options.timeoutMilliseconds ?? 5_000,
  });
  const customerId = `customer-${randomBytes(6).toString('hex')}`;
  const given =
    options.stripeCustomer === 'missing'
      ? {}
      : {
          stripeCustomerId: (await stripe.call('customer', {}, (sdk) => sdk.customers.create({ name: customerId }))).id,
        };
  const fixture = await insertInvoice(pool, {
    customerId,
    ...given,
    amounts: options.amounts ?? [1_000, -250, 0],
    currency: options.currency ?? 'usd',
    ...(options.references === undefined ? {} : { references: options.references }),
    ...(options.lines === undefined ? {} : { lines: options.lines }),
  });
  const ref: SubmitRef = {
    period_id: fixture.period_id,
    revision: fixture.revision,
    mode: options.mode ?? 'stripe',
    collection: options.collection ?? { method: 'charge_automatically' },
  };
  const deps = (failpoint?: SubmitDeps['failpoint']): SubmitDeps => ({
    pool,
    stripe,
    heartbeat: () => undefined,
    failpoint,
  });
  const submit = (failpoint?: SubmitDeps['failpoint']) => submitInvoice(deps(failpoint), ref);
  return {
    pool,
    standIn,
    stripe,
    fixture,
    ref,
    deps,
    submit,
    submitUntilDone: async () => {
      for (let tries = 0; tries < 20; tries++) {
        try {
          return await submit();
        } catch (error) {
          if (!(error instanceof CostplusError) || !error.retryable) throw error;
        }
      }
      throw new Error('the submission never came to an end');
    },
    sweep: async () => {
      await sweepSubmission(deps(), ref);
    },
    invoices: () => standIn.state().invoices,
    close: () => standIn.close(),
  };
}

/** Waits until no late request is on its way any more: what it does must be seen before anything is compared. */
export async function settleLateRequests(standIn: StripeStandIn): Promise<void> {
  const isLate = (it: { fault: string | null; status: number | null }) =>
    (it.fault === 'delay' || it.fault === 'slow') && it.status === null;
  while (standIn.state().requests.some(isLate)) await new Promise((resolve) => setTimeout(resolve, 20));
}

/**
 * Ends a scenario that was disturbed: a clean run, then the sweep. Throws unless Stripe then holds exactly one invoice,
 * issued, with exactly the composed lines, the one that the database elected and confirmed.
 */
export async function expectExactlyOnce(scenario: Scenario, amounts: number[]): Promise<void> {
  const { standIn, pool, fixture } = scenario;
  standIn.faults.clear();
  const outcome = await scenario.submitUntilDone();
  await settleLateRequests(standIn);
  await scenario.sweep();
  const found = scenario.invoices().map((invoice) => ({
    id: invoice.id,
    status: invoice.status,
    lines: invoice.lines.map((line) => `${line.metadata.costplus_line}:${line.amount}`),
    customer: invoice.customer,
  }));
  const submission = await pool.query(
    `SELECT s.elected_invoice_id, s.stripe_customer_id, c.stripe_customer_id AS kept, s.confirmed_at IS NOT NULL AS confirmed
     FROM invoice_submissions s JOIN periods p USING (period_id) JOIN customers c USING (customer_id)
     WHERE period_id = $1`,
    [fixture.period_id],
  );
  const { elected_invoice_id, stripe_customer_id, kept, confirmed } = submission.rows[0];
  expect(found).toEqual([
    {
      id: elected_invoice_id,
      status: 'open',
      lines: amounts.map((amount, index) => `${index + 1}:${amount}`),
      customer: stripe_customer_id,
    },
  ]);
  expect({ confirmed, kept }).toEqual({ confirmed: true, kept: stripe_customer_id });
  // Nothing of a lost draft waits to ride on another invoice.
  expect(standIn.state().invoice_items.filter(({ invoice, parent }) => invoice === null && parent === null)).toEqual(
    [],
  );
  expect(outcome).toEqual({ outcome: 'confirmed', stripe_invoice_id: elected_invoice_id, stripe_status: 'open' });
}

/** Runs the work of all items, `width` at a time. */
export async function inParallel<T>(items: T[], width: number, work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
    }),
  );
}
