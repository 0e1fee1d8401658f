import type { StripeAlertKind, StripeAlertView } from '../contracts/stripe-alert.js';
import type { Client, Queryable } from '../database/pool.js';
import { STRIPE_ALERTS_COUNT } from '../limits.js';
import { addTimeline } from '../periods/period-store.js';

/** What an alert is about. */
export interface AlertSubject {
  /** The object at Stripe; of `books_differ`, and of lines on a subscription, the period. */
  object_id: string;
  customer_id: string;
  period_id: number | null;
}

/**
 * Makes an alert of a kind stand as long as there is something to say: raises it, words it anew, or with null resolves
 * it. Raising and resolving stand in the period's timeline; saying the same again does nothing.
 */
export async function setAlert(
  client: Client,
  kind: StripeAlertKind,
  { object_id, customer_id, period_id }: AlertSubject,
  detail: string | null,
): Promise<void> {
  if (detail === null) {
    const { rowCount } = await client.query(
      `UPDATE stripe_alerts SET resolved_at = now()
       WHERE kind = $1 AND object_id = $2 AND customer_id = $3 AND resolved_at IS NULL`,
      [kind, object_id, customer_id],
    );
    if (rowCount === 1 && period_id !== null) await addTimeline(client, period_id, 'stripe_alert_resolved', { kind });
    return;
  }
  const { rows } = await client.query<{ raised: boolean }>(
    `INSERT INTO stripe_alerts AS standing (kind, object_id, customer_id, period_id, detail) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (kind, object_id, customer_id) WHERE resolved_at IS NULL
     DO UPDATE SET detail = excluded.detail WHERE standing.detail <> excluded.detail
     RETURNING xmax = 0 AS raised`,
    [kind, object_id, customer_id, period_id, detail],
  );
  if (rows[0]?.raised && period_id !== null) await addTimeline(client, period_id, 'stripe_alert', { kind, detail });
}

/**
 * Alerts that stand, the newest first: of one period or, with null, all of them (at most STRIPE_ALERTS_COUNT). One about a
 * deleted customer stands while ours still names it.
 */
export async function listAlerts(database: Queryable, periodId: number | null): Promise<StripeAlertView[]> {
  const { rows } = await database.query<Omit<StripeAlertView, 'raised_at'> & { raised_at: Date }>(
    `SELECT a.kind, a.customer_id, p.start_date, a.object_id, a.detail, a.raised_at
     FROM stripe_alerts a JOIN customers c USING (customer_id) LEFT JOIN periods p USING (period_id)
     WHERE a.resolved_at IS NULL AND ($1::bigint IS NULL OR a.period_id = $1)
       AND (a.kind <> 'customer_deleted' OR c.stripe_customer_id = a.object_id)
     ORDER BY a.alert_id DESC LIMIT $2`,
    [periodId, STRIPE_ALERTS_COUNT],
  );
  return rows.map(({ raised_at, ...alert }) => ({ ...alert, raised_at: raised_at.toISOString() }));
}
