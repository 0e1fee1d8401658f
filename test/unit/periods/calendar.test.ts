import fc from 'fast-check';
import { Temporal } from 'temporal-polyfill';
import { describe, expect, it } from 'vitest';
import { PERIOD_INTERVALS } from '../../../src/contracts/customer.js';
import { CALENDAR_CHANGE_PERIOD_DAYS } from '../../../src/limits.js';
import { type BillingBounds, type CalendarRow, isTimeZone, periodAt } from '../../../src/periods/calendar.js';

/** A year with the few days before it that a change of calendar left over. */
const LONGEST_DAYS = 366 + CALENDAR_CHANGE_PERIOD_DAYS + 1;
const UNBOUNDED: BillingBounds = { starts_at: null, ends_at: null };
const DAY = 86_400_000;
const HOUR = 3_600_000;
const at = (text: string) => Date.parse(text);
const calendar = (timeZone: string, anchorDay: number, effectiveFrom = Number.NEGATIVE_INFINITY): CalendarRow => ({
  effective_from: effectiveFrom,
  time_zone: timeZone,
  interval: 'month',
  anchor_day: anchorDay,
  anchor_month: 1,
  anchor_weekday: 1,
});
const span = (calendars: CalendarRow[], instant: string, bounds = UNBOUNDED) => {
  const period = periodAt(calendars, bounds, at(instant));
  if (!period) return null;
  return [period.start_date, new Date(period.starts_at).toISOString(), new Date(period.ends_at).toISOString()];
};

describe('a month of a calendar', () => {
  it('runs from the anchor day to the next one, half-open', () => {
    const utc = [calendar('UTC', 15)];
    expect(span(utc, '2026-11-20T08:00:00Z')).toEqual([
      '2026-11-15',
      '2026-11-15T00:00:00.000Z',
      '2026-12-15T00:00:00.000Z',
    ]);
    expect(span(utc, '2026-12-14T23:59:59.999Z')?.[0]).toBe('2026-11-15');
    expect(span(utc, '2026-12-15T00:00:00.000Z')?.[0]).toBe('2026-12-15');
  });

  it('is clamped to the end of short months and does not drift afterwards', () => {
    const utc = [calendar('UTC', 31)];
    const starts = ['2027-01-31', '2027-02-28', '2027-03-31', '2027-04-30', '2027-05-31'];
    for (const start of starts) expect(span(utc, `${start}T00:00:00Z`)?.[0]).toBe(start);
    expect(span([calendar('UTC', 30)], '2028-02-29T12:00:00Z')?.[0]).toBe('2028-02-29');
    expect(span([calendar('UTC', 29)], '2027-02-28T12:00:00Z')?.[0]).toBe('2027-02-28');
  });

  it('starts at local midnight of the customer, half-hour zones included', () => {
    expect(span([calendar('Asia/Kolkata', 1)], '2026-10-31T18:30:00Z')).toEqual([
      '2026-11-01',
      '2026-10-31T18:30:00.000Z',
      '2026-11-30T18:30:00.000Z',
    ]);
    expect(span([calendar('Asia/Kolkata', 1)], '2026-10-31T18:29:59.999Z')?.[0]).toBe('2026-10-01');
  });

  it('is an hour shorter or longer where the clocks change inside it', () => {
    const berlin = [calendar('Europe/Berlin', 1)];
    const length = (instant: string) => {
      const period = periodAt(berlin, UNBOUNDED, at(instant))!;
      return period.ends_at - period.starts_at;
    };
    expect(length('2026-03-10T00:00:00Z')).toBe(31 * DAY - HOUR);
    expect(length('2026-10-10T00:00:00Z')).toBe(31 * DAY + HOUR);
    expect(length('2026-12-10T00:00:00Z')).toBe(31 * DAY);
  });

  it('starts at the first instant of a day whose midnight is skipped', () => {
    // Brazil moved its clocks from 00:00 to 01:00 on 4 November 2018, Lebanon on 26 March 2023 (decreed late) and yearly.
    expect(span([calendar('America/Sao_Paulo', 4)], '2018-11-04T12:00:00Z')?.[1]).toBe('2018-11-04T03:00:00.000Z');
    expect(span([calendar('Asia/Beirut', 27)], '2022-03-27T12:00:00Z')?.[1]).toBe('2022-03-26T22:00:00.000Z');
  });

  it('starts at the first of two midnights where the clocks go back over midnight', () => {
    // Newfoundland went back from 00:01 to 23:01 of the day before on 7 November 2010: the seventh began twice.
    expect(span([calendar('America/St_Johns', 7)], '2010-11-07T12:00:00Z')?.[1]).toBe('2010-11-07T02:30:00.000Z');
  });

  it('starts on the next day where a date does not exist', () => {
    // Samoa went over the date line: 30 December 2011 did not happen.
    const apia = [calendar('Pacific/Apia', 30)];
    expect(span(apia, '2011-12-30T09:59:59.999Z')?.[0]).toBe('2011-11-30');
    expect(span(apia, '2011-12-30T10:00:00.000Z')).toEqual([
      '2011-12-31',
      '2011-12-30T10:00:00.000Z',
      '2012-01-29T10:00:00.000Z',
    ]);
  });
});

