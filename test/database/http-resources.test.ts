import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Page } from '../../src/contracts/page.js';
import {
  expectProblem,
  makeCustomer,
  publishTestCatalog,
  startTestApi,
  type TestApi,
  usageEvent,
} from '../support/http.js';

describe('resources of the API', () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startTestApi();
    await publishTestCatalog(api.pool);
    await makeCustomer(api);
    const sent = await api.call('POST', '/v1/usage', { key: api.keys.service, body: { events: [usageEvent('e1')] } });
    expect(sent.text).toContain('accepted');
  });
  afterAll(() => api.close());

  describe('customers', () => {
    it('are made with 201, changed with 200, and read back', async () => {
      const body = { currency: 'usd', plan_id: 'pro', time_zone: 'Europe/Berlin', anchor_day: 15 };
      const made = await api.call('PUT', '/v1/customers/globex', { body });
      expect(made.status).toBe(201);
      expect(made.body).toMatchObject({ customer_id: 'globex', plan_id: 'pro', plan_version: 1, anchor_day: 15 });
      const changed = await api.call('PUT', '/v1/customers/globex', { body: { ...body, name: 'Globex' } });
      expect(changed.status).toBe(200);
      expect((await api.call('GET', '/v1/customers/globex')).body).toMatchObject({ name: 'Globex' });
    });

    it('keep what a body leaves out; null clears it', async () => {
      const put = (more: object) =>
        api.call('PUT', '/v1/customers/globex', { body: { currency: 'usd', plan_id: 'pro', ...more } });
      const ends_at = '2027-03-01T00:00:00.000Z';
      expect((await put({ ends_at })).body).toMatchObject({
        time_zone: 'Europe/Berlin',
        anchor_day: 15,
        name: 'Globex',
        ends_at,
      });
      expect((await put({ name: null })).body).toMatchObject({ time_zone: 'Europe/Berlin', anchor_day: 15, ends_at });
      const cleared = await put({ ends_at: null, time_zone: null });
      expect(cleared.body).toMatchObject({ time_zone: 'UTC', anchor_day: 15 });
      expect(cleared.body).not.toHaveProperty('ends_at');
      expect(cleared.body).not.toHaveProperty('name');
    });

    it('that would be billed for centuries are refused with the field', async () => {
      const body = { currency: 'usd', plan_id: 'pro', starts_at: '1026-11-01T00:00:00Z' };
      const refused = await api.call('PUT', '/v1/customers/umbrella', { body });
      expectProblem(refused, 400, 'invalid_customer');
      expect(refused.body).toMatchObject({ field: 'starts_at' });
      expectProblem(await api.call('GET', '/v1/customers/umbrella'), 404, 'unknown_customer');
    });

    it('are listed page by page', async () => {
      await api.call('PUT', '/v1/customers/initech', { body: { currency: 'usd', plan_id: 'pro' } });
      const ids: string[] = [];
      let cursor = '';
      do {
        const page = (await api.call('GET', `/v1/customers?limit=1${cursor}`)).body as Page<{ customer_id: string }>;
        ids.push(...page.data.map(({ customer_id }) => customer_id));
        cursor = page.next_cursor === null ? '' : `&cursor=${page.next_cursor}`;
      } while (cursor !== '');
      expect(ids).toEqual(['acme', 'globex', 'initech']);
    });

    it('that are not there, and plans that are not there, are problems', async () => {
      expectProblem(await api.call('GET', '/v1/customers/nobody'), 404, 'unknown_customer');
      const put = await api.call('PUT', '/v1/customers/nobody', { body: { currency: 'usd', plan_id: 'nothing' } });
      expect(put.status).toBeGreaterThanOrEqual(400);
      expect(put.headers['content-type']).toBe('application/problem+json');
    });

    it('leave an audit row that names the key', async () => {
      await api.call('PUT', '/v1/customers/acme', {
        body: { currency: 'usd', plan_id: 'pro', name: 'Acme', starts_at: '2026-11-01T00:00:00Z' },
      });
      const rows = await api.pool.query<{ actor: string }>(
        `SELECT DISTINCT actor FROM audit_log WHERE customer_id = 'acme' OR subject = 'acme'`,
      );
      expect(rows.rows).toContainEqual({ actor: `key:${api.keys.finance.split('_')[2]}` });
    });
  });

  describe('plans', () => {
    it('are published as versions and read by version', async () => {
      const plan = {
        plan_id: 'gold',
        currency: 'usd',
        rules: [{ match: { provider: 'anthropic' }, margin: '0.30' }, { markup: '0.25' }],
      };
      expect((await api.call('POST', '/v1/plans', { body: plan })).body).toMatchObject({ plan_id: 'gold', version: 1 });
      const second = await api.call('POST', '/v1/plans', { body: { ...plan, base_fee: '49.00' } });
      expect(second.body).toMatchObject({ version: 2 });
      expect((await api.call('GET', '/v1/plans/gold')).body).toMatchObject({ version: 2, plan: { base_fee: '49.00' } });
      expect((await api.call('GET', '/v1/plans/gold/versions/1')).body).toMatchObject({ version: 1 });
      expectProblem(await api.call('GET', '/v1/plans/gold/versions/3'), 404, 'unknown_plan');
      expectProblem(await api.call('GET', '/v1/plans/silver'), 404, 'unknown_plan');
      const listed = (await api.call('GET', '/v1/plans')).body as Page<{ plan_id: string; version: number }>;
      expect(listed.data.map(({ plan_id, version }) => [plan_id, version])).toContainEqual(['gold', 2]);
    });

    it('that say both markup and margin, or leave usage without a rule, are refused with the field', async () => {
      const both = { plan_id: 'x', currency: 'usd', rules: [{ markup: '0.2', margin: '0.2' }] };
      const answer = expectProblem(await api.call('POST', '/v1/plans', { body: both }), 400, 'invalid_plan');
      expect(answer.field).toBe('rules[0]');
      const open = { plan_id: 'x', currency: 'usd', rules: [{ match: { provider: 'openai' }, markup: '0.2' }] };
      expectProblem(await api.call('POST', '/v1/plans', { body: open }), 400, 'invalid_plan');
    });
  });

  describe('the catalog', () => {
    const row = { provider: 'openai', model_id: 'gpt-y', meter: 'input_tokens', per: 1_000_000, currency: 'usd' };

    it('is published as versions and listed', async () => {
      const body = { note: 'gpt-y', prices: [{ ...row, price: '1.00', effective_from: '2026-11-01T00:00:00Z' }] };
      const published = await api.call('POST', '/v1/catalog/versions', { body });
      expect(published.status).toBe(201);
      expect(published.body).toMatchObject({ note: 'gpt-y', prices: 1, source: 'api' });
      const listed = (await api.call('GET', '/v1/catalog/versions?limit=1')).body as Page<{ version: number }>;
      expect(listed.data).toHaveLength(1);
      expect(listed.next_cursor).not.toBeNull();
    });

    it('tells the prices in force at an instant', async () => {
      const price = (query: string) => api.call('GET', `/v1/catalog/price?model_id=claude-x&${query}`);
      const now = await price('provider=anthropic');
      expect(now.body).toMatchObject({
        provider: 'anthropic',
        priced_as: 'claude-x',
        how: 'exact',
        at: '2026-11-24T12:00:00.000Z',
        rows: [
          { meter: 'input_tokens', price: '3.00' },
          { meter: 'output_tokens', price: '15.00' },
        ],
      });
      expect((await price('')).body).toMatchObject({ provider: 'anthropic' });
      expect((await price('version=1&at=2026-06-01T00:00:00%2B02:00')).body).toMatchObject({ catalog_version: 1 });
      expectProblem(await price('at=2020-01-01T00:00:00Z'), 404, 'unknown_price');
      expectProblem(await price('version=99'), 404, 'not_found');
      expectProblem(await price('at=yesterday'), 400, 'invalid_request');
      expectProblem(await api.call('GET', '/v1/catalog/price?model_id=unheard-of'), 404, 'unknown_price');
    });
  });

  describe('billing periods', () => {
    it('are listed by customer and status, and shown one by one', async () => {
      const listed = await api.call('GET', '/v1/periods?customer_id=acme&status=open', { key: api.keys.ops });
      expect(listed.body).toMatchObject({
        data: [{ customer_id: 'acme', start_date: '2026-11-01', status: 'open', totals: null }],
        next_cursor: null,
      });
      const nothing = await api.call('GET', '/v1/periods?customer_id=acme&status=parked', { key: api.keys.ops });
      expect(nothing.body).toEqual({ data: [], next_cursor: null });
      const shown = await api.call('GET', '/v1/periods/acme/2026-11-01', { key: api.keys.ops });
      expect(shown.body).toMatchObject({
        period: { start: '2026-11-01T00:00:00.000Z', end: '2026-12-01T00:00:00.000Z' },
        status: 'open',
        plan: { plan_id: 'pro', version: 1 },
      });
      expectProblem(await api.call('GET', '/v1/periods/acme/2027-01-01'), 404, 'unknown_period');
    });

    it('show what the invoice would be now', async () => {
      const preview = await api.call('GET', '/v1/periods/acme/2026-11-01/preview', { key: api.keys.ops });
      expect(preview.body).toMatchObject({
        revision: 1,
        status: 'open',
        currency: 'usd',
        cost: '0.00825',
        lines: [{ kind: 'usage', group: { model_id: 'claude-x' }, charge: '0.0103125', amount: '0.01' }],
        total: '0.01',
        stripe_invoice_id: null,
      });
      expectProblem(await api.call('GET', '/v1/periods/acme/2026-11-01/invoices/1'), 404, 'unknown_invoice');
      const lines = await api.call('GET', '/v1/periods/acme/2026-11-01/invoices/1/lines/1/usage');
      expectProblem(lines, 404, 'unknown_invoice');
    });

    it.each(['close', 'approve', 'hold', 'release'] as const)(
      'pass %s on to the engine with who asked and why',
      async (name) => {
        api.commands.length = 0;
        const body = { request_id: `req-${name}`, reason: ' because ' };
        const answer = await api.call('POST', `/v1/periods/acme/2026-11-01/${name}`, { body });
        expect(answer.body).toMatchObject({ applied: true });
        expect(api.commands).toEqual([
          {
            period: { customer_id: 'acme', start_date: '2026-11-01' },
            name,
            command: { request_id: `req-${name}`, actor: `key:${api.keys.finance.split('_')[2]}`, reason: 'because' },
          },
        ]);
      },
    );

    it('pass on which invoice an approver saw', async () => {
      api.commands.length = 0;
      const approve = (body: object) => api.call('POST', '/v1/periods/acme/2026-11-01/approve', { body });
      const seen = { revision: 2, total: '130.00', content_hash: 'a'.repeat(64) };
      await approve({ ...seen, reason: 'agreed' });
      expect(api.commands).toMatchObject([{ command: { reason: 'agreed', expected: seen } }]);
      expectProblem(await approve({ revision: 0 }), 400, 'invalid_request');
      expectProblem(await approve({ total: '1e2' }), 400, 'invalid_request');
      expectProblem(await approve({ content_hash: 'a' }), 400, 'invalid_request');
      expectProblem(
        await api.call('POST', '/v1/periods/acme/2026-11-01/hold', { body: { revision: 1 } }),
        400,
        'invalid_request',
      );
    });

    it('take the request id from Idempotency-Key, or make one', async () => {
      const close = (body: unknown, key?: string) =>
        api.call('POST', '/v1/periods/acme/2026-11-01/close', {
          ...(body === undefined ? {} : { body }),
          ...(key === undefined ? {} : { headers: { 'idempotency-key': key } }),
        });
      api.commands.length = 0;
      await close(undefined, 'key-1');
      await close({}, 'key-2');
      await close({ request_id: 'key-3' }, 'key-3');
      await close(undefined);
      const ids = api.commands.map(({ command }) => command.request_id);
      expect(ids.slice(0, 3)).toEqual(['key-1', 'key-2', 'key-3']);
      expect(ids[3]).toMatch(/^[0-9a-f-]{36}$/);
      expectProblem(await close({ request_id: 'one' }, 'other'), 400, 'invalid_request');
      expectProblem(await close({}, 'no id'), 400, 'invalid_request');
      expectProblem(await close({ force: true }), 400, 'invalid_request');
      expect(api.commands).toHaveLength(4);
    });

    it('that are not there start nothing in the engine', async () => {
      api.commands.length = 0;
      expectProblem(await api.call('POST', '/v1/periods/acme/2030-01-01/close'), 404, 'unknown_period');
      expectProblem(await api.call('POST', '/v1/periods/nobody/2026-11-01/close'), 404, 'unknown_period');
      expect(api.commands).toEqual([]);
    });
  });

  describe('the trail of an event', () => {
    it('tells what came, what priced it and what it is charged', async () => {
      const trail = await api.call('GET', '/v1/usage/acme/e1', { key: api.keys.ops });
      expect(trail.body).toMatchObject({
        event: usageEvent('e1'),
        status: 'accepted',
        period: { start_date: '2026-11-01' },
        price: { provider: 'anthropic', priced_as: 'claude-x', how: 'exact' },
        cost: '0.00825',
        charge: '0.0103125',
        line: null,
        invoice: null,
      });
      expectProblem(await api.call('GET', '/v1/usage/acme/e2', { key: api.keys.ops }), 404, 'unknown_event');
    });
  });
});
