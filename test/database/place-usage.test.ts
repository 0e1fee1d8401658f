import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CatalogCache } from '../../src/catalog/catalog-cache.js';
import { readPeriodRow } from '../../src/closing/period-state.js';
import { beginClosing } from '../../src/closing/steps.js';
import { ensurePeriodAt } from '../../src/customers/customer-periods.js';
import { listHeldUsage } from '../../src/ledger/held-usage.js';
import { placeAllWaiting, placeWaitingUsage } from '../../src/ledger/place-usage.js';
import { resolveHeld } from '../../src/ledger/resolve-held.js';
import { findPeriod, listPeriods } from '../../src/periods/period-store.js';
import { cloneDatabase } from '../support/database.js';
import { appenderOn, customer, markSealed, NOW_MS, publishBasics, usageEvent } from '../support/ledger.js';

describe('waiting usage', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  beforeAll(async () => {
    database = await cloneDatabase();
    await publishBasics(database.pool);
  });
  afterAll(() => database.drop());

  const append = (customerId: string, times: string[], mayBackfill = false) =>
    appenderOn(database.pool).append(
      times.map((occurred_at, i) => usageEvent({ event_id: `e${i}`, customer_id: customerId, occurred_at })),
      { may_backfill: mayBackfill },
    );
  const rows = async (customerId: string) => {
    const { rows: found } = await database.pool.query<{
      event_id: string;
      start_date: string | null;
      late: boolean;
      chunk: string;
    }>(
      `SELECT e.event_id, p.start_date, e.late, e.chunk::text FROM usage_events e LEFT JOIN periods p USING (period_id)
       WHERE e.customer_id = $1 ORDER BY e.event_id`,
      [customerId],
    );
    return found;
  };
  const chunksOf = async (periodId: number) => {
    const { rows: found } = await database.pool.query<{ chunk: string; events: number }>(
      'SELECT chunk::text, events FROM usage_chunks WHERE $1 = ANY(period_ids) ORDER BY chunk',
      [periodId],
    );
    return found;
  };

  it('gets its periods when the customer is made, under the chunk of the placing', async () => {
    await append('acme', ['2026-10-20T00:00:00Z', '2026-11-10T00:00:00Z']);
    const [before] = await rows('acme');
    await customer(database.pool, 'acme');
    expect(await placeWaitingUsage(database.pool, 'acme', NOW_MS)).toBe(2);
    const after = await rows('acme');
    expect(after.map(({ start_date, late }) => [start_date, late])).toEqual([
      ['2026-10-01', false],
      ['2026-11-01', false],
    ]);
    expect(BigInt(after[0]!.chunk) > BigInt(before!.chunk)).toBe(true);
    const { period_id } = (await findPeriod(database.pool, 'acme', '2026-10-01'))!;
    expect(await chunksOf(period_id)).toEqual([{ chunk: after[0]!.chunk, events: 2 }]);
    expect(await placeWaitingUsage(database.pool, 'acme', NOW_MS)).toBe(0);
  });

  it('is late for a period that is sealed', async () => {
    await customer(database.pool, 'beta', { starts_at: '2026-11-10T00:00:00Z' });
    await append('beta', ['2026-11-05T00:00:00Z']);
    await customer(database.pool, 'beta', { starts_at: '2026-11-02T00:00:00Z' });
    const opened = await ensurePeriodAt(database.pool, 'beta', Date.parse('2026-11-05T00:00:00Z'), NOW_MS);
    await markSealed(database.pool, opened!.period_id);
    expect(await placeWaitingUsage(database.pool, 'beta', NOW_MS)).toBe(1);
    expect(await rows('beta')).toMatchObject([{ start_date: '2026-11-02', late: true }]);
    expect(await chunksOf(opened!.period_id)).toEqual([]);
  });

  it('stays where billing does not take its time, and no sweep trips over it', async () => {
    await customer(database.pool, 'gamma', { starts_at: '2026-11-10T00:00:00Z' });
    await append('gamma', ['2026-11-05T00:00:00Z', '2026-11-09T00:00:00Z']);
    expect(await placeAllWaiting(database.pool, NOW_MS)).toEqual({ placed: 0, more: false });
    await customer(database.pool, 'gamma', { starts_at: '2026-11-08T00:00:00Z' });
    expect(await placeAllWaiting(database.pool, NOW_MS)).toEqual({ placed: 1, more: false });
    expect((await rows('gamma')).map(({ start_date }) => start_date)).toEqual([null, '2026-11-08']);
  });

  it('is found by the sweep, customer by customer, and of unknown customers left alone', async () => {
    for (const id of ['s1', 's2', 's3', 'unknown']) await append(id, ['2026-11-10T00:00:00Z', '2026-11-11T00:00:00Z']);
    for (const id of ['s1', 's3']) await customer(database.pool, id);
    expect(await placeAllWaiting(database.pool, NOW_MS)).toEqual({ placed: 4, more: false });
    expect((await rows('s1')).map(({ start_date }) => start_date)).toEqual(['2026-11-01', '2026-11-01']);
    expect((await rows('unknown')).map(({ start_date }) => start_date)).toEqual([null, null]);
    expect(await placeAllWaiting(database.pool, NOW_MS)).toEqual({ placed: 0, more: false });
  });

  it('is placed by sweeps of a bounded number of transactions: the relay has nudges to send', async () => {
    const appender = appenderOn(database.pool);
    for (const customer_id of ['t1', 't2', 't3']) {
      await appender.append([usageEvent({ customer_id, event_id: 'a' })], { may_backfill: false });
      await customer(database.pool, customer_id);
    }
    await appender.close();
    expect(await placeAllWaiting(database.pool, NOW_MS, 2)).toEqual({ placed: 2, more: true });
    expect(await placeAllWaiting(database.pool, NOW_MS, 2)).toEqual({ placed: 1, more: false });
    expect(await placeAllWaiting(database.pool, NOW_MS, 2)).toEqual({ placed: 0, more: false });
  });

  it('of a large customer keeps no other waiting: customers take turns', async () => {
    const appender = appenderOn(database.pool);
    const many = (customer_id: string, count: number) =>
      appender.append(
        Array.from({ length: count }, (_, i) => usageEvent({ customer_id, event_id: `e${i}` })),
        { may_backfill: false },
      );
    await many('turn-1-large', 2_100);
    await many('turn-2-small', 1);
    await appender.close();
    for (const id of ['turn-1-large', 'turn-2-small']) await customer(database.pool, id);
    expect(await placeAllWaiting(database.pool, NOW_MS, 2)).toEqual({ placed: 1_001, more: true });
    expect(await rows('turn-2-small')).toMatchObject([{ start_date: '2026-11-01' }]);
    expect(await placeAllWaiting(database.pool, NOW_MS)).toEqual({ placed: 1_100, more: false });
  });

  it('is placed by a request up to a bound, shown as on its way, and placed by the sweep from there', async () => {
    const appender = appenderOn(database.pool);
    const events = Array.from({ length: 2_500 }, (_, i) => usageEvent({ customer_id: 'backlog', event_id: `e${i}` }));
    await appender.append(events, { may_backfill: false });
    await appender.close();
    await customer(database.pool, 'backlog');
    expect(await placeWaitingUsage(database.pool, 'backlog', NOW_MS, 2)).toBe(2_000);
    const held = () => listHeldUsage(database.pool, { customer_id: 'backlog' }, { cursor: null, limit: 10 });
    expect((await held()).data).toMatchObject([{ start_date: null, reason: 'being_placed', events: 500 }]);
    // It is nothing to write off.
    const request = { customer_id: 'backlog', decision: { write_off: true as const }, note: 'no' };
    await expect(resolveHeld(database.pool, request, 'finance', NOW_MS)).rejects.toMatchObject({ code: 'not_found' });
    expect(await placeAllWaiting(database.pool, NOW_MS)).toEqual({ placed: 500, more: false });
    expect((await held()).data).toEqual([]);
  });

  it('puts off the end of its period while it is being placed, but not for ever', async () => {
    await append('slow', ['2026-11-10T00:00:00Z', '2026-11-11T00:00:00Z']);
    await customer(database.pool, 'slow');
    const ref = { customer_id: 'slow', start_date: '2026-11-01' };
    const deps = { pool: database.pool, catalogs: new CatalogCache(database.pool) };
    const { period_id, ends_at, seals_at } = await readPeriodRow(database.pool, ref);
    const state = await beginClosing(deps, ref, seals_at);
    expect(state).toMatchObject({ status: 'open', seals_at_ms: seals_at.getTime() + 60_000 });
    expect(await beginClosing(deps, ref, new Date(state.seals_at_ms))).toMatchObject({
      status: 'open',
      seals_at_ms: seals_at.getTime() + 120_000,
    });
    const { rows: timeline } = await database.pool.query(
      `SELECT FROM period_timeline WHERE period_id = $1 AND kind = 'waiting_for_placing'`,
      [period_id],
    );
    expect(timeline).toHaveLength(1);
    // A day later what is not placed yet is late usage.
    expect(await beginClosing(deps, ref, new Date(ends_at.getTime() + 86_400_000))).toMatchObject({
      status: 'closing',
    });
  });

  it('lets the period end once it is placed', async () => {
    await append('quick', ['2026-11-10T00:00:00Z']);
    await customer(database.pool, 'quick');
    const ref = { customer_id: 'quick', start_date: '2026-11-01' };
    const deps = { pool: database.pool, catalogs: new CatalogCache(database.pool) };
    const { seals_at } = await readPeriodRow(database.pool, ref);
    const { seals_at_ms } = await beginClosing(deps, ref, seals_at);
    await placeAllWaiting(database.pool, NOW_MS);
    expect(await beginClosing(deps, ref, new Date(seals_at_ms))).toMatchObject({ status: 'closing' });
  });

  it('of many events goes in several chunks, once, by any number of placings at a time', async () => {
    const count = 2_300;
    await append(
      'large',
      Array.from({ length: count }, (_, i) => new Date(NOW_MS - i * 60_000).toISOString()),
    );
    await customer(database.pool, 'large');
    const placed = await Promise.all([1, 2, 3, 4].map(() => placeWaitingUsage(database.pool, 'large', NOW_MS)));
    expect(placed.reduce((sum, one) => sum + one, 0)).toBe(count);
    const placedRows = await rows('large');
    expect(placedRows.every(({ start_date }) => start_date !== null)).toBe(true);
    const { data } = await listPeriods(database.pool, { customer_id: 'large', cursor: null, limit: 10 });
    const chunks = await chunksOf(data.find(({ start_date }) => start_date === '2026-11-01')!.period_id);
    expect(chunks.reduce((sum, { events }) => sum + events, 0)).toBe(count);
    for (const { chunk, events } of chunks) {
      expect(placedRows.filter((row) => row.chunk === chunk)).toHaveLength(events);
      expect(events).toBeLessThanOrEqual(1_000);
    }
  });

  it('that is old opens the period it belongs to: it was accepted, so it is billed', async () => {
    await append('veteran', ['2026-02-10T00:00:00Z'], true);
    await customer(database.pool, 'veteran');
    await placeWaitingUsage(database.pool, 'veteran', NOW_MS);
    expect(await rows('veteran')).toMatchObject([{ start_date: '2026-02-01', late: false }]);
    const period = await findPeriod(database.pool, 'veteran', '2026-02-01');
    expect(period).toMatchObject({ status: 'open', seals_at: new Date(NOW_MS + 3_600_000) });
  });
});
