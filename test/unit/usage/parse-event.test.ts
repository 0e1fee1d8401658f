import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { METERS } from '../../../src/contracts/meters.js';
import { USAGE_FORMATS, usageEventSchema } from '../../../src/contracts/usage-event.js';
import { parseUsageEvent } from '../../../src/usage/parse-event.js';

const minimal = {
  event_id: 'evt_1',
  customer_id: 'acme',
  model_id: 'claude-sonnet-4-5-20250929',
  occurred_at: '2026-11-03T11:58:00Z',
  usage: { input_tokens: 1_200 },
};
const full = {
  ...minimal,
  provider: 'anthropic',
  usage: { input_tokens: 1_200, cache_read_tokens: 800, output_tokens: 310, browser_seconds: '12.5' },
  request_id: 'req_1',
  subscription_item_id: 'si_1',
  feature: 'report',
  action_id: 'run_42',
  region: 'eu',
  service_tier: 'standard',
  features: ['long_context'],
  dimensions: { team: 'search' },
  reported_cost: { amount: '0.0123', currency: 'usd' },
  reservation_id: 'rsv_1',
  signature: `v1,${'A'.repeat(43)}=`,
};
const { usage: _usage, ...withoutUsage } = minimal;
const provided = (usage: unknown) => ({ ...withoutUsage, provider_usage: { format: 'openai.chat', usage } });
const rejection = (value: unknown) => {
  const parsed = parseUsageEvent(value, 'events[3]');
  if ('event' in parsed) throw new Error('was accepted');
  return parsed.rejected;
};

describe('what is accepted', () => {
  test.each([
    ['the smallest event', minimal],
    ['an event with every field', full],
    ['an event without quantities', { ...minimal, usage: {} }],
    ['a zero', { ...minimal, usage: { input_tokens: 0 } }],
    ['the largest quantity', { ...minimal, usage: { input_tokens: Number.MAX_SAFE_INTEGER } }],
    ['a meter nobody has heard of', { ...minimal, usage: { hologram_minutes: 3 } }],
    ['a meter nobody has heard of, with a fraction', { ...minimal, usage: { hologram_minutes: '1.5' } }],
    ['usage under a provider key of the customer', { ...minimal, paid_by: 'customer' }],
    ['counts of a provider that nobody has heard of', provided({ prompt_tokens: 1, novel_tokens: 2, novel_time: 0.5 })],
    [
      'labels of a provider',
      provided({ prompt_tokens: 1, service_tier: 'default', novel_details: { model: 'a/b:c' } }),
    ],
    ['labels in any script', { ...minimal, feature: 'レポート 🎉', dimensions: { team: 'Zürich' } }],
    ['members that are undefined', { ...minimal, provider: undefined, signature: undefined }],
  ])('%s', (_what, event) => {
    expect(parseUsageEvent(event, 'events[0]')).toEqual({ event });
  });

  test('the event is handed on as it came: nothing is copied, cut or filled in', () => {
    const parsed = parseUsageEvent(full, 'events[0]');
    expect('event' in parsed && parsed.event).toBe(full);
  });
});

describe('what is refused, and the field it is refused for', () => {
  const long = 'x'.repeat(129);
  test.each<[string, unknown]>([
    ['events[3]', null],
    ['events[3]', [minimal]],
    ['events[3]', 'an event'],
    ['events[3].event_id', { ...minimal, event_id: undefined }],
    ['events[3].customer_id', { ...minimal, customer_id: 'a b' }],
    ['events[3].event_id', { ...minimal, event_id: long }],
    ['events[3].event_id', { ...minimal, event_id: 'a\u0000b' }],
    ['events[3].model_id', { ...minimal, model_id: '' }],
    ['events[3].occurred_at', { ...minimal, occurred_at: '2026-11-03 11:58:00Z' }],
    ['events[3].occurred_at', { ...minimal, occurred_at: 1_793_707_080 }],
    ['events[3].usage', withoutUsage],
    ['events[3].usage', { ...provided({ prompt_tokens: 1 }), usage: {} }],
    ['events[3].usage', { ...minimal, usage: [] }],
    ['events[3].usage.input_tokens', { ...minimal, usage: { input_tokens: 1.5 } }],
    ['events[3].usage.input_tokens', { ...minimal, usage: { input_tokens: -1 } }],
    ['events[3].usage.input_tokens', { ...minimal, usage: { input_tokens: 2 ** 53 } }],
    ['events[3].usage.input_tokens', { ...minimal, usage: { input_tokens: '12' } }],
    ['events[3].usage.input_tokens', { ...minimal, usage: { input_tokens: null } }],
    ['events[3].usage.browser_seconds', { ...minimal, usage: { browser_seconds: 1.5 } }],
    ['events[3].usage.browser_seconds', { ...minimal, usage: { browser_seconds: '-1.5' } }],
    ['events[3].usage.browser_seconds', { ...minimal, usage: { browser_seconds: '1e3' } }],
    ['events[3].usage.hologram_minutes', { ...minimal, usage: { hologram_minutes: 1.5 } }],
    ['events[3].paid_by', { ...minimal, paid_by: 'someone' }],
    ['events[3].usage.Input', { ...minimal, usage: { Input: 1 } }],
    ['events[3].usage', { ...minimal, usage: Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`m${i}`, 1])) }],
    ['events[3].feature', { ...minimal, feature: 'a\u0000b' }],
    ['events[3].feature', { ...minimal, feature: 'two\nlines' }],
    ['events[3].feature', { ...minimal, feature: '\ud800' }],
    ['events[3].feature', { ...minimal, feature: long }],
    ['events[3].features[1]', { ...minimal, features: ['a', ''] }],
    ['events[3].features', { ...minimal, features: Array.from({ length: 17 }, () => 'a') }],
    ['events[3].dimensions.team', { ...minimal, dimensions: { team: 7 } }],
    ['events[3].dimensions.*', { ...minimal, dimensions: { 'a b': 'c' } }],
    ['events[3].dimensions.__proto__', { ...minimal, dimensions: JSON.parse('{"__proto__": "x"}') }],
    ['events[3].reported_cost.amount', { ...minimal, reported_cost: { amount: 0.0123, currency: 'usd' } }],
    ['events[3].reported_cost.currency', { ...minimal, reported_cost: { amount: '1' } }],
    ['events[3].reported_cost.note', { ...minimal, reported_cost: { amount: '1', currency: 'usd', note: 'x' } }],
    ['events[3].signature', { ...minimal, signature: 'v1,short' }],
    ['events[3].provider_usage.format', { ...withoutUsage, provider_usage: { format: 'openai', usage: {} } }],
    ['events[3].provider_usage.usage', { ...withoutUsage, provider_usage: { format: 'cohere' } }],
    ['events[3].provider_usage.usage', provided([1])],
    ['events[3].provider_usage.raw', { ...withoutUsage, provider_usage: { format: 'cohere', usage: {}, raw: {} } }],
    ['events[3].messages', { ...minimal, messages: [] }],
    ['events[3].__proto__', JSON.parse(JSON.stringify(minimal).replace('{', '{"__proto__": {"a": 1}, '))],
  ])('%s', (field, event) => {
    expect(rejection(event).field).toBe(field);
  });

  test.each(['tell me a secret', `\u0007${'é'.repeat(500)}`, 'a'.repeat(500)])(
    'a key that is no name is not shown',
    (key) => {
      expect(rejection({ ...minimal, [key]: 1 }).field).toBe('events[3].*');
    },
  );
});

