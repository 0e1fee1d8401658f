import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { publishCatalogVersion } from '../../src/catalog/publish.js';
import { catalogVersionSchema } from '../../src/contracts/catalog.js';
import type { UsageBatch } from '../../src/contracts/engine.js';
import type { EventResult } from '../../src/contracts/usage-event.js';
import { createApiKey } from '../../src/http/api-keys.js';
import { receiveSignalledBatch } from '../../src/ledger/receive-signal.js';
import { add, format, parseDecimal } from '../../src/money/fraction.js';
import { createSource, Sources } from '../../src/sources/sources.js';
import { signRequest } from '../../src/usage/request-signature.js';
import {
  CALL_SECONDS,
  CALL_TIME,
  CALL_USAGE,
  callEvent,
  exportRequest,
  genAiSpan,
  litellmPayload,
  openrouterBroadcast,
  openrouterResponse,
  PROMPT,
  vercelCall,
} from '../support/doors.js';
import { type Answer, expectProblem, startTestApi, type TestApi } from '../support/http.js';

/** 1,000 x 3 + 800 x 0.30 + 200 x 3.75 + 310 x 15, in dollars for a million. */
const CALL_COST = '0.00864';

describe('doors', () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startTestApi();
    const price = (provider: string, model_id: string, meter: string, amount: string, more = {}) => ({
      provider,
      model_id,
      meter,
      price: amount,
      per: 1_000_000,
      effective_from: '2026-01-01T00:00:00Z',
      ...more,
    });
    const all = (provider: string, model_id: string) => [
      price(provider, model_id, 'input_tokens', '3.00'),
      price(provider, model_id, 'cache_read_tokens', '0.30'),
      price(provider, model_id, 'cache_write_tokens', '3.75'),
      price(provider, model_id, 'output_tokens', '15.00'),
    ];
    const prices = [
      ...all('anthropic', 'claude-x'),
      ...all('openrouter', 'anthropic/claude-x'),
      ...all('anthropic', 'claude-long'),
      price('anthropic', 'claude-long', 'input_tokens', '6.00', { context_over: 200_000 }),
    ];
    await publishCatalogVersion(api.pool, catalogVersionSchema.parse({ note: 'test', prices }), {
      actor: 'test',
      source: 'test',
    });
    await api.call('POST', '/v1/plans', { body: { plan_id: 'pro', currency: 'usd', rules: [{ markup: '0.25' }] } });
    const acme = await api.call('PUT', '/v1/customers/acme', {
      body: { currency: 'usd', plan_id: 'pro', starts_at: '2026-11-01T00:00:00Z', stripe_customer_id: 'cus_acme' },
    });
    expect(acme.status, acme.text).toBeLessThan(300);
  });
  afterAll(() => api.close());

  const post = (url: string, body: unknown, headers: Record<string, string> = {}, key = api.keys.service) =>
    api.call('POST', url, { key, body, headers });
  const results = (answer: Answer) => (answer.body as { results: EventResult[] }).results;
  const trail = async (eventId: string, customer = 'acme') =>
    (await api.call('GET', `/v1/usage/${customer}/${eventId}`)).body as Record<string, unknown>;
  const rowsLike = async (prefix: string) =>
    (
      await api.pool.query<{ event_id: string; usage: Record<string, number>; marks: string[] | null }>(
        'SELECT event_id, usage, marks FROM usage_events WHERE event_id LIKE $1 ORDER BY event_id',
        [`${prefix}%`],
      )
    ).rows;

  describe('the same call ends in the same row of the ledger', () => {
    const CLOUD_EVENT = {
      specversion: '1.0',
      type: 'costplus.usage',
      source: '/gateways/1',
      subject: 'acme',
      time: CALL_TIME,
      data: { provider: 'anthropic', model_id: 'claude-x', usage: CALL_USAGE },
    };
    const cases: [string, string, unknown, Record<string, string>, string][] = [
      ['usage events', '/v1/usage', { events: [{ ...callEvent, event_id: 'direct:1' }] }, {}, 'direct:1'],
      [
        'OpenRouter answers',
        '/v1/doors/openrouter',
        { calls: [{ customer_id: 'acme', response: openrouterResponse('gen-1') }] },
        {},
        'openrouter:gen-1',
      ],
      ['OpenRouter broadcast', '/v1/traces', openrouterBroadcast('gen-2'), {}, 'openrouter:gen-2'],
      ['Vercel AI Gateway', '/v1/doors/vercel-ai-gateway', vercelCall('gen_3'), {}, 'vercel:gen_3'],
      ['LiteLLM', '/v1/doors/litellm', [litellmPayload('chatcmpl-4')], {}, 'litellm:chatcmpl-4'],
      [
        'OpenTelemetry',
        '/v1/traces',
        exportRequest([genAiSpan('00f067aa0ba902b7')]),
        {},
        'otel:4bf92f3577b34da6a3ce929d0e0e4736:00f067aa0ba902b7',
      ],
      [
        'CloudEvents, single',
        '/v1/doors/cloudevents',
        { ...CLOUD_EVENT, id: '5' },
        { 'content-type': 'application/cloudevents+json; charset=utf-8' },
        'cloudevents:sha256-',
      ],
      [
        'CloudEvents, batch',
        '/v1/doors/cloudevents',
        [{ ...CLOUD_EVENT, id: '6' }],
        { 'content-type': 'application/cloudevents-batch+json' },
        'cloudevents:sha256-',
      ],
      [
        'CloudEvents, binary',
        '/v1/doors/cloudevents',
        CLOUD_EVENT.data,
        {
          'content-type': 'application/json',
          'ce-specversion': '1.0',
          'ce-type': 'costplus.usage',
          'ce-source': '/gateways/1',
          'ce-id': 'caf%C3%A9-7',
          'ce-subject': 'acme',
          'ce-time': CALL_TIME,
        },
        'cloudevents:sha256-',
      ],
    ];
    it.each(cases)('%s', async (_name, url, body, headers, prefix) => {
      const before = (await rowsLike(prefix)).map(({ event_id }) => event_id);
      const first = await post(url, body, headers);
      expect(first.status, first.text).toBe(200);
      const after = await rowsLike(prefix);
      const [made] = after.filter(({ event_id }) => !before.includes(event_id));
      expect(after).toHaveLength(before.length + 1);
      expect(made).toMatchObject({ usage: CALL_USAGE, marks: null });
      expect(await trail(made!.event_id)).toMatchObject({
        status: 'accepted',
        normalised: { occurred_at: CALL_TIME, usage: CALL_USAGE },
        cost: CALL_COST,
        marks: [],
      });

      // Sent again, it is the same event.
      const again = await post(url, body, headers);
      expect(again.status).toBe(200);
      expect(await rowsLike(prefix)).toHaveLength(after.length);
      if (!url.endsWith('traces')) expect(results(again).map(({ status }) => status)).toEqual(['duplicate']);
      else expect(again.body).toEqual({});
    });

    it('a batch that was signalled to the engine', async () => {
      const secret = `whsec_${Buffer.alloc(32, 8).toString('base64')}`;
      await createSource(api.pool, api.deps.encryptionKey, { source_id: 'signals', secret });
      const sources = new Sources(api.pool, api.deps.encryptionKey, api.deps.now);
      const body = JSON.stringify({ events: [{ ...callEvent, event_id: 'signal:1' }] });
      const headers = signRequest({ secret, id: 'msg_1', timestamp: CALL_SECONDS, body });
      const batch: UsageBatch = { kind: 'batch', batch_id: 'msg_1', source: 'signals', body, headers };
      const deps = { appender: api.deps.appender, sources };
      expect(await receiveSignalledBatch(deps, batch)).toEqual([{ event_id: 'signal:1', status: 'accepted' }]);
      expect(await receiveSignalledBatch(deps, batch)).toEqual([{ event_id: 'signal:1', status: 'duplicate' }]);
      for (const other of [{}, { batch_id: 'a b' }, { body: undefined }, { headers: undefined }, { prompt: 'hello' }]) {
        const refused = receiveSignalledBatch(
          deps,
          (Object.keys(other).length ? { ...batch, ...other } : {}) as UsageBatch,
        );
        await expect(refused).rejects.toMatchObject({ code: 'invalid_request', retryable: false });
      }
      expect(await trail('signal:1')).toMatchObject({
        normalised: { occurred_at: CALL_TIME, usage: CALL_USAGE },
        cost: CALL_COST,
      });
    });

    it('Stripe meter events: in parts, each marked', async () => {
      const parts = { input: 1_000, cached_input: 800, cached_write: 200, output: 310 };
      for (const [token_type, value] of Object.entries(parts)) {
        const body = {
          event_name: 'token-billing-tokens',
          timestamp: CALL_TIME,
          identifier: `call-8-${token_type}`,
          payload: { stripe_customer_id: 'cus_acme', value: String(value), model: 'anthropic/claude-x', token_type },
        };
        for (let i = 0; i < 2; i++) expect((await post('/v2/billing/meter_events', body)).status).toBe(200);
      }
      const rows = await rowsLike('stripe:call-8-');
      expect(rows.map(({ usage }) => usage)).toEqual([
        { cache_read_tokens: 800 },
        { cache_write_tokens: 200 },
        { input_tokens: 1_000 },
        { output_tokens: 310 },
      ]);
      const costs = await Promise.all(
        rows.map(async ({ event_id }) => parseDecimal((await trail(event_id)).cost as string)),
      );
      expect(format(costs.reduce(add))).toBe(CALL_COST);
      expect(rows[2]!.marks).toEqual(['cache_counts_unknown', 'context_size_unknown', 'split_call']);
      expect(rows[3]!.marks).toEqual(['context_size_unknown', 'split_call']);
    });
  });

  it('keeps what gateways send of prompts and answers out of rows, logs and answers', async () => {
    const answers = [
      await post('/v1/doors/openrouter', { customer_id: 'acme', response: openrouterResponse('gen-p') }),
      await post('/v1/doors/vercel-ai-gateway', { calls: [vercelCall('gen_p')] }),
      await post('/v1/doors/litellm', [
        litellmPayload('p'),
        litellmPayload(PROMPT),
        litellmPayload('p2', { end_user: PROMPT }),
      ]),
      await post(
        '/v1/traces',
        exportRequest([
          genAiSpan('0000000000000001'),
          genAiSpan('x'),
          genAiSpan('0000000000000002', { 'gen_ai.usage.input_tokens': PROMPT }),
        ]),
      ),
      await post('/v1/traces', openrouterBroadcast('gen-q')),
      await post('/v1/traces', { resourceSpans: PROMPT }),
      await post(
        '/v1/doors/cloudevents',
        { specversion: '1.0', type: 'costplus.usage', source: 's', id: '1', data: { prompt: PROMPT } },
        { 'content-type': 'application/cloudevents+json' },
      ),
      await post('/v1/doors/openrouter', { customer_id: 'acme', prompt: PROMPT }),
      await post('/v1/doors/openrouter', { customer_id: 'acme', [PROMPT]: 1, response: {} }),
      await post('/v2/billing/meter_events', {
        event_name: 'x',
        payload: { stripe_customer_id: 'cus_acme', value: PROMPT, model: 'm', token_type: 'input' },
      }),
      await post('/v2/billing/meter_events', {
        event_name: 'x',
        payload: { stripe_customer_id: 'cus_acme', value: '1', model: `${PROMPT}\n`, token_type: 'input' },
      }),
    ];
    for (const { text } of answers) expect(text).not.toContain('diagnosis');
    expect(api.logs.join('')).not.toContain('diagnosis');
    // Nothing of usage goes to the engine from here: its history has references and counts only.
    expect(api.commands).toEqual([]);
    const tables = await api.pool.query<{ name: string }>(
      `SELECT quote_ident(tablename) AS name FROM pg_tables WHERE schemaname = 'public'`,
    );
    for (const { name } of tables.rows) {
      const found = await api.pool.query(`SELECT FROM ${name} AS t WHERE t::text LIKE '%diagnosis%'`);
      expect(found.rowCount, name).toBe(0);
    }
  });

  it('each door has a word for who paid the provider', async () => {
    const own = { paid_by: 'customer' };
    const byok = openrouterResponse('gen-own');
    byok.usage.is_byok = true;
    await post('/v1/doors/openrouter', {
      calls: [
        { customer_id: 'acme', response: byok },
        { customer_id: 'acme', paid_by: 'us', response: { ...byok, id: 'gen-ours' } },
      ],
    });
    await post('/v1/doors/vercel-ai-gateway', { ...vercelCall('gen_own'), ...own });
    await post('/v1/doors/litellm', [litellmPayload('own', { metadata: { requester_metadata: own } })]);
    await post('/v1/traces', exportRequest([genAiSpan('eeeeeeeeeeeeeee1', { 'costplus.paid_by': 'customer' })]));
    const paid = async (eventId: string) => {
      const { paid_by, cost } = await trail(eventId);
      return [paid_by, cost];
    };
    expect(await paid('openrouter:gen-own')).toEqual(['customer', '0']);
    expect(await paid('openrouter:gen-ours')).toEqual(['us', CALL_COST]);
    expect(await paid('vercel:gen_own')).toEqual(['customer', '0']);
    expect(await paid('litellm:own')).toEqual(['customer', '0']);
    expect(await paid('otel:4bf92f3577b34da6a3ce929d0e0e4736:eeeeeeeeeeeeeee1')).toEqual(['customer', '0']);
  });

  describe('OpenTelemetry', () => {
    it('takes the good spans of a batch and counts the bad one in its answer', async () => {
      const good = ['aaaaaaaaaaaaaaa1', 'aaaaaaaaaaaaaaa2'];
      const answer = await post(
        '/v1/traces',
        exportRequest([
          genAiSpan(good[0]!),
          genAiSpan('aaaaaaaaaaaaaaa3', { 'costplus.customer_id': 'not an id' }),
          genAiSpan(good[1]!),
        ]),
      );
      expect(answer.status).toBe(200);
      expect(answer.body).toEqual({
        partialSuccess: {
          rejectedSpans: '1',
          errorMessage:
            '1 of 3 spans with usage are refused: entries[1].customer_id must be 1 to 128 of A-Z a-z 0-9 . _ : -',
        },
      });
      expect((await rowsLike('otel:')).filter(({ event_id }) => event_id.includes('aaaaaaaaaaaaaaa'))).toHaveLength(2);
    });

    it('passes over spans that are no call of a model, and takes none that does not say what it is', async () => {
      const before = (await rowsLike('otel:')).length;
      const spans = [
        genAiSpan('bbbbbbbbbbbbbbb1', { 'gen_ai.operation.name': 'invoke_agent' }),
        genAiSpan('bbbbbbbbbbbbbbb2', { 'gen_ai.operation.name': 'execute_tool' }),
        { traceId: 'no', attributes: [] },
      ];
      expect((await post('/v1/traces', exportRequest(spans))).body).toEqual({});
      const nameless = genAiSpan('bbbbbbbbbbbbbbb3', { 'gen_ai.operation.name': '' });
      expect((await post('/v1/traces', exportRequest([nameless]))).body).toMatchObject({
        partialSuccess: { rejectedSpans: '1' },
      });
      expect(await rowsLike('otel:')).toHaveLength(before);
    });

    it('holds a span whose cached tokens are more than its input', async () => {
      const span = genAiSpan('ccccccccccccccc1', { 'gen_ai.usage.cache_read.input_tokens': 9_000 });
      expect((await post('/v1/traces', exportRequest([span]))).body).toEqual({});
      expect(await trail('otel:4bf92f3577b34da6a3ce929d0e0e4736:ccccccccccccccc1')).toMatchObject({
        status: 'held',
        held_reason: 'impossible_counts',
      });
    });

    it('answers the connection test of OpenRouter, and takes PUT', async () => {
      const answer = await api.call('PUT', '/v1/traces', {
        key: api.keys.service,
        body: { resourceSpans: [] },
        headers: { 'x-test-connection': 'true' },
      });
      expect([answer.status, answer.body]).toEqual([200, {}]);
    });
  });

  describe('LiteLLM', () => {
    it('reads a batch in each of its log formats', async () => {
      const pair = [litellmPayload('f1'), litellmPayload('f2')];
      expect(results(await post('/v1/doors/litellm', pair)).map(({ status }) => status)).toEqual([
        'accepted',
        'accepted',
      ]);
      const lines = `${pair.map((payload) => JSON.stringify(payload)).join('\n')}\n`;
      expect(results(await post('/v1/doors/litellm', lines)).map(({ status }) => status)).toEqual([
        'duplicate',
        'duplicate',
      ]);
      expect(results(await post('/v1/doors/litellm', pair[0])).map(({ status }) => status)).toEqual(['duplicate']);
    });

    it('holds what cost something and has no tokens, until its requests have a price', async () => {
      const picture = litellmPayload('picture', {
        call_type: 'aimage_generation',
        prompt_tokens: 0,
        completion_tokens: 0,
        total_tokens: 0,
        response_cost: 0.04,
        metadata: {},
      });
      expect(results(await post('/v1/doors/litellm', [picture]))).toMatchObject([
        { status: 'held', reason: 'no_price' },
      ]);
    });

    it('passes over what cost nothing, and says whose customer is missing', async () => {
      const answer = await post('/v1/doors/litellm', [
        litellmPayload('c1', { cache_hit: true }),
        litellmPayload('c2', { status: 'failure', prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 }),
        litellmPayload('c3', { end_user: '' }),
        litellmPayload('c4', { end_user: 'a-person', metadata: { requester_metadata: { customer_id: 'acme' } } }),
      ]);
      expect(answer.body).toMatchObject({
        ignored: 2,
        results: [
          { status: 'rejected', field: '[2].end_user' },
          { status: 'accepted', event_id: 'litellm:c4' },
        ],
      });
    });
  });

  describe('Stripe meter events', () => {
    const meterEvent = (more: Record<string, unknown> = {}, payload: Record<string, string> = {}) => ({
      event_name: 'token-billing-tokens',
      timestamp: CALL_TIME,
      payload: {
        stripe_customer_id: 'cus_acme',
        value: '1000',
        model: 'anthropic/claude-x',
        token_type: 'input',
        ...payload,
      },
      ...more,
    });

    it('takes the form of v1 and answers as Stripe does', async () => {
      const form = new URLSearchParams({
        event_name: 'token-billing-tokens',
        identifier: 'v1-1',
        timestamp: String(CALL_SECONDS),
        'payload[stripe_customer_id]': 'cus_acme',
        'payload[value]': '1000',
        'payload[model]': 'anthropic/claude-x',
        'payload[token_type]': 'input',
      });
      const answer = await post('/v1/billing/meter_events', form.toString(), {
        'content-type': 'application/x-www-form-urlencoded',
      });
      expect([answer.status, answer.body]).toEqual([
        200,
        {
          object: 'billing.meter_event',
          event_name: 'token-billing-tokens',
          identifier: 'v1-1',
          livemode: false,
          created: api.clock.now / 1_000,
          timestamp: CALL_SECONDS,
          payload: { stripe_customer_id: 'cus_acme', value: '1000', model: 'anthropic/claude-x', token_type: 'input' },
        },
      ]);
    });

    it('takes a stream under the token of a session', async () => {
      const session = await post('/v2/billing/meter_event_session', {});
      expect(session.body).toMatchObject({
        object: 'v2.billing.meter_event_session',
        expires_at: '2026-11-24T12:15:00.000Z',
      });
      const token = (session.body as { authentication_token: string }).authentication_token;
      const events = [
        meterEvent({ identifier: 's-1' }),
        meterEvent({ identifier: 's-2' }, { token_type: 'output', value: '310' }),
      ];
      expect((await post('/v2/billing/meter_event_stream', { events }, {}, token)).body).toEqual({});
      expect(await rowsLike('stripe:s-')).toHaveLength(2);
    });

    it("knows the SDK's own retry by its idempotency key, and marks what has no lasting id", async () => {
      const headers = { 'idempotency-key': 'stripe-node-retry-1' };
      for (let i = 0; i < 2; i++)
        expect((await post('/v2/billing/meter_events', meterEvent(), headers)).status).toBe(200);
      expect(await rowsLike('stripe:stripe-node-retry-1')).toMatchObject([
        { marks: ['cache_counts_unknown', 'context_size_unknown', 'no_lasting_id', 'split_call'] },
      ]);
      const count = (await rowsLike('stripe:')).length;
      for (let i = 0; i < 2; i++) await post('/v2/billing/meter_events', meterEvent());
      expect(await rowsLike('stripe:')).toHaveLength(count + 2);
    });

    it('holds a model whose price depends on the size of the input', async () => {
      await post('/v2/billing/meter_events', meterEvent({ identifier: 'long' }, { model: 'anthropic/claude-long' }));
      const direct = { ...callEvent, event_id: 'long', provider: undefined, model_id: 'anthropic/claude-long' };
      await post('/v1/usage', { events: [direct] });
      expect(await trail('stripe:long')).toMatchObject({
        status: 'held',
        held_reason: 'context_size_unknown',
        cost: null,
      });
      expect(await trail('long')).toMatchObject({ status: 'accepted', cost: CALL_COST });
    });

    it('keeps the usage of a Stripe customer that nobody has, under its own id', async () => {
      const body = meterEvent({ identifier: 'nobody' }, { stripe_customer_id: 'cus_nobody' });
      expect((await post('/v2/billing/meter_events', body)).status).toBe(200);
      expect(await trail('stripe:nobody', 'cus_nobody')).toMatchObject({
        status: 'held',
        held_reason: 'unknown_customer',
        marks: expect.arrayContaining(['unknown_stripe_customer']),
      });
    });

    it('answers what it refuses in the form of Stripe, and takes the others of a stream', async () => {
      const bad: [Record<string, unknown>, string][] = [
        [meterEvent({}, { value: '1.5' }), 'payload[value]'],
        [meterEvent({}, { token_type: 'image' }), 'payload[token_type]'],
        [{ event_name: 'x' }, 'payload'],
      ];
      for (const [body, param] of bad) {
        const answer = await post('/v2/billing/meter_events', body);
        expect([answer.status, answer.body]).toMatchObject([400, { error: { type: 'invalid_request_error', param } }]);
      }
      const events = [meterEvent({ identifier: 'mixed-1' }), bad[0]![0], meterEvent({ identifier: 'mixed-2' })];
      expect((await post('/v2/billing/meter_event_stream', { events })).status).toBe(400);
      expect(await rowsLike('stripe:mixed-')).toHaveLength(2);
      const unknown = await api.call('POST', '/v2/billing/meter_events', { key: 'sk_test_1', body: meterEvent() });
      expect([unknown.status, unknown.body]).toMatchObject([401, { error: { code: 'unauthenticated' } }]);
    });
  });

  describe('who may send', () => {
    const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
    const bodyOf = (id: string) => [litellmPayload(id)];
    const keyOf = async (source_id: string, unsigned_doors: boolean) => {
      await createSource(api.pool, api.deps.encryptionKey, { source_id, secret, unsigned_doors });
      return createApiKey(api.pool, { role: 'service', name: source_id, source_id });
    };

    it('a source with a secret signs at the doors too, unless it may send unsigned there', async () => {
      const strict = await keyOf('strict', false);
      expectProblem(await post('/v1/doors/litellm', bodyOf('w1'), {}, strict), 401, 'invalid_signature');
      const text = JSON.stringify(bodyOf('w2'));
      const signature = signRequest({ secret, id: 'msg_1', timestamp: api.clock.now / 1_000, body: text });
      expect((await post('/v1/doors/litellm', text, { ...signature }, strict)).status).toBe(200);

      const gateway = await keyOf('gateway', true);
      expect((await post('/v1/doors/litellm', bodyOf('w3'), {}, gateway)).status).toBe(200);
      // A signature that is there is checked; and its own events are signed whatever the doors allow.
      expectProblem(await post('/v1/doors/litellm', bodyOf('w4'), { ...signature }, gateway), 401, 'invalid_signature');
      expectProblem(await post('/v1/usage', { events: [] }, {}, gateway), 401, 'invalid_signature');
      expect(await trail('litellm:w3')).toMatchObject({ received: { source: 'gateway' } });
    });

    it('nobody without a service key', async () => {
      for (const path of ['/v1/doors/litellm', '/v1/doors/openrouter', '/v1/doors/cloudevents', '/v1/traces']) {
        expectProblem(await post(path, [], {}, api.keys.ops), 403, 'forbidden');
        expectProblem(await api.call('POST', path, { key: null, body: [] }), 401, 'unauthenticated');
      }
    });
  });

  it('takes gzip at every door', async () => {
    const body = gzipSync(JSON.stringify(exportRequest([genAiSpan('ddddddddddddddd1')])));
    expect((await post('/v1/traces', body, { 'content-encoding': 'gzip' })).body).toEqual({});
    expect((await rowsLike('otel:')).map(({ event_id }) => event_id).join()).toContain('ddddddddddddddd1');
  });
});
