import type { Pool } from '../src/database/pool.js';

/** What the bare insert writes of one event: the same columns as the append. */
export interface BareRow {
  customer_id: string;
  event_id: string;
  payload_hash: Buffer;
  period_id: number;
  occurred_at: string;
  provider: string;
  model_id: string;
  usage: string;
  feature: string | null;
  action_id: string | null;
  dimensions: string | null;
  payload: string;
  request_id: string | null;
}

/**
 * The plain set-based insert that the append is measured against: one statement and one transaction a batch, arrays as
 * the driver writes them, no dedupe answer, no locks, no prices, no order.
 */
export async function bareInsert(pool: Pool, rows: readonly BareRow[]): Promise<void> {
  const column = <K extends keyof BareRow>(name: K) => rows.map((row) => row[name]);
  const none = rows.map(() => null);
  await pool.query({
    name: 'bare_insert',
    text: `WITH input AS (
        SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bigint[], $5::timestamptz[], $6::text[], $7::text[],
          $8::jsonb[], $9::text[], $10::text[], $11::jsonb[], $12::text[], $13::text[], $14::text[], $15::text[],
          $16::text[], $17::text[], $18::text[], $19::text[], $20::jsonb[])
        AS i (customer_id, event_id, payload_hash, period_id, occurred_at, provider, model_id, usage, feature, action_id,
          dimensions, payload, request_id, source_id, provider_hint, held_reason, subscription_item_id, region,
          signature, info)
      ), events AS (
        INSERT INTO usage_events (customer_id, event_id, payload_hash, period_id, late, chunk, occurred_at, received_at,
          source_id, provider, provider_hint, model_id, usage, held_reason, feature, subscription_item_id, action_id,
          region, service_tier, dimensions)
        SELECT customer_id, event_id, payload_hash, period_id, false, pg_current_xact_id(), occurred_at, now(),
          source_id, provider, provider_hint, model_id, usage, held_reason, feature, subscription_item_id, action_id,
          region, NULL, dimensions FROM input
      )
      INSERT INTO usage_payloads (received_at, customer_id, event_id, payload, signature, info, request_id)
      SELECT now(), customer_id, event_id, payload, signature, info, request_id FROM input`,
    values: [
      column('customer_id'),
      column('event_id'),
      column('payload_hash'),
      column('period_id'),
      column('occurred_at'),
      column('provider'),
      column('model_id'),
      column('usage'),
      column('feature'),
      column('action_id'),
      column('dimensions'),
      column('payload'),
      column('request_id'),
      ...Array.from({ length: 7 }, () => none),
    ],
  });
}
