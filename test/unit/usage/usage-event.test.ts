import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ReceivedUsageEvent } from '../../../src/contracts/usage-event.js';
import { eventTimeMs } from '../../../src/usage/event-time.js';
import { parseUsageEvent } from '../../../src/usage/parse-event.js';
import { toUsageEvent } from '../../../src/usage/usage-event.js';

const NO_SOURCE = { source_id: null, default_provider: null };
const received: ReceivedUsageEvent = {
  event_id: 'evt_1',
  customer_id: 'acme',
  model_id: 'gpt-5-mini',
  occurred_at: '2026-11-03T11:58:00.25Z',
  usage: { output_tokens: 310, input_tokens: 1_200 },
};
const { usage: _usage, ...withoutUsage } = received;

describe('times are floored to the millisecond', () => {
  test.each([
    ['2026-11-03T11:59:59.9999Z', '2026-11-03T11:59:59.999Z'],
    ['2026-11-03T11:59:59.999999999Z', '2026-11-03T11:59:59.999Z'],
    ['2026-11-03T12:00:00.0009Z', '2026-11-03T12:00:00.000Z'],
    ['2026-11-03T12:00:00.1Z', '2026-11-03T12:00:00.100Z'],
    ['2026-11-03T12:00:00Z', '2026-11-03T12:00:00.000Z'],
    ['2026-11-03T12:00:00+05:45', '2026-11-03T06:15:00.000Z'],
    ['2026-11-03T23:30:00.9999-01:00', '2026-11-04T00:30:00.999Z'],
    ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00.000Z'],
    ['2000-01-01T00:00:00Z', '2000-01-01T00:00:00.000Z'],
    ['2100-12-31T23:59:59.999Z', '2100-12-31T23:59:59.999Z'],
  ])('%s is %s', (text, instant) => {
    expect(new Date(eventTimeMs(text)!).toISOString()).toBe(instant);
  });

  test.each([
    '2026-11-03T11:59:60Z',
    '2016-12-31T23:59:60Z',
    '2026-02-29T00:00:00Z',
    '2026-04-31T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-11-03T24:00:00Z',
    '2026-11-03T12:00:00',
    '2026-11-03T12:00Z',
    '2026-11-03T12:00:00.Z',
    '2026-11-03T12:00:00+0100',
    '2026-11-03T12:00:00+24:00',
    '2026-11-03',
    '20261103T120000Z',
    '+002026-11-03T12:00:00Z',
    '1999-12-31T23:59:59Z',
    '2000-01-01T00:00:00+00:01',
    '2101-01-01T00:00:00Z',
    '2026-11-03T12:00:00Z\n',
    '',
  ])('%j is refused', (text) => {
    expect(eventTimeMs(text)).toBeNull();
  });

  test('every instant of these years reads back as itself, whatever its zone', () => {
    const zone = fc.integer({ min: -23 * 60 - 59, max: 23 * 60 + 59 });
    const instant = fc.date({
      min: new Date('2000-01-02T00:00:00Z'),
      max: new Date('2100-12-30T00:00:00Z'),
      noInvalidDate: true,
    });
    fc.assert(
      fc.property(instant, zone, (date, minutes) => {
        const local = new Date(date.getTime() + minutes * 60_000).toISOString().slice(0, -1);
        const two = (n: number) => String(n).padStart(2, '0');
        const offset = `${minutes < 0 ? '-' : '+'}${two(Math.floor(Math.abs(minutes) / 60))}:${two(Math.abs(minutes) % 60)}`;
        return eventTimeMs(local + offset) === date.getTime() && eventTimeMs(`${local}9${offset}`) === date.getTime();
      }),
    );
  });
});

