import { readPlace, writeCursor } from '../contracts/cursor.js';
import type { Page, PageRequest } from '../contracts/page.js';
import type { PeriodStatus } from '../contracts/period.js';
import type { Queryable } from '../database/pool.js';

/** Held usage of one kind: a reason and a model in a period of a customer. */
export interface HeldGroupView {
  customer_id: string;
  /** Null: no period takes it yet. */
  start_date: string | null;
  period_status: PeriodStatus | null;
  /** Whether the period is sealed: what is resolved from now on is late usage. */
  sealed: boolean;
  reason: string;
  provider: string | null;
  model_id: string;
  /** The meter without a price, where that is the reason. */
  meter: string | null;
  events: number;
  /** Decisions made for the period about usage of this kind. Of a sealed one they count from the next period on. */
  decisions: number[];
}

export interface HeldFilter {
  customer_id?: string | undefined;
  start_date?: string | undefined;
  reason?: string | undefined;
  provider?: string | undefined;
  model_id?: string | undefined;
}

/** SQL: why usage `e` has no period; `c` is its customer, if there is one. `being_placed`: the relay is on the way to it. */
export const UNPLACED_REASON_SQL = `CASE WHEN c.customer_id IS NULL THEN 'unknown_customer'
  WHEN e.occurred_at >= coalesce(c.starts_at, '-infinity') AND e.occurred_at < coalesce(c.ends_at, 'infinity')
    THEN 'being_placed' ELSE 'outside_billing' END`;

/** SQL: usage that no period takes, but for what a person decided about, with the reason. */
export const UNPLACED_HELD_SQL = `
  SELECT e.customer_id, e.event_id, e.provider, e.model_id,
         ${UNPLACED_REASON_SQL} AS reason
  FROM usage_events e LEFT JOIN customers c ON c.customer_id = e.customer_id
  WHERE e.period_id IS NULL AND NOT EXISTS (
    SELECT FROM held_decisions d
    WHERE d.customer_id = e.customer_id AND d.period_id IS NULL AND e.event_id = ANY(d.event_ids))`;

/** SQL: held groups of periods as pricing found them last, then usage without a period; `place` orders and pages them. */
const GROUPS_SQL = `
  SELECT 'p' || lpad(p.period_id::text, 19, '0') || lpad(h.ordinal::text, 6, '0') AS place, p.customer_id, p.start_date,
         p.status AS period_status, p.sealed_at IS NOT NULL AS sealed, h.reason, h.provider, h.model_id, h.meter, h.events,
         ARRAY(SELECT d.decision_id FROM held_decisions d WHERE d.period_id = p.period_id
                 AND (d.reason IS NULL OR d.reason = h.reason) AND (d.provider IS NULL OR d.provider = h.provider)
                 AND (d.model_id IS NULL OR d.model_id = h.model_id) ORDER BY 1)::text[] AS decisions
  FROM period_totals t JOIN periods p USING (period_id) CROSS JOIN LATERAL (
    SELECT g.reason, g.provider, g.model_id, g.meter, sum(g.events)::bigint AS events,
           row_number() OVER (ORDER BY g.reason, g.provider, g.model_id, g.meter) AS ordinal
    FROM pricing_runs r CROSS JOIN LATERAL
         jsonb_to_recordset(r.result->'held') AS g (reason text, provider text, model_id text, meter text, events bigint)
    WHERE r.period_id = t.period_id AND r.inputs_hash = t.inputs_hash
    GROUP BY g.reason, g.provider, g.model_id, g.meter
  ) h
  WHERE t.held_events > 0
  UNION ALL
  SELECT 'u' || customer_id || E'\\n' || coalesce(provider, '') || E'\\n' || model_id, customer_id, NULL, NULL, false,
         reason, provider, model_id, NULL, count(*), '{}'
  FROM (${UNPLACED_HELD_SQL}) AS held GROUP BY customer_id, reason, provider, model_id`;

const FILTER_SQL = `($1::text IS NULL OR customer_id = $1) AND ($2::date IS NULL OR start_date = $2)
  AND ($3::text IS NULL OR reason = $3) AND ($4::text IS NULL OR provider = $4) AND ($5::text IS NULL OR model_id = $5)`;

function filterValues(filter: HeldFilter): (string | null)[] {
  const { customer_id, start_date, reason, provider, model_id } = filter;
  return [customer_id, start_date, reason, provider, model_id].map((value) => value ?? null);
}

/** Held usage as pricing found it last, by customer, period, reason and model. Throws `invalid_request` for a foreign cursor. */
export async function listHeldUsage(
  database: Queryable,
  filter: HeldFilter,
  request: PageRequest,
): Promise<Page<HeldGroupView>> {
  const { rows } = await database.query<Omit<HeldGroupView, 'decisions'> & { place: string; decisions: string[] }>(
    `SELECT * FROM (${GROUPS_SQL}) AS held WHERE ${FILTER_SQL} AND place COLLATE "C" > $6
     ORDER BY place COLLATE "C" LIMIT $7`,
    [...filterValues(filter), readCursor(request.cursor), request.limit + 1],
  );
  const data = rows.slice(0, request.limit);
  const last = rows.length > request.limit ? data.at(-1) : undefined;
  return {
    data: data.map(({ place: _place, decisions, ...group }) => ({ ...group, decisions: decisions.map(Number) })),
    next_cursor: last ? writeCursor(last.place) : null,
  };
}

/** How much waits for one reason and model, over all customers. */
export interface HeldModelView {
  reason: string;
  provider: string | null;
  model_id: string;
  meter: string | null;
  events: number;
  customers: number;
}

/** Held usage by reason and model over all customers, most events first; at most `limit` of them. */
export async function countHeldModels(
  database: Queryable,
  filter: HeldFilter,
  limit: number,
): Promise<HeldModelView[]> {
  const { rows } = await database.query<HeldModelView>(
    `SELECT reason, provider, model_id, meter, sum(events)::bigint AS events, count(DISTINCT customer_id) AS customers
     FROM (${GROUPS_SQL}) AS held WHERE ${FILTER_SQL}
     GROUP BY reason, provider, model_id, meter ORDER BY events DESC, model_id COLLATE "C", reason LIMIT $6`,
    [...filterValues(filter), limit],
  );
  return rows;
}

function readCursor(cursor: string | null): string {
  if (cursor === null) return '';
  return readPlace(cursor, /^(p\d{25}|u[A-Za-z0-9._:-]{1,128}\n[^\n]{0,200}\n[^\n]{1,200})$/);
}
