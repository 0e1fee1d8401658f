import { EventEmitter, once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPool } from '../../src/database/pool.js';
import { CostplusError } from '../../src/errors/error.js';
import { SMALL_BODY_BYTES } from '../../src/limits.js';
import { expectProblem, publishTestCatalog, startTestApi, type TestApi } from '../support/http.js';

describe('the HTTP server', () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startTestApi();
  });
  afterAll(() => api.close());

  describe('answers a problem document', () => {
    it('to a route that is not there, with and without a key', async () => {
      expectProblem(await api.call('GET', '/v1/nothing'), 404, 'not_found');
      expectProblem(await api.call('GET', '/v1/nothing', { key: null }), 404, 'not_found');
      expectProblem(await api.call('DELETE', '/v1/customers/acme'), 404, 'not_found');
    });

    it('to a body that is no JSON, empty, too large or of another type', async () => {
      const put = (body: unknown, headers: Record<string, string> = {}) =>
        api.call('PUT', '/v1/customers/acme', { body, headers });
      expectProblem(await put('{"a": '), 400, 'invalid_request');
      expectProblem(await put('', { 'content-type': 'application/json' }), 400, 'invalid_request');
      expectProblem(await put('{"__proto__": {}, "currency": "usd"}'), 400, 'invalid_request');
      expectProblem(await put(' '.repeat(SMALL_BODY_BYTES + 1)), 413, 'body_too_large');
      expectProblem(
        await put('a=b', { 'content-type': 'application/x-www-form-urlencoded' }),
        415,
        'unsupported_media_type',
      );
    });

    it('to a path and a query that do not fit, naming the field', async () => {
      expect(expectProblem(await api.call('GET', '/v1/periods?limit=0'), 400, 'invalid_request').field).toBe('limit');
      expect(expectProblem(await api.call('GET', '/v1/periods?status=x'), 400, 'invalid_request').field).toBe('status');
      expect(expectProblem(await api.call('GET', '/v1/periods?page=1'), 400, 'invalid_request').field).toBe('query');
      const day = await api.call('GET', '/v1/periods/acme/2026-11');
      expect(expectProblem(day, 400, 'invalid_request').field).toBe('start_date');
      expectProblem(await api.call('GET', '/v1/periods?cursor=forged'), 400, 'invalid_request');
      expectProblem(await api.call('GET', `/v1/customers/${'x'.repeat(129)}`), 400, 'invalid_request');
      expectProblem(await api.call('GET', '/v1/%zz'), 400, 'invalid_request');
    });

    it('to a body that does not fit, with the code of its resource and never with what was sent', async () => {
      const text = 'a text that nobody may keep';
      const cases = [
        ['PUT', '/v1/customers/acme', 'invalid_customer', { currency: text }],
        ['PUT', '/v1/customers/acme', 'invalid_customer', { currency: 'usd', plan_id: 'pro', [text]: 1 }],
        ['POST', '/v1/plans', 'invalid_plan', { plan_id: 'pro', currency: 'usd', rules: [{ markup: text }] }],
        ['POST', '/v1/catalog/versions', 'invalid_catalog', { note: 'x', prices: [{ provider: 'p', [text]: text }] }],
        ['POST', '/v1/periods/acme/2026-11-01/close', 'invalid_request', { request_id: text }],
      ] as const;
      for (const [method, url, code, body] of cases) {
        const answer = await api.call(method, url, { body });
        expect(expectProblem(answer, 400, code).field, url).toEqual(expect.any(String));
        expect(answer.text).not.toContain('nobody');
      }
      expect(api.logs.join('')).not.toContain('nobody');
    });

    it('to what it did not expect, with nothing of the inside, and logs where it happened', async () => {
      const failing = await startTestApi({
        receiveStripeWebhook: async () => {
          throw new SyntaxError('Unexpected token in "a text that nobody may keep"');
        },
      });
      try {
        const answer = await failing.call('POST', '/v1/stripe/webhook', { key: null, body: {} });
        expectProblem(answer, 500, 'internal');
        expect(answer.text).not.toContain('nobody');
        const line = JSON.parse(failing.logs.at(-1)!) as Record<string, unknown>;
        expect(line).toMatchObject({
          level: 'error',
          status: 500,
          error_code: 'internal',
          error: { type: 'SyntaxError' },
        });
        expect(failing.logs.at(-1)).not.toContain('nobody');
        expect(failing.logs.at(-1)).toContain('http-server.test.ts');
      } finally {
        await failing.close();
      }
    });

    it('to a database that is away, with the time to wait', async () => {
      const pool = createPool('postgres://nobody@127.0.0.1:1/nothing', { max: 1 });
      const away = await startTestApi({ pool });
      try {
        const answer = await away.call('GET', '/v1/periods');
        expectProblem(answer, 503, 'database_unavailable');
        expect(answer.headers['retry-after']).toBe('1');
        expectProblem(await away.call('GET', '/readyz', { key: null }), 503, 'database_unavailable');
        expect((await away.call('GET', '/healthz', { key: null })).status).toBe(200);
        expect((await away.call('GET', '/metrics', { key: null })).status).toBe(200);
      } finally {
        await away.close();
        await pool.end();
      }
    });
  });

  it('takes over a request id that has the form of an id, and makes one otherwise', async () => {
    const sent = await api.call('GET', '/healthz', { headers: { 'x-request-id': 'trace:1.a_b-c' } });
    expect(sent.headers['x-request-id']).toBe('trace:1.a_b-c');
    const made = await api.call('GET', '/healthz', { headers: { 'x-request-id': 'not an id\u0007' } });
    expect(made.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
    const refused = await api.call('GET', '/v1/nothing', { headers: { 'x-request-id': 'r1' } });
    expect(refused.headers['x-request-id']).toBe('r1');
  });

  it('describes itself: every route of the API is in the OpenAPI document with its answers', async () => {
    const answer = await api.call('GET', '/openapi.json', { key: null });
    const document = answer.body as { openapi: string; paths: Record<string, Record<string, { responses: object }>> };
    expect(document.openapi).toBe('3.1.0');
    const described = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const registered = [...api.routes.keys()].filter((name) => / \/v1\//.test(name) && !name.startsWith('HEAD'));
    expect(described).toEqual(expect.arrayContaining(registered.map((name) => name.replaceAll(/:(\w+)/g, '{$1}'))));
    const usage = document.paths['/v1/usage']!.post!;
    expect(Object.keys(usage.responses)).toEqual(expect.arrayContaining(['200', '4XX', '5XX']));
    expect(JSON.stringify(usage)).toContain('"provider_usage"');
  });

  it('serves a page for reading the documentation, to anyone', async () => {
    const page = await api.call('GET', '/docs/', { key: null });
    expect(page.status).toBe(200);
    expect(page.headers['content-type']).toContain('text/html');
  });

  describe('tells whether it is ready', () => {
    it('when database, migrations and engine are', async () => {
      const answer = await api.call('GET', '/readyz', { key: null });
      expect(answer.body).toEqual({ status: 'ready', database: 'ready', migrations: 'ready', engine: 'ready' });
    });

    it('and which of them is not', async () => {
      api.engine.healthy = false;
      expectProblem(await api.call('GET', '/readyz', { key: null }), 503, 'engine_unavailable');
      api.engine.healthy = true;
      await api.pool.query(`INSERT INTO schema_migrations (version, name) VALUES (9999, 'later.sql')`);
      expectProblem(await api.call('GET', '/readyz', { key: null }), 500, 'database_newer');
      await api.pool.query('DELETE FROM schema_migrations WHERE version >= 5');
      const behind = expectProblem(await api.call('GET', '/readyz', { key: null }), 503, 'database_unavailable');
      expect(behind.detail).toContain('costplus migrate');
    });
  });

  it('counts requests by route pattern', async () => {
    await api.call('GET', '/v1/periods/acme/2026-11-01');
    const metrics = await api.call('GET', '/metrics', { key: null });
    expect(metrics.headers['content-type']).toContain('text/plain');
    expect(metrics.text).toMatch(
      /costplus_http_requests_total\{method="GET",route="\/v1\/periods\/:customer_id\/:start_date",status="404"\} [1-9]/,
    );
    expect(metrics.text).toContain('costplus_periods{status="parked"} 0');
  });

  it('answers what is no HTTP with a problem document too', async () => {
    const url = new URL(await api.server.listen({ host: '127.0.0.1', port: 0 }));
    const socket = connect(Number(url.port), url.hostname);
    socket.end('this is not HTTP\r\n\r\n');
    const answer = await text(socket);
    expect(answer).toContain('HTTP/1.1 400 Bad Request');
    expect(JSON.parse(answer.split('\r\n\r\n')[1]!)).toMatchObject({ type: 'urn:costplus:error:invalid_request' });
  });
});

