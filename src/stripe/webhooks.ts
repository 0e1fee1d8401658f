import Stripe from 'stripe';
import type { Pool, Queryable } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { WEBHOOK_EVENT_DAYS, WEBHOOK_PRUNE_COUNT } from '../limits.js';

export type WebhookOutcome = 'recorded' | 'ignored' | 'duplicate';

/** What a delivery is about: never what it says of it. */
export interface Delivery {
  /** Stripe's id of the event. */
  event_id: string;
  type: string;
  /** The object's type, `invoice` for example, and its id. */
  object: string | null;
  object_id: string | null;
  /** The invoice that the object belongs to, where it names one. */
  invoice_id: string | null;
  /** The customer whom it names: a hint where to look, no more. */
  customer_id: string | null;
}

export interface WebhookSecrets {
  /** Signing secret of the webhook endpoint; undefined: no delivery of it can be verified. */
  webhookSecret: string | undefined;
  /** Signing secret of the event destination that delivers thin events to the same address. */
  destinationSecret?: string | undefined;
}

/** Reads a thin event notification whose signature fits. Throws where it does not. */
export type NotificationParser = (rawBody: Buffer, signature: string, secret: string) => Notification;
export interface Notification {
  id: string;
  type: string;
  related_object: { id: string; type: string } | null;
}

/**
 * Takes one delivery of Stripe: checks the signature over the raw bytes, dedupes by Stripe's event id, and hands on what
 * it is about. `handle` fetches the object again and answers whether it was ours, so deliveries may repeat and come in any
 * order. Throws `invalid_signature`, or what `handle` throws (Stripe then delivers again).
 */
export async function receiveDelivery(
  { pool, parseNotification, ...secrets }: WebhookSecrets & { pool: Pool; parseNotification: NotificationParser },
  rawBody: Buffer,
  signature: string | undefined,
  handle: (delivery: Delivery) => Promise<boolean>,
): Promise<WebhookOutcome> {
  const delivery = isNotification(rawBody)
    ? openNotification(rawBody, signature, secrets, parseNotification)
    : openEvent(rawBody, signature, secrets.webhookSecret);
  await pool.query(
    `INSERT INTO stripe_webhook_events (stripe_event_id, type, object_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
    [delivery.event_id, delivery.type, delivery.object_id],
  );
  const known = await pool.query<{ processed_at: Date | null }>(
    'SELECT processed_at FROM stripe_webhook_events WHERE stripe_event_id = $1',
    [delivery.event_id],
  );
  if (known.rows[0]?.processed_at) return 'duplicate';
  const recorded = await handle(delivery);
  // After the effect: a crash in between repeats it, and repeating it changes nothing.
  await pool.query('UPDATE stripe_webhook_events SET processed_at = now() WHERE stripe_event_id = $1', [
    delivery.event_id,
  ]);
  return recorded ? 'recorded' : 'ignored';
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

function openEvent(rawBody: Buffer, signature: string | undefined, secret: string | undefined): Delivery {
  if (secret === undefined) {
    throw new CostplusError('invalid_signature', 'STRIPE_WEBHOOK_SECRET is not set: no delivery can be verified.');
  }
  let event: Stripe.Event;
  try {
    event = Stripe.webhooks.constructEvent(rawBody, signature ?? '', secret);
  } catch {
    throw unfit();
  }
  const { id, object, invoice, customer } = event.data.object as Partial<
    Record<'id' | 'object' | 'invoice' | 'customer', unknown>
  >;
  return {
    event_id: event.id,
    type: event.type,
    object: textOf(object),
    object_id: textOf(id),
    invoice_id: textOf(invoice),
    customer_id: textOf(customer),
  };
}

/** Whether a body, not verified yet, looks like a thin event: those are opened in another way. */
function isNotification(rawBody: Buffer): boolean {
  try {
    return (JSON.parse(rawBody.toString('utf8')) as { object?: unknown } | null)?.object === 'v2.core.event';
  } catch {
    return false;
  }
}

/** A thin event says its type and which object it is about; what happened is fetched by its id. */
function openNotification(
  rawBody: Buffer,
  signature: string | undefined,
  { webhookSecret, destinationSecret }: WebhookSecrets,
  parse: NotificationParser,
): Delivery {
  const secrets = [destinationSecret, webhookSecret].filter((secret) => secret !== undefined);
  if (secrets.length === 0) {
    throw new CostplusError(
      'invalid_signature',
      'STRIPE_EVENT_DESTINATION_SECRET is not set: no delivery can be verified.',
    );
  }
  for (const secret of secrets) {
    try {
      const { id, type, related_object } = parse(rawBody, signature ?? '', secret);
      const about = { object: related_object?.type ?? null, object_id: related_object?.id ?? null };
      return { event_id: id, type, ...about, invoice_id: null, customer_id: null };
    } catch {
      // Perhaps it is signed with the other one.
    }
  }
  throw unfit();
}

function unfit(): CostplusError {
  return new CostplusError('invalid_signature', 'The stripe-signature header does not fit the body, or is stale.');
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
