import { randomBytes } from 'node:crypto';
import type Stripe from 'stripe';
import { expect } from 'vitest';
import type { InvoiceLine } from '../../src/contracts/invoice.js';
import type { Pool } from '../../src/database/pool.js';
import { type StripeStandIn, startStripeStandIn } from '../../src/dev/stripe-stand-in.js';
import { CostplusError } from '../../src/errors/error.js';
import { correctOnSubscription } from '../../src/invoicing/correct-subscription.js';
import type { SubmitDeps } from '../../src/invoicing/submit.js';
import { type PlaceOutcome, placeOnSubscription } from '../../src/invoicing/submit-subscription.js';
import { refreshPlaced } from '../../src/invoicing/subscription-changes.js';
import { sweepPeriodItems } from '../../src/invoicing/sweep-items.js';
import { StripeClient } from '../../src/stripe/client.js';
import { type InvoiceFixture, insertInvoice } from './invoice-fixture.js';
import { settleLateRequests } from './submission.js';

/** What the subscription itself bills with each renewal, in minor units. */
export const SUBSCRIPTION_PRICE = 2_000;

export interface SubscriptionScenario {
  pool: Pool;
  standIn: StripeStandIn;
  stripe: StripeClient;
  fixture: InvoiceFixture;
  ref: { period_id: number; revision: number };
  customer: string;
  subscription: string;
  by: <T>(work: (sdk: Stripe) => Promise<T>) => Promise<T>;
  deps: (failpoint?: SubmitDeps['failpoint']) => SubmitDeps;
  /** Places the newest revision, or corrects to it. */
  place: (failpoint?: SubmitDeps['failpoint']) => Promise<PlaceOutcome>;
  /** Places again, as the engine does, with time passing between attempts, until nothing retryable is thrown. */
  placeUntilDone: () => Promise<PlaceOutcome>;
  /** Composes a further revision and begins its correction. */
  next: (amounts: number[], lines?: Partial<InvoiceLine>[]) => Promise<void>;
  /** Time passes: keys of generations die, or near their end. */
  pass: (minutes?: number) => Promise<void>;
  /** Lines of ours on invoices that are not void, and those that wait: `revision/line:amount`. */
  lines: () => string[];
  /** What they come to. */
  books: () => number;
  close: () => Promise<void>;
}

/** One revision to place, a Stripe stand-in of its own with a subscription, and what there is to know afterwards. */
export async function openSubscription(
  pool: Pool,
  options: { amounts?: number[]; draft?: boolean; timeoutMilliseconds?: number; lines?: Partial<InvoiceLine>[] } = {},
): Promise<SubscriptionScenario> {
  const standIn = await startStripeStandIn({
    directory: null,
    environment: {},
    secretKey: `sk_test_${randomBytes(12).toString('hex')}`,
  });
  const stripe = new StripeClient({
    secretKey: standIn.secretKey,
    apiBase: standIn.url,
    pool,
    callsPerSecond: 100_000,
    timeoutMilliseconds: options.timeoutMilliseconds ?? 5_000,
  });
  const by = <T>(work: (sdk: Stripe) => Promise<T>) => stripe.call('by hand', {}, work);
  const customerId = `customer-${randomBytes(6).toString('hex')}`;
  const { id: customer } = await by((sdk) => sdk.customers.create({ name: customerId }));
  const subscription = await subscribe(by, customer);
  if (options.draft) standIn.renew(subscription);
  const fixture = await insertInvoice(pool, {
    customerId,
    stripeCustomerId: customer,
    amounts: options.amounts ?? [1_000, -250, 0],
    lines: options.lines ?? [],
  });
  await pool.query('UPDATE customers SET stripe_subscription_id = $2 WHERE customer_id = $1', [
    customerId,
    subscription,
  ]);
  const ref = { period_id: fixture.period_id, revision: 1 };
  const deps = (failpoint?: SubmitDeps['failpoint']): SubmitDeps => ({
    pool,
    stripe,
    heartbeat: () => undefined,
    failpoint,
  });
  const place = (failpoint?: SubmitDeps['failpoint']) =>
    ref.revision === 1
      ? placeOnSubscription(deps(failpoint), { ...ref })
      : correctOnSubscription(deps(failpoint), { ...ref });
  const pass = async (minutes = 60) => {
    await settleLateRequests(standIn);
    await pool.query(
      `UPDATE subscription_generations SET begun_at = begun_at - make_interval(mins => $2) WHERE period_id = $1`,
      [fixture.period_id, minutes],
    );
  };
  const ours = () => {
    const { invoice_items, invoices } = standIn.state();
    const voided = new Set(invoices.filter(({ status }) => status === 'void').map(({ id }) => id));
    return invoice_items.filter(
      ({ metadata, invoice }) => metadata.costplus_invoice !== undefined && !voided.has(invoice ?? ''),
    );
  };
  return {
    pool,
    standIn,
    stripe,
    fixture,
    ref,
    customer,
    subscription,
    by,
    deps,
    place,
    pass,
    async placeUntilDone() {
      for (let tries = 0; tries < 20; tries++) {
        try {
          return await place();
        } catch (error) {
          if (!(error instanceof CostplusError) || !error.retryable) throw error;
          await pass();
        }
      }
      throw new Error('the placing never came to an end');
    },
    async next(amounts, lines = []) {
      ref.revision++;
      await insertInvoice(pool, { amounts, customerId, revision: ref.revision, lines });
      await pool.query(
        `INSERT INTO invoice_corrections (period_id, revision, refund, reason, requested_by)
         VALUES ($1, $2, 'balance', 'test', 'test')`,
        [fixture.period_id, ref.revision],
      );
    },
    lines: () =>
      ours()
        .map(({ metadata, amount }) => {
          const revision = metadata.costplus_invoice!.split('/').at(-1)!;
          return `${revision}/${metadata.costplus_line}:${amount}`;
        })
        .sort(),
    books: () => ours().reduce((sum, { amount }) => sum + amount, 0),
    close: () => standIn.close(),
  };
}

