import { CostplusError } from '../errors/error.js';
import { JSON_DEPTH_LEVELS } from '../limits.js';

const QUOTE = 0x22;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
/** Refuses broken sequences instead of replacing them; a byte order mark is left in the text, where JSON has no place for it. */
const UTF_8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The value of JSON bytes in which nothing is ambiguous. Throws `invalid_request`, without a word of what it read, for
 * what is no UTF-8, no JSON, nested deeper than JSON_DEPTH_LEVELS, or has a key twice in one object: parsers differ in
 * which of the two they take, so that what was signed would not be what is billed.
 *
 * A key that stands twice costs no second parser: every member has one colon outside of strings, so the text has more
 * colons than the value has members. On 1,000 events (0.4 MB) the scan takes 0.8 ms beside the 1.5 ms of `JSON.parse`.
 */
export function parseStrictJson(bytes: Buffer): unknown {
  let value: unknown;
  try {
    value = JSON.parse(UTF_8.decode(bytes));
  } catch {
    // The parser's message quotes the body.
    throw new CostplusError('invalid_request', 'The body is not valid JSON in UTF-8.');
  }
  if (colonsOf(bytes) !== membersOf(value, 1)) {
    throw new CostplusError('invalid_request', 'The body has a key twice in one object.');
  }
  return value;
}

/** Colons outside of strings. In UTF-8 no byte of a longer sequence is an ASCII character. */
function colonsOf(bytes: Buffer): number {
  let colons = 0;
  const end = bytes.length;
  for (let i = 0; i < end; i++) {
    const byte = bytes[i];
    if (byte === COLON) colons++;
    else if (byte === QUOTE) {
      for (i++; i < end && bytes[i] !== QUOTE; i++) if (bytes[i] === BACKSLASH) i++;
    }
  }
  return colons;
}

/** Members of all objects in a value that `JSON.parse` made. */
function membersOf(value: unknown, depth: number): number {
  if (typeof value !== 'object' || value === null) return 0;
  if (depth > JSON_DEPTH_LEVELS) throw new CostplusError('invalid_request', 'The body is nested too deeply.');
  let members = 0;
  if (Array.isArray(value)) {
    for (const entry of value) if (typeof entry === 'object') members += membersOf(entry, depth + 1);
    return members;
  }
  for (const key in value) {
    members++;
    const member = (value as Record<string, unknown>)[key];
    if (typeof member === 'object') members += membersOf(member, depth + 1);
  }
  return members;
}
