import { CsvError, type InfoRecord } from 'csv-parse';
import { parse } from 'csv-parse/sync';
import { type ExchangeRateBody, exchangeRateSchema } from '../contracts/exchange-rate.js';
import { schemaFault } from '../contracts/schema-fault.js';
import { EXCHANGE_RATES_COUNT, IMPORT_FAULTS_SHOWN_COUNT } from '../limits.js';
import { crossRate, EcbFault, isEcbFile, readEcbRates } from './ecb-rates.js';
import { CommandFailure, EXIT_FAILED, EXIT_USAGE } from './exit-codes.js';

/** What is taken of a bank's list, which has all currencies of all days. */
export interface RatesAsked {
  from?: string;
  to?: string;
  /** Digits after the point of a quotient of two rates. */
  places: number;
  /** From when on a day's rate is in force, UTC, `16:00`. */
  time: string;
  /** The first day that is taken. */
  since?: string;
}

interface Fault {
  line: number;
  what: string;
}

const COLUMNS = ['from', 'to', 'rate', 'effective_from', 'note'];

/**
 * The exchange rates of a file: CSV with the columns from, to, rate, effective_from and perhaps note, or a list of the
 * European Central Bank. All rows or none: throws a failure that names each line at fault, and a usage failure for a
 * header or options that do not fit.
 */
export function readRates(text: string, asked: RatesAsked): ExchangeRateBody[] {
  const isBank = isEcbFile(text);
  if (!isBank && (asked.from !== undefined || asked.to !== undefined)) {
    throw new CommandFailure(EXIT_USAGE, '--from and --to choose from a list of the European Central Bank.');
  }
  const rates = isBank ? fromBank(text, asked) : fromCsv(text);
  if (rates.length === 0) throw new CommandFailure(EXIT_FAILED, 'The file has no rate that was asked for.');
  if (rates.length > EXCHANGE_RATES_COUNT) {
    throw new CommandFailure(
      EXIT_FAILED,
      `The file has ${rates.length} rates; at most ${EXCHANGE_RATES_COUNT} go at once. Take later ones with --since.`,
    );
  }
  return rates;
}

function fromBank(text: string, { from, to, places, time, since }: RatesAsked): ExchangeRateBody[] {
  if (from === undefined || to === undefined) {
    throw new CommandFailure(EXIT_USAGE, 'Say which pair to take of the list: --from usd --to gbp.');
  }
  try {
    const days = readEcbRates(text).filter(({ date }) => since === undefined || date >= since);
    return days.flatMap((day): ExchangeRateBody[] => {
      const rate = crossRate(day, from, to, places);
      if (rate === null) return [];
      const body = { from, to, rate, effective_from: `${day.date}T${time}:00Z`, source: sourceOf(day.date, from, to) };
      const checked = exchangeRateSchema.safeParse(body);
      if (!checked.success) throw new EcbFault(day.line, faultText(checked.error));
      return [checked.data];
    });
  } catch (error) {
    if (error instanceof EcbFault) throw refuse([{ line: error.line, what: error.message }]);
    throw error;
  }
}

function sourceOf(date: string, from: string, to: string): string {
  const isPublished = from === 'eur';
  return `European Central Bank, ${date}${isPublished ? '' : `, ${to} / ${from} of its euro rates`}`;
}

function fromCsv(text: string): ExchangeRateBody[] {
  const faults: Fault[] = [];
  let rows: { record: Record<string, string>; info: InfoRecord }[];
  try {
    rows = parse(text, {
      bom: true,
      columns: (header: string[]) => {
        const names = header.map((name) => name.trim().toLowerCase());
        const unknown = names.filter((name) => !COLUMNS.includes(name));
        const missing = COLUMNS.filter((name) => name !== 'note' && !names.includes(name));
        if (unknown.length > 0 || missing.length > 0) {
          throw new CommandFailure(
            EXIT_USAGE,
            'The first line must be from,to,rate,effective_from, and note if you like.',
          );
        }
        return names;
      },
      info: true,
      relax_column_count: true,
      skip_empty_lines: true,
      trim: true,
    });
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw refuse([{ line: Number(error.lines), what: 'is not valid CSV' }]);
  }
  const rates = rows.flatMap(({ record, info }): ExchangeRateBody[] => {
    const { from, to, rate, effective_from: since, note } = record;
    const checked = exchangeRateSchema.safeParse({
      from: from?.toLowerCase(),
      to: to?.toLowerCase(),
      rate,
      effective_from: /^\d{4}-\d{2}-\d{2}$/.test(since ?? '') ? `${since}T00:00:00Z` : since,
      ...(note === undefined || note === '' ? {} : { source: note }),
    });
    // The declared type leaves out that there is none where the record fits.
    const isRagged = (info.error as CsvError | undefined) !== undefined;
    if (checked.success && !isRagged) return [checked.data];
    faults.push({
      line: info.lines,
      what: checked.success || isRagged ? 'does not have the columns of the first line' : faultText(checked.error),
    });
    return [];
  });
  if (faults.length > 0) throw refuse(faults);
  return rates;
}

function faultText(error: Parameters<typeof schemaFault>[0]): string {
  const { field, reason } = schemaFault(error);
  return `${field} ${reason}`;
}

function refuse(faults: readonly Fault[]): CommandFailure {
  const shown = faults.slice(0, IMPORT_FAULTS_SHOWN_COUNT).map(({ line, what }) => `line ${line}: ${what}`);
  const more = faults.length - shown.length;
  const all = [...shown, ...(more > 0 ? [`and ${more} more lines`] : [])].join('\n  ');
  return new CommandFailure(EXIT_FAILED, `Nothing was published.\n  ${all}`);
}
