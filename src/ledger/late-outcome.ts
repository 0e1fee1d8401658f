import type { LatePolicy } from '../contracts/late-options.js';
import type { LateOutcome } from '../contracts/period.js';
import { CachedCustomer } from '../customers/customer-cache.js';
import { readCustomerRecords } from '../customers/customer-rows.js';
import type { Queryable } from '../database/pool.js';
import { LATE_AFTER_END_DAYS } from '../limits.js';

/**
 * Whether late usage of a customer can still be carried: a period is not sealed yet, or one is to come. Where billing has
 * ended, or no plan is assigned, there is none.
 */
export async function hasPeriodToCome(database: Queryable, customerId: string, endsAt: Date): Promise<boolean> {
  const { rows } = await database.query<{ unsealed: boolean; last: Date | null }>(
    `SELECT coalesce(bool_or(sealed_at IS NULL AND starts_at >= $2), false) AS unsealed, max(ends_at) AS last
     FROM periods WHERE customer_id = $1`,
    [customerId, endsAt],
  );
  const { unsealed, last } = rows[0]!;
  if (unsealed) return true;
  const record = (await readCustomerRecords(database, [customerId])).get(customerId);
  if (!record || last === null) return false;
  const isAssigned = record.assignments.some(({ effective_from }) => effective_from <= last.getTime());
  return isAssigned && new CachedCustomer(record).spanAt(last.getTime()) !== null;
}

/** Late usage of a sealed period that waits, with what its plan says of it. */
interface Waiting {
  policy: LatePolicy;
  window_ms: number;
  sealed_at: Date;
  first_received: Date;
  events: number;
  /** How many of them a person let go. */
  released: number;
}

/** What becomes of waiting late usage by itself, and until when arrivals are billed again in their own period. */
export interface Outcome {
  becomes: LateOutcome;
  rebill_until: Date | null;
  /** Whether a re-bill by itself takes all of it, or just what a person let go. */
  rebill_all: boolean;
}

/**
 * What becomes of it: the plan's word, as long as there is a period to carry it. Where there is none, what would be
 * carried is billed again in its own period: by itself if it came within LATE_AFTER_END_DAYS of the seal (or the plan's
 * window, if longer), or was let go by a person; else it waits for one.
 */
export function outcomeOf(waiting: Waiting, toCome: boolean): Outcome {
  const { policy, window_ms, sealed_at, first_received, events, released } = waiting;
  const afterEndMs = Math.max(window_ms, LATE_AFTER_END_DAYS * 86_400_000);
  const ms = policy === 'hold' ? null : toCome ? (policy === 'rebill' ? window_ms : null) : afterEndMs;
  const until = ms === null ? null : new Date(sealed_at.getTime() + ms);
  if (until !== null && first_received <= until && (!toCome || released < events)) {
    return { becomes: 'rebilled', rebill_until: until, rebill_all: true };
  }
  if (toCome && (policy !== 'hold' || released === events)) {
    return { becomes: 'carried', rebill_until: until, rebill_all: false };
  }
  const goesOn = !toCome && released === events;
  return { becomes: goesOn ? 'rebilled' : 'waits_for_person', rebill_until: until, rebill_all: false };
}