/** A subscription of a Stripe customer, as its owner made it. */
export async function subscribe(
  by: SubscriptionScenario['by'],
  customer: string,
  { currency = 'usd' }: { currency?: string } = {},
): Promise<string> {
  const made = await by((sdk) =>
    sdk.subscriptions.create({
      customer,
      items: [
        {
          price_data: {
            currency,
            product: 'prod_seat',
            recurring: { interval: 'month' },
            unit_amount: SUBSCRIPTION_PRICE,
          },
        },
      ],
    }),
  );
  return made.id;
}

/** Ends a placing that was disturbed. Throws unless every line of the revision stands at Stripe exactly once. */
export async function expectPlacedOnce(scenario: SubscriptionScenario, amounts: number[]): Promise<void> {
  const { standIn, pool, ref } = scenario;
  standIn.faults.clear();
  expect(await scenario.placeUntilDone()).toEqual({ outcome: 'placed', lines: amounts.length });
  await settleLateRequests(standIn);
  await sweepPeriodItems(scenario.deps(), ref.period_id);
  expect(scenario.lines()).toEqual(amounts.map((amount, index) => `1/${index + 1}:${amount}`).sort());
  const { rows } = await pool.query(
    `SELECT s.confirmed_at IS NOT NULL AS confirmed, count(i.stripe_item_id)::int AS items
     FROM subscription_submissions s LEFT JOIN subscription_items i
       ON i.period_id = s.period_id AND i.removed_at IS NULL AND i.gone_at IS NULL AND NOT i.stray
     WHERE s.period_id = $1 GROUP BY 1`,
    [ref.period_id],
  );
  expect(rows).toEqual([{ confirmed: true, items: amounts.length }]);
}

/** Ends a correction that was disturbed. Throws unless the books are right and nothing is left over. */
export async function expectBooks(scenario: SubscriptionScenario, total: number): Promise<void> {
  scenario.standIn.faults.clear();
  const outcome = await scenario.placeUntilDone();
  if (outcome.outcome === 'parked') throw new Error(outcome.reason);
  await settleLateRequests(scenario.standIn);
  await sweepPeriodItems(scenario.deps(), scenario.ref.period_id);
  expect(scenario.books()).toBe(total);
  await refreshPlaced(scenario.deps(), scenario.ref.period_id);
  const { rows } = await scenario.pool.query<{ open: number; known: number }>(
    `SELECT (SELECT count(*)::int FROM invoice_corrections
             WHERE period_id = $1 AND revision = $2 AND completed_at IS NULL) AS open,
            (SELECT coalesce(sum(seen_minor), 0)::bigint FROM subscription_items i
             LEFT JOIN subscription_invoices v USING (stripe_invoice_id)
             WHERE period_id = $1 AND removed_at IS NULL AND gone_at IS NULL
               AND v.stripe_status IS DISTINCT FROM 'void') AS known`,
    [scenario.ref.period_id, scenario.ref.revision],
  );
  expect(rows[0]).toEqual({ open: 0, known: total });
}