describe('no prompt gets in with a provider usage object (invariant 6)', () => {
  test.each<[string, unknown]>([
    ['.content', { prompt_tokens: 1, content: 'What is the capital?' }],
    ['.prompt', { prompt: 'What is the capital?' }],
    ['.prompt', { prompt: 1 }],
    ['.messages', { messages: [{ role: 'user' }] }],
    ['.completion_tokens_details.text', { completion_tokens_details: { text: 'Paris' } }],
    ['.note', { note: 'short' }],
    ['.service_tier', { service_tier: 'What is the capital?' }],
    ['.service_tier', { service_tier: 'x'.repeat(65) }],
    ['.iterations[1].type', { iterations: [{ type: 'message' }, { type: 'a text' }] }],
    ['.tags[0]', { tags: ['Paris'] }],
    ['.*', { 'What is the capital?': 1 }],
    ['.a.b.c.d.e', { a: { b: { c: { d: { e: { f: 1 } } } } } }],
  ])('%s', (field, usage) => {
    expect(rejection(provided(usage)).field).toBe(`events[3].provider_usage.usage${field}`);
  });

  test('more values than any usage object has are refused', () => {
    const { reason } = rejection(provided({ tokens: Array.from({ length: 600 }, (_, i) => i) }));
    expect(reason).toBe('must hold at most 512 values');
  });
});

const mutated = fc
  .tuple(
    fc.constantFrom(...Object.keys(full), 'provider_usage', 'surprise'),
    fc.oneof(
      fc.jsonValue(),
      fc.string({ unit: 'binary' }),
      fc.constantFrom('', 'x'.repeat(200), 'a b', '1.5', '2026-11-03T11:58:00+02:00', 'usd'),
      fc.dictionary(
        fc.constantFrom(...Object.keys(METERS), 'Bad'),
        fc.oneof(fc.integer(), fc.constantFrom('1.5', 'x')),
      ),
      fc.record({ format: fc.constantFrom(...USAGE_FORMATS, 'other'), usage: fc.dictionary(fc.string(), fc.nat()) }),
    ),
  )
  .map(([key, value]) => ({ ...full, [key]: value }));

test('what is accepted fits the published schema, and what the schema refuses is refused', () => {
  let accepted = 0;
  fc.assert(
    fc.property(mutated, (event) => {
      const parsed = parseUsageEvent(event, 'event');
      const bySchema = usageEventSchema.safeParse(event).success;
      if ('event' in parsed) accepted++;
      return !('event' in parsed) || bySchema;
    }),
    { numRuns: 3_000 },
  );
  expect(accepted).toBeGreaterThan(100);
});

test('a refusal holds nothing of what was sent', () => {
  const secret = 'zebra7crossing';
  const hostile = fc
    .tuple(fc.constantFrom(...Object.keys(full), 'provider_usage'), fc.constantFrom('', ' ', '\n', '\u0000'))
    .map(([key, end]) => ({ ...full, [key]: { nested: `${secret}${end}`, list: [secret], prompt: secret } }));
  fc.assert(
    fc.property(hostile, (event) => {
      const { field, reason } = rejection(event);
      return !field.includes(secret) && !reason.includes(secret);
    }),
  );
});
