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
    const name = `usage_payloads_${from.toISOString().slice(0, 7).replace('-', '_')}`;
    if (await makePartition(pool, from)) made.push(name);
  }
  return made;
}

async function makePartition(pool: Pool, month: Date): Promise<boolean> {
  try {
    return await inTransaction(pool, async (client) => {
      await client.query('SELECT pg_advisory_xact_lock($1::bigint)', [lockKey('partitions')]);
      // Attaching locks the default partition against appends while it is looked through: do not queue for long.
      await client.query(`SET LOCAL lock_timeout = '5s'`);
      const { rows } = await client.query<{ made: boolean }>('SELECT make_payload_partition($1::date) AS made', [
        month.toISOString().slice(0, 10),
      ]);
      return rows[0]!.made;
    });
  } catch (error) {
    if (sqlState(error) === CHECK_VIOLATION) return false;
    throw error;
  }
}
