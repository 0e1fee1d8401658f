import type { Client } from '../database/pool.js';
import {
  joinTexts,
  PLACED_EVENTS_SQL,
  PLACED_HASH_SQL,
  PLACED_NEXT_PARAMETER,
  type PlacedEvent,
  placedEventParameters,
  unnestText,
} from './event-columns.js';

const RECEIVED_AT = `to_timestamp($${PLACED_NEXT_PARAMETER}::float8 / 1000)`;

/**
 * One statement for the whole chunk, in key order, so that two chunks with the same ids wait for each other and do not
 * deadlock: the narrow rows, the payloads of those inserted, the chunk's own row. Answers the ordinals that exist
 * already; what they hold only a new statement can see.
 */
const INSERT_SQL = `
  WITH input AS (
    SELECT customer_id, event_id, ${PLACED_HASH_SQL} AS payload_hash, period_id::bigint, late::boolean,
      to_timestamp(occurred_at_ms::float8 / 1000) AS occurred_at, source_id, provider, provider_hint, model_id,
      usage::jsonb, held_reason, feature, subscription_item_id, action_id, region, service_tier, dimensions::jsonb,
      string_to_array(marks, ',') AS marks, paid_by, reported_cost, reported_currency, payload, signature, info::jsonb, request_id, n
    FROM ${PLACED_EVENTS_SQL}
  ), inserted AS (
    INSERT INTO usage_events (customer_id, event_id, payload_hash, period_id, late, chunk, occurred_at, received_at,
      source_id, provider, provider_hint, model_id, usage, held_reason, feature, subscription_item_id, action_id, region,
      service_tier, dimensions, marks, paid_by, reported_cost, reported_currency)
    SELECT customer_id, event_id, payload_hash, period_id, late, (SELECT ledger_xid()), occurred_at, ${RECEIVED_AT},
      source_id, provider, provider_hint, model_id, usage, held_reason, feature, subscription_item_id, action_id, region,
      service_tier, dimensions, marks, paid_by, reported_cost, reported_currency
    FROM input ORDER BY customer_id COLLATE "C", event_id COLLATE "C"
    ON CONFLICT DO NOTHING
    RETURNING customer_id, event_id, period_id, late
  ), payloads AS (
    INSERT INTO usage_payloads (received_at, customer_id, event_id, payload, signature, info, request_id)
    SELECT ${RECEIVED_AT}, customer_id, event_id, payload, signature, info, request_id
    FROM input JOIN inserted USING (customer_id, event_id)
  ), chunk AS (
    INSERT INTO usage_chunks (chunk, period_ids, events)
    SELECT (SELECT ledger_xid()), array_agg(DISTINCT period_id), count(*)
    FROM inserted WHERE period_id IS NOT NULL AND NOT late HAVING count(*) > 0
  )
  SELECT n FROM input LEFT JOIN inserted i USING (customer_id, event_id) WHERE i.event_id IS NULL`;

/** Inserts events of distinct keys; the indexes of those whose key exists already come back. */
export async function insertEvents(
  client: Client,
  rows: readonly PlacedEvent[],
  receivedAtMs: number,
): Promise<Set<number>> {
  if (rows.length === 0) return new Set();
  const existing = await client.query<{ n: number }>({
    name: 'chunk_insert',
    text: INSERT_SQL,
    values: [...placedEventParameters(rows), receivedAtMs],
  });
  return new Set(existing.rows.map(({ n }) => n - 1));
}

export interface EventKey {
  customer_id: string;
  event_id: string;
}

/** The stored payload hashes of events, null where there is none. A statement of its own: its snapshot sees the winner
 * that `ON CONFLICT DO NOTHING` waited for. */
export async function readHashes(client: Client, keys: readonly EventKey[]): Promise<(Buffer | null)[]> {
  const hashes = new Array<Buffer | null>(keys.length).fill(null);
  if (keys.length === 0) return hashes;
  const { rows } = await client.query<{ n: number; payload_hash: Buffer }>({
    name: 'chunk_hashes',
    text: `SELECT k.n, e.payload_hash
      FROM ROWS FROM (${unnestText(1)}, ${unnestText(2)}) WITH ORDINALITY AS k (customer_id, event_id, n)
      JOIN usage_events e ON e.customer_id = k.customer_id AND e.event_id = k.event_id`,
    values: [
      joinTexts('customer_id', keys, (key) => key.customer_id),
      joinTexts('event_id', keys, (key) => key.event_id),
    ],
  });
  for (const { n, payload_hash } of rows) hashes[n - 1] = payload_hash;
  return hashes;
}

export interface Conflict extends EventKey {
  source_id: string | null;
  stored: Buffer;
  received: Buffer;
}

/** Writes refused events with another payload into the audit log: both hashes, never what was received. */
export async function auditConflicts(client: Client, conflicts: readonly Conflict[]): Promise<void> {
  if (conflicts.length === 0) return;
  await client.query(
    `INSERT INTO audit_log (actor, action, customer_id, subject, detail)
     SELECT 'append', 'usage.conflict', customer_id, event_id,
       jsonb_build_object('source_id', source_id, 'stored_hash', stored, 'received_hash', received)
     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
       AS c (customer_id, event_id, source_id, stored, received)`,
    [
      conflicts.map(({ customer_id }) => customer_id),
      conflicts.map(({ event_id }) => event_id),
      conflicts.map(({ source_id }) => source_id),
      conflicts.map(({ stored }) => stored.toString('hex')),
      conflicts.map(({ received }) => received.toString('hex')),
    ],
  );
}
