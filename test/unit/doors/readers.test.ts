import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { usageEventSchema } from '../../../src/contracts/usage-event.js';
import { cloudEventOfHeaders, readCloudEvent } from '../../../src/doors/cloud-events.js';
import { type DoorEntry, foreignEventId, hashedEventId } from '../../../src/doors/door.js';
import { readLitellmBody, readLitellmPayload } from '../../../src/doors/litellm.js';
import { readOpenrouterCalls } from '../../../src/doors/openrouter.js';
import { readSpans } from '../../../src/doors/otlp-spans.js';
import { readTraceSpan } from '../../../src/doors/otlp-traces.js';
import { catalogProvider } from '../../../src/doors/provider-names.js';
import { meterEventUsage, readMeterEvent, readMeterForm } from '../../../src/doors/stripe-meter-events.js';
import { readVercelCalls } from '../../../src/doors/vercel-ai-gateway.js';
import {
  exportRequest,
  genAiSpan,
  litellmPayload,
  openrouterBroadcast,
  openrouterResponse,
  vercelCall,
} from '../../support/doors.js';

const READERS: Record<string, { read: (value: unknown) => DoorEntry[]; sample: unknown }> = {
  openrouter: {
    read: readOpenrouterCalls,
    sample: { calls: [{ customer_id: 'acme', response: openrouterResponse('gen-1') }] },
  },
  vercel: { read: readVercelCalls, sample: { calls: [vercelCall('gen_1')] } },
  litellm: { read: (value) => [readLitellmPayload(value, 0)], sample: litellmPayload('call-1') },
  cloudevents: {
    read: (value) => [readCloudEvent(value, 'event')],
    sample: { specversion: '1.0', type: 'costplus.usage', source: 's', id: '1', data: { model_id: 'm', usage: {} } },
  },
  opentelemetry: {
    read: (value) => (readSpans(value) ?? []).map(readTraceSpan),
    sample: exportRequest([genAiSpan('00f067aa0ba902b7')]),
  },
  broadcast: { read: (value) => (readSpans(value) ?? []).map(readTraceSpan), sample: openrouterBroadcast('gen-1') },
  stripe: {
    read: (value) => {
      const event = readMeterEvent(value);
      return 'event_name' in event ? [meterEventUsage(event, 'acme', 'key', 0)] : [];
    },
    sample: {
      event_name: 'token-billing-tokens',
      payload: { stripe_customer_id: 'cus_1', value: '7', model: 'openai/gpt-5', token_type: 'output' },
    },
  },
};
const FIELDS = new Set(Object.keys(usageEventSchema.shape));

/** Payloads like the sample: one member of it, wherever it stands, is something else. */
function mutations(sample: unknown): fc.Arbitrary<unknown> {
  const paths: (string | number)[][] = [];
  const walk = (value: unknown, path: (string | number)[]): void => {
    paths.push(path);
    if (typeof value !== 'object' || value === null) return;
    for (const key of Object.keys(value)) walk((value as Record<string, unknown>)[key], [...path, key]);
  };
  walk(sample, []);
  return fc.tuple(fc.constantFrom(...paths), fc.option(fc.jsonValue(), { nil: undefined })).map(([path, value]) => {
    if (path.length === 0) return value;
    const copy = structuredClone(sample) as Record<string, unknown>;
    const parent = path
      .slice(0, -1)
      .reduce<Record<string, unknown>>((at, key) => at[key] as Record<string, unknown>, copy);
    parent[String(path.at(-1))] = value;
    return copy;
  });
}

describe.each(Object.entries(READERS))('the door of %s', (name, { read, sample }) => {
  test('builds an event of its sample', () => {
    const entries = read(sample).filter((entry) => 'event' in entry);
    expect(entries.length).toBeGreaterThan(0);
  });

  test('reads anything without failing, and builds only what an event has', () => {
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), mutations(sample)), (value) => {
        for (const entry of read(value)) {
          // The data of a CloudEvent is an event as its sender wrote it; whoever appends it checks it.
          if ('event' in entry && name !== 'cloudevents') {
            expect(Object.keys(entry.event).filter((key) => !FIELDS.has(key))).toEqual([]);
          }
        }
      }),
      { numRuns: 400 },
    );
  });

  test('builds the same event of the same payload', () => {
    expect(read(structuredClone(sample))).toEqual(read(sample));
  });
});

