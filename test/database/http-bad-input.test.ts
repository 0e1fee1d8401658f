import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EventResult } from '../../src/contracts/usage-event.js';
import { createApiKey } from '../../src/http/api-keys.js';
import { EVENTS_PER_REQUEST_COUNT, JSON_DEPTH_LEVELS, REQUEST_BODY_BYTES } from '../../src/limits.js';
import { createSource } from '../../src/sources/sources.js';
import { signRequest } from '../../src/usage/request-signature.js';
import { exportRequest, genAiSpan } from '../support/doors.js';
import {
  type Answer,
  expectProblem,
  makeCustomer,
  publishTestCatalog,
  startTestApi,
  type TestApi,
  usageEvent,
} from '../support/http.js';

const SECRET_TEXT = 'what nobody may keep';

/** The rows of the table in docs/reference/api.md: what comes in, and what is answered. */
const page = readFileSync(new URL('../../docs/reference/api.md', import.meta.url), 'utf8');
const documented = page
  .slice(page.indexOf('| input | answer |'), page.indexOf('Whole numbers may be written'))
  .split('\n')
  .filter((line) => line.startsWith('| '))
  .slice(1)
  .map((line) => line.split('|').map((cell) => cell.trim()))
  .map(([, input, answer]) => [input!, answer!] as const);

interface Sent {
  url?: string;
  body: unknown;
  headers?: Record<string, string>;
}
const GZIP = { 'content-encoding': 'gzip' };
const one = (more: Record<string, unknown>): Sent => ({ body: { events: [usageEvent('bad', more)] } });
/** An event with a quantity that JSON.stringify would not write. */
const withQuantity = (text: string): Sent => ({
  body: JSON.stringify({ events: [usageEvent('bad', { usage: { input_tokens: 0 } })] }).replace(
    '"input_tokens":0',
    `"input_tokens":${text}`,
  ),
});

const CASES: Record<string, Sent[]> = {
  'a key twice in one JSON object': [
    { body: '{"events": [], "events": []}' },
    { body: JSON.stringify({ events: [usageEvent('x')] }).replace('"event_id"', '"event_id": "y", "event_id"') },
    { url: '/v1/doors/litellm', body: '{"id": "a", "id": "b"}' },
    { url: '/v1/traces', body: '{"resourceSpans": [], "resourceSpans": []}' },
  ],
  'invalid UTF-8, or a byte order mark': [
    { body: Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]) },
    { body: Buffer.from('\ufeff{"events": []}') },
    { url: '/v1/doors/openrouter', body: Buffer.from([0x22, 0xc3, 0x28, 0x22]) },
  ],
  'no JSON, `NaN`': [{ body: `{"events": ["${SECRET_TEXT}` }, withQuantity('NaN'), { url: '/v1/traces', body: 'x' }],
  'JSON nested beyond 64 levels': [
    { body: `{"events": ${'['.repeat(JSON_DEPTH_LEVELS)}${']'.repeat(JSON_DEPTH_LEVELS)}}` },
  ],
  'more than 1,000 events': [{ body: { events: new Array(EVENTS_PER_REQUEST_COUNT + 1).fill({}) } }],
  'a body beyond the limit of its route': [{ body: Buffer.alloc(REQUEST_BODY_BYTES + 1, 32) }],
  'a gzip body that unpacks beyond the limit': [
    { body: gzipSync(Buffer.alloc(REQUEST_BODY_BYTES + 1, 32)), headers: GZIP },
    { url: '/v1/traces', body: gzipSync(Buffer.alloc(300 * 1024 * 1024)), headers: GZIP },
    // Members one after the other count as one body.
    { body: Buffer.concat([1, 2, 3].map(() => gzipSync(Buffer.alloc(REQUEST_BODY_BYTES / 2, 32)))), headers: GZIP },
  ],
  'a gzip body that is cut or broken': [
    { body: gzipSync('{"events": []}').subarray(0, 20), headers: GZIP },
    { body: '{"events": []}', headers: GZIP },
  ],
  'another content encoding': [{ body: '{}', headers: { 'content-encoding': 'br' } }],
  'another content type': [{ body: 'a,b', headers: { 'content-type': 'text/csv' } }],
  'an unknown key in an event': [one({ prompt: SECRET_TEXT }), one({ [SECRET_TEXT]: 1 })],
  'a text where a count stands': [one({ usage: { input_tokens: SECRET_TEXT } })],
  'a quantity of 2^53 or more': ['9007199254740992', '9007199254740993', '1e300', '1e400'].map(withQuantity),
  'a negative quantity': [withQuantity('-1'), withQuantity('-0.5')],
  'a fraction where the meter takes none': [withQuantity('1.5'), one({ usage: { input_tokens: '1.5' } })],
  'a fraction as a number where the meter takes one': [one({ usage: { browser_seconds: 1.5 } })],
  'a time without a zone': [one({ occurred_at: '2026-11-24T11:58:00' }), one({ occurred_at: '2026-11-24' })],
  'an id beyond 128 characters': [one({ action_id: 'x'.repeat(129) }), one({ customer_id: 'x'.repeat(129) })],
  'a meter whose name has another form': [one({ usage: { 'Input Tokens': 1 } })],
  'a meter that costplus does not know': [
    { body: { events: [usageEvent('unknown-meter', { usage: { dreams: 3 } })] } },
  ],
  'counts that cannot be true': [
    {
      body: {
        events: [
          usageEvent('impossible', {
            usage: undefined,
            provider_usage: {
              format: 'openai.chat',
              usage: { prompt_tokens: 1, completion_tokens: 1, prompt_tokens_details: { cached_tokens: 2 } },
            },
          }),
        ],
      },
    },
  ],
  'a time in the future': [one({ occurred_at: '2026-11-24T13:00:00Z' })],
  'a time before the age limit': [
    { body: { events: [usageEvent('old', { customer_id: 'old-one', occurred_at: '2026-01-01T00:00:00Z' })] } },
  ],
  'a bad span in an OTLP batch': [
    { url: '/v1/traces', body: exportRequest([genAiSpan('eeeeeeeeeeeeeee1'), genAiSpan('not hex')]) },
  ],
};

