import type Stripe from 'stripe';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Pool } from '../../src/database/pool.js';
import type { RecordedRequest } from '../../src/dev/stripe-state.js';
import { flushMeterEvents } from '../../src/invoicing/meter-flush.js';
import { refreshCustomer, refreshInvoice } from '../../src/invoicing/stripe-changes.js';
import { refreshPlaced } from '../../src/invoicing/subscription-changes.js';
import { publishExchangeRates } from '../../src/ledger/exchange-rates.js';
import { voidUsage } from '../../src/ledger/void-usage.js';
import { publishPlan } from '../../src/plans/plan-store.js';
import { openBillingRun } from '../support/billing-run.js';
import { expectCorrected, openCorrection } from '../support/correction.js';
import { cloneDatabase } from '../support/database.js';
import { customer, NOW_MS, publishBasics } from '../support/ledger.js';
import { findStripeMock, startStripeMock } from '../support/stripe-mock.js';
import { MANY_AMOUNTS, openScenario } from '../support/submission.js';
import { openSubscription } from '../support/subscription.js';

const binary = await findStripeMock();
if (binary === null) {
  console.log(
    'The contract with Stripe was NOT checked: there is no stripe-mock (STRIPE_MOCK_PATH, PATH) and no Go toolchain to install it.',
  );
}

const template = (it: RecordedRequest) =>
  `${it.method} ${it.path.replace(/\/((in|cus|mtr|ii|sub|cn)_[0-9a-f]+|prod_\w+)/, '/:id')}`;

/** Every kind of call that costplus makes, as the stand-in recorded it. */
async function record(): Promise<RecordedRequest[]> {
  const database = await cloneDatabase();
  const requests: RecordedRequest[] = [];
  for (const collection of [
    { method: 'charge_automatically' },
    { method: 'send_invoice', days_until_due: 30 },
  ] as const) {
    const s = await openScenario(database.pool, { amounts: MANY_AMOUNTS, stripeCustomer: 'missing', collection });
    // A customer whose making failed for good under its key: customers are listed.
    s.standIn.faults.order({ match: { path: 'customers' }, kind: '500_saved' });
    // A first attempt that is lost: its draft is deleted.
    const crash = (name: string) => {
      if (name === 'after add lines') throw new Error('killed');
    };
    await s.submit(crash).catch(() => undefined);
    const outcome = await s.submitUntilDone();
    if (outcome.outcome !== 'confirmed') throw new Error('not confirmed');
    await refreshInvoice({ pool: database.pool, stripe: s.stripe }, outcome.stripe_invoice_id);
    requests.push(...s.standIn.state().requests);
    await s.close();
  }
  // Every way of a re-bill: voided and replaced, a credit note to the balance, a refund, an invoice for the difference.
  for (const [before, second, refund] of [
    ['open', [900], 'balance'],
    ['paid', [900], 'balance'],
    ['paid', [900], 'refund'],
    ['paid', [2_000], 'balance'],
  ] as const) {
    const s = await openCorrection(database.pool, { before, first: [1_000, 500] });
    const earlier = s.standIn.state().requests.length;
    await s.next([...second], refund);
    await expectCorrected(s);
    requests.push(...s.standIn.state().requests.slice(earlier));
    await s.close();
  }
  requests.push(...(await recordTaxed(database.pool)));
  requests.push(...(await recordPlans(database.pool)));
  requests.push(...(await recordSubscription(database.pool)));
  await database.drop();
  return requests;
}

/** Credit notes by lines, after payments of a part, and after credit notes of more lines than a list shows. */
async function recordTaxed(pool: Pool): Promise<RecordedRequest[]> {
  const first = Array.from({ length: 12 }, () => 1_000);
  const automatic = { behavior: 'exclusive' as const, basis_points: 1_900, by_tax_code: {} };
  const s = await openCorrection(pool, { before: 'part_paid', first, onTop: { automatic } });
  const earlier = s.standIn.state().requests.length;
  for (const amount of [700, 300]) {
    await s.next(
      first.map(() => amount),
      'refund',
    );
    await expectCorrected(s);
  }
  const { requests } = s.standIn.state();
  await s.close();
  return requests.slice(earlier);
}

/** What plans say of invoices at Stripe, usage as meter events, and a customer who was deleted. */
async function recordPlans(pool: Pool): Promise<RecordedRequest[]> {
  const run = await openBillingRun(pool);
  await publishBasics(pool);
  run.setClock(NOW_MS);
  const by = <T>(work: (sdk: Stripe) => Promise<T>) => run.stripe.call('by hand', {}, work);
  const event_name = 'usage';
  await by((sdk) =>
    sdk.billing.meters.create({ display_name: 'u', event_name, default_aggregation: { formula: 'sum' } }),
  );
  const options = {
    automatic_tax: true,
    footer: 'VAT',
    memo: 'Thank you',
    custom_fields: [{ name: 'Order', value: '4711' }],
    default_tax_code: 'txcd_10103001',
  };
  const allowance = { product: 'prod_usage_txcd_10103001' };
  const rate = { from: 'usd', to: 'eur', rate: '0.92', effective_from: '2020-01-01T00:00:00Z', source: 'test' };
  await publishExchangeRates(pool, [rate], 'test');
  for (const plan of [
    { plan_id: 'worded', stripe: options, allowance: { charge: '1' }, lines: { stripe: { allowance } } },
    { plan_id: 'exchanged', currency: 'eur' },
    { plan_id: 'metered', submission: 'meter_events' as const, meter_events: { event_name } },
  ]) {
    await publishPlan(pool, { currency: 'usd', rules: [{ markup: '0.25' }], ...plan }, 'test');
    const made = await by((sdk) => sdk.customers.create({ name: plan.plan_id, address: { country: 'DE' } }));
    await customer(pool, plan.plan_id, {
      plan_id: plan.plan_id,
      currency: plan.currency ?? 'usd',
      stripe_customer_id: made.id,
    });
    await run.append([{ customer_id: plan.plan_id, event_id: 'a', usage: { input_tokens: 1_000_000 } }]);
    await run.close({ customer_id: plan.plan_id, start_date: '2026-11-01' });
    await refreshCustomer(run, made.id);
  }
  await flushMeterEvents({ ...run, heartbeat: () => undefined }, { minutes: 0, now: new Date(NOW_MS) });
  // Taken back within a day: an adjustment.
  await voidUsage(pool, 'metered', 'a', { reason: 'wrong', actor: 'test' });
  await run.rebill({ customer_id: 'metered', start_date: '2026-11-01' });
  const { requests } = run.standIn.state();
  await run.end();
  return requests.filter(({ path, method }) => !(method === 'POST' && path === '/v1/billing/meters'));
}