describe('ids of foreign payloads', () => {
  test('stand as they are where they have the form of ids', () => {
    expect(foreignEventId('litellm', 'chatcmpl-1.a_b')).toBe('litellm:chatcmpl-1.a_b');
    expect(foreignEventId('otel', 'aa', 'bb')).toBe('otel:aa:bb');
  });

  test('are hashed where they do not, and never run together', () => {
    for (const id of ['with space', 'a:b', '', 'x'.repeat(129), 'ünïcode']) {
      expect(foreignEventId('litellm', id)).toMatch(/^litellm:sha256-[0-9a-f]{64}$/);
    }
    const id = fc.string();
    fc.assert(
      fc.property(id, id, id, id, (a, b, c, d) => {
        const same = a === c && b === d;
        expect(hashedEventId('door', a, b) === hashedEventId('door', c, d)).toBe(same);
        expect(foreignEventId('door', a, b) === foreignEventId('door', c, d)).toBe(same);
        expect(usageEventSchema.shape.event_id.safeParse(foreignEventId('door', a, b)).success).toBe(true);
      }),
    );
  });
});

describe('details of doors', () => {
  test('headers of a binary CloudEvent are decoded, whatever is wrong with them', () => {
    expect(
      cloudEventOfHeaders({ 'ce-id': 'caf%C3%A9', 'ce-source': '%zz', accept: 'x', 'ce-time': undefined }, 1),
    ).toEqual({
      id: 'café',
      source: '%zz',
      data: 1,
    });
  });

  test('a LiteLLM body is an array, an object, or an object a line', () => {
    const bytes = (text: string) => Buffer.from(text);
    expect(readLitellmBody(bytes('[{"id": "a"}, {"id": "b"}]'))).toEqual([{ id: 'a' }, { id: 'b' }]);
    expect(readLitellmBody(bytes('{\n"id": "a"\n}'))).toEqual([{ id: 'a' }]);
    expect(readLitellmBody(bytes('{"id": "a"}\n\n{"id": "b"}\n'))).toEqual([{ id: 'a' }, { id: 'b' }]);
    expect(() => readLitellmBody(bytes('{"id": "a"}\nno'))).toThrow('not valid JSON');
    expect(() => readLitellmBody(bytes('{"id": "a"'))).toThrow('not valid JSON');
  });

  test("Vercel's cost is the market's where free credits paid", () => {
    const costOf = (gateway: object) => {
      const call = vercelCall('gen_1');
      const [entry] = readVercelCalls({
        ...call,
        providerMetadata: { gateway: { ...call.providerMetadata.gateway, ...gateway } },
      });
      return entry !== undefined && 'event' in entry ? entry.event.reported_cost : entry;
    };
    expect(costOf({ cost: '0.01', marketCost: '0.02' })).toEqual({ amount: '0.01', currency: 'usd' });
    expect(costOf({ cost: '0', marketCost: '0.02' })).toEqual({ amount: '0.02', currency: 'usd' });
    expect(costOf({ cost: '-1', marketCost: undefined })).toBeUndefined();
  });

  test('a form of Stripe has each parameter once', () => {
    expect(readMeterForm('event_name=x&payload[value]=1&payload%5Bmodel%5D=a%2Fb')).toEqual({
      event_name: 'x',
      payload: { value: '1', model: 'a/b' },
    });
    expect(readMeterForm('event_name=x&event_name=y')).toBeNull();
    expect(readMeterForm('payload[value]=1&payload[value]=2')).toBeNull();
  });

  test('providers are known by the names that each door has for them', () => {
    expect(
      ['bedrock', 'aws.bedrock', 'vertex_ai', 'gcp.gemini', 'xai', 'x_ai', 'anthropic', 'own'].map(catalogProvider),
    ).toEqual(['aws', 'aws', 'google', 'google', 'x-ai', 'x-ai', 'anthropic', 'own']);
  });
});