describe('weeks, quarters and years', () => {
  const terms = (more: Partial<CalendarRow>): CalendarRow[] => [{ ...calendar('UTC', 1), ...more }];

  it('weeks begin on the anchor weekday, over the ends of years', () => {
    // 2026-11-18 is a Wednesday.
    expect(span(terms({ interval: 'week', anchor_weekday: 3 }), '2026-11-24T23:59:59.999Z')).toEqual([
      '2026-11-18',
      '2026-11-18T00:00:00.000Z',
      '2026-11-25T00:00:00.000Z',
    ]);
    expect(span(terms({ interval: 'week', anchor_weekday: 7 }), '2027-01-01T00:00:00Z')?.[0]).toBe('2026-12-27');
  });

  it('a week is an hour shorter or longer where the clocks change inside it', () => {
    const hours = (instant: string) => {
      const period = periodAt(terms({ time_zone: 'Europe/Berlin', interval: 'week' }), UNBOUNDED, at(instant))!;
      return (period.ends_at - period.starts_at) / HOUR;
    };
    expect([hours('2026-03-28T00:00:00Z'), hours('2026-10-24T00:00:00Z'), hours('2026-06-01T00:00:00Z')]).toEqual([
      7 * 24 - 1,
      7 * 24 + 1,
      7 * 24,
    ]);
  });

  it('quarters begin in the anchor month and every third month from it, clamped without drifting', () => {
    const quarters = terms({ interval: 'quarter', anchor_day: 31, anchor_month: 11 });
    const starts = ['2026-11-30', '2027-02-28', '2027-05-31', '2027-08-31', '2027-11-30', '2028-02-29'];
    for (const start of starts) expect(span(quarters, `${start}T00:00:00Z`)?.[0]).toBe(start);
    expect(span(quarters, '2027-02-27T23:59:59.999Z')?.[0]).toBe('2026-11-30');
  });

  it('a year that begins on 29 February begins on the 28th of the years between', () => {
    const years = terms({ interval: 'year', anchor_day: 29, anchor_month: 2 });
    expect(span(years, '2028-02-28T23:59:59Z')).toEqual([
      '2027-02-28',
      '2027-02-28T00:00:00.000Z',
      '2028-02-29T00:00:00.000Z',
    ]);
    expect(span(years, '2029-02-27T00:00:00Z')?.[0]).toBe('2028-02-29');
    expect(span(years, '2029-02-28T00:00:00Z')?.[0]).toBe('2029-02-28');
  });
});

describe('bounds of billing', () => {
  const utc = [calendar('UTC', 1)];
  const bounds = { starts_at: at('2026-11-10T06:00:00Z'), ends_at: at('2027-01-15T00:00:00Z') };

  it('cut the first and the last period, whose calendar span stays whole', () => {
    expect(periodAt(utc, bounds, at('2026-11-20T00:00:00Z'))).toEqual({
      start_date: '2026-11-10',
      starts_at: at('2026-11-10T06:00:00Z'),
      ends_at: at('2026-12-01T00:00:00Z'),
      calendar_from: at('2026-11-01T00:00:00Z'),
      calendar_to: at('2026-12-01T00:00:00Z'),
    });
    expect(periodAt(utc, bounds, at('2027-01-14T23:59:59.999Z'))).toMatchObject({
      starts_at: at('2027-01-01T00:00:00Z'),
      ends_at: at('2027-01-15T00:00:00Z'),
      calendar_to: at('2027-02-01T00:00:00Z'),
    });
  });

  it('leave what is outside without a period', () => {
    expect(periodAt(utc, bounds, at('2026-11-10T05:59:59.999Z'))).toBeNull();
    expect(periodAt(utc, bounds, at('2027-01-15T00:00:00Z'))).toBeNull();
  });
});

