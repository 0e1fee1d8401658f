import { createReadStream, type ReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { CsvError, type InfoRecord, parse } from 'csv-parse';
import { IMPORT_ROW_BYTES } from '../limits.js';
import { parseStrictJson } from '../usage/strict-json.js';
import { type CsvOptions, csvReader } from './csv-event.js';
import { CommandFailure, EXIT_FAILED } from './exit-codes.js';

/** A row of a file: the event that it holds, not checked yet, or why none can be read out of it. */
export interface ImportRow {
  /** The line on which the row ends, from 1. */
  line: number;
  event?: unknown;
  fault?: string;
}

/** Rows of a file as they are read; `bytesRead` is how far the file was read, which runs ahead of the rows. */
export interface ImportFile {
  rows: AsyncIterable<ImportRow>;
  bytesRead(): number;
}

/** A file of usage events, one JSON object a line. Empty lines are passed over. */
export function readJsonLines(path: string): ImportFile {
  const stream = createReadStream(path);
  return { rows: jsonRows(stream), bytesRead: () => stream.bytesRead };
}

async function* jsonRows(stream: ReadStream): AsyncGenerator<ImportRow> {
  let line = 0;
  let rest: Buffer = Buffer.alloc(0);
  let tooLong = false;
  const rowOf = (bytes: Buffer): ImportRow | null => {
    line++;
    const wasTooLong = tooLong || bytes.length > IMPORT_ROW_BYTES;
    tooLong = false;
    if (wasTooLong) return { line, fault: `is longer than ${IMPORT_ROW_BYTES} bytes` };
    if (!bytes.some((byte) => byte > 0x20)) return null;
    try {
      return { line, event: parseStrictJson(bytes) };
    } catch {
      return { line, fault: 'is not valid JSON in UTF-8, or has a key twice' };
    }
  };
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    let bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a)) {
      const row = rowOf(bytes.subarray(0, end));
      if (row) yield row;
      bytes = bytes.subarray(end + 1);
    }
    // Of a line that is refused anyway nothing has to be kept until it ends.
    if (bytes.length > IMPORT_ROW_BYTES) {
      tooLong = true;
      bytes = Buffer.alloc(0);
    }
    rest = bytes;
  }
  if (rest.length > 0 || tooLong) {
    const row = rowOf(rest);
    if (row) yield row;
  }
}

interface CsvRecord {
  record: Record<string, string>;
  info: InfoRecord;
}

/**
 * A CSV file with a header line (RFC 4180). While rows are read it throws a usage failure for a header that does not fit,
 * and a failure for a quote that is not closed.
 */
export function readCsv(path: string, options: CsvOptions): ImportFile {
  const stream = createReadStream(path);
  return { rows: csvRows(stream, options), bytesRead: () => stream.bytesRead };
}

/** No field of an event can hold one, and the parser counts a line break of two characters inside quotes twice. */
async function* withoutCarriageReturns(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const chunk of stream)
    yield chunk.includes(0x0d) ? Buffer.from(chunk.filter((byte) => byte !== 0x0d)) : chunk;
}

async function* csvRows(stream: ReadStream, options: CsvOptions): AsyncGenerator<ImportRow> {
  let toEvent: ((row: Record<string, string>) => unknown) | null = null;
  const parser = Readable.from(withoutCarriageReturns(stream)).pipe(
    parse({
      bom: true,
      columns: (header: string[]) => {
        toEvent = csvReader(header, options);
        return header;
      },
      info: true,
      max_record_size: IMPORT_ROW_BYTES,
      relax_column_count: true,
      skip_empty_lines: true,
    }),
  );
  stream.on('error', (error) => parser.destroy(error));
  try {
    for await (const { record, info } of parser as AsyncIterable<CsvRecord>) {
      const fault = faultOf(record, info);
      yield fault === null ? { line: info.lines, event: toEvent!(record) } : { line: info.lines, fault };
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    // After a quote that is wrong nobody can tell where the next row begins. The parser's words quote the row.
    const what = `Line ${String(error.lines)} is not valid CSV (${error.code}); what follows cannot be read.`;
    throw new CommandFailure(EXIT_FAILED, `${what} Correct it and run the import again.`);
  }
}

function faultOf(record: Record<string, string>, info: InfoRecord): string | null {
  // The declared type leaves out that there is none where the record fits.
  if (info.error as CsvError | undefined) return 'does not have the columns of the header';
  // The parser replaces what is no UTF-8 by this character.
  return Object.values(record).some((value) => value.includes('\ufffd')) ? 'is not valid UTF-8' : null;
}
