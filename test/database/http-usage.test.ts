import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EventResult } from '../../src/contracts/usage-event.js';
import { createApiKey } from '../../src/http/api-keys.js';
import { EVENTS_PER_REQUEST_COUNT, REQUEST_BODY_BYTES } from '../../src/limits.js';
import {
  expectProblem,
  makeCustomer,
  publishTestCatalog,
  startTestApi,
  type TestApi,
  usageEvent,
} from '../support/http.js';

describe('POST /v1/usage', () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startTestApi();
    await publishTestCatalog(api.pool);
    await makeCustomer(api);
  });
  afterAll(() => api.close());

  const send = (events: unknown, more: { key?: string; headers?: Record<string, string> } = {}) =>
    api.call('POST', '/v1/usage', { key: api.keys.service, body: { events }, ...more });
  const statuses = (body: unknown) => (body as { results: EventResult[] }).results.map(({ status }) => status);
  const countEvents = async () =>
    (await api.pool.query<{ count: number }>('SELECT count(*) AS count FROM usage_events')).rows[0]!.count;

  it('answers a result for each event in the order sent', async () => {
    const answer = await send([
      usageEvent('one'),
      usageEvent('two', { customer_id: 'nobody' }),
      usageEvent('three', { model_id: 'unheard-of' }),
      usageEvent('four', { usage: { input_tokens: -1 } }),
      usageEvent('one'),
      { event_id: 'not an id', customer_id: 'acme' },
    ]);
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({
      results: [
        { event_id: 'one', status: 'accepted' },
        { event_id: 'two', status: 'held', reason: 'unknown_customer' },
        { event_id: 'three', status: 'held', reason: 'unknown_model' },
        { event_id: 'four', status: 'rejected', reason: 'invalid_event', field: 'events[3].usage.input_tokens' },
        { event_id: 'one', status: 'duplicate' },
        { event_id: null, status: 'rejected' },
      ],
    });
  });

  it('answers the same events again as duplicates, and others of the same id as conflicts', async () => {
    expect(statuses((await send([usageEvent('again')])).body)).toEqual(['accepted']);
    const before = await countEvents();
    expect(statuses((await send([usageEvent('again')])).body)).toEqual(['duplicate']);
    expect(statuses((await send([usageEvent('again', { feature: 'other' })])).body)).toEqual(['conflict']);
    expect(await countEvents()).toBe(before);
  });

  it('takes a provider usage object and normalises it', async () => {
    const { usage: _usage, ...event } = usageEvent('normalised');
    const provider_usage = { format: 'anthropic.messages', usage: { input_tokens: 10, output_tokens: 5 } };
    expect(statuses((await send([{ ...event, provider_usage }])).body)).toEqual(['accepted']);
    const trail = await api.call('GET', '/v1/usage/acme/normalised');
    expect(trail.body).toMatchObject({
      status: 'accepted',
      normalised: { usage: { input_tokens: 10, output_tokens: 5 } },
      cost: '0.000105',
      charge: '0.00013125',
    });
  });

  it.each([
    ['no body', undefined],
    ['no JSON', '{"events": ['],
    ['an array', '[]'],
    ['no events', '{}'],
    ['another key beside events', '{"events": [], "prompt": "x"}'],
    ['an own __proto__', '{"events": [], "__proto__": {}}'],
    ['no event', '{"events": []}'],
    ['events that are no array', '{"events": {}}'],
    ['too many events', JSON.stringify({ events: new Array(EVENTS_PER_REQUEST_COUNT + 1).fill({}) })],
  ])('refuses a body with %s', async (_name, body) => {
    const answer = await api.call('POST', '/v1/usage', {
      key: api.keys.service,
      ...(body === undefined ? { headers: { 'content-type': 'application/json' } } : { body }),
    });
    expectProblem(answer, 400, 'invalid_request');
  });

  it('refuses bytes that are no UTF-8, whatever a lenient reader would make of them', async () => {
    const text = JSON.stringify({ events: [usageEvent('bytes', { feature: 'X' })] });
    const body = Buffer.from(text.replace('"X"', '"\u00ff"'), 'latin1');
    expectProblem(await api.call('POST', '/v1/usage', { key: api.keys.service, body }), 400, 'invalid_request');
  });

  it('refuses another media type, and a body above the limit', async () => {
    const csv = { key: api.keys.service, body: 'a,b', headers: { 'content-type': 'text/csv' } };
    expectProblem(await api.call('POST', '/v1/usage', csv), 415, 'unsupported_media_type');
    const large = { key: api.keys.service, body: Buffer.alloc(REQUEST_BODY_BYTES + 1, 32) };
    expectProblem(await api.call('POST', '/v1/usage', large), 413, 'body_too_large');
  });

  it('keeps prompt texts out of answers, logs and rows', async () => {
    const text = 'Dear doctor, about my diagnosis';
    const places: unknown[] = [
      usageEvent('p1', { prompt: text }),
      usageEvent('p2', { messages: [{ role: 'user', content: text }] }),
      usageEvent('p3', { [text]: 1 }),
      usageEvent('p4', { usage: { [text]: 1 } }),
      usageEvent('p5', { usage: { input_tokens: text } }),
      usageEvent('p6', { dimensions: { [text]: 'x' } }),
      usageEvent('p7', { feature: `${text}\n${text}` }),
      usageEvent(text),
      usageEvent('p9', { occurred_at: text }),
      usageEvent('p10', {
        usage: undefined,
        provider_usage: { format: 'anthropic.messages', usage: { content: text } },
      }),
      usageEvent('p11', { reported_cost: { amount: text, currency: 'usd' } }),
      text,
    ];
    const answer = await send(places);
    expect(statuses(answer.body)).toEqual(places.map(() => 'rejected'));
    const broken = await api.call('POST', '/v1/usage', { key: api.keys.service, body: `{"events": [${text}` });
    expectProblem(broken, 400, 'invalid_request');
    const beside = await api.call('POST', '/v1/usage', { key: api.keys.service, body: { events: [], [text]: 1 } });
    expectProblem(beside, 400, 'invalid_request');
    const unknownRoute = await api.call('GET', `/v1/${encodeURIComponent(text)}`);
    expectProblem(unknownRoute, 404, 'not_found');

    for (const { text: answered } of [answer, broken, beside, unknownRoute])
      expect(answered).not.toContain('diagnosis');
    expect(api.logs.join('')).not.toContain('diagnosis');
    const tables = await api.pool.query<{ name: string }>(
      `SELECT quote_ident(tablename) AS name FROM pg_tables WHERE schemaname = 'public'`,
    );
    for (const { name } of tables.rows) {
      const found = await api.pool.query(`SELECT FROM ${name} AS t WHERE t::text LIKE '%diagnosis%'`);
      expect(found.rowCount, name).toBe(0);
    }
  });

  it('writes one line for each request, with results by status and without what it carried', async () => {
    api.logs.length = 0;
    await send([usageEvent('line-1'), usageEvent('line-2'), { bad: true }], { headers: { 'x-request-id': 'req.1' } });
    expect(api.logs).toHaveLength(1);
    expect(JSON.parse(api.logs[0]!)).toMatchObject({
      level: 'info',
      msg: 'request',
      request_id: 'req.1',
      method: 'POST',
      route: '/v1/usage',
      status: 200,
      role: 'service',
      results: { accepted: 2, rejected: 1 },
    });
    expect(api.logs[0]).not.toContain('claude-x');
  });

  it('counts events by result', async () => {
    const before = await metric(api, 'costplus_usage_events_total{status="accepted"}');
    await send([usageEvent('counted-1'), usageEvent('counted-2')]);
    expect(await metric(api, 'costplus_usage_events_total{status="accepted"}')).toBe(before + 2);
    expect(await metric(api, 'costplus_append_queue_events')).toBe(0);
  });

  it('says when to send again while the ledger takes no more', async () => {
    const busy = await startTestApi();
    try {
      await busy.deps.appender.close();
      const answer = await busy.call('POST', '/v1/usage', {
        key: busy.keys.service,
        body: { events: [usageEvent('x')] },
      });
      expectProblem(answer, 503, 'shutting_down');
      expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    } finally {
      await busy.close();
    }
  });

  it('takes old usage of a source that may backfill only', async () => {
    await api.pool.query(`INSERT INTO sources (source_id, may_backfill) VALUES ('importer', true), ('gateway', false)`);
    const old = { customer_id: 'old-one', occurred_at: '2026-01-02T00:00:00Z' };
    const sendAs = async (source_id: string) => {
      const key = await createApiKey(api.pool, { role: 'service', name: source_id, source_id });
      return statuses((await send([usageEvent(`old-${source_id}`, old)], { key })).body);
    };
    expect(await sendAs('importer')).toEqual(['held']);
    expect(await sendAs('gateway')).toEqual(['rejected']);
  });

  it('takes nothing with the key of a source that is switched off', async () => {
    await api.pool.query(`INSERT INTO sources (source_id, disabled_at) VALUES ('retired', now())`);
    const key = await createApiKey(api.pool, { role: 'service', name: 'retired', source_id: 'retired' });
    expectProblem(await send([usageEvent('retired-1')], { key }), 403, 'forbidden');
  });
});

async function metric(api: TestApi, line: string): Promise<number> {
  const text = await api.deps.metrics.registry.metrics();
  return Number(
    text
      .split('\n')
      .find((each) => each.startsWith(`${line} `))
      ?.split(' ')[1] ?? 0,
  );
}
