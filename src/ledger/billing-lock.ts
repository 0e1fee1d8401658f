import { lockKey, namedLockKey } from '../database/locks.js';
import type { Client } from '../database/pool.js';

/**
 * Everything that decides what a customer's invoices are made of (a seal, a re-bill, a void, a decision about late
 * usage) takes this lock first, and holds it to its commit: of two, one sees all of the other. Appends do not take it.
 * Order of locks: billing, then period, then catalog, then rows.
 */
export async function lockBilling(client: Client, customerId: string): Promise<void> {
  await client.query('SELECT pg_advisory_xact_lock($1::bigint)', [namedLockKey('billing', customerId)]);
}

/** The period's lock, exclusively: every append that read the period in its present state has committed. */
export async function lockPeriod(client: Client, periodId: number): Promise<void> {
  await client.query('SELECT pg_advisory_xact_lock($1::bigint)', [lockKey('period', periodId)]);
}
