import { durationMs } from '../contracts/ids.js';
import type { Queryable } from '../database/pool.js';

export interface RelayPeriod {
  period_id: number;
  customer_id: string;
  start_date: string;
  window_ms: number;
}

/** Settled chunks with from <= chunk < to: per period the newest one. Late usage and held usage name no period. */
export async function readSettledChunks(database: Queryable, from: bigint, to: bigint): Promise<Map<number, bigint>> {
  const { rows } = await database.query<{ period_id: number; chunk: string }>(
    `SELECT p.period_id, max(c.chunk::text::numeric)::text AS chunk
     FROM usage_chunks c CROSS JOIN LATERAL unnest(c.period_ids) AS p(period_id)
     WHERE c.chunk >= $1::text::xid8 AND c.chunk < $2::text::xid8 GROUP BY p.period_id`,
    [from.toString(), to.toString()],
  );
  return new Map(rows.map((row) => [row.period_id, BigInt(row.chunk)]));
}

/**
 * How long ago the oldest chunk from a transaction on committed, in milliseconds; 0 where there is none. From the horizon
 * on: what waits for the horizon. From the beginning, once those that are priced are removed: what waits to be priced.
 */
export async function readOldestChunkMs(database: Queryable, from: bigint): Promise<number> {
  const { rows } = await database.query<{ age_ms: number }>(
    `SELECT round(extract(epoch FROM now() - at) * 1000)::bigint AS age_ms FROM usage_chunks
     WHERE chunk >= $1::text::xid8 ORDER BY chunk LIMIT 1`,
    [from.toString()],
  );
  return rows[0]?.age_ms ?? 0;
}

/**
 * The level that the relay is triggered by: unfinished periods with a settled chunk that pricing has not reached, that
 * no workflow has taken up, that are priced at an older catalog version than the newest or without a decision about held
 * usage while open, that have totals without an exchange rate which is published by now, or that have been
 * overdue for `overdueSeconds` (a lost engine): open beyond their deadline, or closing without progress, whether or not
 * the deadline of a period that finance closed early has come. One that waits for another period makes no progress and
 * is not asked again: it is told when that one is composed.
 */
export async function readUnpriced(
  database: Queryable,
  horizon: bigint,
  overdueSeconds: number,
): Promise<{ period_id: number; chunk: bigint; overdue: boolean }[]> {
  const { rows } = await database.query<{ period_id: number; chunk: string; overdue: boolean }>(
    `WITH touched AS (
       SELECT p.period_id, max(c.chunk::text::numeric) AS chunk
       FROM usage_chunks c CROSS JOIN LATERAL unnest(c.period_ids) AS p(period_id)
       WHERE c.chunk < $1::text::xid8 GROUP BY p.period_id
     ), decided AS (
       SELECT period_id, count(*) AS decisions FROM periods JOIN held_decisions d USING (period_id)
       WHERE sealed_at IS NULL GROUP BY period_id
     ), decided_unplaced AS (
       SELECT customer_id, count(*) AS decisions FROM held_decisions WHERE period_id IS NULL GROUP BY customer_id
     ), level AS (
       SELECT period_id, coalesce(t.chunk, 0)::text AS chunk,
              opened_at IS NULL
                OR (sealed_at IS NULL AND t.chunk >= coalesce(s.priced_to::text::numeric, 0))
                OR (sealed_at IS NULL AND s.catalog_version < (SELECT max(version) FROM catalog_versions))
                OR (sealed_at IS NULL AND s.without_rate <> '[]' AND EXISTS (
                      SELECT FROM jsonb_array_elements(s.without_rate) w
                      JOIN exchange_rates r ON r.from_currency = w->>'currency' AND r.to_currency = s.currency
                      WHERE r.effective_from <= periods.ends_at))
                OR (sealed_at IS NULL AND cardinality(s.decisions)
                      <> coalesce(d.decisions, 0) + coalesce(u.decisions, 0)) AS waiting,
              CASE WHEN waits_for IS NOT NULL THEN NULL
                   WHEN status = 'open' THEN greatest(seals_at, updated_at)
                   WHEN status IN ('closing', 'sealed', 'submitting') THEN updated_at
                   WHEN status = 'awaiting_approval' THEN approval_remind_at
              END < now() - make_interval(secs => $2) AS overdue
       FROM periods LEFT JOIN touched t USING (period_id) LEFT JOIN period_totals s USING (period_id)
         LEFT JOIN decided d USING (period_id) LEFT JOIN decided_unplaced u USING (customer_id)
       WHERE status NOT IN ('invoiced', 'nothing_to_bill')
     )
     SELECT period_id, chunk, waiting IS NOT TRUE AS overdue FROM level WHERE waiting OR overdue`,
    [horizon.toString(), overdueSeconds],
  );
  return rows.map((row) => ({ ...row, chunk: BigInt(row.chunk) }));
}

/** Periods that no workflow has taken up, or whose deadline was moved since: a handful, by their own index. */
export async function readUnopened(database: Queryable): Promise<number[]> {
  const { rows } = await database.query<{ period_id: number }>(
    `SELECT period_id FROM periods WHERE opened_at IS NULL AND status NOT IN ('invoiced', 'nothing_to_bill')
     ORDER BY period_id LIMIT 1000`,
  );
  return rows.map((row) => row.period_id);
}

/** Names and windows of periods, in one query. */
export async function readRelayPeriods(database: Queryable, periodIds: number[]): Promise<Map<number, RelayPeriod>> {
  if (periodIds.length === 0) return new Map();
  const { rows } = await database.query<{
    period_id: number;
    customer_id: string;
    start_date: string;
    window: string | null;
  }>(
    `SELECT p.period_id, p.customer_id, p.start_date, a.window
     FROM periods p LEFT JOIN LATERAL (
       SELECT v.body->>'aggregation_window' AS window FROM plan_assignments a
       JOIN plan_versions v ON v.plan_id = a.plan_id AND v.version = a.plan_version
       WHERE a.customer_id = p.customer_id AND a.effective_from < p.ends_at
       ORDER BY a.effective_from DESC, a.assignment_id DESC LIMIT 1
     ) a ON true
     WHERE p.period_id = ANY($1::bigint[])`,
    [periodIds],
  );
  return new Map(
    rows.map((row) => [
      row.period_id,
      {
        period_id: row.period_id,
        customer_id: row.customer_id,
        start_date: row.start_date,
        window_ms: durationMs(row.window ?? 'PT5S'),
      },
    ]),
  );
}

/** Removes chunks whose every period is priced beyond them (or sealed and done). Returns how many went. */
export async function deletePricedChunks(database: Queryable, horizon: bigint): Promise<number> {
  const result = await database.query(
    `DELETE FROM usage_chunks c WHERE c.chunk < $1::text::xid8 AND NOT EXISTS (
       SELECT FROM unnest(c.period_ids) AS p(period_id)
       JOIN periods USING (period_id) LEFT JOIN period_totals t USING (period_id)
       WHERE periods.status NOT IN ('invoiced', 'nothing_to_bill')
         AND (t.priced_to IS NULL OR t.priced_to <= c.chunk))`,
    [horizon.toString()],
  );
  return result.rowCount ?? 0;
}
