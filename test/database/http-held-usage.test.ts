import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pricePeriod } from '../../src/ledger/price-period.js';
import {
  expectProblem,
  makeCustomer,
  publishTestCatalog,
  startTestApi,
  type TestApi,
  usageEvent,
} from '../support/http.js';
import { settle } from '../support/ledger.js';

let api: TestApi;
const CHAT = { prompt_tokens: 10, completion_tokens: 0, total_tokens: 10 };
beforeAll(async () => {
  api = await startTestApi();
  await publishTestCatalog(api.pool);
  await makeCustomer(api);
  const events = [
    usageEvent('h1', { model_id: 'unheard-of', action_id: 'run_1' }),
    usageEvent('h2', { usage: { input_tokens: 1, images: 1 } }),
    usageEvent('p1', { action_id: 'run_1', reported_cost: { amount: '0.01', currency: 'usd' } }),
    usageEvent('u1', { customer_id: 'stranger' }),
    usageEvent('t1', { service_tier: 'turbo' }),
    usageEvent('x1', { provider: undefined, provider_usage: { format: 'openai.chat', usage: CHAT }, usage: undefined }),
  ];
  await api.call('POST', '/v1/usage', { key: api.keys.service, body: { events } });
  await settle(api.pool);
  const { rows } = await api.pool.query<{ period_id: number }>('SELECT period_id FROM periods');
  for (const { period_id } of rows) await pricePeriod({ pool: api.pool, catalogs: api.deps.catalogs }, period_id);
});
afterAll(async () => api.close());

const decision = { decision: { write_off: true }, note: 'ours' };

describe('held usage over HTTP', () => {
  it('is for ops to read, in pages with a cursor of their own', async () => {
    const first = await api.call('GET', '/v1/held-usage?limit=2', { key: api.keys.ops });
    expect(first.body).toMatchObject({ data: [{ reason: 'no_price' }, { reason: 'unknown_model' }] });
    const { next_cursor } = first.body as { next_cursor: string };
    const second = await api.call('GET', `/v1/held-usage?limit=2&cursor=${next_cursor}`, { key: api.keys.ops });
    expect(second.body).toMatchObject({ data: [{ customer_id: 'stranger', start_date: null }], next_cursor: null });
    expectProblem(await api.call('GET', '/v1/held-usage?cursor=AAAA'), 400, 'invalid_request');
    expectProblem(await api.call('GET', '/v1/held-usage?reason=lost'), 400, 'invalid_request');
    expectProblem(await api.call('GET', '/v1/held-usage', { key: api.keys.service }), 403, 'forbidden');

    const models = await api.call('GET', '/v1/held-usage/models?reason=no_price', { key: api.keys.ops });
    expect(models.body).toEqual({
      data: [
        { reason: 'no_price', provider: 'anthropic', model_id: 'claude-x', meter: 'images', events: 1, customers: 1 },
      ],
    });
    const events = await api.call('GET', '/v1/held-usage/events?customer_id=acme&start_date=2026-11-01&limit=1');
    expect(events.body).toMatchObject({ data: [{ event_id: 'h1' }] });
    const rest = (events.body as { next_cursor: string }).next_cursor;
    const more = await api.call('GET', `/v1/held-usage/events?customer_id=acme&start_date=2026-11-01&cursor=${rest}`);
    expect(more.body).toMatchObject({ data: [{ event_id: 'h2', meter: 'images' }], next_cursor: null });
    const none = await api.call('GET', '/v1/held-usage/events?customer_id=acme&start_date=2020-01-01');
    expectProblem(none, 404, 'unknown_period');
  });

  it('is decided by finance, for a set that the request has to name', async () => {
    const resolve = (body: unknown, key = api.keys.finance) =>
      api.call('POST', '/v1/held-usage/resolve', { body, key });
    expectProblem(await resolve({ ...decision, customer_id: 'acme' }, api.keys.ops), 403, 'forbidden');
    expectProblem(await resolve(decision), 400, 'invalid_request');
    expect(expectProblem(await resolve({ ...decision, event_ids: ['h1'] }), 400, 'invalid_request')).toMatchObject({
      field: 'event_ids',
    });
    const both = { decision: { write_off: true, bill: { prices: {} } }, note: 'x', customer_id: 'acme' };
    expectProblem(await resolve(both), 400, 'invalid_request');
    const noPrice = { decision: { bill: { prices: {} } }, note: 'x', customer_id: 'acme' };
    expectProblem(await resolve(noPrice), 400, 'invalid_request');
    expectProblem(await resolve({ ...decision, customer_id: 'acme', reason: 'split_call' }), 404, 'not_found');
    expectProblem(await resolve({ ...decision, customer_id: 'acme', event_ids: ['lost'] }), 404, 'unknown_event');

    const answer = await resolve({ ...decision, model_id: 'unheard-of', request_id: 'r-1' });
    expect(answer.body).toMatchObject({
      applied: true,
      decisions: [{ customer_id: 'acme', start_date: '2026-11-01' }],
    });
    expect((await resolve({ ...decision, model_id: 'unheard-of', request_id: 'r-1' })).body).toMatchObject({
      applied: false,
    });
    expectProblem(await resolve({ ...decision, reason: 'no_price', request_id: 'r-1' }), 409, 'conflict');
    expect((await api.call('GET', '/v1/usage/acme/h1')).body).toMatchObject({ status: 'written_off' });
  });
});

