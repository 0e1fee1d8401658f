import { lockKey } from '../database/locks.js';
import type { Client } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { localDate, periodAt } from '../periods/calendar.js';
import { PERIOD_COLUMNS, type Period } from '../periods/period.js';
import { addTimeline } from '../periods/period-store.js';
import type { CustomerRecord } from './customer-rows.js';
import { setDeadlines } from './customer-spans.js';

interface Bounds {
  starts_at_ms: number | null;
  ends_at_ms: number | null;
}

/**
 * Brings the rows of periods in line with changed bounds. The end cuts the unsealed period it falls into, and a period
 * that the old end cut is extended again while it is unsealed; after its seal the rest of its month becomes a period of
 * its own. An earlier start takes in the hours of the first period's day that lie before it. Usage that was placed stays where it is. Throws `conflict` for bounds that would take away a period, change a
 * sealed one, or let an existing one start later.
 */
export async function changeBounds(
  client: Client,
  known: CustomerRecord,
  wanted: Bounds,
  nowMs: number,
): Promise<void> {
  if (wanted.starts_at_ms !== known.starts_at) await moveStart(client, known, wanted);
  if (wanted.ends_at_ms !== known.ends_at) await moveEnd(client, known, wanted, nowMs);
}

/**
 * A period is named by its start: where one exists, billing may only begin earlier, on another day. Where the first period
 * begins in the middle of the day on which its span does, the hours before it have no name of their own: it takes them in.
 */
async function moveStart(client: Client, known: CustomerRecord, { starts_at_ms }: Bounds): Promise<void> {
  const first = await lockPeriod(client, known.customer_id, 'ASC');
  if (!first || starts_at_ms === first.starts_at.getTime()) return;
  const refused = (reason: string) => new CostplusError('conflict', reason, { field: 'starts_at' });
  const zone = known.calendars[0]!.time_zone;
  if (
    starts_at_ms !== null &&
    (starts_at_ms > first.starts_at.getTime() || localDate(zone, starts_at_ms) >= first.start_date)
  ) {
    throw refused(`The period ${first.start_date} has begun; billing cannot start after it.`);
  }
  const natural = periodAt(known.calendars, { starts_at: null, ends_at: null }, first.starts_at.getTime())!;
  if (natural.start_date !== first.start_date || natural.starts_at >= first.starts_at.getTime()) return;
  if (first.sealed_at) throw refused(`The period ${first.start_date} is sealed; billing cannot start before it.`);
  const start = new Date(natural.starts_at);
  await client.query('UPDATE periods SET starts_at = $2, updated_at = now() WHERE period_id = $1', [
    first.period_id,
    start,
  ]);
  await addTimeline(client, first.period_id, 'start_moved', {
    from: first.starts_at.toISOString(),
    to: start.toISOString(),
  });
}

async function moveEnd(client: Client, known: CustomerRecord, { ends_at_ms }: Bounds, nowMs: number): Promise<void> {
  const newest = await lockPeriod(client, known.customer_id, 'DESC');
  if (!newest) return;
  const [startsAt, endsAt] = [newest.starts_at.getTime(), newest.ends_at.getTime()];
  if (ends_at_ms !== null && ends_at_ms <= startsAt) {
    const earliest = newest.starts_at.toISOString();
    throw new CostplusError(
      'conflict',
      `The period ${newest.start_date} exists; billing can end after ${earliest} at the earliest (fees are prorated).`,
      { field: 'ends_at' },
    );
  }
  const cut = ends_at_ms !== null && ends_at_ms < endsAt;
  if (cut && newest.sealed_at) {
    throw new CostplusError('conflict', `The period ${newest.start_date} is sealed; its end cannot change.`, {
      field: 'ends_at',
    });
  }
  const extended = !newest.sealed_at && known.ends_at === endsAt;
  if (!cut && !extended) return;
  const natural = periodAt(known.calendars, { starts_at: null, ends_at: ends_at_ms }, startsAt)!.ends_at;
  const end = new Date(cut ? ends_at_ms : natural);
  if (end.getTime() === endsAt) return;
  await client.query('UPDATE periods SET ends_at = $2, updated_at = now() WHERE period_id = $1', [
    newest.period_id,
    end,
  ]);
  await addTimeline(client, newest.period_id, 'end_moved', {
    from: newest.ends_at.toISOString(),
    to: end.toISOString(),
  });
  await setDeadlines(client, known.customer_id, nowMs, newest.period_id);
}

/** The newest (`DESC`) or the first period row, read after its lock is held: appends that know its old span have committed. */
async function lockPeriod(client: Client, customerId: string, order: 'ASC' | 'DESC'): Promise<Period | undefined> {
  const { rows: found } = await client.query<{ period_id: number }>(
    `SELECT period_id FROM periods WHERE customer_id = $1 ORDER BY starts_at ${order} LIMIT 1`,
    [customerId],
  );
  if (!found[0]) return undefined;
  await client.query('SELECT pg_advisory_xact_lock($1::bigint)', [lockKey('period', found[0].period_id)]);
  const { rows } = await client.query<Period>(`SELECT ${PERIOD_COLUMNS} FROM periods WHERE period_id = $1`, [
    found[0].period_id,
  ]);
  return rows[0];
}
