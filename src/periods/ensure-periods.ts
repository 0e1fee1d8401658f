import type { Queryable } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { localDate, type PeriodSpan } from './calendar.js';
import { PERIOD_COLUMNS, type Period } from './period.js';

/** A period that somebody needs: the span that the customer's calendar gives for an instant. */
export interface PeriodRequest {
  customer_id: string;
  /** Revision of the customer that `span` was computed from; a row is made only while it is still the newest. */
  revision: number;
  time_zone: string;
  at_ms: number;
  span: PeriodSpan;
}

interface Found {
  ordinal: number;
  period: Period | null;
  free_from: Date | null;
  free_to: Date | null;
}

/** Another process that makes the same rows wins at most once; a second round is for rows it made beside ours. */
const ROUNDS_COUNT = 4;

/**
 * The rows of the periods that contain the instants asked for, in order, made where they do not exist yet. Rows are the
 * truth and a computed span only fills the gap that they leave: a span is trimmed to what is free around its instant, so
 * that a changed calendar or other time zone data cannot make an overlap. New rows seal at the later of their end and
 * now, plus the grace of the plan assigned at their end. Safe under concurrency, several statements.
 * Throws `stale_inputs` where the customer changed meanwhile: read it again and compute the span again.
 */
export async function ensurePeriods(
  database: Queryable,
  requests: readonly PeriodRequest[],
  nowMs: number,
): Promise<Period[]> {
  const periods = new Array<Period | undefined>(requests.length);
  let missing = requests.map((request, ordinal) => ({ request, ordinal }));
  for (let round = 0; missing.length > 0 && round < ROUNDS_COUNT; round++) {
    const found = await findRows(
      database,
      missing.map(({ request }) => request),
    );
    const toMake: PeriodRequest[] = [];
    const left: typeof missing = [];
    for (const [index, { period, free_from, free_to }] of found.entries()) {
      const { request, ordinal } = missing[index]!;
      if (period) periods[ordinal] = period;
      else {
        left.push({ request, ordinal });
        toMake.push({ ...request, span: trim(request, free_from, free_to) });
      }
    }
    if (toMake.length > 0) await insertRows(database, toMake, nowMs);
    missing = left;
  }
  if (missing.length > 0) {
    const { customer_id } = missing[0]!.request;
    throw new CostplusError('stale_inputs', `Customer ${customer_id} changed while its period was opened.`);
  }
  return periods as Period[];
}

/** The row of one period, made where it does not exist yet. See `ensurePeriods`. */
export async function ensurePeriod(database: Queryable, request: PeriodRequest, nowMs: number): Promise<Period> {
  return (await ensurePeriods(database, [request], nowMs))[0]!;
}

/** For each request the row that contains its instant, else where the neighbouring rows leave it free. */
async function findRows(database: Queryable, requests: readonly PeriodRequest[]): Promise<Found[]> {
  const { rows } = await database.query<Omit<Found, 'period'> & Partial<Period>>(
    `SELECT r.ordinal, p.*,
            CASE WHEN p.period_id IS NULL THEN
              (SELECT max(ends_at) FROM periods WHERE customer_id = r.customer_id AND ends_at <= r.at) END AS free_from,
            CASE WHEN p.period_id IS NULL THEN
              (SELECT min(starts_at) FROM periods WHERE customer_id = r.customer_id AND starts_at > r.at) END AS free_to
     FROM (SELECT customer_id, to_timestamp(at_ms / 1000.0) AS at, ordinal
           FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS input (customer_id, at_ms, ordinal)) AS r
     LEFT JOIN LATERAL (
       SELECT ${PERIOD_COLUMNS} FROM periods
       WHERE customer_id = r.customer_id AND starts_at <= r.at AND ends_at > r.at
     ) AS p ON true
     ORDER BY r.ordinal`,
    [requests.map((request) => request.customer_id), requests.map((request) => request.at_ms)],
  );
  return rows.map(({ ordinal, free_from, free_to, ...period }) => ({
    ordinal,
    period: typeof period.period_id === 'number' ? (period as Period) : null,
    free_from,
    free_to,
  }));
}

function trim(request: PeriodRequest, freeFrom: Date | null, freeTo: Date | null): PeriodSpan {
  const { span, time_zone } = request;
  const startsAt = Math.max(span.starts_at, freeFrom?.getTime() ?? Number.NEGATIVE_INFINITY);
  const endsAt = Math.min(span.ends_at, freeTo?.getTime() ?? Number.POSITIVE_INFINITY);
  if (startsAt === span.starts_at) return { ...span, ends_at: endsAt };
  return { ...span, start_date: localDate(time_zone, startsAt), starts_at: startsAt, ends_at: endsAt };
}

/**
 * Inserts what no other transaction has made. `FOR SHARE` on the customer waits for a change of it under way and then
 * sees its revision. In order of their keys, as every insert of several rows.
 */
async function insertRows(database: Queryable, requests: PeriodRequest[], nowMs: number): Promise<void> {
  const spans = requests.map((request) => request.span);
  await database.query(
    `WITH input AS (
       SELECT customer_id, revision, start_date, to_timestamp(starts_ms / 1000.0) AS starts_at,
              to_timestamp(ends_ms / 1000.0) AS ends_at, to_timestamp(from_ms / 1000.0) AS calendar_from,
              to_timestamp(to_ms / 1000.0) AS calendar_to
       FROM unnest($1::text[], $2::bigint[], $3::date[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
         AS input (customer_id, revision, start_date, starts_ms, ends_ms, from_ms, to_ms)
     ), current AS (
       SELECT customer_id, revision FROM customers
       WHERE (customer_id, revision) IN (SELECT customer_id, revision FROM input) ORDER BY customer_id FOR SHARE
     ), made AS (
       INSERT INTO periods (customer_id, start_date, starts_at, ends_at, calendar_from, calendar_to, seals_at)
       SELECT i.customer_id, i.start_date, i.starts_at, i.ends_at, i.calendar_from, i.calendar_to,
              greatest(i.ends_at, to_timestamp($8::bigint / 1000.0)) + (
                SELECT (v.body->>'grace')::interval FROM plan_assignments a
                JOIN plan_versions v ON v.plan_id = a.plan_id AND v.version = a.plan_version
                WHERE a.customer_id = i.customer_id AND a.effective_from < i.ends_at
                ORDER BY a.effective_from DESC, a.assignment_id DESC LIMIT 1)
       FROM input i JOIN current USING (customer_id, revision) ORDER BY i.customer_id COLLATE "C", i.start_date
       ON CONFLICT DO NOTHING
       RETURNING period_id, starts_at, ends_at, seals_at
     )
     INSERT INTO period_timeline (period_id, at, kind, detail)
     SELECT period_id, to_timestamp($8::bigint / 1000.0), 'opened',
            jsonb_build_object('start', starts_at, 'end', ends_at, 'seals_at', seals_at)
     FROM made`,
    [
      requests.map((request) => request.customer_id),
      requests.map((request) => request.revision),
      spans.map((span) => span.start_date),
      spans.map((span) => span.starts_at),
      spans.map((span) => span.ends_at),
      spans.map((span) => span.calendar_from),
      spans.map((span) => span.calendar_to),
      nowMs,
    ],
  );
}
