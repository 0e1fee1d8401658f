import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectProblem, makeCustomer, publishTestCatalog, startTestApi, type TestApi } from '../support/http.js';

describe('what finance adds, over HTTP', () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startTestApi();
    await publishTestCatalog(api.pool);
    await makeCustomer(api);
  });
  afterAll(() => api.close());

  it('an adjustment stands on the preview; the same request id does nothing twice', async () => {
    const url = '/v1/periods/acme/2026-11-01/adjustments';
    const body = { request_id: 'adj-1', amount: '12.50', description: 'Onboarding', reason: 'order 7' };
    const made = await api.call('POST', url, { body });
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({ kind: 'adjustment', amount: '12.50', currency: 'usd' });
    expect((await api.call('POST', url, { body })).body).toEqual(made.body);
    expectProblem(await api.call('POST', url, { body: { ...body, amount: '13' } }), 409, 'conflict');
    expect((await api.call('GET', url, { key: api.keys.ops })).body).toEqual({ data: [made.body] });
    const preview = await api.call('GET', '/v1/periods/acme/2026-11-01/preview', { key: api.keys.ops });
    expect(preview.body).toMatchObject({ lines: [{ kind: 'adjustment', description: 'Onboarding', amount: '12.50' }] });
  });

  it('an adjustment that cannot be meant is refused with its field', async () => {
    const url = '/v1/periods/acme/2026-11-01/adjustments';
    const body = { amount: '5', description: 'x', reason: 'y' };
    const goodwill = await api.call('POST', url, { body: { ...body, kind: 'goodwill' } });
    expect(expectProblem(goodwill, 400, 'invalid_request').field).toBe('amount');
    expect(
      expectProblem(await api.call('POST', url, { body: { ...body, amount: '0.00' } }), 400, 'invalid_request').field,
    ).toBe('amount');
    expect(
      expectProblem(await api.call('POST', url, { body: { ...body, amount: '0.001' } }), 400, 'invalid_request').field,
    ).toBe('amount');
    expectProblem(await api.call('POST', url, { body, key: api.keys.ops }), 403, 'forbidden');
    expectProblem(await api.call('POST', '/v1/periods/acme/2020-01-01/adjustments', { body }), 404, 'unknown_period');
  });

  it('credits are granted, listed with what is left, and stand on the preview', async () => {
    const url = '/v1/customers/acme/credits';
    const body = {
      request_id: 'credit-1',
      name: 'Winter pack',
      amount: '10',
      cost_basis: '0.9',
      effective_from: '2026-11-01T00:00:00Z',
    };
    const made = await api.call('POST', url, { body });
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({ amount: '10', remaining: '10', burned: '0', priority: 100, applies_to: 'all' });
    expect((await api.call('POST', url, { body })).body).toEqual(made.body);
    expectProblem(await api.call('POST', url, { body: { ...body, amount: '11' } }), 409, 'conflict');
    expect((await api.call('GET', url, { key: api.keys.ops })).body).toEqual({ data: [made.body] });
    expectProblem(await api.call('GET', '/v1/customers/nobody/credits'), 404, 'unknown_customer');
    expectProblem(
      await api.call('POST', '/v1/customers/nobody/credits', { body: { name: 'x', amount: '1' } }),
      404,
      'unknown_customer',
    );
    const past = { name: 'x', amount: '1', effective_from: '2026-11-02T00:00:00Z', expires_at: '2026-11-01T00:00:00Z' };
    expect(expectProblem(await api.call('POST', url, { body: past }), 400, 'invalid_request').field).toBe('expires_at');
    const preview = await api.call('GET', '/v1/periods/acme/2026-11-01/preview', { key: api.keys.ops });
    expect(preview.body).toMatchObject({
      total: '2.50',
      balances: { closing: { credits: [{ burned: '10.00', remaining: '0.00' }] } },
    });
  });

  it('exchange rates are published, listed and never changed', async () => {
    const rate = { from: 'usd', to: 'eur', rate: '0.92', effective_from: '2026-11-01T00:00:00Z' };
    const made = await api.call('POST', '/v1/exchange-rates', { body: { rates: [rate, { ...rate, to: 'gbp' }] } });
    expect(made.status).toBe(201);
    const listed = (await api.call('GET', '/v1/exchange-rates?to=eur')).body as { data: object[] };
    expect(listed.data).toMatchObject([{ from: 'usd', to: 'eur', rate: '0.92', source: 'finance' }]);
    const first = (await api.call('GET', '/v1/exchange-rates?limit=1')).body as { next_cursor: string };
    const second = (await api.call('GET', `/v1/exchange-rates?limit=1&cursor=${first.next_cursor}`)).body;
    expect(second).toMatchObject({ data: [{ to: 'eur' }], next_cursor: null });
    const zero = await api.call('POST', '/v1/exchange-rates', { body: { rates: [{ ...rate, rate: '0' }] } });
    expect(expectProblem(zero, 400, 'invalid_request').field).toBe('rates[0].rate');
    const same = await api.call('POST', '/v1/exchange-rates', { body: { rates: [{ ...rate, to: 'usd' }] } });
    expect(expectProblem(same, 400, 'invalid_request').field).toBe('rates[0].to');
    expectProblem(await api.call('GET', '/v1/exchange-rates?cursor=x'), 400, 'invalid_request');
    await expect(api.pool.query(`UPDATE exchange_rates SET rate = '1'`)).rejects.toThrow('immutable');
  });

  it('the schema of plans is published, and the details of an invoice that is not there are a problem', async () => {
    const schema = await api.call('GET', '/v1/plans/schema');
    expect(schema.body).toMatchObject({
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      title: 'costplus plan',
    });
    expectProblem(await api.call('GET', '/v1/periods/acme/2026-11-01/invoices/1/details.csv'), 404, 'unknown_invoice');
  });
});
