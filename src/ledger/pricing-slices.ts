import type { Queryable } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { EMPTY_RESULT } from '../pricing/merge-results.js';
import type { PricingResult } from '../pricing/pricing-result.js';
import type { UsageRange } from './usage-reader.js';

/**
 * The beginning of a range with about so many events of the period, whatever their model: all of it where it has no more.
 * A chunk is never cut; a slice is as much larger.
 */
export async function cutSlice<Range extends UsageRange>(
  database: Queryable,
  range: Range,
  events: number,
): Promise<Range> {
  if (range.model_ids?.length === 0) return range;
  const { rows } = await database.query<{ chunk: string }>(
    `SELECT chunk::text FROM usage_events WHERE period_id = $1 AND chunk >= $2::text::xid8 AND chunk < $3::text::xid8
     ORDER BY chunk OFFSET $4 LIMIT 1`,
    [range.period_id, range.from_xid.toString(), range.to_xid.toString(), events],
  );
  if (rows[0] === undefined) return range;
  const next = BigInt(rows[0].chunk);
  return { ...range, to_xid: next > range.from_xid ? next : next + 1n };
}

/** What is priced again of a period so far, from its beginning on. */
export interface Repricing {
  priced_to: bigint;
  result: PricingResult;
}

/** How far pricing again has come at a stage (what is priced again, and at which inputs); nothing yet at another one. */
export async function readRepricing(database: Queryable, periodId: number, stage: string): Promise<Repricing> {
  const { rows } = await database.query<{ priced_to: string; result: PricingResult }>(
    'SELECT priced_to::text, result FROM repricings WHERE period_id = $1 AND stage = $2',
    [periodId, stage],
  );
  const row = rows[0];
  return row ? { priced_to: BigInt(row.priced_to), result: row.result } : { priced_to: 0n, result: EMPTY_RESULT };
}

/**
 * Keeps what is priced again up to `range.to`, in the place of what was kept up to `range.from` or at another stage. Throws
 * `stale_inputs` where another attempt was faster.
 */
export async function keepRepricing(
  database: Queryable,
  periodId: number,
  stage: string,
  range: { from: bigint; to: bigint },
  result: PricingResult,
): Promise<void> {
  const { rowCount } = await database.query(
    `INSERT INTO repricings AS r (period_id, stage, priced_to, result) VALUES ($1, $2, $3::text::xid8, $4)
     ON CONFLICT (period_id) DO UPDATE
       SET stage = excluded.stage, priced_to = excluded.priced_to, result = excluded.result, kept_at = now()
       WHERE r.stage <> excluded.stage OR r.priced_to = $5::text::xid8`,
    [periodId, stage, range.to.toString(), JSON.stringify(result), range.from.toString()],
  );
  if (rowCount === 0) {
    throw new CostplusError('stale_inputs', `Period ${periodId} was priced meanwhile; read its head again.`);
  }
}

/** Forgets what was kept of pricing again: it stands in a run now, or is of no use any more. */
export async function dropRepricing(database: Queryable, periodId: number): Promise<void> {
  await database.query('DELETE FROM repricings WHERE period_id = $1', [periodId]);
}
