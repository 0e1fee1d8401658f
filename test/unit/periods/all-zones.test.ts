import { describe, expect, it } from 'vitest';
import { PERIOD_INTERVALS } from '../../../src/contracts/customer.js';
import { type BillingBounds, type CalendarRow, type PeriodSpan, periodAt } from '../../../src/periods/calendar.js';

const UNBOUNDED: BillingBounds = { starts_at: null, ends_at: null };
/** Three years with a leap day and both changes of the clocks. */
const CHAIN_FROM_MS = Date.parse('2026-01-01T00:00:00Z');
const CHAIN_TO_MS = Date.parse('2029-01-01T00:00:00Z');
const ANCHOR_DAYS = [28, 29, 30, 31];

/** The calendars of a zone: every interval, anchors at the end of the month, a weekday and a month that differ by zone. */
function calendarsOf(zone: string, ordinal: number): CalendarRow[] {
  return PERIOD_INTERVALS.flatMap((interval) =>
    (interval === 'week' ? [1] : ANCHOR_DAYS).map((anchor_day) => ({
      effective_from: Number.NEGATIVE_INFINITY,
      time_zone: zone,
      interval,
      anchor_day,
      anchor_month: (ordinal % 12) + 1,
      anchor_weekday: (ordinal % 7) + 1,
    })),
  );
}

/**
 * Walks a calendar's periods over the three years and says what is wrong: a period that does not begin where the one
 * before it ends, one that another instant of it does not answer, a start date that does not grow. Null: nothing.
 */
function faultOfChain(calendar: CalendarRow): string | null {
  const named = `${calendar.time_zone} ${calendar.interval} ${calendar.anchor_day}`;
  let before: PeriodSpan | null = null;
  for (let at = CHAIN_FROM_MS; at < CHAIN_TO_MS; ) {
    const period: PeriodSpan = periodAt([calendar], UNBOUNDED, at)!;
    const { starts_at, ends_at, start_date } = period;
    if (before && starts_at !== before.ends_at) return `${named}: gap or overlap at ${start_date}`;
    if (before && start_date <= before.start_date) return `${named}: ${start_date} twice`;
    if (!(starts_at <= at && at < ends_at)) return `${named}: ${start_date} does not contain the instant asked for`;
    for (const instant of [ends_at - 1, Math.floor((starts_at + ends_at) / 2)]) {
      if (periodAt([calendar], UNBOUNDED, instant)!.starts_at !== starts_at)
        return `${named}: two periods at ${instant}`;
    }
    before = period;
    at = ends_at;
  }
  return null;
}

/** Every zone that this Node knows, and UTC, which the list leaves out. */
const ZONES = [...new Set([...Intl.supportedValuesOf('timeZone'), 'UTC'])];

describe('three years of periods in every zone of the tz database', () => {
  it('have no gap and no overlap, for anchors 28 to 31 and every interval', () => {
    expect(ZONES.length).toBeGreaterThan(400);
    const faults = ZONES.flatMap((zone, ordinal) => calendarsOf(zone, ordinal).map(faultOfChain));
    expect(faults.filter((fault) => fault !== null)).toEqual([]);
  });
});
