import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPool } from '../../src/database/pool.js';
import type { Appender } from '../../src/ledger/append.js';
import { ensurePayloadPartitions } from '../../src/ledger/payload-partitions.js';
import { cloneDatabase } from '../support/database.js';
import { appenderOn, customer, NOW_MS, publishBasics, usageEvent } from '../support/ledger.js';

describe('commits of appends', () => {
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

  describe('are shared', () => {
    it('between requests, and a request that the database refuses harms no other', async () => {
      const bad = { ...event({ event_id: 'bad' }), model_id: 'nul\u0000' };
      const answers = await Promise.allSettled([
        append(event({ event_id: 'good1' })),
        append(bad),
        append(event({ event_id: 'good2' })),
      ]);
      expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
      const good = [await stored('good1'), await stored('good2')];
      expect(good).toMatchObject([{ model_id: 'claude-x' }, { model_id: 'claude-x' }]);
      expect(await stored('bad')).toBeUndefined();
      const together = await Promise.all([append(event({ event_id: 't1' })), append(event({ event_id: 't2' }))]);
      expect(together).toMatchObject([[{ status: 'accepted' }], [{ status: 'accepted' }]]);
      expect((await stored('t1')).chunk).toBe((await stored('t2')).chunk);
    });

    it('and sends no value that would shift the columns of others', async () => {
      const bad = { ...event({ event_id: 'shifty' }), feature: 'a\u001fb' };
      const answers = await Promise.allSettled([append(event({ event_id: 'beside' })), append(bad)]);
      expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    });

    it('for more events than one chunk takes', async () => {
      const many = Array.from({ length: 2_500 }, () => event());
      const results = await append(...many);
      expect(results.map(({ event_id }) => event_id)).toEqual(many.map(({ event_id }) => event_id));
      expect(new Set(results.map(({ status }) => status))).toEqual(new Set(['accepted']));
    });

    it('and refuses when too much waits', async () => {
      const flooded = appenderOn(database.pool);
      const requests = Array.from({ length: 60 }, (_, n) =>
        flooded.append(
          Array.from({ length: 1_000 }, (_, i) => event({ event_id: `flood${n}_${i}`, customer_id: 'flood' })),
          { may_backfill: false },
        ),
      );
      const answers = await Promise.allSettled(requests);
      const refused = answers.filter((answer) => answer.status === 'rejected');
      expect(refused.length).toBeGreaterThan(0);
      for (const { reason } of refused) expect(reason).toMatchObject({ code: 'too_busy', retryAfterSeconds: 1 });
      const { rows } = await database.pool.query(`SELECT count(*) AS n FROM usage_events WHERE customer_id = 'flood'`);
      expect(Number(rows[0].n)).toBe((60 - refused.length) * 1_000);
    });
  });

  it('answers database_unavailable while the database is away, and finishes what it took before it closes', async () => {
    const pool = createPool('postgresql://costplus:costplus@127.0.0.1:1/none');
    const away = appenderOn(pool);
    await expect(away.append([event()], { may_backfill: false })).rejects.toMatchObject({
      code: 'database_unavailable',
    });
    await pool.end();
    const closing = appenderOn(database.pool);
    const last = closing.append([event({ event_id: 'last' })], { may_backfill: false });
    await closing.close();
    expect(await last).toMatchObject([{ status: 'accepted' }]);
    await expect(closing.append([event()], { may_backfill: false })).rejects.toMatchObject({ code: 'shutting_down' });
  });

  it('leaves rows that the database lets nobody change', async () => {
    await append(event({ event_id: 'fixed' }), event({ event_id: 'orphan', customer_id: 'nobody' }));
    const attempts = [
      `UPDATE usage_events SET usage = '{"input_tokens": 1}' WHERE event_id = 'fixed'`,
      `UPDATE usage_events SET period_id = NULL WHERE event_id = 'fixed'`,
      `UPDATE usage_events SET period_id = 1, usage = '{}' WHERE event_id = 'orphan'`,
      `DELETE FROM usage_events WHERE event_id = 'fixed'`,
      `UPDATE usage_payloads SET payload = '{}' WHERE event_id = 'fixed'`,
      `DELETE FROM usage_payloads WHERE event_id = 'fixed'`,
    ];
    for (const sql of attempts) await expect(database.pool.query(sql), sql).rejects.toThrow(/immutable/);
  });

  it('stores payloads by month of receipt, in partitions made ahead by any number of processes', async () => {
    const next = Date.parse('2027-02-27T00:00:00Z');
    const made = (await Promise.all([1, 2, 3].map(() => ensurePayloadPartitions(database.pool, next)))).flat();
    expect(made.sort()).toEqual(['usage_payloads_2027_02', 'usage_payloads_2027_03', 'usage_payloads_2027_04']);
    // November's rows stand in the default partition already, and stay there.
    expect(await ensurePayloadPartitions(database.pool, NOW_MS)).toEqual([
      'usage_payloads_2026_12',
      'usage_payloads_2027_01',
    ]);
    const march = appenderOn(database.pool, { now: () => Date.parse('2027-03-05T00:00:00Z') });
    await march.append([event({ event_id: 'march', occurred_at: '2027-03-04T00:00:00Z' })], { may_backfill: false });
    const { rows } = await database.pool.query(`SELECT event_id FROM usage_payloads_2027_03`);
    expect(rows).toEqual([{ event_id: 'march' }]);
    await expect(database.pool.query(`DELETE FROM usage_payloads_2027_03`)).rejects.toThrow(/immutable/);
  });
});
