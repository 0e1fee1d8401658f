import { EVENT_YEAR_FIRST, EVENT_YEAR_LAST } from '../limits.js';

/** RFC 3339 with seconds and a zone. A leap second (`:60`) is refused: no calendar or price here has one. */
const INSTANT =
  /^(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.(\d{1,24}))?(?:Z|([+-])([01]\d|2[0-3]):([0-5]\d))$/;
const FIRST_MS = Date.UTC(EVENT_YEAR_FIRST, 0, 1);
const END_MS = Date.UTC(EVENT_YEAR_LAST + 1, 0, 1);

/**
 * The milliseconds since 1970 of a time of an event, or null where it is not an RFC 3339 time with a zone inside the
 * years 2000 to 2100. Digits below the millisecond are floored: 11:59:59.9999Z belongs to the millisecond, the price
 * and the period of 11:59:59.999Z, never to those that begin at 12:00.
 */
export function eventTimeMs(text: string): number | null {
  const match = INSTANT.exec(text);
  if (match === null) return null;
  const day = Number(match[3]);
  const fraction = match[7];
  const millisecond = fraction === undefined ? 0 : Number(fraction.slice(0, 3).padEnd(3, '0'));
  const local = Date.UTC(
    Number(match[1]),
    Number(match[2]) - 1,
    day,
    Number(match[4]),
    Number(match[5]),
    Number(match[6]),
    millisecond,
  );
  // Date.UTC carries the 30th of February over into March.
  if (day > 28 && new Date(local).getUTCDate() !== day) return null;
  const offsetMs = match[8] === undefined ? 0 : (Number(match[9]) * 60 + Number(match[10])) * 60_000;
  const ms = match[8] === '-' ? local + offsetMs : local - offsetMs;
  return ms >= FIRST_MS && ms < END_MS ? ms : null;
}
