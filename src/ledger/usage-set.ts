import type { Pool } from '../database/pool.js';
import type { UsageRow } from '../pricing/pricing-result.js';
import { notVoided, readRows, type StoredUsageRow, toUsageRow, USAGE_ROW_COLUMNS } from './usage-reader.js';

/**
 * The usage of one seal, named so that it is the same whenever it is read: what was there at the seal, what was decided
 * about late usage up to then, what was voided up to then.
 */
export interface UsageSet {
  period_id: number;
  sealed_xid: bigint;
  voided_to: number;
  decided_to: number;
  /** Late usage to take as decided for this period although it is not yet: what a re-bill would take in. */
  pending?: string[];
  /** Only what transactions with from <= id < to brought: a part of the set. */
  chunks?: { from: bigint; to: bigint };
  /** Usage to count in that is in no ledger (a dry run). */
  added?: readonly UsageRow[];
}

/** A row of a set; `decided`: it is there by a decision about late usage, not by the first seal. */
export interface SetRow {
  row: UsageRow;
  decided: boolean;
}

/** Columns of a StoredUsageRow of `usage_events e`. */
export const E_COLUMNS = USAGE_ROW_COLUMNS.split(',')
  .map((column) => `e.${column.trim()}`)
  .join(', ');

/**
 * FROM and WHERE of a set, `e` being the usage and `b` the decision about it, for the parameters of `setParameters`
 * (the first five of a query). What happened in the period and is billed in another one is left out.
 */
export const SET_SQL = `FROM usage_events e
  LEFT JOIN late_billings b ON b.customer_id = e.customer_id AND b.event_id = e.event_id AND b.decision_id <= $3::bigint
  WHERE e.period_id = $1::bigint AND ${notVoided('$4')}
    AND CASE WHEN b.decision_id IS NOT NULL THEN b.billed_in = $1::bigint
             WHEN e.event_id = ANY($5::text[]) THEN true
             ELSE NOT e.late AND e.chunk < $2::text::xid8 END`;
export const DECIDED_SQL = '(b.decision_id IS NOT NULL OR e.event_id = ANY($5::text[]))';

export function setParameters(set: UsageSet): unknown[] {
  return [set.period_id, set.sealed_xid.toString(), set.decided_to, set.voided_to, set.pending ?? []];
}

function chunksSql({ chunks }: UsageSet): string {
  return chunks === undefined ? '' : `AND e.chunk >= '${chunks.from}'::xid8 AND e.chunk < '${chunks.to}'::xid8`;
}

/** Hands a set's rows to `take`, batch by batch, in no order. Returns how many there were. */
export async function readSet(
  pool: Pool,
  set: UsageSet,
  take: (rows: SetRow[]) => void,
  onProgress?: (events: number) => void,
): Promise<number> {
  if (set.added && set.added.length > 0) take(set.added.map((row) => ({ row, decided: false })));
  return readRows<StoredUsageRow & { decided: boolean }>(
    pool,
    { text: `SELECT ${E_COLUMNS}, ${DECIDED_SQL} AS decided ${SET_SQL} ${chunksSql(set)}`, values: setParameters(set) },
    (rows) => take(rows.map((row) => ({ row: toUsageRow(row), decided: row.decided }))),
    onProgress,
  );
}

/** Usage of one sealed period that others bill. */
export interface CarriedUsage {
  period_id: number;
  voided_to: number;
  /** Decisions with from <= decision_id < to; `billed_in`: of this period only, else of any other than its own. */
  from: number;
  to: number;
  billed_in: number | null;
  /** These instead, which are not decided yet (a preview). */
  pending?: string[] | undefined;
}

/** Hands usage that was carried out of a period to `take`. */
export async function readCarried(
  pool: Pool,
  carried: CarriedUsage,
  take: (rows: UsageRow[]) => void,
): Promise<number> {
  if (carried.pending !== undefined) {
    const text = `SELECT ${E_COLUMNS} FROM usage_events e WHERE e.event_id = ANY($2::text[]) AND e.period_id = $1
      AND e.customer_id = (SELECT customer_id FROM periods WHERE period_id = $1) AND ${notVoided('$3')}`;
    const values = [carried.period_id, carried.pending, carried.voided_to];
    return readRows<StoredUsageRow>(pool, { text, values }, (rows) => take(rows.map(toUsageRow)));
  }
  return readRows<StoredUsageRow>(
    pool,
    {
      text: `SELECT ${E_COLUMNS} FROM late_billings b
        JOIN usage_events e ON e.customer_id = b.customer_id AND e.event_id = b.event_id
        WHERE b.period_id = $1::bigint AND b.billed_in <> $1::bigint AND b.decision_id >= $2::bigint AND b.decision_id < $3::bigint
          AND ($5::bigint IS NULL OR b.billed_in = $5::bigint) AND ${notVoided('$4')}`,
      values: [carried.period_id, carried.from, carried.to, carried.voided_to, carried.billed_in],
    },
    (rows) => take(rows.map(toUsageRow)),
  );
}
