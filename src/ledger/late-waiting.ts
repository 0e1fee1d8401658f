import type { Client } from '../database/pool.js';
import { PRICING_READ_EVENTS_COUNT } from '../limits.js';
import type { UsageRow } from '../pricing/pricing-result.js';
import { readResult } from './pricing-runs.js';
import type { Seal } from './seal.js';
import { type StoredUsageRow, toUsageRow } from './usage-reader.js';
import { E_COLUMNS } from './usage-set.js';

/** SQL: usage `e` waits for a decision: neither billed by one nor voided. */
export const UNDECIDED_SQL = `NOT EXISTS (SELECT FROM late_billings d WHERE d.customer_id = e.customer_id AND d.event_id = e.event_id)
  AND NOT EXISTS (SELECT FROM usage_voids w WHERE w.customer_id = e.customer_id AND w.event_id = e.event_id)`;

export interface WaitingRow {
  row: UsageRow;
  late: boolean;
  received_at: Date;
  released: boolean;
}

type Stored = StoredUsageRow & { late: boolean; received_at: Date; released: boolean };

const COLUMNS = `${E_COLUMNS}, e.late, EXISTS (SELECT FROM late_releases r
  WHERE r.customer_id = e.customer_id AND r.event_id = e.event_id) AS released`;

/**
 * Usage of a sealed period that may be billed after its seal, PRICING_READ_EVENTS_COUNT at a time: first what came late,
 * then what the newest seal's inputs held, so that usage which nothing can price yet stands in the way of none that can
 * be billed. Ends when nobody asks for more. Runs in the caller's transaction, whose snapshot it keeps.
 */
export async function* readWaiting(
  client: Client,
  { period_id }: { period_id: number },
  seal: Pick<Seal, 'inputs_hash' | 'sealed_xid'>,
): AsyncGenerator<WaitingRow[]> {
  const { held } = await readResult(client, period_id, seal.inputs_hash);
  const models = [...new Set(held.map((group) => group.model_id))];
  yield* fetchWaiting(
    client,
    `SELECT ${COLUMNS} FROM usage_events e WHERE e.period_id = $1 AND e.late AND ${UNDECIDED_SQL} ORDER BY e.event_id`,
    [period_id],
  );
  if (models.length === 0) return;
  yield* fetchWaiting(
    client,
    `SELECT ${COLUMNS} FROM usage_events e WHERE e.period_id = $1 AND NOT e.late AND e.model_id = ANY($2::text[])
       AND e.chunk < $3::text::xid8 AND ${UNDECIDED_SQL} ORDER BY e.chunk, e.event_id`,
    [period_id, models, seal.sealed_xid.toString()],
  );
}

async function* fetchWaiting(client: Client, text: string, values: unknown[]): AsyncGenerator<WaitingRow[]> {
  await client.query(`DECLARE waiting NO SCROLL CURSOR FOR ${text}`, values);
  try {
    for (;;) {
      const { rows } = await client.query<Stored>(`FETCH ${PRICING_READ_EVENTS_COUNT} FROM waiting`);
      if (rows.length === 0) return;
      yield rows.map((stored) => ({
        row: toUsageRow(stored),
        late: stored.late,
        received_at: stored.received_at,
        released: stored.released,
      }));
    }
  } finally {
    await client.query('CLOSE waiting');
  }
}
