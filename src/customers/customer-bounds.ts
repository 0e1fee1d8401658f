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
 * its own. Usage that was placed stays where it is. Throws `conflict` for bounds that would take away a period, change a
 * sealed one, or change where an existing one starts.
 */
export async function changeBounds(
  client: Client,
  known: CustomerRecord,
  wanted: Bounds,
  nowMs: number,
): Promise<void> {
  if (wanted.starts_at_ms !== known.starts_at) await checkStart(client, known, wanted);
  if (wanted.ends_at_ms !== known.ends_at) await moveEnd(client, known, wanted, nowMs);
}

/** A period is named by its start: where one exists, billing may only begin earlier, on another day. */
async function checkStart(client: Client, known: CustomerRecord, { starts_at_ms }: Bounds): Promise<void> {
  const { rows } = await client.query<Pick<Period, 'starts_at' | 'start_date'>>(
    'SELECT starts_at, start_date FROM periods WHERE customer_id = $1 ORDER BY starts_at LIMIT 1',
    [known.customer_id],
  );
  const first = rows[0];
  if (!first || starts_at_ms === null || starts_at_ms === first.starts_at.getTime()) return;
  const sameDay = localDate(known.calendars[0]!.time_zone, starts_at_ms) >= first.start_date;
  if (starts_at_ms > first.starts_at.getTime() || sameDay) {
    throw new CostplusError('conflict', `The period ${first.start_date} has begun; billing cannot start after it.`, {
      field: 'starts_at',
    });
  }
}

async function moveEnd(client: Client, known: CustomerRecord, { ends_at_ms }: Bounds, nowMs: number): Promise<void> {
  const newest = await lockNewest(client, known.customer_id);
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

/** The newest period row, read after its lock is held: appends that know its old span have committed. */
async function lockNewest(client: Client, customerId: string): Promise<Period | undefined> {
  const { rows: found } = await client.query<{ period_id: number }>(
    'SELECT period_id FROM periods WHERE customer_id = $1 ORDER BY starts_at DESC LIMIT 1',
    [customerId],
  );
  if (!found[0]) return undefined;
  await client.query('SELECT pg_advisory_xact_lock($1::bigint)', [lockKey('period', found[0].period_id)]);
  const { rows } = await client.query<Period>(`SELECT ${PERIOD_COLUMNS} FROM periods WHERE period_id = $1`, [
    found[0].period_id,
  ]);
  return rows[0];
}
