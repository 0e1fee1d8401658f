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

  it('an adjustment is taken back before the seal, by finance, once', async () => {
    const url = '/v1/periods/acme/2026-11-01/adjustments';
    const made = await api.call('POST', url, { body: { amount: '7', description: 'Not theirs', reason: 'x' } });
    const { adjustment_id } = made.body as { adjustment_id: number };
    const withdraw = (more = {}) =>
      api.call('POST', `${url}/${adjustment_id}/withdraw`, { body: { reason: 'the wrong customer' }, ...more });
    expectProblem(await withdraw({ key: api.keys.ops }), 403, 'forbidden');
    const answer = await withdraw();
    expect(answer.body).toMatchObject({ adjustment_id, withdrawn: { reason: 'the wrong customer' } });
    expect((await withdraw()).body).toEqual(answer.body);
    const { data } = (await api.call('GET', url)).body as { data: object[] };
    expect(data.at(-1)).toEqual(answer.body);
    const preview = await api.call('GET', '/v1/periods/acme/2026-11-01/preview');
    expect(preview.text).not.toContain('Not theirs');
    const { timeline } = (await api.call('GET', '/v1/periods/acme/2026-11-01')).body as {
      timeline: { kind: string }[];
    };
    expect(timeline.map(({ kind }) => kind)).toContain('adjustment_withdrawn');
    const body = { reason: 'x' };
    expectProblem(await api.call('POST', `${url}/999/withdraw`, { body }), 404, 'not_found');
    expectProblem(await api.call('POST', `${url}/nine/withdraw`, { body }), 400, 'invalid_request');
    await api.pool.query(`UPDATE periods SET status = 'sealed', sealed_at = now() WHERE customer_id = 'acme'`);
    const [first] = data as { adjustment_id: number }[];
    expectProblem(await api.call('POST', `${url}/${first!.adjustment_id}/withdraw`, { body }), 409, 'wrong_status');
    await expect(
      api.pool.query(`INSERT INTO adjustment_withdrawals (adjustment_id, reason, withdrawn_by) VALUES ($1, 'x', 'x')`, [
        first!.adjustment_id,
      ]),
    ).rejects.toThrow('is in a seal');
  });

  it('credits for some usage are granted with a match, summed up, listed as a ledger, and revoked', async () => {
    await makeCustomer(api, 'globex');
    const url = '/v1/customers/globex/credits';
    const match = { provider: ['anthropic', 'openai'], feature: 'report' };
    const made = await api.call('POST', url, { body: { name: 'Reports', amount: '50', match } });
    expect(made.body).toMatchObject({ applies_to: 'usage', match, revoked: '0', revocation: null });
    const { grant_id } = made.body as { grant_id: number };
    const fees = { name: 'x', amount: '50', match, applies_to: 'fees' };
    expect(expectProblem(await api.call('POST', url, { body: fees }), 400, 'invalid_request').field).toBe('applies_to');
    const empty = { name: 'x', amount: '50', match: {} };
    expect(expectProblem(await api.call('POST', url, { body: empty }), 400, 'invalid_request').field).toBe('match');

    const revoke = (more = {}) => api.call('POST', `${url}/${grant_id}/revoke`, { body: { reason: 'x' }, ...more });
    expectProblem(await revoke({ key: api.keys.ops }), 403, 'forbidden');
    expect((await revoke()).body).toMatchObject({ remaining: '0', revoked: '50', revocation: { reason: 'x' } });
    expectProblem(
      await api.call('POST', `/v1/customers/acme/credits/${grant_id}/revoke`, { body: { reason: 'x' } }),
      404,
      'not_found',
    );
    const key = api.keys.ops;
    expect((await api.call('GET', `${url}/balance`, { key })).body).toMatchObject({ granted: '50', remaining: '0' });
    const ledger = await api.call('GET', `${url}/ledger?limit=1`, { key });
    expect(ledger.body).toMatchObject({ data: [{ kind: 'revoked', amount: '-50' }] });
    const { next_cursor } = ledger.body as { next_cursor: string };
    expect((await api.call('GET', `${url}/ledger?limit=1&cursor=${next_cursor}`, { key })).body).toMatchObject({
      data: [{ kind: 'granted', amount: '50', grant_id }],
      next_cursor: null,
    });
    expectProblem(await api.call('GET', '/v1/customers/nobody/credits/balance', { key }), 404, 'unknown_customer');
    expectProblem(await api.call('GET', '/v1/customers/nobody/credits/ledger', { key }), 404, 'unknown_customer');
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

  it('an import leaves what is published alone: the same again does nothing, another rate is refused with all', async () => {
    const rate = { from: 'usd', to: 'sek', rate: '10.50', effective_from: '2026-11-01T00:00:00Z' };
    const next = { ...rate, effective_from: '2026-11-02T00:00:00Z' };
    const publish = (...rates: object[]) =>
      api.call('POST', '/v1/exchange-rates', { body: { rates, on_published: 'keep' } });
    const count = async () => {
      const { data } = (await api.call('GET', '/v1/exchange-rates?to=sek')).body as { data: object[] };
      return data.length;
    };
    expect((await publish(rate, rate)).body).toMatchObject({ data: [{ rate: '10.50' }], unchanged: 1 });
    // The same number and the same instant, written otherwise.
    const again = { ...rate, rate: '10.5', effective_from: '2026-11-01T01:00:00+01:00' };
    expect((await publish(again)).body).toEqual({ data: [], unchanged: 1 });
    const other = expectProblem(await publish(next, { ...rate, rate: '10.6' }), 409, 'conflict');
    expect(other.field).toBe('rates[1].rate');
    expect(other.detail).toBe(
      'One usd is 10.50 sek from 2026-11-01T00:00:00.000Z on, not 10.6. Nothing was published.',
    );
    expectProblem(await publish(next, { ...next, rate: '11' }), 409, 'conflict');
    expect(await count()).toBe(1);
    // Two imports of one file at once: each row once.
    const answers = await Promise.all([publish(rate, next), publish(next, rate)]);
    expect(answers.map(({ status }) => status)).toEqual([201, 201]);
    expect(await count()).toBe(2);
    // A person may replace what was published; the import then takes that for the rate.
    await api.call('POST', '/v1/exchange-rates', { body: { rates: [{ ...rate, rate: '10.6' }] } });
    expect((await publish({ ...rate, rate: '10.6' })).body).toMatchObject({ unchanged: 1 });
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
