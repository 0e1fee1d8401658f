import { readPlace, writeCursor } from '../contracts/cursor.js';
import type { Page, PageRequest } from '../contracts/page.js';
import type { Queryable } from '../database/pool.js';
import { format, fromExactText } from '../money/fraction.js';
import type { ReportedGroup } from '../pricing/pricing-result.js';
import { ReportedCosts } from '../pricing/reported-costs.js';
import { driftFactor, isBeyondTolerance } from '../pricing/reported-drift.js';

/** What the catalog and what the senders say that usage cost, for one model and source. Exact decimal strings. */
export interface ReportedCostView {
  provider: string;
  model_id: string;
  source: string | null;
  /** Events that have both costs and were paid by us. */
  events: number;
  catalog_cost: string;
  catalog_currency: string;
  reported_cost: string;
  reported_currency: string;
  /** Reported / catalog, to 6 places; null where they have no ratio (other currencies, a catalog cost of zero). */
  drift_factor: string | null;
  beyond_tolerance: boolean;
}

export interface ReportedCostFilter {
  customer_id?: string | undefined;
  /** Periods that begin from this date on, and before that one. */
  from?: string | undefined;
  to?: string | undefined;
}

/**
 * Reported costs beside the catalog's, by model and source, over the periods of the filter: the sums that pricing carries.
 * `tolerance` is a share of the catalog's cost such as "0.02". Throws `invalid_request` for a foreign cursor.
 */
export async function listReportedCosts(
  database: Queryable,
  filter: ReportedCostFilter,
  page: PageRequest,
  tolerance: string,
): Promise<Page<ReportedCostView>> {
  const after = readCursor(page.cursor);
  // Keys first: then only as many models are summed as the page shows.
  const { rows: keys } = await database.query<{ place: string }>(
    `SELECT DISTINCT ${PLACE_SQL} AS place FROM ${SOURCE_SQL} AND ${PLACE_SQL} COLLATE "C" > $4 ORDER BY 1 LIMIT $5`,
    [...filterValues(filter), after, page.limit + 1],
  );
  const shown = keys.slice(0, page.limit).map(({ place }) => place);
  const { rows } = await database.query<{ g: ReportedGroup }>(
    `SELECT g FROM ${SOURCE_SQL} AND ${PLACE_SQL} = ANY($4::text[])`,
    [...filterValues(filter), shown],
  );
  const sums = new ReportedCosts();
  sums.merge(rows.map(({ g }) => g));
  const groups = new Map(sums.groups().map((group) => [placeOf(group), group]));
  const last = keys.length > page.limit ? shown.at(-1) : undefined;
  return {
    data: shown.map((place) => toView(groups.get(place)!, tolerance)),
    next_cursor: last === undefined ? null : writeCursor(last),
  };
}

/** The groups of the heads of all periods that the filter takes; ends in a WHERE that can be added to. */
const SOURCE_SQL = `periods p JOIN period_totals t USING (period_id)
  JOIN pricing_runs r ON r.period_id = t.period_id AND r.inputs_hash = t.inputs_hash
  CROSS JOIN LATERAL jsonb_array_elements(r.result->'reported') AS g
  WHERE ($1::text IS NULL OR p.customer_id = $1) AND ($2::date IS NULL OR p.start_date >= $2)
    AND ($3::date IS NULL OR p.start_date < $3)`;

/** Names, which hold no line breaks, of what is summed together. */
const PLACE_SQL = `concat_ws(E'\\n', g->>'provider', g->>'model_id', coalesce(g->>'source', ''), g->>'catalog_currency',
  g->>'reported_currency')`;

function placeOf(group: ReportedGroup): string {
  const { provider, model_id, source, catalog_currency, reported_currency } = group;
  return [provider, model_id, source ?? '', catalog_currency, reported_currency].join('\n');
}

function filterValues({ customer_id, from, to }: ReportedCostFilter): (string | null)[] {
  return [customer_id ?? null, from ?? null, to ?? null];
}

function toView(group: ReportedGroup, tolerance: string): ReportedCostView {
  const factor = driftFactor(group);
  return {
    provider: group.provider,
    model_id: group.model_id,
    source: group.source,
    events: group.events,
    catalog_cost: format(fromExactText(group.catalog_cost)),
    catalog_currency: group.catalog_currency,
    reported_cost: format(fromExactText(group.reported_cost)),
    reported_currency: group.reported_currency,
    drift_factor: factor === null ? null : format(factor, 6),
    beyond_tolerance: isBeyondTolerance(group, tolerance),
  };
}

function readCursor(cursor: string | null): string {
  if (cursor === null) return '';
  return readPlace(cursor, /^[^\n]{1,200}\n[^\n]{1,200}\n[^\n]{0,128}\n[a-z]{3}\n[a-z]{3}$/);
}
