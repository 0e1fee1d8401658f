import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensurePayloadPartitions } from '../../src/ledger/payload-partitions.js';
import { cloneDatabase } from '../support/database.js';
import { appenderOn, customer, NOW_MS, publishBasics, usageEvent } from '../support/ledger.js';

/** Bits of pg_trigger.tgtype. */
const CHANGE_OF_A_ROW = 1 | 2 | 8 | 16; // ROW, BEFORE, DELETE, UPDATE
const EMPTYING = 2 | 32; // BEFORE, TRUNCATE

/** What is never changed: each table refuses every change of a row, and to be emptied, by triggers of its own. */
describe('what is immutable', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  beforeAll(async () => {
    database = await cloneDatabase();
    await publishBasics(database.pool);
  });
  afterAll(() => database?.drop());

  it.each([
    // Invariant 5: versions of catalogs and plans, usage, seals, issued revisions.
    ...['catalog_versions', 'catalog_prices', 'catalog_models', 'catalog_aliases', 'catalog_match_rules'],
    ...['catalog_fallback_providers', 'catalog_multipliers', 'catalog_source_books'],
    ...['plan_versions', 'plan_assignments', 'usage_events', 'usage_payloads'],
    ...['seals', 'invoices', 'invoice_lines', 'period_balances', 'credit_entries', 'rollover_entries'],
    // What seals take in, and what stands for the record.
    ...['exchange_rates', 'adjustments', 'credit_grants', 'held_decisions', 'usage_voids', 'late_billings'],
    ...['adjustment_withdrawals', 'credit_revocations'],
    ...['late_releases', 'invoice_correction_steps', 'period_timeline', 'audit_log', 'commands'],
  ])('%s', async (table) => {
    const { rows } = await database.pool.query<{ function: string; type: number }>(
      `SELECT p.proname AS function, t.tgtype::int AS type FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
       WHERE t.tgrelid = $1::regclass AND NOT t.tgisinternal AND t.tgenabled = 'O' AND t.tgqual IS NULL
         AND p.proname IN ('refuse_change', 'refuse_event_change')`,
      [table],
    );
    const covers = (bits: number) => rows.some(({ type }) => (type & bits) === bits);
    expect(covers(CHANGE_OF_A_ROW)).toBe(true);
    expect(covers(EMPTYING)).toBe(true);
    await expect(database.pool.query(`TRUNCATE ${table} CASCADE`)).rejects.toThrow('immutable');
  });

  /** Statement triggers are not inherited, and each partition can be named by itself. */
  const partitions = async () => {
    const { rows } = await database.pool.query<{ parent: string; name: string }>(
      `SELECT i.inhparent::regclass::text AS parent, i.inhrelid::regclass::text AS name
       FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relkind = 'r' ORDER BY 2`,
    );
    return rows;
  };

  it('in every partition too, one that is made later included', async () => {
    await customer(database.pool, 'acme');
    const appender = appenderOn(database.pool);
    const events = Array.from({ length: 64 }, (_, i) => usageEvent({ customer_id: 'acme', event_id: `e${i}` }));
    await ensurePayloadPartitions(database.pool, NOW_MS);
    await appender.append(events, { may_backfill: false });
    await appender.close();
    const all = await partitions();
    expect(all.filter(({ parent }) => parent === 'usage_events')).toHaveLength(8);
    expect(all.map(({ name }) => name)).toContain('usage_payloads_2026_12');
    for (const { name } of all) {
      await expect(database.pool.query(`TRUNCATE ${name}`), name).rejects.toThrow('immutable');
      const { rows } = await database.pool.query(`SELECT FROM ${name} LIMIT 1`);
      if (rows.length === 0) continue;
      await expect(database.pool.query(`UPDATE ${name} SET event_id = event_id`), name).rejects.toThrow('immutable');
      await expect(database.pool.query(`DELETE FROM ${name}`), name).rejects.toThrow('immutable');
    }
  });
});
