import { z } from 'zod';
import { NOTE_LENGTH_CHARS } from '../limits.js';
import { ID_PATTERN, LABEL_PATTERN, METER_PATTERN, MODEL_PATTERN } from './patterns.js';

export { ID_PATTERN, LABEL_PATTERN, METER_PATTERN, MODEL_PATTERN };

export const idSchema = z.string().regex(ID_PATTERN, 'must be 1 to 128 of A-Z a-z 0-9 . _ : -');

export const modelSchema = z.string().regex(MODEL_PATTERN, 'must be 1 to 200 of A-Z a-z 0-9 . _ : / @ + ~ - and space');

export const labelSchema = z.string().regex(LABEL_PATTERN, 'must be 1 to 128 characters without control characters');

export const meterSchema = z.string().regex(METER_PATTERN, 'must be lower-case letters, digits and _, at most 64');

export const currencySchema = z.string().regex(/^[a-z]{3}$/, 'must be a lower-case ISO 4217 code such as "usd"');

/** A decimal without sign or exponent. */
export const unsignedDecimalSchema = z
  .string()
  .regex(/^\d{1,15}(\.\d{1,24})?$/, 'must be a decimal string such as "0.25"');

/** RFC 3339 with a zone: `Z` or an offset. */
export const instantSchema = z.iso.datetime({ offset: true, error: 'must be an RFC 3339 time with a zone' });

/** A calendar date, `2026-11-01`. */
export const dateSchema = z.iso.date({ error: 'must be a date such as "2026-11-01"' });

/** An ISO 8601 duration of days, hours, minutes and seconds, `PT1H`, `P7D`. */
export const DURATION_PATTERN = /^P(?!$)(?:(\d{1,5})D)?(?:T(?=\d)(?:(\d{1,5})H)?(?:(\d{1,5})M)?(?:(\d{1,7})S)?)?$/;
export const durationSchema = z
  .string()
  .regex(DURATION_PATTERN, 'must be an ISO 8601 duration such as "PT1H" or "P7D"');

/** Milliseconds of a duration that `durationSchema` accepts. Throws a RangeError for anything else. */
export function durationMs(text: string): number {
  const match = DURATION_PATTERN.exec(text);
  if (!match) throw new RangeError(`not a duration: ${text.slice(0, 40)}`);
  const [days, hours, minutes, seconds] = match.slice(1).map((part) => (part === undefined ? 0 : Number(part)));
  return ((days! * 24 + hours!) * 60 + minutes!) * 60_000 + seconds! * 1_000;
}

/** A note or reason that a person writes. */
export const noteSchema = z.string().trim().min(1).max(NOTE_LENGTH_CHARS);
