import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Appender } from '../../src/ledger/append.js';
import { findPeriod, listPeriods } from '../../src/periods/period-store.js';
import { cloneDatabase } from '../support/database.js';
import { appenderOn, customer, markSealed, NOW_MS, publishBasics, usageEvent } from '../support/ledger.js';

describe('append', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  let appender: Appender;
  beforeAll(async () => {
    database = await cloneDatabase();
    await publishBasics(database.pool);
    await customer(database.pool, 'acme');
    appender = appenderOn(database.pool);
  });
  afterAll(async () => {
    await appender.close();
    await database.drop();
  });

  let counter = 0;
  const event = (received: Partial<Parameters<typeof usageEvent>[0]> = {}) =>
    usageEvent({ event_id: `e${++counter}`, customer_id: 'acme', ...received });
  const append = async (...events: Parameters<Appender['append']>[0]) =>
    appender.append(events, { may_backfill: false });
  const stored = async (eventId: string, customerId = 'acme') => {
    const { rows } = await database.pool.query(
      'SELECT *, chunk::text AS chunk FROM usage_events WHERE customer_id = $1 AND event_id = $2',
      [customerId, eventId],
    );
    return rows[0];
  };

  it('keeps every column of an event, and the event as received beside it', async () => {
    const full = event({
      event_id: 'full',
      occurred_at: '2026-11-16T10:00:00.123456Z',
      request_id: 'req_1',
      subscription_item_id: 'si_1',
      feature: 'café "report" \\ {a,b}, NULL',
      action_id: 'run_1',
      region: 'eu',
      service_tier: 'priority',
      dimensions: { team: 'search' },
      signature: `v1,${'A'.repeat(43)}=`,
    });
    expect(await append(full)).toEqual([{ event_id: 'full', status: 'accepted' }]);
    const { period_id } = (await findPeriod(database.pool, 'acme', '2026-11-01'))!;
    expect(await stored('full')).toMatchObject({
      payload_hash: full.payload_hash,
      period_id,
      late: false,
      occurred_at: new Date('2026-11-16T10:00:00.123Z'),
      received_at: new Date(NOW_MS),
      provider: 'anthropic',
      model_id: 'claude-x',
      usage: { input_tokens: 1_000, output_tokens: 200 },
      feature: 'café "report" \\ {a,b}, NULL',
      subscription_item_id: 'si_1',
      action_id: 'run_1',
      region: 'eu',
      service_tier: 'priority',
      dimensions: { team: 'search' },
      source_id: null,
      held_reason: null,
    });
    const { rows } = await database.pool.query(`SELECT * FROM usage_payloads WHERE event_id = 'full'`);
    expect(rows).toMatchObject([{ payload: full.payload, signature: full.signature, request_id: 'req_1' }]);
    const { chunk } = await stored('full');
    const chunks = await database.pool.query(
      'SELECT period_ids, events FROM usage_chunks WHERE chunk = $1::text::xid8',
      [chunk],
    );
    expect(chunks.rows).toEqual([{ period_ids: [String(period_id)], events: 1 }]);
  });

  describe('dedupes', () => {
    it('the same event later, whatever happened to its time meanwhile', async () => {
      const once = event();
      expect(await append(once)).toMatchObject([{ status: 'accepted' }]);
      expect(await append(once)).toEqual([{ event_id: once.event_id, status: 'duplicate' }]);
      const afterwards = appenderOn(database.pool, { now: () => NOW_MS + 400 * 86_400_000 });
      expect(await afterwards.append([once], { may_backfill: false })).toMatchObject([{ status: 'duplicate' }]);
    });

    it('the same event inside one batch', async () => {
      const once = event();
      const other = event();
      const results = await append(once, other, once, once);
      expect(results.map(({ status }) => status)).toEqual(['accepted', 'accepted', 'duplicate', 'duplicate']);
    });

    it('per customer: two customers may use one event id', async () => {
      await customer(database.pool, 'beta');
      const results = await append(event({ event_id: 'shared' }), event({ event_id: 'shared', customer_id: 'beta' }));
      expect(results.map(({ status }) => status)).toEqual(['accepted', 'accepted']);
    });
  });

  describe('refuses another payload under a known id', () => {
    it('as a conflict, with both hashes in the audit log and without a trace of the payload', async () => {
      const first = event({ event_id: 'twofold' });
      const second = event({ event_id: 'twofold', usage: { input_tokens: 9 } });
      await append(first);
      expect(await append(second)).toEqual([{ event_id: 'twofold', status: 'conflict', reason: 'other_payload' }]);
      expect(await append(first)).toMatchObject([{ status: 'duplicate' }]);
      expect((await stored('twofold')).usage).toEqual({ input_tokens: 1_000, output_tokens: 200 });
      const { rows } = await database.pool.query(
        `SELECT action, customer_id, detail FROM audit_log WHERE subject = 'twofold'`,
      );
      expect(rows).toEqual([
        {
          action: 'usage.conflict',
          customer_id: 'acme',
          detail: {
            source_id: null,
            stored_hash: first.payload_hash.toString('hex'),
            received_hash: second.payload_hash.toString('hex'),
          },
        },
      ]);
    });

    it('inside one batch: the first one stands', async () => {
      const [first, second] = [event({ event_id: 'ab' }), event({ event_id: 'ab', feature: 'other' })];
      expect((await append(first, second)).map(({ status }) => status)).toEqual(['accepted', 'conflict']);
      // What is stored decides, not what stands first in the batch.
      expect((await append(second, first)).map(({ status }) => status)).toEqual(['conflict', 'duplicate']);
    });
  });

  describe('holds, and never prices at zero, what cannot be billed yet', () => {
    it('because nobody knows the customer', async () => {
      const [result] = await append(event({ event_id: 'orphan', customer_id: 'nobody' }));
      expect(result).toEqual({ event_id: 'orphan', status: 'held', reason: 'unknown_customer' });
      expect(await stored('orphan', 'nobody')).toMatchObject({ period_id: null, late: false });
    });

    it('because the customer is not billed at that time', async () => {
      await customer(database.pool, 'bounded', { starts_at: '2026-11-10T00:00:00Z', ends_at: '2026-11-20T00:00:00Z' });
      const [before, within] = await append(
        event({ customer_id: 'bounded', occurred_at: '2026-11-09T23:59:59.999Z' }),
        event({ customer_id: 'bounded', occurred_at: '2026-11-10T00:00:00Z' }),
      );
      expect(before).toMatchObject({ status: 'held', reason: 'outside_billing' });
      expect(within).toMatchObject({ status: 'accepted' });
    });

    it('because a price is missing or the counts are impossible', async () => {
      const [model, meter, counts] = await append(
        event({ model_id: 'claude-y' }),
        event({ usage: { input_tokens: 1, web_searches: 2 } }),
        event({
          event_id: 'torn',
          provider: 'openai',
          model_id: 'gpt',
          usage: undefined,
          provider_usage: {
            format: 'openai.chat',
            usage: {
              prompt_tokens: 1,
              completion_tokens: 1,
              total_tokens: 2,
              prompt_tokens_details: { cached_tokens: 5 },
            },
          },
        } as never),
      );
      expect(model).toMatchObject({ status: 'held', reason: 'unknown_model' });
      expect(meter).toMatchObject({ status: 'held', reason: 'no_price', detail: 'web_searches' });
      expect(counts).toMatchObject({ status: 'held', reason: 'impossible_counts' });
      expect(await stored('torn')).toMatchObject({ usage: null, period_id: expect.anything() });
    });
  });

  describe('judges time after dedupe', () => {
    it('usage too far in the future is rejected and leaves nothing', async () => {
      const [near, far] = await append(
        event({ occurred_at: '2026-11-16T12:05:00Z' }),
        event({ event_id: 'far', occurred_at: '2026-11-16T12:05:00.001Z' }),
      );
      expect(near).toMatchObject({ status: 'accepted' });
      expect(far).toEqual({ event_id: 'far', status: 'rejected', reason: 'in_future' });
      expect(await stored('far')).toBeUndefined();
    });

    it('usage of last month opens its period, older usage is rejected and opens none', async () => {
      await customer(database.pool, 'aged');
      const results = await append(
        event({ customer_id: 'aged', occurred_at: '2026-10-20T00:00:00Z' }),
        event({ customer_id: 'aged', occurred_at: '2026-08-20T00:00:00Z', event_id: 'old' }),
        event({ customer_id: 'nobody', occurred_at: '2026-08-20T00:00:00Z' }),
      );
      expect(results.map(({ status, reason }) => [status, reason])).toEqual([
        ['accepted', undefined],
        ['rejected', 'too_old'],
        ['rejected', 'too_old'],
      ]);
      const { data } = await listPeriods(database.pool, { customer_id: 'aged', cursor: null, limit: 10 });
      expect(data.map(({ start_date }) => start_date).sort()).toEqual(['2026-10-01', '2026-11-01']);
      expect(await stored('old', 'aged')).toBeUndefined();
    });

    it('older usage is taken where its period is unsealed, or its source may backfill', async () => {
      await customer(database.pool, 'backfilled');
      const old = (received: object) =>
        event({ customer_id: 'backfilled', occurred_at: '2026-07-20T00:00:00Z', ...received });
      expect(await appender.append([old({})], { may_backfill: true })).toMatchObject([{ status: 'accepted' }]);
      expect(await append(old({}))).toMatchObject([{ status: 'accepted' }]);
      await markSealed(database.pool, (await findPeriod(database.pool, 'backfilled', '2026-07-01'))!.period_id);
      expect(await append(old({}))).toMatchObject([{ status: 'rejected', reason: 'too_old' }]);
      expect(await appender.append([old({})], { may_backfill: true })).toMatchObject([{ status: 'late' }]);
    });

    it('usage of a sealed period is late, kept with its own period, and wakes nobody', async () => {
      await customer(database.pool, 'tardy');
      await append(event({ customer_id: 'tardy', occurred_at: '2026-10-20T00:00:00Z', event_id: 'punctual' }));
      const period = (await findPeriod(database.pool, 'tardy', '2026-10-01'))!;
      await markSealed(database.pool, period.period_id);
      const results = await append(
        event({ customer_id: 'tardy', occurred_at: '2026-10-20T00:00:00Z', event_id: 'punctual' }),
        event({ customer_id: 'tardy', occurred_at: '2026-10-21T00:00:00Z', event_id: 'late' }),
        event({ customer_id: 'tardy', occurred_at: '2026-10-21T00:00:00Z', model_id: 'claude-y' }),
      );
      expect(results.map(({ status, reason }) => [status, reason])).toEqual([
        ['duplicate', undefined],
        ['late', undefined],
        ['late', 'unknown_model'],
      ]);
      const late = await stored('late', 'tardy');
      expect(late).toMatchObject({ late: true, period_id: period.period_id });
      const chunks = await database.pool.query('SELECT FROM usage_chunks WHERE chunk = $1::text::xid8', [late.chunk]);
      expect(chunks.rows).toHaveLength(0);
    });
  });

  describe('does not trust what it remembers', () => {
    it('a customer that another process made', async () => {
      await append(event({ customer_id: 'newcomer' }));
      await customer(database.pool, 'newcomer');
      expect(await append(event({ customer_id: 'newcomer' }))).toMatchObject([{ status: 'accepted' }]);
    });

    it('bounds that another process set', async () => {
      await customer(database.pool, 'leaves');
      await append(event({ customer_id: 'leaves' }));
      await customer(database.pool, 'leaves', { ends_at: '2026-11-16T11:30:00Z' });
      const [before, after] = await append(
        event({ customer_id: 'leaves', occurred_at: '2026-11-16T11:29:59.999Z' }),
        event({ customer_id: 'leaves', occurred_at: '2026-11-16T11:30:00Z' }),
      );
      expect(before).toMatchObject({ status: 'accepted' });
      expect(after).toMatchObject({ status: 'held', reason: 'outside_billing' });
    });
  });
});
