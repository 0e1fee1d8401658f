import { readPlace, writeCursor } from '../contracts/cursor.js';
import type { Page, PageRequest } from '../contracts/page.js';
import type { PeriodStatus, TimelineEntry } from '../contracts/period.js';
import type { Queryable } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { PERIOD_COLUMNS, type Period } from './period.js';
import { tellWaiting } from './period-waits.js';

/** A customer's period by its name, or null. */
export async function findPeriod(database: Queryable, customerId: string, startDate: string): Promise<Period | null> {
  if (!/^\d{4}-\d\d-\d\d$/.test(startDate) || Number.isNaN(Date.parse(startDate))) return null;
  const { rows } = await database.query<Period>(
    `SELECT ${PERIOD_COLUMNS} FROM periods WHERE customer_id = $1 AND start_date = $2`,
    [customerId, startDate],
  );
  return rows[0] ?? null;
}

/** A period by its id. Throws `unknown_period`. */
export async function readPeriod(database: Queryable, periodId: number): Promise<Period> {
  const { rows } = await database.query<Period>(`SELECT ${PERIOD_COLUMNS} FROM periods WHERE period_id = $1`, [
    periodId,
  ]);
  if (!rows[0]) throw new CostplusError('unknown_period', `There is no period ${periodId}.`);
  return rows[0];
}

/**
 * Periods, the newest rows first, of one customer or status where given, or those that would open with something else now.
 * Throws `invalid_request` for a foreign cursor.
 */
export async function listPeriods(
  database: Queryable,
  request: PageRequest & { customer_id?: string; status?: PeriodStatus; opening_changed?: boolean },
): Promise<Page<Period>> {
  const { rows } = await database.query<Period>(
    `SELECT ${PERIOD_COLUMNS} FROM periods
     WHERE ($1::text IS NULL OR customer_id = $1) AND ($2::text IS NULL OR status = $2)
       AND ($3::bigint IS NULL OR period_id < $3)
       AND ($5::boolean IS NULL OR (opening_changes IS NOT NULL) = $5)
     ORDER BY period_id DESC LIMIT $4`,
    [
      request.customer_id ?? null,
      request.status ?? null,
      readCursor(request.cursor),
      request.limit + 1,
      request.opening_changed ?? null,
    ],
  );
  const data = rows.slice(0, request.limit);
  const last = rows.length > request.limit ? data.at(-1) : undefined;
  return { data, next_cursor: last ? writeCursor(`p${last.period_id}`) : null };
}

/**
 * Moves a period from one of the statuses `from` to `to`, with a timeline entry, as one compare-and-set. `on_hold` and
 * `parked` remember what they interrupted as `resume_status`. Returns the changed row.
 * Throws `wrong_status` with the status found, or `unknown_period`.
 */
export async function setPeriodStatus(
  client: Queryable,
  periodId: number,
  from: readonly PeriodStatus[],
  to: PeriodStatus,
  reason: string | null = null,
): Promise<Period> {
  const { rows } = await client.query<Period & { was: PeriodStatus }>(
    `WITH before AS (SELECT status AS was FROM periods WHERE period_id = $1 FOR UPDATE)
     UPDATE periods SET status = $3, status_reason = $4, waits_for = NULL, close_reason = NULL, updated_at = now(),
       resume_status = CASE WHEN $3 NOT IN ('on_hold', 'parked') THEN NULL
                            WHEN was IN ('on_hold', 'parked') THEN resume_status ELSE was END
     FROM before WHERE period_id = $1 AND was = ANY($2::text[])
     RETURNING ${PERIOD_COLUMNS}, was`,
    [periodId, from, to, reason],
  );
  const row = rows[0];
  if (!row) {
    const { status, start_date } = await readPeriod(client, periodId);
    throw new CostplusError(
      'wrong_status',
      `The period ${start_date} is ${status}; only ${from.join(', ')} can become ${to}.`,
      { extra: { period_status: status } },
    );
  }
  const { was, ...period } = row;
  await addTimeline(client, periodId, 'status', { from: was, to, ...(reason === null ? {} : { reason }) });
  await tellWaiting(client, period);
  return period;
}

/** Adds what happened to a period. Details hold ids, counts and decimal strings. */
export async function addTimeline(
  client: Queryable,
  periodId: number,
  kind: string,
  detail: Record<string, unknown>,
): Promise<void> {
  await client.query('INSERT INTO period_timeline (period_id, kind, detail) VALUES ($1, $2, $3)', [
    periodId,
    kind,
    JSON.stringify(detail),
  ]);
}

/** The newest `limit` entries of a period's timeline, oldest first. */
export async function readTimeline(database: Queryable, periodId: number, limit: number): Promise<TimelineEntry[]> {
  const { rows } = await database.query<{ at: Date; kind: string; detail: Record<string, unknown> }>(
    'SELECT at, kind, detail FROM period_timeline WHERE period_id = $1 ORDER BY entry_id DESC LIMIT $2',
    [periodId, limit],
  );
  return rows.reverse().map(({ at, kind, detail }) => ({ at: at.toISOString(), kind, detail }));
}

function readCursor(cursor: string | null): number | null {
  if (cursor === null) return null;
  return Number(readPlace(cursor, /^p\d{1,15}$/).slice(1));
}
