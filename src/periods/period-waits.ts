import type { Queryable } from '../database/pool.js';
import { addTimeline } from './period-store.js';

/** What a waiting period says of the one that it waits for. */
const REASON = `'waits for ' || e.start_date || CASE e.status WHEN 'on_hold' THEN ', which is on hold'
  WHEN 'parked' THEN ', which is parked' WHEN 'open' THEN ', which is open' ELSE '' END`;

/**
 * Notes that a closing period waits until another one of its customer is composed; its reason says so. The caller holds
 * the billing lock, as whoever composes the other one does: one of the two sees what the other wrote.
 */
export async function beginWaiting(
  client: Queryable,
  period: { period_id: number; customer_id: string },
  waitsFor: string,
): Promise<void> {
  const { rows } = await client.query<{ was: string | null; reason: string }>(
    `WITH before AS (SELECT waits_for AS was FROM periods WHERE period_id = $1)
     UPDATE periods p SET waits_for = e.start_date, status_reason = ${REASON}, updated_at = now(),
       close_reason = CASE WHEN p.waits_for IS NULL THEN p.status_reason ELSE p.close_reason END
     FROM periods e, before WHERE p.period_id = $1 AND e.customer_id = $2 AND e.start_date = $3
     RETURNING before.was, p.status_reason AS reason`,
    [period.period_id, period.customer_id, waitsFor],
  );
  const noted = rows[0];
  if (noted && noted.was !== waitsFor) await addTimeline(client, period.period_id, 'waiting', { waits_for: waitsFor });
}

/** Periods that waited for this one go on: the relay tells their workflows. */
export async function endWaiting(client: Queryable, of: { customer_id: string; start_date: string }): Promise<void> {
  await client.query(
    `UPDATE periods SET waits_for = NULL, status_reason = close_reason, close_reason = NULL, opened_at = NULL, updated_at = now()
     WHERE customer_id = $1 AND waits_for = $2`,
    [of.customer_id, of.start_date],
  );
}

/** What waits for a period whose status changed says how that one stands now. */
export async function tellWaiting(client: Queryable, of: { customer_id: string; start_date: string }): Promise<void> {
  await client.query(
    `UPDATE periods p SET status_reason = ${REASON}, opened_at = NULL
     FROM periods e WHERE p.customer_id = $1 AND p.waits_for = $2 AND e.customer_id = $1 AND e.start_date = $2
       AND p.status_reason IS DISTINCT FROM ${REASON}`,
    [of.customer_id, of.start_date],
  );
}
