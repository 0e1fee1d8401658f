import { Temporal } from 'temporal-polyfill';
import type { PeriodInterval } from '../contracts/customer.js';
import { CALENDAR_CACHE_COUNT, CALENDAR_CHANGE_PERIOD_DAYS } from '../limits.js';

/** How a customer's time is cut into periods. */
export interface CalendarTerms {
  /** IANA name, e.g. `Europe/Berlin`. */
  time_zone: string;
  interval: PeriodInterval;
  /** 1 to 31; clamped to the last day of a shorter month, without drifting. Weeks do not use it. */
  anchor_day: number;
  /** 1 to 12: the month in which a year begins, or one of those in which a quarter begins. */
  anchor_month: number;
  /** 1 (Monday) to 7 (Sunday), ISO 8601: the day on which a week begins. */
  anchor_weekday: number;
}

/** A customer's calendar from an instant on (ms since the epoch; -Infinity for the first one). */
export interface CalendarRow extends CalendarTerms {
  effective_from: number;
}

/** Billing happens in [starts_at, ends_at), ms since the epoch; null: without a bound. */
export interface BillingBounds {
  starts_at: number | null;
  ends_at: number | null;
}

/** A billing period [starts_at, ends_at) in ms since the epoch. */
export interface PeriodSpan {
  /** Local date of `starts_at`, `2026-11-01`: the period's name. */
  start_date: string;
  starts_at: number;
  ends_at: number;
  /** The calendar's whole span, which contains the period; fees are prorated by the share of it that is billed. */
  calendar_from: number;
  calendar_to: number;
}

const DAY_MS = 86_400_000;
const WEEK_MS = 7 * DAY_MS;
/** 1970-01-05, the first Monday since the epoch: week 0. */
const FIRST_MONDAY_MS = 4 * DAY_MS;
const MONTHS: Readonly<Record<Exclude<PeriodInterval, 'week'>, number>> = { month: 1, quarter: 3, year: 12 };
/** First instants by calendar and number of the span: time zone arithmetic costs 10 to 100 us, a look-up 0.1 us. */
const starts = new Map<string, { at: number; date: string }>();

/** Whether the name is a time zone this process knows; a fixed offset such as `+02:00` is not one. */
export function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(name);
    return true;
  } catch {
    return false;
  }
}

/** The local date of an instant, `2026-11-01`. */
export function localDate(timeZone: string, atMs: number): string {
  return Temporal.Instant.fromEpochMilliseconds(atMs).toZonedDateTimeISO(timeZone).toPlainDate().toString();
}

/** The first of the months in which the calendar's spans begin, counted from January. */
function monthOffset({ interval, anchor_month }: CalendarTerms): number {
  if (interval === 'month') return 0;
  return interval === 'quarter' ? (anchor_month - 1) % MONTHS.quarter : anchor_month - 1;
}

/** The local date on which the calendar's span of this number begins: the anchor, clamped to the month's end. */
function startOfSpan(calendar: CalendarTerms, number: number): Temporal.PlainDate {
  if (calendar.interval === 'week') {
    const day = FIRST_MONDAY_MS / DAY_MS + number * 7 + calendar.anchor_weekday - 1;
    return Temporal.PlainDate.from({ year: 1970, month: 1, day: 1 }).add({ days: day });
  }
  const month = number * MONTHS[calendar.interval] + monthOffset(calendar);
  return Temporal.PlainDate.from(
    { year: Math.floor(month / 12), month: (month % 12) + 1, day: calendar.anchor_day },
    { overflow: 'constrain' },
  );
}

/**
 * The first instant of the calendar's span of this number (months, quarters and years are counted from year 0, weeks from
 * 1970). Where the clocks skip midnight it is the first instant after the gap; where they repeat it, the first of the two.
 */
function spanStart(calendar: CalendarTerms, number: number): number {
  return startWithDate(calendar, number).at;
}

/** The same with its local date, which is another one than the anchor's where a zone skipped that date. */
function startWithDate(calendar: CalendarTerms, number: number): { at: number; date: string } {
  const { time_zone, interval, anchor_day, anchor_month, anchor_weekday } = calendar;
  const anchor = interval === 'week' ? anchor_weekday : `${anchor_day}|${interval === 'month' ? '' : anchor_month}`;
  const key = `${time_zone}|${interval}|${anchor}|${number}`;
  const known = starts.get(key);
  if (known !== undefined) return known;
  const zoned = startOfSpan(calendar, number).toZonedDateTime(time_zone);
  const start = { at: zoned.epochMilliseconds, date: zoned.toPlainDate().toString() };
  if (starts.size >= CALENDAR_CACHE_COUNT) starts.clear();
  starts.set(key, start);
  return start;
}

/** The calendar's span around an instant, as if the calendar had always been in force. */
function spanAround(calendar: CalendarTerms, atMs: number): { from: number; to: number; number: number } {
  // Local and UTC dates differ by a day at most, so the span sought is not after the one of the next UTC day.
  const tomorrow = new Date(atMs + 2 * DAY_MS);
  let number =
    calendar.interval === 'week'
      ? Math.floor((tomorrow.getTime() - FIRST_MONDAY_MS) / WEEK_MS)
      : Math.floor((tomorrow.getUTCFullYear() * 12 + tomorrow.getUTCMonth()) / MONTHS[calendar.interval]);
  while (spanStart(calendar, number) > atMs) number--;
  return { from: spanStart(calendar, number), to: spanStart(calendar, number + 1), number };
}

/**
 * The period of an instant, or null outside the bounds. `calendars` is ordered by `effective_from`, the first one at
 * -Infinity. Where a calendar takes effect a period ends and the next one begins; that one lasts until the new calendar's
 * next span, or the one after it if fewer than CALENDAR_CHANGE_PERIOD_DAYS would be left: so periods always chain, and no
 * two of a customer share a start date. Throws a RangeError for a time zone that is not known.
 */
export function periodAt(calendars: readonly CalendarRow[], bounds: BillingBounds, atMs: number): PeriodSpan | null {
  if (bounds.starts_at !== null && atMs < bounds.starts_at) return null;
  if (bounds.ends_at !== null && atMs >= bounds.ends_at) return null;
  const index = calendars.findLastIndex((calendar) => calendar.effective_from <= atMs);
  const calendar = calendars[index];
  if (!calendar) throw new RangeError('a customer has no calendar before its first');
  const span = spanAround(calendar, atMs);
  let { from, to } = span;
  const since = calendar.effective_from;
  if (since > from) {
    // The first period of a changed calendar: the span began under the calendar before.
    if (to - since < CALENDAR_CHANGE_PERIOD_DAYS * DAY_MS) {
      to = spanStart(calendar, span.number + 2);
      from = since;
    }
  } else if (since > spanStart(calendar, span.number - 1) && from - since < CALENDAR_CHANGE_PERIOD_DAYS * DAY_MS) {
    // The span whose few days before belong to it, since the calendar changed there.
    from = since;
  }
  const next = calendars[index + 1]?.effective_from ?? Number.POSITIVE_INFINITY;
  const startsAt = Math.max(from, since, bounds.starts_at ?? Number.NEGATIVE_INFINITY);
  return {
    start_date:
      startsAt === span.from ? startWithDate(calendar, span.number).date : localDate(calendar.time_zone, startsAt),
    starts_at: startsAt,
    ends_at: Math.min(to, next, bounds.ends_at ?? Number.POSITIVE_INFINITY),
    calendar_from: from,
    calendar_to: to,
  };
}
