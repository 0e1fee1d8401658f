import { createHmac, randomBytes } from 'node:crypto';
import * as fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { describe, expect, test } from 'vitest';
import type { ReceivedUsageEvent } from '../../../src/contracts/usage-event.js';
import { CostplusError } from '../../../src/errors/error.js';
import { signEvent, verifyEventSignature } from '../../../src/usage/event-signature.js';
import { signingKey, signRequest, verifyRequest } from '../../../src/usage/request-signature.js';

const newSecret = () => `whsec_${randomBytes(32).toString('base64')}`;

describe("an event's own signature", () => {
  const key = randomBytes(32);
  const event: ReceivedUsageEvent = {
    event_id: 'evt_1',
    customer_id: 'acme',
    model_id: 'gpt-5-mini',
    occurred_at: '2026-11-03T11:58:00Z',
    usage: { output_tokens: 310, input_tokens: 1_200 },
    dimensions: { team: 'Zürich' },
  };
  const signed = { ...event, signature: signEvent(event, key) };

  test('is the HMAC of the RFC 8785 form without the signature', () => {
    const form =
      '{"customer_id":"acme","dimensions":{"team":"Zürich"},"event_id":"evt_1","model_id":"gpt-5-mini","occurred_at":"2026-11-03T11:58:00Z","usage":{"input_tokens":1200,"output_tokens":310}}';
    expect(signed.signature).toBe(`v1,${createHmac('sha256', key).update(form).digest('base64')}`);
    expect(signEvent(signed, key)).toBe(signed.signature);
  });

  test('holds for the event in any order of keys, with any of the secrets of a rotation', () => {
    const turned = Object.fromEntries(Object.entries(signed).reverse()) as ReceivedUsageEvent;
    expect(verifyEventSignature(turned, [randomBytes(32), key, randomBytes(32)])).toBe(true);
  });

  test('breaks when anything is changed', () => {
    const change = fc.constantFrom<Partial<ReceivedUsageEvent>>(
      { event_id: 'evt_2' },
      { usage: { output_tokens: 310, input_tokens: 1_201 } },
      { usage: { output_tokens: 310 } },
      { occurred_at: '2026-11-03T11:58:00.0Z' },
      { dimensions: { team: 'Zurich' } },
      { feature: 'report' },
    );
    fc.assert(fc.property(change, (changed) => !verifyEventSignature({ ...signed, ...changed }, [key])));
  });

  test('does not hold for another secret, without secrets, or when there is none', () => {
    expect(verifyEventSignature(signed, [randomBytes(32)])).toBe(false);
    expect(verifyEventSignature(signed, [])).toBe(false);
    expect(verifyEventSignature(event, [key])).toBe(false);
  });
});

describe('signed requests (Standard Webhooks)', () => {
  const now = Date.UTC(2026, 10, 3, 12, 0, 0);
  const timestamp = now / 1000;
  const secret = newSecret();
  const body = Buffer.from('{"events":[]}');
  const headers = signRequest({ secret, id: 'msg_1', timestamp, body });
  const verify = (changes: Partial<Parameters<typeof verifyRequest>[0]>) =>
    verifyRequest({ secrets: [secret], headers: { ...headers }, body, now, ...changes });
  const refused = (changes: Partial<Parameters<typeof verifyRequest>[0]>, field: string) => {
    try {
      verify(changes);
    } catch (error) {
      expect(error).toBeInstanceOf(CostplusError);
      expect(error).toMatchObject({ code: 'invalid_signature', field, status: 401 });
      return;
    }
    throw new Error('was accepted');
  };

  test('the test vector of the specification', () => {
    const vector = signRequest({
      secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
      id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      timestamp: 1_614_265_330,
      body: '{"test": 2432232314}',
    });
    expect(vector['webhook-signature']).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=');
  });

  test("the specification's own package accepts what is signed here, and the other way round", () => {
    fc.assert(
      fc.property(fc.json(), fc.uuid(), fc.uint8Array({ minLength: 24, maxLength: 64 }), (json, id, bytes) => {
        const shared = `whsec_${Buffer.from(bytes).toString('base64')}`;
        const at = new Date();
        const theirs = new Webhook(shared);
        const request = { secret: shared, id, timestamp: Math.floor(at.getTime() / 1000), body: json };
        expect(theirs.verify(json, { ...signRequest(request) })).toEqual(JSON.parse(json));
        verifyRequest({
          secrets: [shared],
          headers: { ...signRequest(request), 'webhook-signature': theirs.sign(id, at, json) },
          body: Buffer.from(json),
        });
      }),
    );
  });

  test('holds with either secret of a rotation, and with one of several signatures', () => {
    const other = newSecret();
    verify({ secrets: [other, secret] });
    const theirs = signRequest({ secret: other, id: 'msg_1', timestamp, body })['webhook-signature'];
    const both = `v1a,unknown ${theirs} ${headers['webhook-signature']}`;
    verify({ headers: { ...headers, 'webhook-signature': both } });
  });

  test('the clock may differ by the tolerance and no second more', () => {
    verify({ now: now + 300_000 });
    verify({ now: now - 300_000 });
    refused({ now: now + 301_000 }, 'webhook-timestamp');
    refused({ now: now - 301_000 }, 'webhook-timestamp');
  });

  test('breaks when body, id, time or secret is another', () => {
    refused({ body: Buffer.from('{"events":[ ]}') }, 'webhook-signature');
    refused({ headers: { ...headers, 'webhook-id': 'msg_2' } }, 'webhook-signature');
    refused({ headers: { ...headers, 'webhook-timestamp': String(timestamp + 1) } }, 'webhook-signature');
    refused({ secrets: [newSecret()] }, 'webhook-signature');
    refused({ secrets: [] }, 'webhook-signature');
  });

  test.each([
    ['webhook-id', undefined],
    ['webhook-id', 'two words'],
    ['webhook-timestamp', undefined],
    ['webhook-timestamp', '1e9'],
    ['webhook-timestamp', `${timestamp}.5`],
    ['webhook-signature', undefined],
    ['webhook-signature', 'v1,'],
    ['webhook-signature', headers['webhook-signature'].replace('v1,', 'v2,')],
    ['webhook-signature', headers['webhook-signature'].slice(0, -4)],
    ['webhook-signature', Array.from({ length: 17 }, () => headers['webhook-signature']).join(' ')],
  ] as const)('%s %j is refused', (name, value) => {
    refused({ headers: { ...headers, [name]: value } }, name);
  });

  test('bytes are signed, not their text', () => {
    const bytes = Buffer.from([0x7b, 0xff, 0x7d]);
    const other = Buffer.from([0x7b, 0xfe, 0x7d]);
    const signedBytes = signRequest({ secret, id: 'msg_1', timestamp, body: bytes });
    verify({ headers: { ...signedBytes }, body: bytes });
    refused({ headers: { ...signedBytes }, body: other }, 'webhook-signature');
  });

  test('a secret in another notation is refused without being shown', () => {
    for (const wrong of ['', 'whsec_', 'hush', 'whsec_???', 'sk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw']) {
      expect(() => signingKey(wrong)).toThrow('a signing secret is written whsec_<base64>');
    }
  });
});