describe('an action and reported costs over HTTP', () => {
  it('are answered to those who may read them', async () => {
    const action = await api.call('GET', '/v1/actions/acme/run_1', { key: api.keys.ops });
    expect(action.body).toMatchObject({
      events: 2,
      totals: [{ currency: 'usd', cost: '0.00825', charge: '0.0103125', margin: '0.2' }],
      calls: {
        data: [
          { event_id: 'h1', status: 'written_off' },
          { event_id: 'p1', status: 'accepted' },
        ],
      },
    });
    expectProblem(await api.call('GET', '/v1/actions/acme/run_2'), 404, 'not_found');
    expectProblem(await api.call('GET', '/v1/actions/acme/run_1?cursor=AAAA'), 400, 'invalid_request');

    const costs = await api.call('GET', '/v1/reconciliation/reported-costs');
    expect(costs.body).toMatchObject({
      data: [{ model_id: 'claude-x', catalog_cost: '0.00825', reported_cost: '0.01', beyond_tolerance: false }],
      next_cursor: null,
    });
    expect((await api.call('GET', '/v1/reconciliation/reported-costs?to=2026-11-01')).body).toMatchObject({ data: [] });
    expectProblem(await api.call('GET', '/v1/reconciliation/reported-costs?cursor=AAAA'), 400, 'invalid_request');
    const ops = await api.call('GET', '/v1/reconciliation/reported-costs', { key: api.keys.ops });
    expectProblem(ops, 403, 'forbidden');
  });
});

describe('priced usage to look through, over HTTP', () => {
  const list = (query = '', key = api.keys.ops) => api.call('GET', `/v1/usage-review${query}`, { key });
  const model = { provider: 'anthropic', model_id: 'claude-x', priced_as: 'claude-x', events: 1, customers: 1 };

  it('has what was not found by its exact name, and tiers without a price, in pages', async () => {
    const [tier, fallback] = [
      { ...model, how: 'exact', unpriced_tier: 'turbo' },
      { ...model, how: 'fallback_provider', unpriced_tier: null },
    ];
    expect((await list()).body).toEqual({ data: [tier, fallback], next_cursor: null });
    const first = await list('?limit=1');
    expect(first.body).toMatchObject({ data: [tier] });
    const { next_cursor } = first.body as { next_cursor: string };
    expect((await list(`?limit=1&cursor=${next_cursor}`)).body).toEqual({ data: [fallback], next_cursor: null });
    expect((await list('?how=fallback_provider')).body).toMatchObject({ data: [fallback] });
    for (const none of ['?how=rule', '?customer_id=stranger', '?to=2026-11-01', '?from=2026-11-02']) {
      expect((await list(none)).body, none).toEqual({ data: [], next_cursor: null });
    }
  });

  it('is for ops, with a cursor of its own', async () => {
    expectProblem(await list('?cursor=AAAA'), 400, 'invalid_request');
    expectProblem(await list('?how=guessed'), 400, 'invalid_request');
    expectProblem(await list('', api.keys.service), 403, 'forbidden');
  });
});
