import { type Client, inTransaction, type Pool } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { BACKDATED_PERIODS_COUNT } from '../limits.js';
import { ensurePeriods, type PeriodRequest } from '../periods/ensure-periods.js';
import type { Period } from '../periods/period.js';
import { CachedCustomer } from './customer-cache.js';
import { type CustomerRecord, readCustomerRecords } from './customer-rows.js';

/**
 * Makes the rows of the periods from the customer's `starts_at` until now (or until its billing ended) that do not exist
 * yet, in one insert: fees of a contract that is written down late are due whether or not there was usage. Rows that exist
 * stay as they are; new ones fill what they leave free, and seal after the grace from now. The caller holds the customer's row,
 * so no other transaction makes rows of it meanwhile. Throws `invalid_customer` for more than BACKDATED_PERIODS_COUNT.
 */
export async function openPastPeriods(client: Client, record: CustomerRecord, nowMs: number): Promise<void> {
  if (record.starts_at === null) return;
  const { rows } = await client.query<Pick<Period, 'starts_at' | 'ends_at'>>(
    'SELECT starts_at, ends_at FROM periods WHERE customer_id = $1 AND ends_at > to_timestamp($2 / 1000.0) ORDER BY starts_at',
    [record.customer_id, record.starts_at],
  );
  const existing = rows.map(({ starts_at, ends_at }) => ({ from: starts_at.getTime(), to: ends_at.getTime() }));
  const requests = missingPeriods(new CachedCustomer(record), record.starts_at, existing, nowMs);
  if (requests.length > 0) await ensurePeriods(client, requests, nowMs);
}

/**
 * Opens the periods of customers whose `starts_at` has come since they were written down and who have none yet: their
 * fees are due without any usage. Returns how many customers that were.
 */
export async function openStartedPeriods(
  pool: Pool,
  nowMs: number = Date.now(),
  signal?: AbortSignal,
): Promise<number> {
  const { rows } = await pool.query<{ customer_id: string }>(
    `SELECT customer_id FROM customers c WHERE starts_at <= to_timestamp($1 / 1000.0)
       AND NOT EXISTS (SELECT FROM periods p WHERE p.customer_id = c.customer_id) ORDER BY customer_id`,
    [nowMs],
  );
  let opened = 0;
  for (const { customer_id } of rows) {
    if (signal?.aborted) break;
    await inTransaction(pool, async (client) => {
      await client.query('SELECT FROM customers WHERE customer_id = $1 FOR NO KEY UPDATE', [customer_id]);
      const record = (await readCustomerRecords(client, [customer_id])).get(customer_id);
      if (record) await openPastPeriods(client, record, nowMs);
    });
    opened++;
  }
  return opened;
}

/** The periods from an instant until `nowMs` that no existing row (in order) contains. */
function missingPeriods(
  customer: CachedCustomer,
  fromMs: number,
  existing: readonly { from: number; to: number }[],
  nowMs: number,
): PeriodRequest[] {
  const { customer_id, revision } = customer.record;
  const requests: PeriodRequest[] = [];
  let next = 0;
  for (let at = fromMs; at <= nowMs; ) {
    const row = existing[next];
    if (row && row.from <= at) {
      at = Math.max(at, row.to);
      next++;
      continue;
    }
    const span = customer.spanAt(at);
    if (!span) break;
    if (requests.length === BACKDATED_PERIODS_COUNT) {
      const reason = `more than ${BACKDATED_PERIODS_COUNT} billing periods would lie between it and now`;
      throw new CostplusError('invalid_customer', `starts_at: ${reason}.`, { field: 'starts_at' });
    }
    requests.push({ customer_id, revision, time_zone: customer.calendarAt(at).time_zone, at_ms: at, span });
    at = Math.min(span.ends_at, row?.from ?? Number.POSITIVE_INFINITY);
  }
  return requests;
}
