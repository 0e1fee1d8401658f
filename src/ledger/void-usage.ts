import { inTransaction, type Pool } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { addTimeline } from '../periods/period-store.js';
import { lockBilling } from './billing-lock.js';

/** A void as it stands. */
export interface VoidedUsage {
  customer_id: string;
  event_id: string;
  voided_at: string;
  reason: string;
  /** The period that bills the event, or would; null where none does yet. */
  period: { start_date: string; status: string } | null;
  /** The period's invoice has the event in it: it has to be billed again. */
  rebill_needed: boolean;
  /** False when it was voided before; then nothing was done. */
  applied: boolean;
}

/**
 * Takes back accepted usage that was wrong, for ever: an open period leaves it out from its next pricing on, a sealed one
 * has to be billed again. What replaces it has an id of its own. Under the billing lock, so that a seal has all of it or
 * nothing. Audited. Throws `unknown_event`.
 */
export async function voidUsage(
  pool: Pool,
  customerId: string,
  eventId: string,
  by: { reason: string; actor: string },
): Promise<VoidedUsage> {
  return inTransaction(pool, async (client) => {
    await lockBilling(client, customerId);
    const { rows } = await client.query<{
      billed_in: number | null;
      start_date: string | null;
      status: string;
      sealed: boolean;
    }>(
      `SELECT billed.period_id AS billed_in, p.start_date, p.status, p.sealed_at IS NOT NULL AS sealed
       FROM usage_events e LEFT JOIN late_billings b USING (customer_id, event_id)
       CROSS JOIN LATERAL (SELECT coalesce(b.billed_in, CASE WHEN NOT e.late THEN e.period_id END) AS period_id) billed
       LEFT JOIN periods p ON p.period_id = billed.period_id
       WHERE e.customer_id = $1 AND e.event_id = $2`,
      [customerId, eventId],
    );
    const event = rows[0];
    if (!event) throw new CostplusError('unknown_event', `Customer ${customerId} has no usage event ${eventId}.`);
    const inserted = await client.query(
      `INSERT INTO usage_voids (customer_id, event_id, voided_by, reason) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
      [customerId, eventId, by.actor, by.reason],
    );
    const applied = inserted.rowCount === 1;
    if (applied) {
      await client.query(
        `INSERT INTO audit_log (actor, action, customer_id, subject, detail) VALUES ($1, 'usage.void', $2, $3, $4)`,
        [by.actor, customerId, eventId, JSON.stringify({ reason: by.reason, rebill_needed: event.sealed })],
      );
      if (event.billed_in !== null) {
        const detail = { event_id: eventId, reason: by.reason, rebill_needed: event.sealed };
        await addTimeline(client, event.billed_in, 'usage_voided', detail);
        // A chunk without events: the relay nudges the period, and pricing leaves the usage out.
        if (!event.sealed) {
          await client.query(
            `INSERT INTO usage_chunks (chunk, period_ids, events) VALUES (ledger_xid(), ARRAY[$1::bigint], 0)`,
            [event.billed_in],
          );
        }
      }
    }
    const known = await client.query<{ voided_at: Date; reason: string }>(
      'SELECT voided_at, reason FROM usage_voids WHERE customer_id = $1 AND event_id = $2',
      [customerId, eventId],
    );
    const { voided_at, reason } = known.rows[0]!;
    return {
      customer_id: customerId,
      event_id: eventId,
      voided_at: voided_at.toISOString(),
      reason,
      period: event.start_date === null ? null : { start_date: event.start_date, status: event.status },
      rebill_needed: event.sealed,
      applied,
    };
  });
}
