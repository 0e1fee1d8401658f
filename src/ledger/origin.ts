import { type Client, inTransaction, type Pool, type Queryable, sqlState } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';

/** What `ledger_offset` raises where the database was written by another server than the one that it is on. */
const OTHER_SERVER = 'CP001';

/** How the transaction ids that a database remembers stand to those that its server gives out. */
export interface LedgerOrigin {
  /** Whether the server is another one than the one that wrote last (a restore, a copy, an upgrade by copying). */
  moved: boolean;
  /** The ledger's id that has to come next, at least: it is above all that are remembered. */
  needed: bigint;
  /** The ledger's ids of the next transaction, and of the oldest one under way. */
  next: bigint;
  horizon: bigint;
  /** Whether ids are remembered that the server has not come to yet: new usage would look older than what is priced. */
  ahead: boolean;
}

/** Columns that hold the id of a transaction; every other column of ids holds a bound, which no transaction has to have had. */
const OWN_IDS = ['chunk', 'sealed_xid'];

/**
 * Reads how a database stands to its server. Every table with transaction ids is asked but for usage itself, whose ids
 * stand in its chunks until it is priced and below those of pricing from then on; `usage`: that one too, row by row.
 */
export async function readOrigin(database: Queryable, usage = false): Promise<LedgerOrigin> {
  const columns = await database.query<{ relation: string; column: string; own: boolean }>(
    `SELECT format('%I', c.relname) AS relation, format('%I', a.attname) AS column, a.attname = ANY($2) AS own
     FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
     WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
       AND a.atttypid = 'xid8'::regtype AND NOT a.attisdropped AND ($1 OR c.relname <> 'usage_events')`,
    [usage, OWN_IDS],
  );
  const remembered = columns.rows.map(
    ({ relation, column, own }) => `SELECT max(${column})::text::numeric + ${own ? 1 : 0} AS id FROM ${relation}`,
  );
  const { rows } = await database.query<{ moved: boolean; needed: string; next: string; horizon: string }>(
    `SELECT o.system_identifier <> (SELECT system_identifier FROM pg_control_system()) AS moved,
            (pg_snapshot_xmax(pg_current_snapshot())::text::numeric + o.xid_offset)::text AS next,
            (pg_snapshot_xmin(pg_current_snapshot())::text::numeric + o.xid_offset)::text AS horizon,
            (SELECT coalesce(max(id), 0)::text FROM (${remembered.join(' UNION ALL ')}) AS remembered) AS needed
     FROM ledger_origin o`,
  );
  const row = rows[0]!;
  const [needed, next] = [BigInt(row.needed), BigInt(row.next)];
  return { moved: row.moved, needed, next, horizon: BigInt(row.horizon), ahead: needed > next };
}

/**
 * To be asked before a process works on a database: that it is on the server that wrote it, or on one whose transaction ids
 * go on from what is remembered (a physical copy, `pg_upgrade`); that one is remembered then. Throws `database_restored`
 * where the ids start low again: until they are renumbered, new usage would never be priced.
 */
export async function expectOrigin(pool: Pool): Promise<void> {
  const { moved, ahead, needed, next } = await readOrigin(pool);
  if (ahead) {
    throw new CostplusError(
      'database_restored',
      `The ledger remembers transactions up to ${needed}, its server is at ${next}: run "costplus renumber".`,
    );
  }
  if (moved) await pool.query(`UPDATE ledger_origin SET ${HERE}, set_at = now()`);
}

/** Looks at a process' database when it first asks, and again when it has moved under it; else it costs one short query. */
export class OriginCheck {
  #looked = false;

  /** Throws `database_restored`. */
  async expect(pool: Pool): Promise<void> {
    if (this.#looked) {
      try {
        await pool.query('SELECT ledger_offset()');
        return;
      } catch (error) {
        if (asRestored(error) === null) throw error;
      }
    }
    await expectOrigin(pool);
    this.#looked = true;
  }
}

const HERE = 'system_identifier = (SELECT system_identifier FROM pg_control_system())';

/** The error that says so, where a transaction was refused because its database is on another server by now. */
export function asRestored(error: unknown): CostplusError | null {
  if (sqlState(error) !== OTHER_SERVER) return null;
  const detail = 'The database is on another server than before, and has not been looked at there.';
  return new CostplusError('database_restored', detail, { cause: error });
}

/**
 * Makes transaction ids go on from what the ledger remembers, on a database that was moved by dump and restore: from now on
 * the server's ids count from the newest one that is remembered. No row of usage, of a seal or of pricing is changed.
 * Nothing else may be under way in the ledger meanwhile; what is, is waited for. Answers the state before, and whether
 * anything had to be done. Audited.
 */
export async function renumber(pool: Pool, actor: string): Promise<{ before: LedgerOrigin; renumbered: boolean }> {
  return inTransaction(pool, async (client) => {
    await client.query('LOCK TABLE ledger_origin, usage_events, usage_chunks, pricing_runs, period_totals, seals');
    const before = await readOrigin(client, true);
    if (before.ahead) await moveOn(client, before, actor);
    else if (before.moved) await client.query(`UPDATE ledger_origin SET ${HERE}, set_at = now()`);
    return { before, renumbered: before.ahead };
  });
}

async function moveOn(client: Client, { needed, next, horizon }: LedgerOrigin, actor: string): Promise<void> {
  // Above the oldest transaction under way, so that all that is remembered is settled at once.
  const by = needed - horizon;
  await client.query(`UPDATE ledger_origin SET ${HERE}, xid_offset = xid_offset + $1::bigint, set_at = now()`, [
    by.toString(),
  ]);
  await client.query(
    `INSERT INTO audit_log (actor, action, subject, detail) VALUES ($1, 'ledger.renumber', 'ledger_origin', $2)`,
    [actor, JSON.stringify({ needed: needed.toString(), next: next.toString(), by: by.toString() })],
  );
}