describe('a changed calendar', () => {
  it('makes one short period, prorated against the month that it ends with', () => {
    const changed = [calendar('UTC', 1), calendar('UTC', 15, at('2026-12-01T00:00:00Z'))];
    expect(span(changed, '2026-11-30T23:59:59.999Z')?.[2]).toBe('2026-12-01T00:00:00.000Z');
    expect(periodAt(changed, UNBOUNDED, at('2026-12-01T00:00:00Z'))).toEqual({
      start_date: '2026-12-01',
      starts_at: at('2026-12-01T00:00:00Z'),
      ends_at: at('2026-12-15T00:00:00Z'),
      calendar_from: at('2026-11-15T00:00:00Z'),
      calendar_to: at('2026-12-15T00:00:00Z'),
    });
    expect(span(changed, '2026-12-20T00:00:00Z')?.[0]).toBe('2026-12-15');
  });

  it('of another interval makes one short period, whose fees are the share of a whole year', () => {
    const yearly: CalendarRow = { ...calendar('UTC', 1, at('2026-12-01T00:00:00Z')), interval: 'year' };
    expect(periodAt([calendar('UTC', 1), yearly], UNBOUNDED, at('2026-12-24T00:00:00Z'))).toEqual({
      start_date: '2026-12-01',
      starts_at: at('2026-12-01T00:00:00Z'),
      ends_at: at('2027-01-01T00:00:00Z'),
      calendar_from: at('2026-01-01T00:00:00Z'),
      calendar_to: at('2027-01-01T00:00:00Z'),
    });
  });

  it('from months to weeks joins the day or two before the first week to it', () => {
    // The month ends on Tuesday, 1 December; weeks begin on Thursdays.
    const weekly: CalendarRow = {
      ...calendar('UTC', 1, at('2026-12-01T00:00:00Z')),
      interval: 'week',
      anchor_weekday: 4,
    };
    expect(span([calendar('UTC', 1), weekly], '2026-12-01T00:00:00Z')).toEqual([
      '2026-12-01',
      '2026-12-01T00:00:00.000Z',
      '2026-12-10T00:00:00.000Z',
    ]);
    expect(span([calendar('UTC', 1), weekly], '2026-12-10T00:00:00Z')?.[0]).toBe('2026-12-10');
  });

  it('makes one long period where only hours would be left', () => {
    // The month ended at midnight in Auckland, which is 11:00 of the day before in UTC.
    const changed = [calendar('Pacific/Auckland', 1), calendar('UTC', 1, at('2026-11-30T11:00:00Z'))];
    expect(span(changed, '2026-11-30T12:00:00Z')).toEqual([
      '2026-11-30',
      '2026-11-30T11:00:00.000Z',
      '2027-01-01T00:00:00.000Z',
    ]);
    expect(span(changed, '2026-12-24T00:00:00Z')?.[0]).toBe('2026-11-30');
  });
});

describe('time zones', () => {
  it('are names of the IANA database, not offsets', () => {
    for (const name of ['UTC', 'Europe/Berlin', 'America/Argentina/Buenos_Aires', 'US/Eastern'])
      expect(isTimeZone(name), name).toBe(true);
    for (const name of ['+02:00', 'Mars/Olympus', '', 'Europe/Berlin; drop'])
      expect(isTimeZone(name), name).toBe(false);
  });
});

