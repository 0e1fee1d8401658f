import { contentHash } from '../contracts/canonical-json.js';
import type { HeldRequest } from '../contracts/held-request.js';
import { lockKey, namedLockKey } from '../database/locks.js';
import { type Client, inTransaction, type Pool } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { HELD_EVENT_IDS_COUNT, HELD_PERIODS_COUNT } from '../limits.js';
import { UNPLACED_HELD_SQL } from './held-usage.js';

/** What a decision came to: a row for each period that it touches. */
export interface HeldAnswer {
  /** False when the same request id was answered before. */
  applied: boolean;
  decisions: {
    decision_id: number;
    customer_id: string;
    /** Null: usage that no period takes yet. */
    start_date: string | null;
    /** The period is sealed: what the decision resolves is late usage. */
    sealed: boolean;
  }[];
}

/** A period (or, with null, no period) of a customer with usage that a request is about. */
interface Touched {
  customer_id: string;
  period_id: number | null;
  /** The events, where the row has to name them. */
  event_ids: string[] | null;
}

/**
 * Decides about held usage: bills it at stated prices, or writes it off. Writes a row for each period with usage that the
 * request matches, in one transaction with the audit log; pricing takes the rows as inputs and prices again what waited.
 * It covers what the ledger received by `nowMs`, not what comes later. The same request id answers the same again.
 * Throws `not_found` where nothing held matches, `unknown_event`, `conflict` for a request id that was used for something
 * else, `invalid_request` where usage without a period would be billed or too much is matched.
 */
export async function resolveHeld(pool: Pool, request: HeldRequest, actor: string, nowMs: number): Promise<HeldAnswer> {
  const { request_id, ...content } = request;
  const subject = contentHash(content);
  return inTransaction(pool, async (client) => {
    if (request_id !== undefined) {
      // Two requests of one id take turns: the second one finds the first one's row.
      await client.query('SELECT pg_advisory_xact_lock($1::bigint)', [namedLockKey('held_request', request_id)]);
      const earlier = await readAnswer(client, request_id, subject);
      if (earlier) return { ...earlier, applied: false };
    }
    const touched =
      request.event_ids === undefined ? await findGroups(client, request) : await findEvents(client, request);
    if (touched.length === 0) throw new CostplusError('not_found', 'No held usage matches.');
    if (touched.length > HELD_PERIODS_COUNT) {
      throw new CostplusError('invalid_request', `More than ${HELD_PERIODS_COUNT} periods match; narrow the set.`);
    }
    if ('bill' in request.decision && touched.some(({ period_id }) => period_id === null)) {
      throw new CostplusError(
        'invalid_request',
        'Usage without a billing period cannot be billed: make its customer, or move the bounds of its billing.',
      );
    }
    const sealed = await readSealed(client, touched);
    const decisions = await insertDecisions(client, request, touched, actor, nowMs);
    const answer = {
      decisions: decisions.map(({ period_id, ...row }) => ({
        ...row,
        sealed: period_id !== null && sealed.has(period_id),
      })),
    };
    if (request_id !== undefined) {
      await client.query(
        `INSERT INTO commands (request_id, command, subject, actor, outcome) VALUES ($1, 'held.resolve', $2, $3, $4)`,
        [request_id, subject, actor, JSON.stringify(answer)],
      );
    }
    return { ...answer, applied: true };
  });
}

async function readAnswer(client: Client, requestId: string, subject: string): Promise<HeldAnswer | null> {
  const { rows } = await client.query<{ command: string; subject: string; outcome: HeldAnswer }>(
    'SELECT command, subject, outcome FROM commands WHERE request_id = $1',
    [requestId],
  );
  const earlier = rows[0];
  if (!earlier) return null;
  if (earlier.command === 'held.resolve' && earlier.subject === subject) return earlier.outcome;
  throw new CostplusError('conflict', 'This request id was used for something else; send a new one.', {
    field: 'request_id',
  });
}

/** Periods in which the last pricing found held usage of the set, and usage of it that has no period. */
async function findGroups(client: Client, request: HeldRequest): Promise<Touched[]> {
  const conditions = [
    request.customer_id ?? null,
    request.start_date ?? null,
    request.reason ?? null,
    request.provider ?? null,
    request.model_id ?? null,
  ];
  const placed = await client.query<Touched>(
    `SELECT DISTINCT p.customer_id, p.period_id, NULL::text[] AS event_ids
     FROM period_totals t JOIN periods p USING (period_id)
       JOIN pricing_runs r ON r.period_id = t.period_id AND r.inputs_hash = t.inputs_hash
       CROSS JOIN LATERAL jsonb_to_recordset(r.result->'held') AS h (reason text, provider text, model_id text)
     WHERE t.held_events > 0 AND ($1::text IS NULL OR p.customer_id = $1) AND ($2::date IS NULL OR p.start_date = $2)
       AND ($3::text IS NULL OR h.reason = $3) AND ($4::text IS NULL OR h.provider = $4)
       AND ($5::text IS NULL OR h.model_id = $5)
     ORDER BY p.period_id LIMIT ${HELD_PERIODS_COUNT + 1}`,
    conditions,
  );
  if (request.start_date !== undefined) return placed.rows;
  // Such usage is named one by one: other usage of the customer must never fall under it later.
  const unplaced = await client.query<{ customer_id: string; event_id: string }>(
    `SELECT customer_id, event_id FROM (${UNPLACED_HELD_SQL}) AS held
     WHERE reason <> 'being_placed' AND ($1::text IS NULL OR customer_id = $1) AND ($2::text IS NULL OR reason = $2)
       AND ($3::text IS NULL OR provider = $3) AND ($4::text IS NULL OR model_id = $4)
     ORDER BY customer_id, event_id LIMIT ${HELD_EVENT_IDS_COUNT + 1}`,
    [conditions[0], conditions[2], conditions[3], conditions[4]],
  );
  if (unplaced.rows.length > HELD_EVENT_IDS_COUNT) {
    throw new CostplusError(
      'invalid_request',
      `More than ${HELD_EVENT_IDS_COUNT} events without a billing period match; narrow the set.`,
    );
  }
  return [...placed.rows, ...grouped(unplaced.rows.map((row) => ({ ...row, period_id: null })))];
}

