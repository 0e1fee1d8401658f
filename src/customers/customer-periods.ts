import type { Queryable } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { ensurePeriod } from '../periods/ensure-periods.js';
import type { Period } from '../periods/period.js';
import { CachedCustomer } from './customer-cache.js';
import { readCustomerRecords } from './customer-rows.js';

/** A customer that changes while its period is opened is read again this often. */
const ATTEMPTS_COUNT = 5;

/**
 * The row of the period that contains an instant (ms), made where it does not exist yet; null outside the customer's
 * billing. `nowMs` decides when a new row seals. Throws `unknown_customer`.
 */
export async function ensurePeriodAt(
  database: Queryable,
  customerId: string,
  atMs: number,
  nowMs: number = Date.now(),
): Promise<Period | null> {
  for (let attempt = 1; ; attempt++) {
    const record = (await readCustomerRecords(database, [customerId])).get(customerId);
    if (!record) throw new CostplusError('unknown_customer', 'There is no such customer.');
    const customer = new CachedCustomer(record);
    const span = customer.spanAt(atMs);
    if (!span) return null;
    const { time_zone } = customer.calendarAt(atMs);
    try {
      return await ensurePeriod(
        database,
        { customer_id: customerId, revision: record.revision, time_zone, at_ms: atMs, span },
        nowMs,
      );
    } catch (error) {
      const stale = error instanceof CostplusError && error.code === 'stale_inputs';
      if (!stale || attempt === ATTEMPTS_COUNT) throw error;
    }
  }
}
