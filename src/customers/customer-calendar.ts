import type { Customer, CustomerBody } from '../contracts/customer.js';
import type { Client } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { type CalendarTerms, isTimeZone, localDate } from '../periods/calendar.js';
import { kept } from './kept.js';

/** The keys of a customer that say how its time is cut into periods. */
type CalendarKey = 'time_zone' | 'interval' | 'anchor_day' | 'anchor_month' | 'anchor_weekday';

/**
 * The calendar that a body asks for: keys that it leaves out are those of the known calendar, else the defaults. An anchor that
 * another interval does not have falls away. Throws `invalid_customer` for an unknown time zone, and for an anchor that
 * the body names and periods of this interval do not have: it would be believed to mean something.
 */
export function calendarOf(body: Pick<CustomerBody, CalendarKey>, known?: CalendarTerms): CalendarTerms {
  const time_zone = kept(body.time_zone, known?.time_zone, 'UTC');
  const interval = kept(body.interval, known?.interval, 'month');
  if (!isTimeZone(time_zone)) throw invalid('time_zone', 'must be a time zone of the IANA database');
  const hasDay = interval !== 'week';
  const hasMonth = interval === 'quarter' || interval === 'year';
  if (!hasDay && (body.anchor_day ?? 1) !== 1) {
    throw invalid('anchor_day', 'weeks begin on an anchor_weekday and have no anchor_day');
  }
  if (!hasMonth && (body.anchor_month ?? null) !== null)
    throw invalid('anchor_month', 'only quarters and years have one');
  if (hasDay && (body.anchor_weekday ?? null) !== null) throw invalid('anchor_weekday', 'only weeks have one');
  return {
    time_zone,
    interval,
    anchor_day: hasDay ? kept(body.anchor_day, known?.anchor_day, 1) : 1,
    anchor_month: hasMonth ? kept(body.anchor_month, known?.anchor_month, 1) : 1,
    anchor_weekday: hasDay ? 1 : kept(body.anchor_weekday, known?.anchor_weekday, 1),
  };
}

/** A calendar as a customer shows it: without the anchors that its interval does not have. */
export function calendarKeys({
  time_zone,
  interval,
  anchor_day,
  anchor_month,
  anchor_weekday,
}: CalendarTerms): Pick<Customer, CalendarKey> {
  return {
    time_zone,
    interval,
    anchor_day,
    ...(interval === 'quarter' || interval === 'year' ? { anchor_month } : {}),
    ...(interval === 'week' ? { anchor_weekday } : {}),
  };
}

/** Writes the first calendar of a customer. */
export async function insertCalendar(client: Client, customerId: string, calendar: CalendarTerms): Promise<void> {
  await client.query(
    `INSERT INTO customer_calendars (customer_id, effective_from, time_zone, interval, anchor_day, anchor_month, anchor_weekday)
     VALUES ($1, '-infinity', $2, $3, $4, $5, $6)`,
    [customerId, ...valuesOf(calendar)],
  );
}

/**
 * Lets another calendar take effect where the newest period row ends, so that no row changes its span; from the
 * beginning where there is no row. Replaces a change that has not taken effect yet.
 * Throws `conflict` where the next period would start on the newest one's start date.
 */
export async function changeCalendar(client: Client, customerId: string, wanted: CalendarTerms): Promise<void> {
  const { rows } = await client.query<{ start_date: string; ends_at: Date }>(
    'SELECT start_date, ends_at FROM periods WHERE customer_id = $1 ORDER BY starts_at DESC LIMIT 1',
    [customerId],
  );
  const newest = rows[0];
  if (newest && localDate(wanted.time_zone, newest.ends_at.getTime()) <= newest.start_date) {
    throw new CostplusError(
      'conflict',
      `The period ${newest.start_date} is too short for a change of time zone; try again once the next one has begun.`,
      { field: 'time_zone' },
    );
  }
  const from = newest?.ends_at ?? '-infinity';
  await client.query('DELETE FROM customer_calendars WHERE customer_id = $1 AND effective_from >= $2', [
    customerId,
    from,
  ]);
  await client.query(
    `INSERT INTO customer_calendars (customer_id, effective_from, time_zone, interval, anchor_day, anchor_month, anchor_weekday)
     SELECT $1, $2::timestamptz, $3::text, $4::text, $5::int, $6::int, $7::int WHERE NOT EXISTS (
       SELECT FROM (SELECT * FROM customer_calendars
                    WHERE customer_id = $1 ORDER BY effective_from DESC LIMIT 1) AS before
       WHERE time_zone = $3 AND interval = $4 AND anchor_day = $5 AND anchor_month = $6 AND anchor_weekday = $7)`,
    [customerId, from, ...valuesOf(wanted)],
  );
}

function valuesOf({ time_zone, interval, anchor_day, anchor_month, anchor_weekday }: CalendarTerms): unknown[] {
  return [time_zone, interval, anchor_day, anchor_month, anchor_weekday];
}

function invalid(field: string, reason: string): CostplusError {
  return new CostplusError('invalid_customer', `${field}: ${reason}.`, { field });
}
