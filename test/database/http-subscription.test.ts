import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { renderInvoice } from '../../src/cli/invoices.js';
import type { InvoiceView } from '../../src/contracts/invoice.js';
import { pollStripe } from '../../src/invoicing/poll-stripe.js';
import { type BillingRun, openBillingRun } from '../support/billing-run.js';
import { expectProblem, publishTestCatalog, startTestApi, type TestApi } from '../support/http.js';
import { subscribe } from '../support/subscription.js';

describe('lines on a subscription, over HTTP', () => {
  let api: TestApi;
  let run: BillingRun;
  let subscription: string;
  let stripeCustomer: string;
  const period = '/v1/periods/acme/2026-11-01';
  const put = (body: object) =>
    api.call('PUT', '/v1/customers/acme', { body: { currency: 'usd', plan_id: 'on-subscription', ...body } });

  beforeAll(async () => {
    api = await startTestApi();
    run = await openBillingRun(api.pool);
    await publishTestCatalog(api.pool);
    const by = <T>(work: Parameters<typeof run.stripe.call<T>>[2]) => run.stripe.call('by hand', {}, work);
    stripeCustomer = (await by((sdk) => sdk.customers.create({ name: 'Acme' }))).id;
    subscription = await subscribe(by, stripeCustomer);
  });
  afterAll(async () => {
    await run.end();
    await api.close();
  });

  it('a plan is published, or refused with the field that contradicts it', async () => {
    const plan = {
      plan_id: 'on-subscription',
      currency: 'usd',
      rules: [{ markup: '0' }],
      base_fee: '10.00',
      invoice_on: 'subscription',
    };
    const draft = await api.call('POST', '/v1/plans', { body: { ...plan, submission: 'draft' } });
    expect(expectProblem(draft, 400, 'invalid_plan').field).toBe('submission');
    expect((await api.call('POST', '/v1/plans', { body: plan })).status).toBe(201);
  });

  it('a customer takes a subscription, keeps it, and gives it away', async () => {
    const wrong = await put({ stripe_subscription_id: 'cus_1' });
    expect(expectProblem(wrong, 400, 'invalid_customer').field).toBe('stripe_subscription_id');
    expect((await put({ stripe_subscription_id: 'sub_1' })).body).toMatchObject({ stripe_subscription_id: 'sub_1' });
    expect((await put({})).body).toMatchObject({ stripe_subscription_id: 'sub_1' });
    expect((await put({ stripe_subscription_id: null })).body).not.toHaveProperty('stripe_subscription_id');
    const given = { stripe_customer_id: stripeCustomer, stripe_subscription_id: subscription };
    await put(given);
    expect((await api.call('GET', '/v1/customers/acme')).body).toMatchObject(given);
  });

  it('the views say what waits, and where it stands when it is issued', async () => {
    expect(await run.close({ customer_id: 'acme', start_date: '2026-11-01' })).toBe('invoiced');
    expect((await api.call('GET', `${period}/invoices`)).body).toMatchObject({
      data: [{ payment_status: 'pending', stripe_invoice_id: null, subscription: { pending_lines: 1, invoices: [] } }],
    });
    const waiting = (await api.call('GET', `${period}/invoices/1`)).body as InvoiceView;
    expect(renderInvoice(waiting)).toMatch(/subscription +sub_/);
    expect(renderInvoice(waiting)).toMatch(/lines that wait +1/);
    const invoice = run.standIn.renew(subscription);
    run.standIn.issueDrafts();
    await pollStripe(run, { ageMinutes: 0, perSecond: 1_000 });
    const body = { reason: 'test', dry_run: true };
    expect((await api.call('POST', `${period}/rebill`, { body })).body).toMatchObject({
      stripe: [{ stripe_invoice_id: invoice, stripe_status: 'open', action: 'keep' }],
      subscription: { deleted_lines: 0, standing: '10.00' },
      follows: { kind: 'nothing', amount: '0.00' },
    });
    expect((await api.call('GET', period)).body).toMatchObject({
      status: 'invoiced',
      payment_status: 'open',
      invoices: [{ subscription: { pending_lines: 0, invoices: [{ stripe_invoice_id: invoice, amount: '10.00' }] } }],
    });
    expect((await api.call('GET', '/v1/periods?customer_id=acme')).body).toMatchObject({
      data: [{ payment_status: 'open' }],
    });
  });
});
