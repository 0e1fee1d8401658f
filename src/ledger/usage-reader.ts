import { type Client, isPool, type Pool, transaction, withSession } from '../database/pool.js';
import { inTurn } from '../database/turns.js';
import { PRICING_READ_EVENTS_COUNT } from '../limits.js';
import type { UsageRow } from '../pricing/pricing-result.js';

/** Events of one period by the transaction that brought them: from_xid <= chunk < to_xid, late ones left out. */
export interface UsageRange {
  period_id: number;
  from_xid: bigint;
  to_xid: bigint;
  /** Only events of these models (as the events name them); all where it is left out. */
  model_ids?: string[];
  /** Voids up to this one leave their events out; none where it is left out. */
  voided_to?: number | undefined;
}

/** The columns of a StoredUsageRow. */
export const USAGE_ROW_COLUMNS = `event_id, occurred_at, source_id, provider, provider_hint, model_id, usage, held_reason,
  feature, subscription_item_id, region, service_tier, dimensions, marks, paid_by, reported_cost, reported_currency,
  received_at, action_id`;

export type StoredUsageRow = Omit<UsageRow, 'occurred_at_ms' | 'received_at_ms' | 'reported_cost'> & {
  occurred_at: Date;
  received_at: Date;
  reported_cost: string | null;
  reported_currency: string | null;
};

/** A row of usage_events as pricing reads it. */
export function toUsageRow(row: StoredUsageRow): UsageRow {
  return {
    event_id: row.event_id,
    occurred_at_ms: row.occurred_at.getTime(),
    source_id: row.source_id,
    provider: row.provider,
    provider_hint: row.provider_hint,
    model_id: row.model_id,
    usage: row.usage,
    held_reason: row.held_reason,
    feature: row.feature,
    subscription_item_id: row.subscription_item_id,
    region: row.region,
    service_tier: row.service_tier,
    dimensions: row.dimensions,
    marks: row.marks,
    paid_by: row.paid_by,
    reported_cost:
      row.reported_cost === null ? null : { amount: row.reported_cost, currency: row.reported_currency ?? 'usd' },
    received_at_ms: row.received_at.getTime(),
    action_id: row.action_id ?? null,
  };
}

/**
 * Hands the range's events to `take`, PRICING_READ_EVENTS_COUNT at a time, in no order: memory stays bounded however
 * large the period is. The cursor's transaction only reads, so it has no transaction id and holds no horizon back.
 * Returns the number of events read.
 */
export async function readUsage(
  database: Pool | Client,
  range: UsageRange,
  take: (rows: UsageRow[]) => void,
  onProgress?: (events: number) => void,
): Promise<number> {
  if (range.from_xid >= range.to_xid || range.model_ids?.length === 0) return 0;
  return readRows<StoredUsageRow>(
    database,
    {
      text: `SELECT ${USAGE_ROW_COLUMNS} FROM usage_events e
        WHERE period_id = $1 AND chunk >= $2::text::xid8 AND chunk < $3::text::xid8 AND NOT late
        ${range.voided_to ? `AND ${notVoided('$4')}` : 'AND $4::bigint IS NOT NULL'}
        ${range.model_ids ? 'AND model_id = ANY($5::text[])' : ''}`,
      values: [
        range.period_id,
        range.from_xid.toString(),
        range.to_xid.toString(),
        range.voided_to ?? 0,
        ...(range.model_ids ? [range.model_ids] : []),
      ],
    },
    (rows) => take(rows.map(toUsageRow)),
    onProgress,
  );
}

/** SQL: usage `e` is not voided by a void up to the parameter. */
export function notVoided(parameter: string): string {
  return `NOT EXISTS (SELECT FROM usage_voids v WHERE v.customer_id = e.customer_id AND v.event_id = e.event_id
    AND v.void_id <= ${parameter}::bigint)`;
}

/**
 * Hands a query's rows to `take`, PRICING_READ_EVENTS_COUNT at a time; returns how many there were. On a pool it waits for
 * its turn.
 */
export async function readRows<Row extends object>(
  database: Pool | Client,
  query: { text: string; values: unknown[] },
  take: (rows: Row[]) => void,
  onProgress?: (events: number) => void,
): Promise<number> {
  const read = (session: Client) => fetchAll(session, query, take, onProgress);
  return isPool(database) ? inTurn(database, () => withSession(database, read)) : read(database);
}

async function fetchAll<Row extends object>(
  session: Client,
  query: { text: string; values: unknown[] },
  take: (rows: Row[]) => void,
  onProgress?: (events: number) => void,
): Promise<number> {
  return transaction(session, async () => {
    await session.query('SET TRANSACTION READ ONLY');
    await session.query(`DECLARE usage NO SCROLL CURSOR FOR ${query.text}`, query.values);
    let events = 0;
    for (;;) {
      const { rows } = await session.query<Row>(`FETCH ${PRICING_READ_EVENTS_COUNT} FROM usage`);
      if (rows.length === 0) return events;
      take(rows);
      events += rows.length;
      onProgress?.(events);
    }
  });
}
