import Stripe from 'stripe';
import type { Pool, Queryable } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { WEBHOOK_EVENT_DAYS, WEBHOOK_PRUNE_COUNT } from '../limits.js';

export type WebhookOutcome = 'recorded' | 'ignored' | 'duplicate';

/** What a delivery is about: never what it says of it. */
export interface Delivery {
  type: string;
  /** The object's type, `invoice` for example, and its id. */
  object: string | null;
  object_id: string | null;
  /** The invoice that the object belongs to, where it names one. */
  invoice_id: string | null;
}

/**
 * Takes one delivery of Stripe: checks the signature over the raw bytes, dedupes by Stripe's event id, and hands on what
 * it is about. `handle` fetches the object again and answers whether it was ours, so deliveries may repeat and come in any
 * order. Throws `invalid_signature`, or what `handle` throws (Stripe then delivers again).
 */
export async function receiveDelivery(
  { pool, webhookSecret }: { pool: Pool; webhookSecret: string | undefined },
  rawBody: Buffer,
  signature: string | undefined,
  handle: (delivery: Delivery) => Promise<boolean>,
): Promise<WebhookOutcome> {
  const event = openEvent(rawBody, signature, webhookSecret);
  const { id, object, invoice } = event.data.object as { id?: unknown; object?: unknown; invoice?: unknown };
  const delivery = {
    type: event.type,
    object: textOf(object),
    object_id: textOf(id),
    invoice_id: textOf(invoice),
  };
  await pool.query(
    `INSERT INTO stripe_webhook_events (stripe_event_id, type, object_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
    [event.id, event.type, delivery.object_id],
  );
  const known = await pool.query<{ processed_at: Date | null }>(
    'SELECT processed_at FROM stripe_webhook_events WHERE stripe_event_id = $1',
    [event.id],
  );
  if (known.rows[0]?.processed_at) return 'duplicate';
  const recorded = await handle(delivery);
  // After the effect: a crash in between repeats it, and repeating it changes nothing.
  await pool.query('UPDATE stripe_webhook_events SET processed_at = now() WHERE stripe_event_id = $1', [event.id]);
  return recorded ? 'recorded' : 'ignored';
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

function openEvent(rawBody: Buffer, signature: string | undefined, secret: string | undefined): Stripe.Event {
  if (secret === undefined) {
    throw new CostplusError('invalid_signature', 'STRIPE_WEBHOOK_SECRET is not set: no delivery can be verified.');
  }
  try {
    return Stripe.webhooks.constructEvent(rawBody, signature ?? '', secret);
  } catch {
    throw new CostplusError('invalid_signature', 'The stripe-signature header does not fit the body, or is stale.');
  }
}

/** Forgets deliveries that are older than Stripe can repeat, a bounded number at a time. Returns how many. */
export async function pruneDeliveries(database: Queryable): Promise<number> {
  const { rowCount } = await database.query(
    `DELETE FROM stripe_webhook_events WHERE stripe_event_id IN (
       SELECT stripe_event_id FROM stripe_webhook_events WHERE received_at < now() - make_interval(days => $1) LIMIT $2)`,
    [WEBHOOK_EVENT_DAYS, WEBHOOK_PRUNE_COUNT],
  );
  return rowCount ?? 0;
}
