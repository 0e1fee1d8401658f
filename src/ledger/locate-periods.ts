import type { CachedCustomer } from '../customers/customer-cache.js';
import type { Queryable } from '../database/pool.js';
import { ensurePeriods, type PeriodRequest } from '../periods/ensure-periods.js';
import { PERIOD_COLUMNS, type Period } from '../periods/period.js';

/** Usage that needs its period. */
export interface Wanted {
  customer: CachedCustomer | null;
  at_ms: number;
  /** Whether a row is made where there is none; refused usage must not open a period. */
  create: boolean;
}

/**
 * The period of each usage, as far as the customers in memory tell, in order; null where none takes it. Rows that are
 * missing are made (ensurePeriods) before the transaction that needs them, so that it holds no locks on them.
 * Throws `stale_inputs` where a customer has changed.
 */
export async function locatePeriods(
  database: Queryable,
  wanted: readonly Wanted[],
  nowMs: number,
): Promise<(number | null)[]> {
  const known = () =>
    wanted.map(({ customer, at_ms }) =>
      customer?.bills(at_ms) ? (customer.periodAt(at_ms)?.period_id ?? null) : null,
    );
  let periods = known();
  const unknown = wanted.filter((want, i) => periods[i] === null && want.customer?.bills(want.at_ms));
  if (unknown.length === 0) return periods;

  await findExisting(
    database,
    unknown.filter(({ create }) => !create),
  );
  // Most usage of one span lies in one row; where rows were trimmed another round finds the rest.
  for (let left = missing(unknown); left.length > 0; left = missing(left)) {
    const spans = new Map<string, { customer: CachedCustomer; request: PeriodRequest }>();
    for (const { customer, at_ms } of left) {
      const span = customer.spanAt(at_ms)!;
      const { customer_id, revision } = customer.record;
      const { time_zone } = customer.calendarAt(at_ms);
      const request = { customer_id, revision, time_zone, at_ms, span };
      spans.set(`${customer_id}\n${span.starts_at}`, { customer, request });
    }
    const made = [...spans.values()];
    const rows = await ensurePeriods(
      database,
      made.map(({ request }) => request),
      nowMs,
    );
    for (const [i, row] of rows.entries()) made[i]!.customer.remember(row);
  }
  periods = known();
  return periods;
}

type Missing = Wanted & { customer: CachedCustomer };

/** Usage that still needs a row to be made. */
function missing(wanted: readonly Wanted[]): Missing[] {
  return wanted.filter(
    (want): want is Missing => want.create && want.customer !== null && !want.customer.periodAt(want.at_ms),
  );
}

/** Reads rows that exist, without making any. */
async function findExisting(database: Queryable, wanted: readonly Wanted[]): Promise<void> {
  if (wanted.length === 0) return;
  const customers = new Map(wanted.map(({ customer }) => [customer!.record.customer_id, customer!]));
  const { rows } = await database.query<Period>(
    `SELECT DISTINCT ${PERIOD_COLUMNS.split(',')
      .map((column) => `p.${column.trim()}`)
      .join(', ')}
     FROM unnest($1::text[], $2::bigint[]) AS w (customer_id, at_ms)
     JOIN periods p ON p.customer_id = w.customer_id AND p.starts_at <= to_timestamp(w.at_ms / 1000.0)
       AND p.ends_at > to_timestamp(w.at_ms / 1000.0)`,
    [wanted.map(({ customer }) => customer!.record.customer_id), wanted.map(({ at_ms }) => at_ms)],
  );
  for (const row of rows) customers.get(row.customer_id)!.remember(row);
}
