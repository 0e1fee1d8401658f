import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EventResult } from '../../src/contracts/usage-event.js';
import { lockKey } from '../../src/database/locks.js';
import { createPool, inTransaction, type Pool } from '../../src/database/pool.js';
import { readHorizon } from '../../src/ledger/horizon.js';
import { placeWaitingUsage } from '../../src/ledger/place-usage.js';
import { findPeriod } from '../../src/periods/period-store.js';
import { cloneDatabase } from '../support/database.js';
import { appenderOn, customer, markSealed, NOW_MS, publishBasics, usageEvent } from '../support/ledger.js';

/** Appenders as several processes have them: no shared cache, no shared queue. */
const PROCESSES = 4;

describe('appends at the same time', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  let pool: Pool;
  beforeAll(async () => {
    database = await cloneDatabase();
    await publishBasics(database.pool);
    pool = createPool(database.url, { max: 24 });
  });
  afterAll(async () => {
    await pool.end();
    await database.drop();
  });

  it('store each id once, whoever sends it how often in whatever batches, and tell each sender the truth', async () => {
    let round = 0;
    const sends = fc.array(
      fc.record({
        process: fc.nat(PROCESSES - 1),
        /** Few ids and few payloads, so that batches overlap. */
        events: fc.array(fc.record({ customer: fc.nat(2), id: fc.nat(11), payload: fc.nat(1) }), {
          minLength: 1,
          maxLength: 20,
        }),
      }),
      { minLength: 2, maxLength: 16 },
    );
    await fc.assert(
      fc.asyncProperty(sends, async (batches) => {
        const run = `r${round++}`;
        const appenders = Array.from({ length: PROCESSES }, () => appenderOn(pool));
        // Customer 2 of each round is unknown: its usage is held, and deduped all the same.
        await Promise.all([0, 1].map((n) => customer(pool, `${run}.c${n}`)));
        const sent: { key: string; payload: number; result: EventResult }[] = [];
        await Promise.all(
          batches.map(async ({ process, events }) => {
            const built = events.map(({ customer: n, id, payload }) =>
              usageEvent({ event_id: `e${id}`, customer_id: `${run}.c${n}`, usage: { input_tokens: payload + 1 } }),
            );
            const results = await appenders[process]!.append(built, { may_backfill: false });
            expect(results.map(({ event_id }) => event_id)).toEqual(built.map(({ event_id }) => event_id));
            for (const [i, { customer: n, id, payload }] of events.entries())
              sent.push({ key: `${run}.c${n}/e${id}`, payload, result: results[i]! });
          }),
        );
        const { rows } = await pool.query<{ key: string; tokens: number }>(
          `SELECT customer_id || '/' || event_id AS key, (usage->>'input_tokens')::int AS tokens FROM usage_events
           WHERE customer_id LIKE $1`,
          [`${run}.c%`],
        );
        const stored = new Map(rows.map(({ key, tokens }) => [key, tokens - 1]));
        expect(rows).toHaveLength(stored.size);
        expect(new Set(stored.keys())).toEqual(new Set(sent.map(({ key }) => key)));
        for (const [key, payload] of stored) {
          const answers = sent.filter((one) => one.key === key);
          const first = answers.filter(({ result }) => result.status === 'accepted' || result.status === 'held');
          expect(first.map((one) => one.payload)).toEqual([payload]);
          for (const one of answers) {
            if (one === first[0]) continue;
            expect(one.result.status).toBe(one.payload === payload ? 'duplicate' : 'conflict');
          }
        }
        const chunks = await pool.query<{ events: number }>(
          `SELECT coalesce(sum(events), 0)::int AS events FROM usage_chunks c WHERE EXISTS (
             SELECT FROM periods p WHERE p.period_id = ANY(c.period_ids) AND p.customer_id LIKE $1)`,
          [`${run}.c%`],
        );
        expect(chunks.rows[0]!.events).toBe([...stored.keys()].filter((key) => !key.startsWith(`${run}.c2`)).length);
      }),
      { numRuns: 25 },
    );
  });

  it('take turns on the same ids, in whatever order the batches hold them, and never deadlock', async () => {
    await customer(pool, 'turns');
    const own = createPool(database.url, { max: 8 });
    const appenders = Array.from({ length: PROCESSES }, () => appenderOn(own));
    for (let round = 0; round < 15; round++) {
      const events = Array.from({ length: 60 }, (_, i) =>
        usageEvent({ event_id: `t${round}.${(i * 37) % 60}`, customer_id: 'turns' }),
      );
      const orders = [events, [...events].reverse(), events.slice(30).concat(events.slice(0, 30)), events];
      const answers = await Promise.all(
        appenders.map((appender, process) => appender.append(orders[process]!, { may_backfill: false })),
      );
      expect(answers.flat().filter(({ status }) => status === 'accepted')).toHaveLength(60);
    }
    // The server counts a connection's deadlocks at the latest when it closes.
    await own.end();
    const { rows } = await pool.query<{ deadlocks: number }>(
      'SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()',
    );
    expect(rows).toEqual([{ deadlocks: 0 }]);
  });

  it('and a seal: each event is below the seal or late, and no answer says otherwise', async () => {
    for (let round = 0; round < 12; round++) {
      const id = `sealed${round}`;
      await customer(pool, id);
      const { period_id } = (await findPeriod(pool, id, '2026-11-01'))!;
      const appenders = Array.from({ length: PROCESSES }, () => appenderOn(pool));
      const answers: EventResult[] = [];
      let sealedXid: bigint | null = null;
      const writers = appenders.map(async (appender, process) => {
        // Some write until after the seal, whenever that comes.
        for (let n = 0; n < 12 || sealedXid === null; n++) {
          const events = Array.from({ length: 5 }, (_, i) =>
            usageEvent({ event_id: `${process}.${n}.${i}`, customer_id: id }),
          );
          answers.push(...(await appender.append(events, { may_backfill: false })));
        }
      });
      const seal = async () => {
        while (answers.length < 20 + 10 * round) await new Promise((resolve) => setTimeout(resolve, 1));
        sealedXid = await inTransaction(pool, async (client) => {
          await client.query('SELECT pg_advisory_xact_lock($1::bigint)', [lockKey('period', period_id)]);
          return markSealed(client, period_id);
        });
      };
      await Promise.all([...writers, seal()]);
      const { rows } = await pool.query<{ event_id: string; late: boolean; chunk: string }>(
        'SELECT event_id, late, chunk::text FROM usage_events WHERE period_id = $1',
        [period_id],
      );
      for (const { late, chunk } of rows) expect(late).toBe(BigInt(chunk) > sealedXid!);
      const late = new Map(rows.map((row) => [row.event_id, row.late]));
      expect(answers).toHaveLength(rows.length);
      for (const { event_id, status } of answers) expect(status).toBe(late.get(event_id!) ? 'late' : 'accepted');
    }
  });

  it('wait for a seal that holds the period, and are late when it has committed', async () => {
    await customer(pool, 'waits');
    const { period_id } = (await findPeriod(pool, 'waits', '2026-11-01'))!;
    const appender = appenderOn(pool);
    await appender.append([usageEvent({ event_id: 'before', customer_id: 'waits' })], { may_backfill: false });
    let answered = false;
    const pending = await inTransaction(pool, async (client) => {
      await client.query('SELECT pg_advisory_xact_lock($1::bigint)', [lockKey('period', period_id)]);
      const append = appender.append([usageEvent({ event_id: 'after', customer_id: 'waits' })], {
        may_backfill: false,
      });
      void append.then(() => {
        answered = true;
      });
      // The append is seen waiting for the lock, so it had read nothing of the status yet.
      for (let waiting = 0; waiting === 0; ) {
        const { rows } = await pool.query<{ n: number }>(
          `SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
             AND mode = 'ShareLock' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
        );
        waiting = rows[0]!.n;
      }
      expect(answered).toBe(false);
      await markSealed(client, period_id);
      return { append };
    });
    expect(await pending.append).toEqual([{ event_id: 'after', status: 'late' }]);
  });

  it('survive a crash of the connection: what was answered is there, sending again is harmless', async () => {
    await customer(pool, 'crash');
    const own = createPool(database.url, { max: 4, applicationName: 'crashing', onError: () => undefined });
    const appender = appenderOn(own);
    const acknowledged = new Set<string>();
    const sent: string[] = [];
    const killer = (async () => {
      for (let n = 0; n < 15; n++) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        await pool.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'crashing' AND datname = current_database()`,
        );
      }
    })();
    let failures = 0;
    for (let n = 0; n < 120; n++) {
      const events = [0, 1, 2].map((i) => usageEvent({ event_id: `k${n}.${i}`, customer_id: 'crash' }));
      sent.push(...events.map(({ event_id }) => event_id));
      // As a client does: the same events again until they are answered.
      for (;;) {
        try {
          const results = await appender.append(events, { may_backfill: false });
          for (const { event_id, status } of results) {
            expect(['accepted', 'duplicate']).toContain(status);
            acknowledged.add(event_id!);
          }
          break;
        } catch (error) {
          expect(error).toMatchObject({ code: 'database_unavailable' });
          failures++;
        }
      }
    }
    await killer;
    await appender.close();
    await own.end();
    expect(failures).toBeGreaterThan(0);
    const { rows } = await pool.query<{ event_id: string }>(
      `SELECT event_id FROM usage_events WHERE customer_id = 'crash'`,
    );
    expect(rows.map(({ event_id }) => event_id).sort()).toEqual(sent.sort());
    expect(acknowledged.size).toBe(sent.length);
  });

  it('and a customer that is made meanwhile: nothing stays unplaced after the sweep', async () => {
    const appenders = Array.from({ length: PROCESSES }, () => appenderOn(pool));
    const writers = appenders.map(async (appender, process) => {
      for (let n = 0; n < 20; n++)
        await appender.append([usageEvent({ event_id: `${process}.${n}`, customer_id: 'appears' })], {
          may_backfill: false,
        });
    });
    const maker = (async () => {
      await customer(pool, 'appears');
      await placeWaitingUsage(pool, 'appears', NOW_MS);
    })();
    await Promise.all([...writers, maker]);
    await placeWaitingUsage(pool, 'appears', NOW_MS);
    const { period_id } = (await findPeriod(pool, 'appears', '2026-11-01'))!;
    const { rows } = await pool.query<{ period_id: number | null; n: number }>(
      `SELECT period_id, count(*) AS n FROM usage_events WHERE customer_id = 'appears' GROUP BY period_id`,
    );
    expect(rows).toEqual([{ period_id, n: 80 }]);
  });

  it('are seen once by a reader that goes from horizon to horizon while commits come out of order', async () => {
    const ids = ['h0', 'h1', 'h2'];
    for (const id of ids) await customer(pool, id);
    const periods = await Promise.all(ids.map(async (id) => (await findPeriod(pool, id, '2026-11-01'))!.period_id));
    const reader = createPool(database.url, { max: 1 });
    const seen = new Map<string, number>();
    let writing = true;
    const read = async (from: bigint): Promise<bigint> => {
      const horizon = await readHorizon(reader);
      for (const periodId of periods) {
        const { rows } = await reader.query<{ key: string }>(
          `SELECT customer_id || '/' || event_id AS key FROM usage_events
           WHERE period_id = $1 AND chunk >= $2::text::xid8 AND chunk < $3::text::xid8`,
          [periodId, from.toString(), horizon.toString()],
        );
        for (const { key } of rows) seen.set(key, (seen.get(key) ?? 0) + 1);
      }
      return horizon;
    };
    const reading = (async () => {
      let horizon = 0n;
      while (writing) horizon = await read(horizon);
      return horizon;
    })();
    // Transactions that hold their id for a while before they commit: the horizon waits for them.
    const laggards = [0, 1].map(async (n) => {
      for (let i = 0; i < 15; i++) {
        await inTransaction(pool, async (client) => {
          await client.query('SELECT pg_current_xact_id()');
          await new Promise((resolve) => setTimeout(resolve, 5 + 7 * n));
          await client.query(
            `INSERT INTO usage_events (customer_id, event_id, payload_hash, period_id, chunk, occurred_at, received_at, model_id)
             VALUES ($1, $2, '\\x00', $3, pg_current_xact_id(), now(), now(), 'claude-x')`,
            [ids[n], `lag${i}`, periods[n]],
          );
        });
      }
    });
    const writers = Array.from({ length: 8 }, async (_, w) => {
      const appender = appenderOn(pool);
      for (let n = 0; n < 25; n++) {
        const events = Array.from({ length: 12 }, (_, i) =>
          usageEvent({ event_id: `${w}.${n}.${i}`, customer_id: ids[(w + n + i) % ids.length]! }),
        );
        await appender.append(events, { may_backfill: false });
      }
    });
    await Promise.all([...writers, ...laggards]);
    writing = false;
    const { rows: newest } = await reader.query<{ chunk: string }>(
      'SELECT max(chunk::text::numeric)::text AS chunk FROM usage_events WHERE period_id = ANY($1::bigint[])',
      [periods],
    );
    // A transaction of another database of the server holds the horizon back as well.
    for (let horizon = await reading; horizon <= BigInt(newest[0]!.chunk); ) horizon = await read(horizon);
    await reader.end();
    expect(seen.size).toBe(8 * 25 * 12 + 30);
    expect(new Set(seen.values())).toEqual(new Set([1]));
  });
});
