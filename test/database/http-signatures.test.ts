import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ReceivedUsageEvent } from '../../src/contracts/usage-event.js';
import { createApiKey } from '../../src/http/api-keys.js';
import { CREDENTIAL_CACHE_SECONDS, SIGNATURE_TOLERANCE_SECONDS } from '../../src/limits.js';
import { addSourceSecret, createSource } from '../../src/sources/sources.js';
import { signEvent } from '../../src/usage/event-signature.js';
import { signingKey, signRequest } from '../../src/usage/request-signature.js';
import {
  type Answer,
  expectProblem,
  makeCustomer,
  NOW,
  publishTestCatalog,
  startTestApi,
  type TestApi,
  usageEvent,
} from '../support/http.js';

const newSecret = () => `whsec_${randomBytes(32).toString('base64')}`;

describe('usage of a source with a signing secret', () => {
  const secret = newSecret();
  const otherSecret = newSecret();
  let api: TestApi;
  let key: string;
  let next = 0;

  beforeAll(async () => {
    api = await startTestApi();
    await publishTestCatalog(api.pool);
    await makeCustomer(api);
    await createSource(api.pool, api.deps.encryptionKey, { source_id: 'gateway', secret });
    await createSource(api.pool, api.deps.encryptionKey, { source_id: 'other', secret: otherSecret });
    key = await createApiKey(api.pool, { role: 'service', name: 'gateway', source_id: 'gateway' });
  });
  beforeEach(() => {
    api.clock.now = NOW;
  });
  afterAll(() => api.close());

  const bodyOf = (...events: unknown[]) => JSON.stringify({ events });
  const sign = (body: string, options: { with?: string; atMs?: number } = {}): Record<string, string> => ({
    ...signRequest({
      secret: options.with ?? secret,
      id: `msg_${++next}`,
      timestamp: Math.floor((options.atMs ?? api.clock.now) / 1_000),
      body,
    }),
  });
  const send = (body: string, headers: Record<string, string>, by = key) =>
    api.call('POST', '/v1/usage', { key: by, body, headers });
  const refusals = async () =>
    (
      await api.pool.query<{ actor: string; subject: string; detail: Record<string, unknown> }>(
        `SELECT actor, subject, detail FROM audit_log WHERE action = 'usage.signature_refused' ORDER BY audit_id`,
      )
    ).rows;

  /** The answer is 401, the audit log has one more row, and no event of the body is in the ledger. */
  async function expectRefused(answer: () => Promise<Answer>, eventId: string): Promise<void> {
    const before = (await refusals()).length;
    expectProblem(await answer(), 401, 'invalid_signature');
    const after = await refusals();
    expect(after).toHaveLength(before + 1);
    expect(after.at(-1)).toMatchObject({ actor: `key:${key.split('_')[2]}`, subject: 'source:gateway' });
    expect(JSON.stringify(after.at(-1))).not.toContain(eventId);
    const stored = await api.pool.query('SELECT FROM usage_events WHERE event_id = $1', [eventId]);
    expect(stored.rowCount).toBe(0);
  }

  it('is taken when the request is signed by the source', async () => {
    const body = bodyOf(usageEvent('signed'));
    const answer = await send(body, sign(body));
    expect(answer.body).toEqual({ results: [{ event_id: 'signed', status: 'accepted' }] });
    const stored = await api.pool.query(`SELECT source_id FROM usage_events WHERE event_id = 'signed'`);
    expect(stored.rows).toEqual([{ source_id: 'gateway' }]);
  });

  it('is refused without a signature', () => expectRefused(() => send(bodyOf(usageEvent('bare')), {}), 'bare'));

  it.each(['webhook-id', 'webhook-timestamp', 'webhook-signature'])('is refused without %s', async (name) => {
    const body = bodyOf(usageEvent('partial'));
    const { [name]: _left, ...headers } = sign(body);
    await expectRefused(() => send(body, headers), 'partial');
  });

  it('is refused when the body was changed after signing', async () => {
    const headers = sign(bodyOf(usageEvent('tampered')));
    const changed = bodyOf(usageEvent('tampered', { usage: { input_tokens: 1 } }));
    await expectRefused(() => send(changed, headers), 'tampered');
  });

  it('is refused when a taken request is replayed with another body', async () => {
    const body = bodyOf(usageEvent('replayed-1'));
    const headers = sign(body);
    expect((await send(body, headers)).status).toBe(200);
    await expectRefused(() => send(bodyOf(usageEvent('replayed-2')), headers), 'replayed-2');
  });

  it('adds nothing when a taken request is replayed as it was', async () => {
    const body = bodyOf(usageEvent('twice'));
    const headers = sign(body);
    await send(body, headers);
    expect((await send(body, headers)).body).toEqual({ results: [{ event_id: 'twice', status: 'duplicate' }] });
  });

  it('is refused when another id or time stands in the headers than was signed', async () => {
    const body = bodyOf(usageEvent('moved'));
    await expectRefused(() => send(body, { ...sign(body), 'webhook-id': 'msg_other' }), 'moved');
    const timestamp = String(Math.floor(api.clock.now / 1_000) + 1);
    await expectRefused(() => send(body, { ...sign(body), 'webhook-timestamp': timestamp }), 'moved');
  });

  it('is refused when it is stale or from the future', async () => {
    const body = bodyOf(usageEvent('stale'));
    const outside = (SIGNATURE_TOLERANCE_SECONDS + 1) * 1_000;
    await expectRefused(() => send(body, sign(body, { atMs: api.clock.now - outside })), 'stale');
    await expectRefused(() => send(body, sign(body, { atMs: api.clock.now + outside })), 'stale');
    const inside = sign(body, { atMs: api.clock.now - SIGNATURE_TOLERANCE_SECONDS * 1_000 });
    expect((await send(body, inside)).status).toBe(200);
  });

  it("is refused when it is signed by another source's secret", async () => {
    const body = bodyOf(usageEvent('foreign'));
    await expectRefused(() => send(body, sign(body, { with: otherSecret })), 'foreign');
  });

  it('is refused without an API key before the signature is looked at', async () => {
    const before = (await refusals()).length;
    const body = bodyOf(usageEvent('keyless'));
    const answer = await api.call('POST', '/v1/usage', { key: null, body, headers: sign(body) });
    expectProblem(answer, 401, 'unauthenticated');
    expect(await refusals()).toHaveLength(before);
  });

  it('counts refused signatures', async () => {
    const text = await api.deps.metrics.registry.metrics();
    expect(text).toMatch(/costplus_signature_failures_total\{of="request"\} [1-9]/);
  });

  describe('while its secret is rotated', () => {
    const newest = newSecret();
    let rotating: string;

    beforeAll(async () => {
      await createSource(api.pool, api.deps.encryptionKey, { source_id: 'rotating', secret });
      rotating = await createApiKey(api.pool, { role: 'service', name: 'rotating', source_id: 'rotating' });
      const previousExpireAt = new Date(NOW + 60_000);
      await addSourceSecret(api.pool, api.deps.encryptionKey, {
        source_id: 'rotating',
        secret: newest,
        previousExpireAt,
      });
    });

    const attempt = async (id: string, withSecret: string) => {
      const body = bodyOf(usageEvent(id));
      return (await send(body, sign(body, { with: withSecret }), rotating)).status;
    };

    it('both secrets are taken during the overlap', async () => {
      expect(await attempt('overlap-1', secret)).toBe(200);
      expect(await attempt('overlap-2', newest)).toBe(200);
    });

    it('only the new one afterwards', async () => {
      api.clock.now = NOW + 60_000 + CREDENTIAL_CACHE_SECONDS * 1_000;
      expect(await attempt('after-1', secret)).toBe(401);
      expect(await attempt('after-2', newest)).toBe(200);
    });

    it('a source whose secrets have all expired still has to sign', async () => {
      await api.pool.query(`UPDATE source_secrets SET expires_at = $1 WHERE source_id = 'rotating'`, [new Date(NOW)]);
      api.clock.now = NOW + 3 * 60_000;
      expect((await send(bodyOf(usageEvent('expired')), {}, rotating)).status).toBe(401);
      expect(await attempt('expired', newest)).toBe(401);
    });
  });

  describe("an event's own signature", () => {
    const signed = (id: string, by: string, more: Record<string, unknown> = {}) => {
      const event = usageEvent(id, more);
      return { ...event, signature: signEvent(event as Partial<ReceivedUsageEvent>, signingKey(by)) };
    };

    it('is verified and kept when it is right; a wrong one rejects that event alone', async () => {
      const body = bodyOf(
        signed('own-right', secret),
        signed('own-foreign', otherSecret),
        { ...signed('own-changed', secret), usage: { input_tokens: 1 } },
        usageEvent('own-none'),
      );
      const answer = await send(body, sign(body));
      expect(answer.body).toMatchObject({
        results: [
          { event_id: 'own-right', status: 'accepted' },
          { event_id: 'own-foreign', status: 'rejected', reason: 'invalid_signature', field: 'events[1].signature' },
          { event_id: 'own-changed', status: 'rejected', reason: 'invalid_signature' },
          { event_id: 'own-none', status: 'accepted' },
        ],
      });
      const kept = await api.pool.query<{ event_id: string; signature: string | null }>(
        `SELECT event_id, signature FROM usage_payloads WHERE event_id LIKE 'own-%' ORDER BY event_id`,
      );
      expect(kept.rows.map((row) => [row.event_id, row.signature !== null])).toEqual([
        ['own-none', false],
        ['own-right', true],
      ]);
      const audited = await api.pool.query(
        `SELECT detail FROM audit_log WHERE action = 'usage.event_signature_refused'`,
      );
      expect(audited.rows).toMatchObject([{ detail: { events: 2 } }]);
    });

    it('cannot be verified for a key without a source, and is not taken unverified', async () => {
      const answer = await api.call('POST', '/v1/usage', {
        key: api.keys.service,
        body: { events: [signed('own-sourceless', secret)] },
      });
      expect(answer.body).toMatchObject({ results: [{ status: 'rejected', reason: 'invalid_signature' }] });
    });
  });
});
