import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import Stripe from 'stripe';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { billingPeriodWorkflowId, type CommandName, type PeriodRef } from '../../src/contracts/engine.js';
import type { PeriodView } from '../../src/contracts/period.js';
import { Engine } from '../../src/engine/engine.js';
import { readPeriodView } from '../../src/invoicing/period-view.js';
import { pollStripe } from '../../src/invoicing/poll-stripe.js';
import { receiveWebhook } from '../../src/invoicing/stripe-changes.js';
import { StripeClient } from '../../src/stripe/client.js';
import { cloneDatabase } from '../support/database.js';
import { customer, publishBasics, usageEvent } from '../support/ledger.js';
import { subscribe } from '../support/subscription.js';
import { startDevServer } from '../support/temporal.js';
import { startTestWorker, type TestWorker } from '../support/worker.js';

const SECRET = 'whsec_test';

describe('lines on a subscription by the workflow', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  let environment: TestWorkflowEnvironment;
  let worker: TestWorker;
  let engine: Engine;
  let stripe: StripeClient;

  beforeAll(async () => {
    database = await cloneDatabase();
    environment = await startDevServer();
    worker = await startTestWorker(environment, database.pool);
    engine = new Engine(environment.client);
    const { standIn } = worker;
    stripe = new StripeClient({ secretKey: standIn.secretKey, apiBase: standIn.url, pool: database.pool });
    await publishBasics(database.pool, { invoice_on: 'subscription' });
  });
  afterAll(async () => {
    await worker?.stop();
    await environment?.teardown();
    await database?.drop();
  });

  const by = <T>(work: (sdk: Stripe) => Promise<T>) => stripe.call('by hand', {}, work);
  const view = (ref: PeriodRef) => readPeriodView(database.pool, ref.customer_id, ref.start_date);
  const command = (ref: PeriodRef, name: CommandName) =>
    engine.command(ref, name, { request_id: randomUUID(), actor: 'test', reason: null });
  const ended = (ref: PeriodRef) =>
    environment.client.workflow.getHandle(billingPeriodWorkflowId(ref.customer_id, ref.start_date)).result();

  async function until(ref: PeriodRef, holds: (value: PeriodView) => boolean): Promise<PeriodView> {
    for (const deadline = Date.now() + 30_000; ; await sleep(50)) {
      const value = await view(ref);
      if (holds(value)) return value;
      if (Date.now() > deadline) throw new Error(`still ${JSON.stringify(value)}`);
    }
  }

  /** A customer with usage of $3.75 in the period under way, and a subscription that it is yet to be given. */
  async function open(id: string) {
    const { id: stripeCustomer } = await by((sdk) => sdk.customers.create({ name: id }));
    const subscription = await subscribe(by, stripeCustomer);
    await customer(database.pool, id, { stripe_customer_id: stripeCustomer }, Date.now());
    const { rows } = await database.pool.query<{ start_date: string }>(
      'SELECT start_date FROM periods WHERE customer_id = $1',
      [id],
    );
    const ref = { customer_id: id, start_date: rows[0]!.start_date };
    const event = { customer_id: id, event_id: 'a', occurred_at: new Date().toISOString() };
    await worker.appender.append([usageEvent({ ...event, usage: { input_tokens: 1_000_000 } })], {
      may_backfill: false,
    });
    const give = () => customer(database.pool, id, { stripe_subscription_id: subscription }, Date.now());
    return { ref, stripeCustomer, subscription, give };
  }

  it('waits for a subscription, is invoiced, and is paid as a webhook says', async () => {
    const { ref, stripeCustomer, subscription, give } = await open('by-webhook');
    await command(ref, 'close');
    const parked = await until(ref, ({ status }) => status === 'parked');
    expect(parked.status_reason).toContain('by-webhook has no stripe_subscription_id');
    await give();
    await command(ref, 'release');
    expect(await until(ref, ({ status }) => status === 'invoiced')).toMatchObject({ payment_status: 'pending' });
    await ended(ref);
    const invoice = worker.standIn.renew(subscription);
    worker.standIn.issueDrafts();
    await by((sdk) => sdk.invoices.pay(invoice));
    const object = { id: invoice, object: 'invoice', customer: stripeCustomer };
    const payload = JSON.stringify({ id: 'evt_1', object: 'event', type: 'invoice.paid', data: { object } });
    const signature = Stripe.webhooks.generateTestHeaderString({ payload, secret: SECRET });
    const deps = { pool: database.pool, stripe, webhookSecret: SECRET };
    expect(await receiveWebhook(deps, Buffer.from(payload), signature)).toBe('recorded');
    expect(await view(ref)).toMatchObject({
      payment_status: 'paid',
      stripe_alerts: [],
      invoices: [{ total: '3.75', stripe_invoice_id: invoice, subscription: { invoices: [{ amount: '3.75' }] } }],
    });
  });

  it('goes on the draft of a renewal, and is paid as polling finds where no webhook came', async () => {
    const { ref, subscription, give } = await open('by-polling');
    await give();
    const invoice = worker.standIn.renew(subscription);
    await command(ref, 'close');
    const invoiced = await until(ref, ({ status }) => status === 'invoiced');
    expect(invoiced).toMatchObject({ payment_status: 'pending', invoices: [{ stripe_invoice_id: invoice }] });
    await ended(ref);
    worker.standIn.issueDrafts();
    await by((sdk) => sdk.invoices.pay(invoice));
    await pollStripe({ pool: database.pool, stripe }, { ageMinutes: 0, perSecond: 1_000 });
    expect(await view(ref)).toMatchObject({ payment_status: 'paid', stripe_alerts: [] });
  });
});
