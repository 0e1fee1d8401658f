import { stringify } from 'csv-stringify/sync';

export type CsvCell = string | number;

/** Rows that are written at once: a file of many is never one text in memory. */
const ROWS_PER_CHUNK = 500;

/** CSV by RFC 4180, a chunk of text at a time; rows are made as they are read. */
export function* csvChunks(head: readonly string[], rows: Iterable<readonly CsvCell[]>): Generator<string> {
  let chunk: CsvCell[][] = [[...head]];
  for (const row of rows) {
    chunk.push(row.map(asText));
    if (chunk.length < ROWS_PER_CHUNK) continue;
    yield stringify(chunk);
    chunk = [];
  }
  if (chunk.length > 0) yield stringify(chunk);
}

/** A text that a spreadsheet could take for a formula begins with an apostrophe: names come from outside. */
function asText(value: CsvCell): CsvCell {
  return typeof value === 'string' && /^[=+\-@\t\r]/.test(value) && !/^-?\d/.test(value) ? `'${value}` : value;
}
