import { CustomerCache } from '../customers/customer-cache.js';
import { isCollision } from '../database/failures.js';
import { namedLockKey } from '../database/locks.js';
import type { Client, Pool, Queryable } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import {
  CHUNK_EVENTS_COUNT,
  CHUNK_STALE_RETRIES_COUNT,
  PLACE_CUSTOMERS_COUNT,
  PLACE_REQUEST_CHUNKS_COUNT,
  PLACE_SWEEP_CHUNKS_COUNT,
} from '../limits.js';
import { beginChunk } from './chunk-state.js';
import { locatePeriods } from './locate-periods.js';

/**
 * Gives a period to a customer's usage that waits for one: it came before the customer was known, or lay outside the
 * bounds of billing at that time. Each transaction takes at most CHUNK_EVENTS_COUNT events and makes a chunk of its own,
 * so that the relay and pricing see them as they see an append; a sealed period gets them as late usage. It ends after
 * `chunks` transactions, so that a request answers however much waits; the sweep goes on. Returns how many events were
 * placed. Safe to repeat and to run twice at once.
 */
export async function placeWaitingUsage(
  pool: Pool,
  customerId: string,
  nowMs: number = Date.now(),
  chunks: number = PLACE_REQUEST_CHUNKS_COUNT,
): Promise<number> {
  return (await placeChunks(pool, customerId, nowMs, chunks)).placed;
}

/** What a sweep came to. */
export interface PlaceSweep {
  /** Events that got their period. */
  placed: number;
  /** Whether it ended although there was more to do: the next one goes on. */
  more: boolean;
}

/**
 * Places the waiting usage of up to PLACE_CUSTOMERS_COUNT customers that exist and bill the time of it: the sweep for
 * what was appended while the customer was being made, and for what a request left. Customers take turns of one
 * transaction, so that a large one keeps no other waiting; it ends after `chunks` transactions. Throws the first failure
 * after the other customers had their turn.
 */
export async function placeAllWaiting(
  pool: Pool,
  nowMs: number = Date.now(),
  chunks: number = PLACE_SWEEP_CHUNKS_COUNT,
): Promise<PlaceSweep> {
  let [placed, left] = [0, chunks];
  const failures: unknown[] = [];
  const turns = await waitingCustomers(pool);
  const mayBeMore = turns.length === PLACE_CUSTOMERS_COUNT;
  for (let customerId = turns.shift(); customerId !== undefined && left > 0; customerId = turns.shift()) {
    try {
      const turn = await placeChunks(pool, customerId, nowMs, 1);
      placed += turn.placed;
      if (turn.more) turns.push(customerId);
    } catch (error) {
      failures.push(error);
    }
    left--;
  }
  if (failures.length > 0) throw failures[0];
  return { placed, more: placed > 0 && (mayBeMore || left === 0) };
}

/** Places at most so many chunks of one customer, on a connection of its own. */
async function placeChunks(pool: Pool, customerId: string, nowMs: number, limit: number): Promise<Batch> {
  const client = await pool.connect();
  let [placed, more] = [0, true];
  let failure: Error | undefined;
  try {
    for (let chunk = 0; more && chunk < limit; chunk++) {
      const batch = await placeBatch(client, customerId, nowMs);
      placed += batch.placed;
      more = batch.more;
    }
    return { placed, more };
  } catch (error) {
    failure = error as Error;
    throw error;
  } finally {
    client.release(failure);
  }
}

const BILLED = `occurred_at >= coalesce(c.starts_at, '-infinity') AND occurred_at < coalesce(c.ends_at, 'infinity')`;

/** Whether usage of a customer's period still waits for it, and billing takes the time of it: a sweep will place it. */
export async function isBeingPlaced(
  database: Queryable,
  period: { customer_id: string; starts_at: Date; ends_at: Date },
): Promise<boolean> {
  const { rows } = await database.query<{ waits: boolean }>(
    `SELECT EXISTS (SELECT FROM usage_events JOIN customers c USING (customer_id)
       WHERE customer_id = $1 AND period_id IS NULL AND ${BILLED} AND occurred_at >= $2 AND occurred_at < $3) AS waits`,
    [period.customer_id, period.starts_at, period.ends_at],
  );
  return rows[0]!.waits;
}

