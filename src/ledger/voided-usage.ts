import type { Queryable } from '../database/pool.js';

/** What voids after `from` up to `to` take out of a period's events below a transaction: how many, and their models. */
export async function readVoided(
  database: Queryable,
  range: { period_id: number; to_xid: bigint },
  from: number,
  to: number,
): Promise<{ events: number; models: string[] }> {
  if (from === to) return { events: 0, models: [] };
  const { rows } = await database.query<{ events: number; models: string[] }>(
    `SELECT count(*) AS events, coalesce(array_agg(DISTINCT e.model_id), '{}') AS models
     FROM usage_voids v JOIN usage_events e ON e.customer_id = v.customer_id AND e.event_id = v.event_id
     WHERE v.customer_id = (SELECT customer_id FROM periods WHERE period_id = $1) AND v.void_id > $2 AND v.void_id <= $3
       AND e.period_id = $1 AND NOT e.late AND e.chunk < $4::text::xid8`,
    [range.period_id, from, to, range.to_xid.toString()],
  );
  return rows[0]!;
}
