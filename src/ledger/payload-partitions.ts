import { lockKey } from '../database/locks.js';
import { inTransaction, type Pool, sqlState } from '../database/pool.js';

const MONTHS_COUNT = 3;
const CHECK_VIOLATION = '23514';

/**
 * Makes the partitions of `usage_payloads` for this month and the next two, by month of receipt (UTC). Returns the names
 * made. A month of which the default partition already holds rows stays there: nothing is lost, it is only moved to
 * cheaper storage together with the default one. Run at start and daily; safe to run twice at once.
 */
export async function ensurePayloadPartitions(pool: Pool, nowMs: number = Date.now()): Promise<string[]> {
  const now = new Date(nowMs);
  const made: string[] = [];
  for (let ahead = 0; ahead < MONTHS_COUNT; ahead++) {
    const from = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + ahead, 1));
    const to = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + ahead + 1, 1));
    const name = `usage_payloads_${from.toISOString().slice(0, 7).replace('-', '_')}`;
    if (await makePartition(pool, name, from, to)) made.push(name);
  }
  return made;
}

async function makePartition(pool: Pool, name: string, from: Date, to: Date): Promise<boolean> {
  try {
    return await inTransaction(pool, async (client) => {
      await client.query('SELECT pg_advisory_xact_lock($1::bigint)', [lockKey('partitions')]);
      const { rows } = await client.query<{ present: boolean }>('SELECT to_regclass($1) IS NOT NULL AS present', [
        name,
      ]);
      if (rows[0]!.present) return false;
      // Attaching locks the default partition against appends while it is looked through: do not queue for long.
      await client.query(`SET LOCAL lock_timeout = '5s'`);
      await client.query(`CREATE TABLE ${name} (LIKE usage_payloads INCLUDING ALL)`);
      await client.query(
        `ALTER TABLE usage_payloads ATTACH PARTITION ${name}
         FOR VALUES FROM ('${from.toISOString()}') TO ('${to.toISOString()}')`,
      );
      return true;
    });
  } catch (error) {
    if (sqlState(error) === CHECK_VIOLATION) return false;
    throw error;
  }
}
