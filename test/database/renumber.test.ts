import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CatalogCache } from '../../src/catalog/catalog-cache.js';
import { databaseVersion, migrate } from '../../src/database/migrate.js';
import { createPool, inTransaction, type Pool } from '../../src/database/pool.js';
import { startEmbeddedPostgres } from '../../src/dev/embedded-postgres.js';
import { verifyInvoice } from '../../src/invoicing/verify-invoice.js';
import { expectOrigin, OriginCheck, readOrigin, renumber } from '../../src/ledger/origin.js';
import { pricePeriod } from '../../src/ledger/price-period.js';
import { readHead } from '../../src/ledger/pricing-runs.js';
import { readTotals } from '../../src/ledger/totals.js';
import { findPeriod } from '../../src/periods/period-store.js';
import { openBillingRun } from '../support/billing-run.js';
import { cloneDatabase } from '../support/database.js';
import { customer, publishBasics, settle } from '../support/ledger.js';

/** Rows of every table into the same tables of another database, as a dump restores them: triggers are not there yet. */
async function restore(from: Pool, to: Pool): Promise<void> {
  const { rows: tables } = await from.query<{ name: string; columns: string[] }>(
    `SELECT format('%I', c.relname) AS name, array_agg(format('%I', a.attname) ORDER BY a.attnum)::text[] AS columns
     FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
       AND a.attgenerated = ''
     GROUP BY c.relname`,
  );
  const rowsOf = new Map<string, string[]>();
  for (const { name } of tables) {
    const { rows } = await from.query<{ row: string }>(`SELECT to_jsonb(t)::text AS row FROM ${name} t`);
    rowsOf.set(
      name,
      rows.map(({ row }) => row),
    );
  }
  await inTransaction(to, async (client) => {
    await client.query(`SET LOCAL session_replication_role = 'replica'`);
    for (const { name, columns } of tables) {
      await client.query(`DELETE FROM ${name}`);
      await client.query(
        `INSERT INTO ${name} (${columns.join()}) OVERRIDING SYSTEM VALUE
         SELECT ${columns.map((column) => `r.${column}`).join()}
         FROM unnest($1::text[]) AS given(row), jsonb_populate_record(NULL::${name}, row::jsonb) AS r`,
        [rowsOf.get(name)],
      );
    }
    const { rows: identities } = await client.query<{ sequence: string; name: string; column: string }>(
      `SELECT pg_get_serial_sequence(format('%I', c.relname), a.attname) AS sequence, format('%I', c.relname) AS name,
              format('%I', a.attname) AS column
       FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
       WHERE c.relnamespace = 'public'::regnamespace AND a.attidentity <> ''`,
    );
    for (const { sequence, name, column } of identities) {
      await client.query(`SELECT setval($1::regclass, coalesce(max(${column}), 0) + 1, false) FROM ${name}`, [
        sequence,
      ]);
    }
  });
}

