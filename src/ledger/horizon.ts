import type { Queryable } from '../database/pool.js';

/**
 * The point below which no further append can become visible: everything below `pg_snapshot_xmin` of a snapshot is
 * committed or gone. Pricing and the relay go from horizon to horizon; a cursor over sequences or times would skip the
 * late committer. A bigint, since an xid8 has 64 bits. Ids are the server's plus the database's offset (origin.ts).
 */
export async function readHorizon(database: Queryable): Promise<bigint> {
  const result = await database.query<{ horizon: string }>('SELECT ledger_horizon()::text AS horizon');
  return BigInt(result.rows[0]!.horizon);
}
