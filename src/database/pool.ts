import pg from 'pg';
import { IDLE_TRANSACTION_SECONDS } from '../limits.js';

export type Pool = pg.Pool;
export type Client = pg.PoolClient;
/** Whatever runs a query: a pool (each query its own transaction) or the client of an open transaction. */
export type Queryable = Pick<pg.Pool | pg.PoolClient, 'query'>;

const INT8_OID = 20;
const TIMESTAMPTZ_OID = 1184;
const DATE_OID = 1082;

/** int8 columns are counts and ids below 2^53 here (amounts in minor units too: see invoices); a larger one throws. */
function parseInt8(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError('an int8 beyond 2^53 left the database');
  return value;
}

const types: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format: 'text' | 'binary') => {
    if (format !== 'binary') {
      if (oid === INT8_OID) return parseInt8;
      // A date is a name here ("2026-11-01"), never an instant of some zone.
      if (oid === DATE_OID) return (text: string) => text;
      if (oid === TIMESTAMPTZ_OID)
        return (text: string) => new Date(text.replace(' ', 'T').replace(/([+-]\d\d)$/, '$1:00'));
    }
    return pg.types.getTypeParser(oid, format as 'text');
  }) as pg.CustomTypesConfig['getTypeParser'],
};

/** A connection pool. `onError` hears of idle connections that broke (the pool replaces them by itself). */
export function createPool(
  databaseUrl: string,
  options: { max?: number; applicationName?: string; onError?: (error: Error) => void } = {},
): Pool {
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max: options.max ?? 10,
    application_name: options.applicationName ?? 'costplus',
    connectionTimeoutMillis: 5_000,
    types,
    // Acknowledged means durable, whatever the server's or the role's default is.
    options: `-c synchronous_commit=on -c timezone=UTC -c idle_in_transaction_session_timeout=${IDLE_TRANSACTION_SECONDS}s`,
  });
  pool.on('error', (error) => options.onError?.(error));
  // A connection that breaks while it is lent, between two queries, says so by an event that would end the process if
  // nobody listened; whoever borrowed it learns of it from the next query.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

/** Runs `work` in one READ COMMITTED transaction: commits its result, or rolls back and throws its error. */
export async function inTransaction<T>(pool: Pool, work: (client: Client) => Promise<T>): Promise<T> {
  return withSession(pool, (client) => transaction(client, () => work(client)));
}

/** Runs `work` in one transaction of an open session. */
export async function transaction<T>(client: Client, work: () => Promise<T>): Promise<T> {
  await client.query('BEGIN');
  try {
    const result = await work();
    await client.query('COMMIT');
    return result;
  } catch (error) {
    // A session that cannot roll back is broken; whoever holds it is told by its next query, and closes it.
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

/**
 * Runs `work` on one connection from beginning to end. What it read of the server's state (a horizon) still holds when
 * it writes: a server that crashed meanwhile takes the session with it. A session whose work failed is closed where it
 * does not answer any more.
 */
export async function withSession<T>(pool: Pool, work: (client: Client) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken = false;
  try {
    return await work(client);
  } catch (error) {
    broken = await client.query('SELECT 1').then(
      () => false,
      () => true,
    );
    throw error;
  } finally {
    client.release(broken);
  }
}

/** Whether connections are to be had here; else it is the one of an open session. */
export function isPool(database: Pool | Client): database is Pool {
  return database instanceof pg.Pool;
}

/** SQLSTATE of an error, when it came from PostgreSQL. */
export function sqlState(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.code : undefined;
}
