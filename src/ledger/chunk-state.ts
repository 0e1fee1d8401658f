import type { CachedCustomer } from '../customers/customer-cache.js';
import { lockKey } from '../database/locks.js';
import type { Client } from '../database/pool.js';

/** What a chunk's transaction read under its locks. */
export interface ChunkState {
  /** Ids of the chunk's periods that are sealed: what arrives for them is late. */
  sealed: Set<number>;
  /** Customers whose copy in memory is not the database's any more. */
  stale: string[];
  /** The newest catalog version. */
  catalog_version: number;
}

/**
 * Begins the transaction of a chunk: takes the periods' locks shared, in sorted order, in one statement, and then in a
 * new one, whose snapshot is taken under the locks, reads what decides (invariant 8): a seal either waits for this
 * transaction or is seen by it.
 */
export async function beginChunk(
  client: Client,
  periodIds: readonly number[],
  customers: ReadonlyMap<string, CachedCustomer | null>,
): Promise<ChunkState> {
  const keys = [...periodIds].sort((a, b) => a - b).map((id) => lockKey('period', id));
  await client.query(
    keys.length === 0
      ? 'BEGIN'
      : `BEGIN; SELECT count(pg_advisory_xact_lock_shared(key)) FROM unnest('{${keys.join(',')}}'::bigint[]) AS key`,
  );
  const { rows } = await client.query<{ catalog_version: number; sealed: number[]; stale: string[] }>({
    name: 'chunk_state',
    text: `SELECT coalesce((SELECT max(version) FROM catalog_versions), 0) AS catalog_version,
      coalesce((SELECT jsonb_agg(period_id) FROM periods
        WHERE period_id = ANY($1::bigint[]) AND sealed_at IS NOT NULL), '[]') AS sealed,
      coalesce((SELECT jsonb_agg(known.customer_id)
        FROM unnest($2::text[], $3::bigint[]) AS known (customer_id, revision)
        LEFT JOIN customers c ON c.customer_id = known.customer_id
        WHERE c.revision IS DISTINCT FROM known.revision), '[]') AS stale`,
    values: [periodIds, [...customers.keys()], [...customers.values()].map((customer) => customer?.revision ?? null)],
  });
  const state = rows[0]!;
  return { sealed: new Set(state.sealed), stale: state.stale, catalog_version: state.catalog_version };
}
