import type { Queryable } from '../database/pool.js';
import { CUSTOMER_CACHE_COUNT } from '../limits.js';
import { type CalendarRow, type PeriodSpan, periodAt } from '../periods/calendar.js';
import type { Period } from '../periods/period.js';
import { type CustomerRecord, readCustomerRecords } from './customer-rows.js';

/** Where a customer's period row is; spans of rows change only together with the customer's revision. */
export interface KnownPeriod {
  period_id: number;
  starts_at: number;
  ends_at: number;
}

/** A customer as this process last read it. Good for planning; decisions compare `revision` in their transaction. */
export class CachedCustomer {
  readonly record: CustomerRecord;
  #periods: KnownPeriod[] = [];

  constructor(record: CustomerRecord) {
    this.record = record;
  }

  get revision(): number {
    return this.record.revision;
  }

  /** The span that the calendars give for an instant, or null outside the bounds of billing. */
  spanAt(atMs: number): PeriodSpan | null {
    return periodAt(this.record.calendars, this.record, atMs);
  }

  /** The calendar in force at an instant. */
  calendarAt(atMs: number): CalendarRow {
    return this.record.calendars.findLast((calendar) => calendar.effective_from <= atMs) ?? this.record.calendars[0]!;
  }

  /** The row known to contain an instant, if one was seen at this revision. */
  periodAt(atMs: number): KnownPeriod | undefined {
    return this.#periods.find((period) => period.starts_at <= atMs && atMs < period.ends_at);
  }

  /** Whether billing takes usage of an instant. */
  bills(atMs: number): boolean {
    const { starts_at, ends_at } = this.record;
    return (starts_at === null || atMs >= starts_at) && (ends_at === null || atMs < ends_at);
  }

  remember(period: Period): void {
    const starts_at = period.starts_at.getTime();
    if (this.periodAt(starts_at)) return;
    // The newest one first: nearly all usage is of the period under way.
    this.#periods.unshift({ period_id: period.period_id, starts_at, ends_at: period.ends_at.getTime() });
    this.#periods.sort((a, b) => b.starts_at - a.starts_at);
  }
}

/**
 * Customers that this process has read, the least recently used ones forgotten first. It never decides alone: whoever
 * writes compares revisions in the transaction that matters and calls `forget` for what was stale. Ids that had no
 * customer are remembered too (null), under the same rule.
 */
export class CustomerCache {
  readonly #customers = new Map<string, CachedCustomer | null>();

  /** What is known of the ids, after one query for those that are not known yet. */
  async load(database: Queryable, customerIds: Iterable<string>): Promise<Map<string, CachedCustomer | null>> {
    const result = new Map<string, CachedCustomer | null>();
    const unknown: string[] = [];
    for (const id of customerIds) {
      const known = this.#customers.get(id);
      if (known === undefined) unknown.push(id);
      else {
        result.set(id, known);
        this.#put(id, known);
      }
    }
    if (unknown.length > 0) {
      const records = await readCustomerRecords(database, unknown);
      for (const id of unknown) {
        const record = records.get(id);
        const customer = record ? new CachedCustomer(record) : null;
        result.set(id, customer);
        this.#put(id, customer);
      }
    }
    return result;
  }

  /** Makes the next `load` read these customers again. */
  forget(customerIds: Iterable<string>): void {
    for (const id of customerIds) this.#customers.delete(id);
  }

  #put(id: string, customer: CachedCustomer | null): void {
    this.#customers.delete(id);
    this.#customers.set(id, customer);
    if (this.#customers.size <= CUSTOMER_CACHE_COUNT) return;
    for (const oldest of this.#customers.keys()) {
      this.#customers.delete(oldest);
      break;
    }
  }
}