/** A dump of one server in another one, whose transaction ids start low. */
describe('a database that was moved by dump and restore', () => {
  let directory: string;
  let server: Awaited<ReturnType<typeof startEmbeddedPostgres>>;
  let source: Awaited<ReturnType<typeof cloneDatabase>>;
  let pool: Pool;
  const october = { customer_id: 'acme', start_date: '2026-10-01' };
  const event = (event_id: string, occurred_at: string) => ({
    customer_id: 'acme',
    event_id,
    occurred_at,
    usage: { input_tokens: 1_000_000 },
  });
  const november = async () => (await findPeriod(pool, 'acme', '2026-11-01'))!.period_id;
  const offset = async () => {
    const { rows } = await pool.query<{ offset: string }>('SELECT xid_offset::text AS offset FROM ledger_origin');
    return rows[0]!.offset;
  };
  /** Rows whose ids no renumbering may touch, as text. */
  const remembered = async (database: Pool) =>
    (
      await database.query<{ row: string }>(
        `SELECT to_jsonb(e)::text AS row FROM usage_events e UNION ALL SELECT to_jsonb(s)::text FROM seals s
         UNION ALL SELECT to_jsonb(r)::text FROM pricing_runs r UNION ALL SELECT to_jsonb(t)::text FROM period_totals t
         ORDER BY 1`,
      )
    ).rows;

  beforeAll(async () => {
    source = await cloneDatabase();
    const run = await openBillingRun(source.pool);
    await publishBasics(source.pool);
    await customer(source.pool, 'acme');
    await run.append([event('a', '2026-10-10T00:00:00Z'), event('b', '2026-11-10T00:00:00Z')]);
    await run.close(october);
    const open = (await findPeriod(source.pool, 'acme', '2026-11-01'))!.period_id;
    await settle(source.pool);
    await pricePeriod(run, open);
    // Committed, and not priced yet when the dump is made.
    await run.append([event('unpriced', '2026-11-11T00:00:00Z'), event('late', '2026-10-11T00:00:00Z')]);
    // The server that is left has counted far.
    await source.pool.query(`UPDATE ledger_origin SET xid_offset = 1000000`);
    await run.append([event('far', '2026-11-12T00:00:00Z')]);
    await run.end();

    directory = await mkdtemp(join(tmpdir(), 'costplus-restored-'));
    await chmod(directory, 0o755);
    server = await startEmbeddedPostgres({ directory: join(directory, 'postgres'), settings: {} });
    const maintenance = createPool(server.url('postgres'), { max: 1 });
    await maintenance.query('CREATE DATABASE restored');
    await maintenance.end();
    pool = createPool(server.url('restored'), { max: 4 });
    await migrate(pool);
    await restore(source.pool, pool);
    // Each run of the test has a Stripe of its own.
    await pool.query('UPDATE customers SET stripe_customer_id = NULL');
  });
  afterAll(async () => {
    await pool?.end();
    await server?.stop();
    await source?.drop();
    if (directory) await rm(directory, { recursive: true, force: true });
  });

  it('is not worked on: neither by a process that starts, nor by a transaction of one that runs', async () => {
    expect(await databaseVersion(pool)).toBe(await databaseVersion(source.pool));
    expect(await readOrigin(pool)).toMatchObject({ moved: true, ahead: true });
    await expect(expectOrigin(pool)).rejects.toMatchObject({ code: 'database_restored' });
    await expect(new OriginCheck().expect(pool)).rejects.toMatchObject({ code: 'database_restored' });
    const run = await openBillingRun(pool);
    await expect(run.append([event('new', '2026-11-13T00:00:00Z')])).rejects.toMatchObject({
      code: 'database_restored',
    });
    await expect(pricePeriod(run, await november())).rejects.toThrow('written by another server');
    await run.end();
  });

  it('is renumbered without touching a row, and goes on where it stood', async () => {
    const before = await remembered(pool);
    const head = (await readHead(pool, await november()))!;
    expect(await renumber(pool, 'operator')).toMatchObject({ renumbered: true });
    expect(await remembered(pool)).toEqual(before);
    await expectOrigin(pool);
    await new OriginCheck().expect(pool);
    expect(await readOrigin(pool, true)).toMatchObject({ moved: false, ahead: false });

    const run = await openBillingRun(pool);
    // What was dumped unpriced, and what comes now, once each.
    expect(await run.append([event('new', '2026-11-13T00:00:00Z'), event('far', '2026-11-12T00:00:00Z')])).toEqual([
      'accepted',
      'duplicate',
    ]);
    await settle(pool);
    const deps = { pool, catalogs: new CatalogCache(pool) };
    await pricePeriod(deps, await november());
    expect(await readTotals(pool, await november())).toMatchObject({ events: 4 });
    const { rows } = await pool.query<{ chunk: string }>(`SELECT chunk::text FROM usage_events WHERE event_id = 'new'`);
    expect(BigInt(rows[0]!.chunk) > head.priced_to).toBe(true);
    expect(await verifyInvoice(deps, 'acme', '2026-10-01', 1)).toMatchObject({ matches: true });
    // The seal takes all of it, and the late usage of before the move.
    await run.close({ customer_id: 'acme', start_date: '2026-11-01' });
    expect(
      (await run.invoice({ customer_id: 'acme', start_date: '2026-11-01' }, 1)).lines.map(({ amount }) => amount),
    ).toEqual(expect.arrayContaining(['15.00', '3.75']));
    await run.end();
    expect((await pool.query(`SELECT actor FROM audit_log WHERE action = 'ledger.renumber'`)).rows).toEqual([
      { actor: 'operator' },
    ]);
  });

  it('a second time there is nothing to do', async () => {
    const before = await offset();
    expect(await renumber(pool, 'operator')).toMatchObject({ renumbered: false });
    expect(await offset()).toBe(before);
  });

  it('on a server that has counted further already it is taken as it is', async () => {
    await pool.query('UPDATE ledger_origin SET system_identifier = 1');
    const check = new OriginCheck();
    await check.expect(pool);
    expect(await readOrigin(pool)).toMatchObject({ moved: false, ahead: false });
    // Moved under a process that runs.
    await pool.query('UPDATE ledger_origin SET system_identifier = 1');
    await check.expect(pool);
    expect(await readOrigin(pool)).toMatchObject({ moved: false });
  });
});