/** The periods of the events that the request names. */
async function findEvents(client: Client, request: HeldRequest): Promise<Touched[]> {
  const wanted = [...new Set(request.event_ids)];
  const { rows } = await client.query<{ customer_id: string; event_id: string; period_id: number | null }>(
    `SELECT customer_id, event_id, period_id FROM usage_events
     WHERE customer_id = $1 AND event_id = ANY($2::text[]) ORDER BY period_id, event_id`,
    [request.customer_id, wanted],
  );
  if (rows.length < wanted.length) {
    throw new CostplusError('unknown_event', `The ledger does not have ${wanted.length - rows.length} of the events.`, {
      field: 'event_ids',
    });
  }
  return grouped(rows);
}

function grouped(events: { customer_id: string; event_id: string; period_id: number | null }[]): Touched[] {
  const groups = new Map<string, { customer_id: string; period_id: number | null; event_ids: string[] }>();
  for (const { customer_id, event_id, period_id } of events) {
    const key = `${customer_id}\n${period_id ?? ''}`;
    const group = groups.get(key);
    if (group) group.event_ids.push(event_id);
    else groups.set(key, { customer_id, period_id, event_ids: [event_id] });
  }
  return [...groups.values()];
}

/** Which of the periods are sealed, for good: a seal waits for this transaction, or is seen by it. */
async function readSealed(client: Client, touched: readonly Touched[]): Promise<Set<number>> {
  const periodIds = touched.flatMap(({ period_id }) => period_id ?? []).sort((a, b) => a - b);
  await client.query('SELECT count(pg_advisory_xact_lock_shared(key)) FROM unnest($1::bigint[]) AS key', [
    periodIds.map((id) => lockKey('period', id)),
  ]);
  const { rows } = await client.query<{ period_id: number }>(
    'SELECT period_id FROM periods WHERE period_id = ANY($1::bigint[]) AND sealed_at IS NOT NULL',
    [periodIds],
  );
  return new Set(rows.map(({ period_id }) => period_id));
}

async function insertDecisions(
  client: Client,
  request: HeldRequest,
  touched: readonly Touched[],
  actor: string,
  nowMs: number,
): Promise<{ decision_id: number; customer_id: string; start_date: string | null; period_id: number | null }[]> {
  const { rows } = await client.query<{
    decision_id: number;
    customer_id: string;
    start_date: string | null;
    period_id: number | null;
  }>(
    `WITH input AS (
       SELECT customer_id, period_id, event_ids::jsonb AS event_ids
       FROM unnest($1::text[], $2::bigint[], $3::text[]) AS i (customer_id, period_id, event_ids)
     ), decided AS (
       INSERT INTO held_decisions (decided_at, decided_by, customer_id, period_id, reason, provider, model_id, event_ids,
         decision, note)
       SELECT to_timestamp($4::float8 / 1000), $5, customer_id, period_id, $6, $7, $8,
         CASE WHEN event_ids IS NULL THEN NULL ELSE ARRAY(SELECT jsonb_array_elements_text(event_ids)) END, $9, $10
       FROM input RETURNING decision_id, customer_id, period_id, event_ids
     ), audited AS (
       INSERT INTO audit_log (actor, action, customer_id, subject, detail)
       SELECT $5, 'usage.resolve_held', customer_id, 'held_decision:' || decision_id,
         jsonb_build_object('period_id', period_id, 'reason', $6::text, 'provider', $7::text, 'model_id', $8::text,
           'event_ids', to_jsonb(event_ids), 'decision', $9::jsonb, 'note', $10::text)
       FROM decided
     )
     SELECT d.decision_id, d.customer_id, d.period_id, p.start_date FROM decided d LEFT JOIN periods p USING (period_id)
     ORDER BY d.decision_id`,
    [
      touched.map(({ customer_id }) => customer_id),
      touched.map(({ period_id }) => period_id),
      touched.map(({ event_ids }) => (event_ids === null ? null : JSON.stringify(event_ids))),
      nowMs,
      actor,
      request.reason ?? null,
      request.provider ?? null,
      request.model_id ?? null,
      JSON.stringify(request.decision),
      request.note,
    ],
  );
  return rows;
}