/** Lines on a subscription: that wait and on a draft, placed by products and tax codes, billed again. */
async function recordSubscription(pool: Pool): Promise<RecordedRequest[]> {
  const requests: RecordedRequest[] = [];
  for (const draft of [false, true]) {
    const s = await openSubscription(pool, { amounts: [500, -100, 30], draft });
    await pool.query('ALTER TABLE invoice_lines DISABLE TRIGGER invoice_lines_immutable');
    for (const [number, stripe] of [{ product: 'prod_1' }, { tax_code: 'txcd_10103001' }].entries()) {
      await pool.query('UPDATE invoice_lines SET stripe = $3 WHERE period_id = $1 AND line_number = $2', [
        s.ref.period_id,
        number + 1,
        JSON.stringify(stripe),
      ]);
    }
    await pool.query('ALTER TABLE invoice_lines ENABLE TRIGGER invoice_lines_immutable');
    const before = s.standIn.state().requests.length;
    await s.place();
    await refreshPlaced(s, s.ref.period_id);
    await s.next([400]);
    await s.place();
    requests.push(...s.standIn.state().requests.slice(before));
    await s.close();
  }
  return requests;
}

describe.skipIf(binary === null)('the requests that costplus makes, checked by stripe-mock', () => {
  let mock: Awaited<ReturnType<typeof startStripeMock>>;
  let requests: RecordedRequest[];
  beforeAll(async () => {
    mock = await startStripeMock(binary!);
    requests = await record();
  });
  afterAll(() => mock.stop());

  const send = async (method: string, path: string, form: string) => {
    const isPost = method === 'POST';
    const answer = await fetch(`${mock.url}${path}${isPost || form === '' ? '' : `?${form}`}`, {
      method,
      headers: {
        authorization: 'Bearer sk_test_123',
        ...(isPost ? { 'content-type': 'application/x-www-form-urlencoded' } : {}),
      },
      ...(isPost ? { body: form } : {}),
    });
    return { status: answer.status, text: await answer.text() };
  };

  it('are of every kind', () => {
    expect(new Set(requests.map(template))).toEqual(
      new Set([
        'POST /v1/customers',
        'GET /v1/customers',
        'GET /v1/customers/:id',
        'GET /v1/billing/meters',
        'GET /v1/billing/meters/:id/event_summaries',
        'POST /v1/billing/meter_events',
        'POST /v1/billing/meter_event_adjustments',
        'GET /v1/invoiceitems',
        'DELETE /v1/invoiceitems/:id',
        'GET /v1/subscriptions/:id',
        'GET /v1/invoices',
        'POST /v1/invoices',
        'POST /v1/invoices/:id/add_lines',
        'POST /v1/invoiceitems',
        'GET /v1/products/:id',
        'GET /v1/invoices/:id',
        'GET /v1/invoices/:id/lines',
        'DELETE /v1/invoices/:id',
        'POST /v1/invoices/:id/finalize',
        'POST /v1/invoices/:id/void',
        'POST /v1/credit_notes',
        'GET /v1/credit_notes',
        'GET /v1/credit_notes/preview',
        'GET /v1/credit_notes/:id/lines',
      ]),
    );
  });

  it('are accepted, each of them', async () => {
    for (const request of requests) {
      const { status, text } = await send(request.method, request.path, request.form);
      expect({ request: template(request), status, text: status === 200 ? '' : text }).toEqual({
        request: template(request),
        status: 200,
        text: '',
      });
    }
  });

  it('may price a line by a product, or by one that is made for its tax code', async () => {
    const line = 'lines[0][price_data][currency]=usd&lines[0][price_data][unit_amount]=1250&lines[0][quantity]=1';
    const made =
      'lines[0][price_data][product_data][name]=Usage&lines[0][price_data][product_data][tax_code]=txcd_10000000';
    for (const product of ['lines[0][price_data][product]=prod_1', made]) {
      expect((await send('POST', '/v1/invoices/in_1/add_lines', `${line}&${product}`)).status).toBe(200);
    }
  });

  it('would not be accepted with a parameter that Stripe does not know, or a value it does not take', async () => {
    expect((await send('POST', '/v1/invoices', 'customer=cus_1&nonsense=1')).status).toBe(400);
    expect((await send('POST', '/v1/invoices', 'customer=cus_1&collection_method=nonsense')).status).toBe(400);
    expect((await send('POST', '/v1/invoices/in_1/finalize', 'auto_advance=perhaps')).status).toBe(400);
    expect((await send('POST', '/v1/invoiceitems', 'customer=cus_1&product_data=1')).status).toBe(400);
  });
});
