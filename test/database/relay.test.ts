import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CatalogCache } from '../../src/catalog/catalog-cache.js';
import { publishCatalogVersion } from '../../src/catalog/publish.js';
import { catalogVersionSchema } from '../../src/contracts/catalog.js';
import type { PeriodRef } from '../../src/contracts/engine.js';
import { lockKey } from '../../src/database/locks.js';
import type { Appender } from '../../src/ledger/append.js';
import { pricePeriod } from '../../src/ledger/price-period.js';
import { Relay } from '../../src/ledger/relay.js';
import { createLogger } from '../../src/observability/logger.js';
import { cloneDatabase } from '../support/database.js';
import { appenderOn, customer, publishBasics, usageEvent } from '../support/ledger.js';

/** Relays on a real ledger; the engine is a function that records what it was told. */
describe('the relay', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  let appender: Appender;
  let relays: Relay[] = [];
  let engineUp = true;
  let isStuck = (_customerId: string) => false;
  let lagMs = 0;
  let nudges: { period: PeriodRef; horizon: bigint; catalogVersion: number }[] = [];

  beforeAll(async () => {
    database = await cloneDatabase();
    appender = appenderOn(database.pool, { now: Date.now });
    await publishBasics(database.pool, { aggregation_window: 'PT1S' });
  });
  afterAll(async () => {
    for (const relay of relays) await relay.stop();
    await appender?.close();
    await database?.drop();
  });

  async function start(scanSeconds?: number): Promise<Relay> {
    const relay = new Relay({
      pool: database.pool,
      signalsPerSecond: 100,
      ...(scanSeconds === undefined ? {} : { scanSeconds }),
      nudge: async (period, horizon, catalogVersion) => {
        if (!engineUp || isStuck(period.customer_id)) throw new Error('the engine does not take it');
        nudges.push({ period, horizon, catalogVersion });
      },
      log: createLogger('silent', 'worker'),
      onTick: ({ lag_ms }) => {
        lagMs = lag_ms;
      },
    });
    relay.start();
    relays.push(relay);
    return relay;
  }

  async function stopAll(): Promise<void> {
    for (const relay of relays) await relay.stop();
    relays = [];
  }

  async function append(customerId: string, count: number, prefix: string): Promise<void> {
    const occurred_at = new Date().toISOString();
    const events = Array.from({ length: count }, (_, i) =>
      usageEvent({ customer_id: customerId, event_id: `${prefix}${i}`, occurred_at }),
    );
    await appender.append(events, { may_backfill: false });
  }

  async function price(customerId: string): Promise<void> {
    const { rows } = await database.pool.query<{ period_id: number }>(
      `UPDATE periods SET opened_at = now() WHERE customer_id = $1 RETURNING period_id`,
      [customerId],
    );
    for (const { period_id } of rows) {
      await pricePeriod({ pool: database.pool, catalogs: new CatalogCache(database.pool) }, period_id);
    }
  }

  const nudged = (customerId: string) => nudges.filter(({ period }) => period.customer_id === customerId);
  async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
    for (const deadline = Date.now() + 15_000; !(await holds()); await sleep(50)) {
      if (Date.now() > deadline) throw new Error(`gave up; nudges: ${JSON.stringify(nudges.length)}`);
    }
  }

  it('starts the workflow of a period that has no usage yet', async () => {
    await customer(database.pool, 'quiet', {}, Date.now());
    await start();
    await until(() => nudged('quiet').length > 0);
    await price('quiet');
  });

  it('sends one nudge for a window, however many commits it had', async () => {
    await customer(database.pool, 'busy', {}, Date.now());
    await until(() => nudged('busy').length === 1);
    await price('busy');
    await sleep(1_100);
    nudges = [];
    for (let i = 0; i < 10; i++) await append('busy', 3, `b${i}-`);
    await until(() => nudged('busy').length >= 1);
    await price('busy');
    await sleep(500);
    expect(nudged('busy').length).toBeLessThanOrEqual(2);
  });

  it('finds what was committed while no relay ran, and gives up no mark when the engine is down', async () => {
    await stopAll();
    await append('busy', 5, 'unseen');
    nudges = [];
    engineUp = false;
    await start();
    await sleep(500);
    expect(nudges).toEqual([]);
    engineUp = true;
    await until(() => nudged('busy').length >= 1);
    await price('busy');
  });

  it('takes in what settles while it reads the whole level', async () => {
    await stopAll();
    await start(0);
    await sleep(1_100);
    for (let i = 0; i < 3; i++) {
      nudges = [];
      await append('busy', 1, `scanned${i}-`);
      await until(() => nudged('busy').length >= 1);
      await price('busy');
    }
  });

  it('tells open periods of a newly published catalog version', async () => {
    await stopAll();
    nudges = [];
    const price2 = { provider: 'anthropic', model_id: 'claude-y', meter: 'input_tokens', price: '1', per: 1_000_000 };
    await publishCatalogVersion(
      database.pool,
      catalogVersionSchema.parse({ note: 'more', prices: [{ ...price2, effective_from: '2026-01-01T00:00:00Z' }] }),
      { actor: 'test', source: 'test' },
    );
    await start();
    await until(() => nudged('busy').some(({ catalogVersion }) => catalogVersion === 2));
  });

  it('works in one process at a time, and another takes over', async () => {
    await stopAll();
    await price('busy');
    await price('quiet');
    const first = await start();
    await sleep(300);
    await start();
    await sleep(1_200);
    nudges = [];
    await append('busy', 1, 'two-relays');
    await until(() => nudged('busy').length >= 1);
    await price('busy');
    await sleep(600);
    expect(nudged('busy')).toHaveLength(1);
    await first.stop();
    nudges = [];
    await sleep(1_100);
    await append('busy', 1, 'taken-over');
    await until(() => nudged('busy').length >= 1);
    await price('busy');
  });

  it('nudges other periods while the engine takes none for some that wait longer', async () => {
    await stopAll();
    nudges = [];
    isStuck = (customerId) => customerId.startsWith('stuck');
    for (let i = 0; i < 10; i++) await customer(database.pool, `stuck${i}`, {}, Date.now());
    await customer(database.pool, 'well', {}, Date.now());
    await start();
    await until(() => nudged('well').length > 0);
    isStuck = () => false;
    await until(() => Array.from({ length: 10 }, (_, i) => nudged(`stuck${i}`).length > 0).every(Boolean));
    await database.pool.query('UPDATE periods SET opened_at = now() WHERE opened_at IS NULL');
  });

  it('nudges, and places the usage of others, while that of one customer cannot be placed', async () => {
    await stopAll();
    await database.pool.query(`
      CREATE FUNCTION refuse_placing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$;
      CREATE TRIGGER refuse_placing BEFORE UPDATE ON usage_events FOR EACH ROW
        WHEN (OLD.customer_id = 'cannot-be-placed') EXECUTE FUNCTION refuse_placing()`);
    for (const id of ['cannot-be-placed', 'placed-after-it']) await append(id, 2, 'early');
    for (const id of ['cannot-be-placed', 'placed-after-it']) await customer(database.pool, id, {}, Date.now());
    await append('busy', 1, 'beside');
    nudges = [];
    await start(1);
    await until(() => nudged('placed-after-it').length > 0 && nudged('busy').length > 0);
    const { rows } = await database.pool.query(
      `SELECT customer_id, count(*) AS events FROM usage_events
       WHERE event_id LIKE 'early%' AND period_id IS NOT NULL GROUP BY 1`,
    );
    expect(rows).toEqual([{ customer_id: 'placed-after-it', events: 2 }]);
    await database.pool.query('DROP TRIGGER refuse_placing ON usage_events');
    for (const id of ['cannot-be-placed', 'placed-after-it']) {
      await until(async () => {
        await price(id);
        const priced = await database.pool.query(
          'SELECT FROM period_totals JOIN periods USING (period_id) WHERE customer_id = $1 AND events = 2',
          [id],
        );
        return priced.rowCount === 1;
      });
    }
    await price('busy');
  });

  it('shows in its lag that a transaction left open holds the horizon back', async () => {
    const open = await database.pool.connect();
    try {
      await open.query('BEGIN; SELECT pg_current_xact_id()');
      await append('busy', 1, 'unsettled');
      nudges = [];
      await until(() => lagMs > 1_500);
      expect(nudged('busy')).toEqual([]);
    } finally {
      await open.query('ROLLBACK');
      open.release();
    }
    await until(() => nudged('busy').length > 0);
    // Told of, but not priced: what no worker takes up shows too.
    await until(() => lagMs > 2_500);
    await price('busy');
    await until(() => lagMs < 1_000);
  });

  it('tells no lag while another one leads', async () => {
    await stopAll();
    const leader = await database.pool.connect();
    try {
      await leader.query('SELECT pg_advisory_lock($1::bigint)', [lockKey('relay')]);
      lagMs = 99;
      await start(1);
      await until(() => lagMs === 0);
    } finally {
      leader.release(true);
    }
  });

  it('removes chunks whose periods are all priced beyond them', async () => {
    await until(async () => {
      const { rows } = await database.pool.query<{ chunks: number }>('SELECT count(*) AS chunks FROM usage_chunks');
      return rows[0]!.chunks === 0;
    });
  });
});
