import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { InvoiceView } from '../../src/contracts/invoice.js';
import { publishPlan } from '../../src/plans/plan-store.js';
import { type BillingRun, openBillingRun } from '../support/billing-run.js';
import { startTestApi, type TestApi } from '../support/http.js';
import { customer, publishBasics } from '../support/ledger.js';

describe('corrections over HTTP', () => {
  let run: BillingRun;
  let api: TestApi;
  const period = '/v1/periods/acme/2026-10-01';

  beforeAll(async () => {
    api = await startTestApi();
    run = await openBillingRun(api.pool);
    await publishBasics(run.pool, { late_usage: 'hold' });
    await customer(run.pool, 'acme');
    const event = (event_id: string) => ({
      customer_id: 'acme',
      event_id,
      occurred_at: '2026-10-10T00:00:00Z',
      usage: { input_tokens: 1_000_000 },
    });
    await run.append([event('a'), event('b')]);
    await run.close({ customer_id: 'acme', start_date: '2026-10-01' });
    await run.append([event('late')]);
  });
  afterAll(async () => {
    await run.end();
    await api.close();
  });

  it('voids usage with a reason, once', async () => {
    const url = '/v1/usage/acme/a/void';
    expect((await api.call('POST', url, { body: {} })).status).toBe(400);
    const answer = await api.call('POST', url, { body: { reason: 'sent twice' } });
    expect(answer).toMatchObject({ status: 200, body: { rebill_needed: true, applied: true } });
    const again = await api.call('POST', url, { body: { reason: 'again' } });
    expect(again.body).toMatchObject({ reason: 'sent twice', applied: false });
    expect((await api.call('POST', '/v1/usage/acme/none/void', { body: { reason: 'x' } })).status).toBe(404);
    expect((await api.call('POST', url, { key: api.keys.ops, body: { reason: 'x' } })).status).toBe(403);
    const trail = await api.call('GET', '/v1/usage/acme/a');
    expect(trail.body).toMatchObject({ voided: { reason: 'sent twice' } });
  });

  it('shows late usage that waits, and lets it go', async () => {
    const waiting = await api.call('GET', '/v1/late-usage?customer_id=acme', { key: api.keys.ops });
    expect(waiting.body).toMatchObject({
      data: [{ start_date: '2026-10-01', policy: 'hold', events: 1, released: 0 }],
    });
    const seen = await api.call('GET', period);
    expect(seen.body).toMatchObject({ late_usage: { events: 1 }, voided_since: 1 });
    const carry = '/v1/late-usage/acme/2026-10-01/carry';
    const one = await api.call('POST', carry, { body: { reason: 'agreed', event_ids: ['late'] } });
    expect(one.body).toEqual({ released: 1 });
    expect((await api.call('POST', carry, { body: { reason: 'agreed' } })).body).toEqual({ released: 0 });
    expect((await api.call('POST', '/v1/late-usage/acme/2026-01-01/carry', { body: { reason: 'x' } })).status).toBe(
      404,
    );
  });

  it('answers a dry run by itself, and hands a re-bill to the workflow', async () => {
    const url = `${period}/rebill`;
    expect((await api.call('POST', url, { body: { dry_run: true } })).status).toBe(400);
    const dry = await api.call('POST', url, { body: { reason: 'sent twice', dry_run: true } });
    expect(dry).toMatchObject({
      status: 200,
      body: { before: { total: '7.50' }, after: { total: '3.75' }, difference: '-3.75' },
    });
    expect(api.commands).toEqual([]);
    const body = { reason: 'sent twice', request_id: 'r1', refund: 'refund' };
    expect((await api.call('POST', url, { body })).status).toBe(200);
    expect(api.commands).toMatchObject([
      {
        period: { customer_id: 'acme', start_date: '2026-10-01' },
        name: 'rebill',
        command: {
          request_id: 'r1',
          reason: 'sent twice',
          rebill: { catalog: 'pinned', plans: 'pinned', refund: 'refund' },
        },
      },
    ]);
    expect((await api.call('POST', '/v1/periods/acme/2026-01-01/rebill', { body })).status).toBe(404);
  });

  it('names the plan that should have been in force, by the number of its version', async () => {
    const url = `${period}/rebill`;
    await publishPlan(run.pool, { plan_id: 'dear', currency: 'usd', rules: [{ markup: '0.50' }] }, 'test');
    await publishPlan(run.pool, { plan_id: 'dear', currency: 'usd', rules: [{ markup: '1.00' }] }, 'test');
    await publishPlan(run.pool, { plan_id: 'euro', currency: 'eur', rules: [{ markup: '1.00' }] }, 'test');
    const ask = (body: object) => api.call('POST', url, { body: { reason: 'the contract said so', ...body } });
    const dry = await ask({ plan: { plan_id: 'dear' }, dry_run: true });
    expect(dry).toMatchObject({
      status: 200,
      body: {
        before: { total: '7.50', plans: [{ plan_id: 'pro', version: 1 }] },
        after: { total: '6.00', plans: [{ plan_id: 'dear', version: 2, from: null }] },
      },
    });
    expect((await ask({ plan: { plan_id: 'dear', version: 1 }, dry_run: true })).body).toMatchObject({
      after: { total: '4.50' },
    });
    const sent = api.commands.length;
    for (const [plan, status, code] of [
      [{ plan_id: 'nobody' }, 404, 'unknown_plan'],
      [{ plan_id: 'dear', version: 3 }, 404, 'unknown_plan'],
      [{ plan_id: 'dear', version: 0 }, 400, 'invalid_request'],
      [{ plan_id: 'dear', from: '2026-10-01' }, 400, 'invalid_request'],
    ] as const) {
      expect(await ask({ plan }), code).toMatchObject({ status, body: { type: `urn:costplus:error:${code}` } });
    }
    expect(await ask({ plan: { plan_id: 'euro' }, dry_run: true })).toMatchObject({
      status: 400,
      body: { type: 'urn:costplus:error:invalid_plan', field: 'plan' },
    });
    expect(await ask({ plan: { plan_id: 'dear' }, plans: 'assigned' })).toMatchObject({
      status: 400,
      body: { type: 'urn:costplus:error:invalid_request', field: 'plan' },
    });
    expect(api.commands).toHaveLength(sent);
    expect((await ask({ plan: { plan_id: 'dear' } })).status).toBe(200);
    expect(api.commands.at(-1)).toMatchObject({
      name: 'rebill',
      command: { reason: 'the contract said so', rebill: { plans: 'pinned', plan: { plan_id: 'dear', version: 2 } } },
    });
  });

  it('lists revisions with their payment, and proves each', async () => {
    await run.rebill({ customer_id: 'acme', start_date: '2026-10-01' });
    const listed = await api.call('GET', `${period}/invoices`, { key: api.keys.ops });
    expect(listed.body).toMatchObject({
      data: [
        { revision: 1, total: '7.50', payment_status: 'voided', correction: null },
        { revision: 2, total: '3.75', payment_status: 'open', correction: { status: 'completed', invoice: 'whole' } },
      ],
    });
    for (const revision of [1, 2]) {
      const proof = await api.call('GET', `${period}/invoices/${revision}/verify`, { key: api.keys.ops });
      expect(proof.body).toMatchObject({ revision, matches: true, difference: null });
      const invoice = (await api.call('GET', `${period}/invoices/${revision}`)).body as InvoiceView;
      expect(invoice.payment_status).toBe(revision === 1 ? 'voided' : 'open');
    }
    expect((await api.call('GET', `${period}/invoices/9/verify`)).status).toBe(404);
  });
});