describe('bad input', () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startTestApi();
    await publishTestCatalog(api.pool);
    await makeCustomer(api);
  });
  afterAll(() => api.close());

  const send = ({ url = '/v1/usage', body, headers = {} }: Sent, key = api.keys.service) =>
    api.call('POST', url, { key, body, headers });

  it('has a case for every row of docs/reference/api.md, and a row for every case', () => {
    expect(documented.map(([input]) => input)).toEqual(Object.keys(CASES));
  });

  it.each(documented)('%s: %s', async (input, answer) => {
    for (const sent of CASES[input] ?? []) check(await send(sent), answer);
    expect(api.logs.join('')).not.toContain('nobody may keep');
  });

  function check(received: Answer, answer: string): void {
    expect(received.text).not.toContain('nobody may keep');
    const [problem, status, code] = /^(\d+) `(\w+)`$/.exec(answer) ?? [];
    if (problem) {
      expectProblem(received, Number(status), code!);
      return;
    }
    expect(received.status, received.text).toBe(200);
    const [result, eventStatus, reason] = /^that event `(\w+)`: `(\w+)`$/.exec(answer) ?? [];
    if (result) {
      const [event] = (received.body as { results: EventResult[] }).results;
      expect(event, received.text).toMatchObject({ status: eventStatus, reason });
      if (reason === 'invalid_event') expect(event!.field).toMatch(/^events\[0\]\./);
      return;
    }
    expect(answer).toContain('`partialSuccess` counts it');
    expect(received.body).toMatchObject({ partialSuccess: { rejectedSpans: '1' } });
  }

  it('takes a packed body, signed over the packed bytes', async () => {
    const secret = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;
    await createSource(api.pool, api.deps.encryptionKey, { source_id: 'packs', secret });
    const key = await createApiKey(api.pool, { role: 'service', name: 'packs', source_id: 'packs' });
    const body = gzipSync(JSON.stringify({ events: [usageEvent('packed')] }));
    const signature = signRequest({ secret, id: 'msg_1', timestamp: api.clock.now / 1_000, body });
    const answer = await send({ body, headers: { ...GZIP, ...signature } }, key);
    expect(answer.body).toEqual({ results: [{ event_id: 'packed', status: 'accepted' }] });
  });

  it('refuses a key that stands twice on the routes of finance too', async () => {
    const body = '{"plan_id": "twice", "currency": "usd", "rules": [{"markup": "0.1", "markup": "9"}]}';
    expectProblem(await api.call('POST', '/v1/plans', { body }), 400, 'invalid_request');
    expectProblem(await api.call('GET', '/v1/plans/twice'), 404, 'unknown_plan');
  });
});
