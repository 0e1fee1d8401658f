import { readPlace, writeCursor } from '../contracts/cursor.js';
import type { Page, PageRequest } from '../contracts/page.js';
import type { Queryable } from '../database/pool.js';
import type { ReviewGroup } from '../pricing/pricing-result.js';

/** Priced usage to look through, over all customers of the filter. */
export interface UsageReviewView extends ReviewGroup {
  customers: number;
}

export interface UsageReviewFilter {
  customer_id?: string | undefined;
  how?: ReviewGroup['how'] | undefined;
  /** Periods that begin from this date on, and before that one. */
  from?: string | undefined;
  to?: string | undefined;
}

/**
 * Usage that is priced and billed, and whose price a person should look at, by model, as pricing found it last: the model
 * was found by an alias, a match rule or at another provider, or base prices stand in for its service tier. Ordered by
 * name. Throws `invalid_request` for a foreign cursor.
 */
export async function listUsageReview(
  database: Queryable,
  { customer_id, how, from, to }: UsageReviewFilter,
  page: PageRequest,
): Promise<Page<UsageReviewView>> {
  const { rows } = await database.query<UsageReviewView & { place: string }>(
    `SELECT ${PLACE_SQL} AS place, g->>'provider' AS provider, g->>'model_id' AS model_id, g->>'priced_as' AS priced_as,
       g->>'how' AS how, g->>'unpriced_tier' AS unpriced_tier,
       sum((g->>'events')::bigint)::bigint AS events, count(DISTINCT p.customer_id) AS customers
     FROM periods p JOIN period_totals t USING (period_id)
     JOIN pricing_runs r ON r.period_id = t.period_id AND r.inputs_hash = t.inputs_hash
     CROSS JOIN LATERAL jsonb_array_elements(r.result->'review') AS g
     WHERE ($1::text IS NULL OR p.customer_id = $1) AND ($2::date IS NULL OR p.start_date >= $2)
       AND ($3::date IS NULL OR p.start_date < $3) AND ($4::text IS NULL OR g->>'how' = $4)
       AND ${PLACE_SQL} COLLATE "C" > $5
     GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY ${PLACE_SQL} COLLATE "C" LIMIT $6`,
    [customer_id ?? null, from ?? null, to ?? null, how ?? null, readCursor(page.cursor), page.limit + 1],
  );
  const data = rows.slice(0, page.limit);
  const last = rows.length > page.limit ? data.at(-1) : undefined;
  return {
    data: data.map(({ place: _place, ...group }) => group),
    next_cursor: last === undefined ? null : writeCursor(last.place),
  };
}

/** Names, which hold no line breaks, of what is counted together. */
const PLACE_SQL = `concat_ws(E'\\n', g->>'provider', g->>'model_id', g->>'priced_as', g->>'how',
  coalesce(g->>'unpriced_tier', ''))`;

function readCursor(cursor: string | null): string {
  if (cursor === null) return '';
  return readPlace(cursor, /^([^\n]{1,200}\n){3}[a-z_]{1,20}\n[^\n]{0,200}$/);
}
