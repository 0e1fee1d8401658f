import type { Queryable } from '../database/pool.js';
import { UNDECIDED_SQL } from './late-waiting.js';

/** What late usage adds to a period's totals; exact decimal string in `currency`. */
export interface LateTotals {
  events: number;
  charge: string;
  currency: string;
  catalog_version: number;
}

/** The mark of a sealed period: what it carries is decided. */
export const SEALED_MARK = 'sealed';

/** A period that would take the late usage of those before it: the customer's earliest unsealed one. */
export interface CarryingMark {
  /** Names what waits: while it is the same, it comes to the same. */
  mark: string;
  /** The mark of the totals that are known; null: none are. */
  known: string | null;
}

/** The mark of a period that carries nothing: it is sealed, another one is sealed before it, or nothing waits. */
export const NOTHING_WAITS = 'none';

/**
 * What the late usage that a period would carry depends on, as a text: usage that waits in sealed periods, their
 * revisions, what was let go, the catalog; and the day, since what a plan keeps for a re-bill it lets go after a time.
 * Reads the index of late usage alone. Null for a sealed period.
 */
export async function readLateMark(database: Queryable, periodId: number): Promise<CarryingMark | null> {
  const { rows } = await database.query<{ waits: string | null; first: boolean; known: string | null }>(
    `SELECT l.mark AS known,
            NOT EXISTS (SELECT FROM periods o WHERE o.customer_id = p.customer_id AND o.starts_at < p.starts_at
              AND o.sealed_at IS NULL) AS first,
            (SELECT string_agg(concat_ws(' ', w.period_id, w.revision, w.held, w.events, w.released, w.last), ';' ORDER BY w.period_id)
             FROM (SELECT o.period_id, coalesce(t.held_events, 0) AS held, count(e.event_id) AS events, max(e.received_at) AS last,
                          (SELECT max(revision) FROM seals WHERE period_id = o.period_id) AS revision,
                          (SELECT count(*) FROM late_releases WHERE period_id = o.period_id) AS released
                   FROM periods o LEFT JOIN period_totals t USING (period_id)
                   LEFT JOIN usage_events e ON e.period_id = o.period_id AND e.late AND ${UNDECIDED_SQL}
                   WHERE o.customer_id = p.customer_id AND o.starts_at < p.starts_at AND o.sealed_at IS NOT NULL
                   GROUP BY o.period_id, t.held_events HAVING count(e.event_id) > 0 OR t.held_events > 0) w
            ) || ' @' || (SELECT max(version) FROM catalog_versions) || ' '
              || (SELECT coalesce(max(decision_id), 0) FROM held_decisions d WHERE d.customer_id = p.customer_id) || ' '
              || date_trunc('day', now()) AS waits
     FROM periods p LEFT JOIN period_late_totals l USING (period_id) WHERE p.period_id = $1 AND p.sealed_at IS NULL`,
    [periodId],
  );
  const row = rows[0];
  if (!row) return null;
  return { mark: row.first && row.waits !== null ? row.waits : NOTHING_WAITS, known: row.known };
}

/** Whether what late usage adds to a period was looked for within so many seconds. A period that has none costs no more. */
export async function isLateFresh(database: Queryable, periodId: number, seconds: number): Promise<boolean> {
  const { rows } = await database.query<{ fresh: boolean }>(
    'SELECT at > now() - make_interval(secs => $2) AS fresh FROM period_late_totals WHERE period_id = $1',
    [periodId, seconds],
  );
  return rows[0]?.fresh ?? false;
}

/** Notes that nothing changed. */
export async function touchLateTotals(database: Queryable, periodId: number): Promise<void> {
  await database.query('UPDATE period_late_totals SET at = now() WHERE period_id = $1', [periodId]);
}

/** Keeps what late usage adds to a period, and at which mark that was found. */
export async function writeLateTotals(
  database: Queryable,
  periodId: number,
  mark: string,
  { events, charge, currency, catalog_version }: LateTotals,
): Promise<void> {
  await database.query(
    `INSERT INTO period_late_totals (period_id, mark, events, charge, currency, catalog_version)
     VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (period_id) DO UPDATE SET mark = excluded.mark, events = excluded.events, charge = excluded.charge,
       currency = excluded.currency, catalog_version = excluded.catalog_version, at = now()`,
    [periodId, mark, events, charge, currency, catalog_version],
  );
}

/** The earliest unsealed periods of customers with late usage that waits, the one that waits longest first. */
export async function listCarrying(
  database: Queryable,
  customerIds: string[],
): Promise<{ period_id: number; customer_id: string; start_date: string }[]> {
  const { rows } = await database.query<{ period_id: number; customer_id: string; start_date: string }>(
    `SELECT DISTINCT ON (customer_id) period_id, customer_id, start_date FROM periods
     WHERE customer_id = ANY($1::text[]) AND sealed_at IS NULL ORDER BY customer_id, starts_at`,
    [customerIds],
  );
  return rows;
}