/** Walks the index of unplaced usage from customer to customer, whatever number of events each has. */
async function waitingCustomers(pool: Pool): Promise<string[]> {
  const { rows } = await pool.query<{ customer_id: string }>(
    `WITH RECURSIVE waiting AS (
       SELECT min(customer_id) AS customer_id FROM usage_events WHERE period_id IS NULL
       UNION ALL
       SELECT (SELECT min(customer_id) FROM usage_events WHERE period_id IS NULL AND customer_id > w.customer_id)
       FROM waiting w WHERE w.customer_id IS NOT NULL
     )
     SELECT w.customer_id FROM waiting w JOIN customers c USING (customer_id)
     WHERE EXISTS (SELECT FROM usage_events e WHERE e.customer_id = c.customer_id AND period_id IS NULL AND ${BILLED})
     LIMIT $1`,
    [PLACE_CUSTOMERS_COUNT],
  );
  return rows.map((row) => row.customer_id);
}

interface Batch {
  placed: number;
  /** Whether the batch was full and moved something. */
  more: boolean;
}

async function placeBatch(client: Client, customerId: string, nowMs: number): Promise<Batch> {
  for (let attempt = 0; attempt <= CHUNK_STALE_RETRIES_COUNT; attempt++) {
    // Read anew each time: placing is rare, and a copy in memory would only have to be checked.
    const customers = await new CustomerCache().load(client, [customerId]);
    const customer = customers.get(customerId);
    if (!customer) return { placed: 0, more: false };
    const { rows: waiting } = await client.query<{ event_id: string; at_ms: number }>(
      `SELECT event_id, round(extract(epoch FROM occurred_at) * 1000)::bigint AS at_ms
       FROM usage_events JOIN customers c USING (customer_id)
       WHERE customer_id = $1 AND period_id IS NULL AND ${BILLED} ORDER BY event_id LIMIT $2`,
      [customerId, CHUNK_EVENTS_COUNT],
    );
    if (waiting.length === 0) return { placed: 0, more: false };
    try {
      const wanted = waiting.map(({ at_ms }) => ({ customer, at_ms, create: true }));
      const periods = await locatePeriods(client, wanted, nowMs);
      const events = waiting
        .map(({ event_id }, i) => ({ event_id, period_id: periods[i] ?? null }))
        .filter((event): event is Placement => event.period_id !== null);
      const { sealed, stale } = await beginChunk(client, [...new Set(events.map((e) => e.period_id))], customers);
      if (stale.length === 0) {
        const placed = await place(client, customerId, events, sealed);
        await client.query('COMMIT');
        return { placed, more: waiting.length === CHUNK_EVENTS_COUNT && events.length > 0 };
      }
      await client.query('ROLLBACK');
    } catch (error) {
      await client.query('ROLLBACK').catch(() => undefined);
      const again = isCollision(error) || (error instanceof CostplusError && error.code === 'stale_inputs');
      if (!again) throw error;
    }
  }
  throw new CostplusError('stale_inputs', `Customer ${customerId} keeps changing; its usage is placed later.`);
}

interface Placement {
  event_id: string;
  period_id: number;
}

/** The one step that an event takes: from no period to its period. Another transaction may have been first. */
async function place(
  client: Client,
  customerId: string,
  events: readonly Placement[],
  sealed: ReadonlySet<number>,
): Promise<number> {
  // Two placings of one customer take turns.
  await client.query('SELECT pg_advisory_xact_lock($1::bigint)', [namedLockKey('customer', customerId)]);
  const { rows } = await client.query<{ placed: number }>(
    `WITH placed AS (
       UPDATE usage_events e SET period_id = i.period_id, late = i.late, chunk = (SELECT ledger_xid())
       FROM unnest($2::text[], $3::bigint[], $4::boolean[]) AS i (event_id, period_id, late)
       WHERE e.customer_id = $1 AND e.event_id = i.event_id AND e.period_id IS NULL
       RETURNING e.period_id, e.late
     ), chunk AS (
       INSERT INTO usage_chunks (chunk, period_ids, events)
       SELECT (SELECT ledger_xid()), array_agg(DISTINCT period_id), count(*) FROM placed
       WHERE NOT late HAVING count(*) > 0
     )
     SELECT count(*) AS placed FROM placed`,
    [
      customerId,
      events.map(({ event_id }) => event_id),
      events.map(({ period_id }) => period_id),
      events.map(({ period_id }) => sealed.has(period_id)),
    ],
  );
  return rows[0]!.placed;
}