describe('what the ledger appends', () => {
  test('an event with its own meters', () => {
    const event = toUsageEvent(received, { source_id: 'gateway', default_provider: 'azure' });
    expect(event).toEqual({
      event_id: 'evt_1',
      customer_id: 'acme',
      source_id: 'gateway',
      provider: null,
      provider_hint: 'azure',
      model_id: 'gpt-5-mini',
      occurred_at_ms: Date.UTC(2026, 10, 3, 11, 58, 0, 250),
      usage: { input_tokens: 1_200, output_tokens: 310 },
      held_reason: null,
      info: null,
      feature: null,
      subscription_item_id: null,
      action_id: null,
      region: null,
      service_tier: null,
      paid_by: null,
      reported_cost: null,
      dimensions: null,
      request_id: null,
      signature: null,
      marks: null,
      payload:
        '{"customer_id":"acme","event_id":"evt_1","model_id":"gpt-5-mini","occurred_at":"2026-11-03T11:58:00.25Z","usage":{"input_tokens":1200,"output_tokens":310}}',
      payload_hash: createHash('sha256').update(event.payload).digest(),
    });
  });

  test('zeros are dropped from the meters, and stay in the payload', () => {
    const usage = { input_tokens: 0, browser_seconds: '0.000', compute_seconds: '0.001', output_tokens: 1 };
    const event = toUsageEvent({ ...received, usage }, NO_SOURCE);
    expect(event.usage).toEqual({ compute_seconds: '0.001', output_tokens: 1 });
    expect(event.payload).toContain('"browser_seconds":"0.000"');
  });

  test('the payload does not depend on the order of keys or on the signature', () => {
    const turned = Object.fromEntries(Object.entries(received).reverse()) as ReceivedUsageEvent;
    const signed = { ...turned, signature: `v1,${'A'.repeat(43)}=` };
    expect(toUsageEvent(signed, NO_SOURCE).payload).toBe(toUsageEvent(received, NO_SOURCE).payload);
    expect(toUsageEvent(signed, NO_SOURCE).signature).toBe(signed.signature);
  });

  test("a provider's usage object is normalised, and hints at the owner of its format", () => {
    const event = toUsageEvent(
      {
        ...withoutUsage,
        provider_usage: {
          format: 'anthropic.messages',
          usage: {
            input_tokens: 4,
            cache_read_input_tokens: 9,
            output_tokens: 7,
            output_tokens_details: { thinking_tokens: 5 },
            service_tier: 'batch',
          },
        },
      },
      NO_SOURCE,
    );
    expect(event).toMatchObject({
      usage: { input_tokens: 4, cache_read_tokens: 9, output_tokens: 7 },
      info: { reasoning_tokens: 5 },
      provider: null,
      provider_hint: 'anthropic',
      service_tier: 'batch',
    });
  });

  test("the event's own service tier and the source's provider come before what the usage says", () => {
    const usage = { input_tokens: 4, output_tokens: 7, service_tier: 'batch' };
    const event = toUsageEvent(
      { ...withoutUsage, service_tier: 'priority', provider_usage: { format: 'anthropic.messages', usage } },
      { source_id: 's', default_provider: 'aws' },
    );
    expect(event).toMatchObject({ service_tier: 'priority', provider_hint: 'aws' });
  });

  test('the region is the one that the provider says, unless the event says another', () => {
    const usage = { input_tokens: 4, output_tokens: 7, inference_geo: 'us' };
    const event = { ...withoutUsage, provider_usage: { format: 'anthropic.messages', usage } } as const;
    expect(toUsageEvent(event, NO_SOURCE).region).toBe('us');
    expect(toUsageEvent({ ...event, region: 'eu' }, NO_SOURCE).region).toBe('eu');
  });

  test("who paid, and what it is said to have cost, are the event's own words before those of its usage", () => {
    const usage = { prompt_tokens: 5, completion_tokens: 1, total_tokens: 6, cost: 0.01, is_byok: true };
    const provided = { ...withoutUsage, provider_usage: { format: 'openai.chat' as const, usage } };
    const own = { amount: '0.02', currency: 'eur' };
    expect(toUsageEvent(received, NO_SOURCE)).toMatchObject({ paid_by: null, reported_cost: null });
    expect(toUsageEvent({ ...received, paid_by: 'us' }, NO_SOURCE).paid_by).toBeNull();
    expect(toUsageEvent({ ...received, paid_by: 'customer' }, NO_SOURCE).paid_by).toBe('customer');
    expect(toUsageEvent(received, NO_SOURCE, ['byok']).paid_by).toBe('customer');
    expect(toUsageEvent(provided, NO_SOURCE)).toMatchObject({
      paid_by: 'customer',
      reported_cost: { amount: '0.01', currency: 'usd' },
    });
    const outspoken = { ...provided, paid_by: 'us' as const, reported_cost: own };
    expect(toUsageEvent(outspoken, NO_SOURCE)).toMatchObject({ paid_by: null, reported_cost: own });
  });

  test('impossible counts are kept and say why; they are never priced at zero', () => {
    const usage = { prompt_tokens: 5, prompt_tokens_details: { cached_tokens: 6 } };
    const event = toUsageEvent({ ...withoutUsage, provider_usage: { format: 'openai.chat', usage } }, NO_SOURCE);
    expect(event.usage).toBeNull();
    expect(event.held_reason).toBe('cached and written tokens is larger than prompt_tokens');
    expect(event.payload).toContain('"cached_tokens":6');
  });

  test('usage that names another model belongs to that model only', () => {
    const iterations = [{ type: 'advisor_message', model: 'claude-opus-4-8', input_tokens: 3, output_tokens: 2 }];
    const usage = { input_tokens: 1, output_tokens: 1, iterations };
    const of = (model_id: string) =>
      toUsageEvent({ ...withoutUsage, model_id, provider_usage: { format: 'anthropic.messages', usage } }, NO_SOURCE);
    expect(of('claude-sonnet-5')).toMatchObject({ usage: null, held_reason: expect.stringContaining('another model') });
    expect(of('claude-opus-4-8')).toMatchObject({ usage: { input_tokens: 4, output_tokens: 3 } });
  });
});

describe('the format of a provider usage that names none', () => {
  const event = (usage: Record<string, unknown>) => ({ ...withoutUsage, provider_usage: { usage } });

  test('is told from its shape, like that of one that names it', () => {
    const usage = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 };
    const parsed = parseUsageEvent(event(usage), 'event');
    if ('rejected' in parsed) throw new Error(parsed.rejected.reason);
    const told = toUsageEvent(parsed.event, NO_SOURCE);
    const named = toUsageEvent({ ...withoutUsage, provider_usage: { format: 'openai.chat', usage } }, NO_SOURCE);
    expect(told.usage).toEqual({ input_tokens: 10, output_tokens: 5 });
    expect({ ...told, payload: '', payload_hash: '' }).toEqual({ ...named, payload: '', payload_hash: '' });
  });

  test.each([[{ input_tokens: 1, output_tokens: 1 }], [{ inputTokens: 1, outputTokens: 1, totalTokens: 2 }], [{}]])(
    'is refused where it could be another: %j',
    (usage) => {
      expect(parseUsageEvent(event(usage), 'event')).toEqual({
        rejected: { field: 'event.provider_usage.format', reason: expect.stringContaining('more than one format') },
      });
    },
  );
});