describe('a server that is told to stop', () => {
  it('finishes requests under way, refuses new ones, and then is closed', async () => {
    const gate = new EventEmitter();
    const begun = once(gate, 'begun');
    const mayEnd = once(gate, 'may end');
    const api = await startTestApi({
      receiveStripeWebhook: async () => {
        gate.emit('begun');
        await mayEnd;
        return 'recorded';
      },
    });
    try {
      await publishTestCatalog(api.pool);
      const url = await api.server.listen({ host: '127.0.0.1', port: 0 });
      const socket = connect(Number(new URL(url).port), '127.0.0.1');
      socket.write(
        'POST /v1/stripe/webhook HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}',
      );
      await begun;
      const closed = api.server.close();
      const isListening = () =>
        fetch(`${url}/healthz`).then(
          () => true,
          () => false,
        );
      while (await isListening());
      socket.write('GET /v1/periods HTTP/1.1\r\nHost: a\r\n\r\n');
      const answers = text(socket);
      gate.emit('may end');
      expect(await answers).toMatch(
        /^HTTP\/1.1 200 OK[\s\S]*\{"received":true\}HTTP\/1.1 503 [\s\S]*connection: close[\s\S]*urn:costplus:error:shutting_down/i,
      );
      await closed;
    } finally {
      gate.emit('may end');
      await api.close();
    }
  });
});

describe('a delivery of Stripe', () => {
  it('is handed over as the bytes that came, with its signature', async () => {
    const heard: { body: string; signature: string | undefined }[] = [];
    const api = await startTestApi({
      receiveStripeWebhook: async (body, signature) => {
        heard.push({ body: body.toString(), signature });
        if (signature !== 'right') throw new CostplusError('invalid_signature', 'The signature does not fit.');
        return 'recorded';
      },
    });
    try {
      const deliver = (signature: string) =>
        api.call('POST', '/v1/stripe/webhook', {
          key: null,
          body: '{ "id":"evt_1" }',
          headers: { 'stripe-signature': signature, 'content-type': 'application/json; charset=utf-8' },
        });
      expect((await deliver('right')).body).toEqual({ received: true });
      expectProblem(await deliver('wrong'), 401, 'invalid_signature');
      expect(heard[0]).toEqual({ body: '{ "id":"evt_1" }', signature: 'right' });
      const metrics = await api.deps.metrics.registry.metrics();
      expect(metrics).toContain('costplus_stripe_webhooks_total{outcome="recorded"} 1');
      expect(metrics).toContain('costplus_stripe_webhooks_total{outcome="refused"} 1');
    } finally {
      await api.close();
    }
  });
});
