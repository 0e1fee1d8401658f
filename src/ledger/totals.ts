import type { Totals } from '../contracts/period.js';
import type { Queryable } from '../database/pool.js';

interface TotalsRow extends Omit<Totals, 'priced_at'> {
  period_id: number;
  priced_at: Date;
}

/** The totals of periods as pricing left them, in one query; a period of which nothing is priced is not in it. */
export async function readTotalsOf(database: Queryable, periodIds: number[]): Promise<Map<number, Totals>> {
  const { rows } = await database.query<TotalsRow>(
    `SELECT period_id, events, held_events, cost, charge, currency, catalog_version, priced_at
     FROM period_totals WHERE period_id = ANY($1::bigint[])`,
    [periodIds],
  );
  return new Map(
    rows.map(({ period_id, priced_at, ...totals }) => [period_id, { ...totals, priced_at: priced_at.toISOString() }]),
  );
}

/** One period's totals, or null while nothing of it is priced. */
export async function readTotals(database: Queryable, periodId: number): Promise<Totals | null> {
  return (await readTotalsOf(database, [periodId])).get(periodId) ?? null;
}