const ZONES = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'America/Sao_Paulo',
  'America/St_Johns',
  'Asia/Beirut',
  'Asia/Kathmandu',
  'Asia/Kolkata',
  'Australia/Lord_Howe',
  'Pacific/Apia',
  'Pacific/Auckland',
  'Pacific/Niue',
  'Pacific/Kiritimati',
  'Africa/Cairo',
];
const instants = fc.integer({ min: at('1994-01-01T00:00:00Z'), max: at('2035-01-01T00:00:00Z') });
const rows = fc.record({
  time_zone: fc.constantFrom(...ZONES),
  interval: fc.constantFrom(...PERIOD_INTERVALS),
  anchor_month: fc.integer({ min: 1, max: 12 }),
  anchor_weekday: fc.integer({ min: 1, max: 7 }),
  anchor_day: fc.oneof(fc.integer({ min: 1, max: 31 }), fc.integer({ min: 28, max: 31 })),
});
/** Calendars as putCustomer makes them: each change takes effect where a period of the one before ends. */
const calendarLists = fc
  .tuple(rows, fc.array(fc.record({ row: rows, changed_at: instants }), { maxLength: 4 }))
  .map(([first, changes]) => {
    const calendars: CalendarRow[] = [{ effective_from: Number.NEGATIVE_INFINITY, ...first }];
    for (const change of [...changes].sort((a, b) => a.changed_at - b.changed_at)) {
      const last = calendars.at(-1)!.effective_from;
      const effective = periodAt(calendars, UNBOUNDED, Math.max(change.changed_at, last))!.ends_at;
      calendars.push({ effective_from: effective, ...change.row });
    }
    return calendars;
  });
const boundsOf = fc
  .tuple(fc.option(instants), fc.option(instants))
  .map(
    ([a, b]): BillingBounds =>
      a !== null && b !== null && a >= b ? { starts_at: b, ends_at: a + 1 } : { starts_at: a, ends_at: b },
  );

describe('periods of any customer', () => {
  it('contain the instant that they are asked for, and every instant of a period answers the same period', () => {
    fc.assert(
      fc.property(
        calendarLists,
        boundsOf,
        instants,
        fc.double({ min: 0, max: 1, noNaN: true }),
        (calendars, bounds, instant, share) => {
          const period = periodAt(calendars, bounds, instant);
          const outside =
            (bounds.starts_at !== null && instant < bounds.starts_at) ||
            (bounds.ends_at !== null && instant >= bounds.ends_at);
          expect(period === null).toBe(outside);
          if (!period) return;
          expect(period.starts_at <= instant && instant < period.ends_at).toBe(true);
          expect(period.calendar_from <= period.starts_at && period.ends_at <= period.calendar_to).toBe(true);
          const other = Math.min(
            period.starts_at + Math.floor(share * (period.ends_at - period.starts_at)),
            period.ends_at - 1,
          );
          expect(periodAt(calendars, bounds, other)).toEqual(period);
          expect(periodAt(calendars, bounds, period.starts_at)).toEqual(period);
          expect(periodAt(calendars, bounds, period.ends_at - 1)).toEqual(period);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('chain without gap or overlap, under start dates that grow', () => {
    fc.assert(
      fc.property(calendarLists, instants, (calendars, instant) => {
        let period = periodAt(calendars, UNBOUNDED, instant)!;
        for (let i = 0; i < 15; i++) {
          const next = periodAt(calendars, UNBOUNDED, period.ends_at)!;
          expect(next.starts_at).toBe(period.ends_at);
          expect(next.start_date > period.start_date).toBe(true);
          expect(next.ends_at - next.starts_at).toBeLessThanOrEqual(LONGEST_DAYS * DAY);
          period = next;
        }
      }),
      { numRuns: 150 },
    );
  });

  it('start at the first instant of their local date, on the anchor or the last day of a shorter month', () => {
    fc.assert(
      fc.property(rows, instants, (row, instant) => {
        const period = periodAt([{ effective_from: Number.NEGATIVE_INFINITY, ...row }], UNBOUNDED, instant)!;
        const date = Temporal.PlainDate.from(period.start_date);
        expect(date.toZonedDateTime(row.time_zone).epochMilliseconds).toBe(period.starts_at);
        // The one day after a date that a zone skipped (Samoa 2011, Kiribati 1994) stands in for it.
        if (['Pacific/Apia', 'Pacific/Kiritimati'].includes(row.time_zone) && date.year < 2012) return;
        if (row.interval === 'week') {
          expect(date.dayOfWeek).toBe(row.anchor_weekday);
          return;
        }
        expect(date.day).toBe(Math.min(row.anchor_day, date.daysInMonth));
        if (row.interval === 'year') expect(date.month).toBe(row.anchor_month);
        if (row.interval === 'quarter') expect((date.month - row.anchor_month + 12) % 3).toBe(0);
      }),
      { numRuns: 300 },
    );
  });
});
