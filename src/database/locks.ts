import { createHash } from 'node:crypto';
import type { Pool } from './pool.js';

/**
 * Advisory locks: one namespace for each use in the top bits of the 64-bit key, the id below.
 * The append takes `period` shared in sorted order, the seal takes it exclusively (invariant 8); publishing a catalog
 * takes `catalog` exclusively, the seal takes it shared.
 */
const NAMESPACES = {
  migrations: 1n,
  catalog: 2n,
  relay: 3n,
  period: 4n,
  pricing: 5n,
  plans: 6n,
  customer: 7n,
  partitions: 8n,
  billing: 9n,
  proposals: 10n,
  stripe: 11n,
  meter_events: 12n,
  held_request: 13n,
  exchange_rates: 14n,
} as const;

/** The key of a lock as a decimal string for `pg_advisory_*lock($1::bigint)`. */
export function lockKey(namespace: keyof typeof NAMESPACES, id: number | bigint = 0): string {
  return ((NAMESPACES[namespace] << 56n) | BigInt(id)).toString();
}

/** The key of a lock that a text names (a customer's id): 56 bits of its hash. */
export function namedLockKey(namespace: keyof typeof NAMESPACES, name: string): string {
  return lockKey(namespace, createHash('sha256').update(name).digest().readBigUInt64BE() >> 8n);
}

/**
 * Runs the work in one process at a time: null, without waiting, where another one is at it. The lock lives and dies with
 * a connection of its own.
 */
export async function withTryLock<T>(
  pool: Pool,
  namespace: keyof typeof NAMESPACES,
  work: () => Promise<T>,
): Promise<T | null> {
  const client = await pool.connect();
  let broken = true;
  try {
    const { rows } = await client.query<{ mine: boolean }>('SELECT pg_try_advisory_lock($1::bigint) AS mine', [
      lockKey(namespace),
    ]);
    broken = false;
    if (!rows[0]!.mine) return null;
    try {
      return await work();
    } finally {
      broken = true;
      await client.query('SELECT pg_advisory_unlock($1::bigint)', [lockKey(namespace)]);
      broken = false;
    }
  } finally {
    // A connection that failed is closed: that gives the lock back, whatever state it is in.
    client.release(broken);
  }
}
