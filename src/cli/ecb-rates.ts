import { parse } from 'csv-parse/sync';
import {
  divide,
  type Fraction,
  formatScaled,
  ONE,
  parseDecimal,
  powerOfTen,
  roundToInteger,
} from '../money/fraction.js';

/*
 * The euro reference rates of the European Central Bank as it publishes them: `eurofxref.csv` (one day),
 * `eurofxref-hist.csv` (all days), `eurofxref-daily.xml`, `eurofxref-hist.xml`. One euro is so many units of each currency.
 */

export interface EcbDay {
  /** The line of the file on which the day begins. */
  line: number;
  /** `2026-11-24`. */
  date: string;
  /** Units of a currency (lower case) for one euro, decimal strings. */
  rates: Map<string, string>;
}

/** What is not as the bank writes it. */
export class EcbFault extends Error {
  readonly line: number;

  constructor(line: number, what: string) {
    super(what);
    this.line = line;
  }
}

const MONTHS = 'January February March April May June July August September October November December'.split(' ');

/** The days of a file, in its order. Throws an EcbFault for what is in neither of the bank's forms. */
export function readEcbRates(text: string): EcbDay[] {
  return text.trimStart().startsWith('<') ? readXml(text) : readCsv(text);
}

/** Whether a text begins like one of the bank's files. */
export function isEcbFile(text: string): boolean {
  return /^\uFEFF?\s*(<|Date *,)/.test(text);
}

/**
 * Units of `to` for one unit of `from` on a day: the quotient of the two euro rates, rounded to `places` half away from
 * zero; from euro the rate as it was published. Null where the bank has no rate for one of them that day.
 */
export function crossRate(day: EcbDay, from: string, to: string, places: number): string | null {
  const perEuro = (currency: string): Fraction | null => {
    if (currency === 'eur') return ONE;
    const rate = day.rates.get(currency);
    return rate === undefined ? null : parseDecimal(rate);
  };
  const [one, other] = [perEuro(from), perEuro(to)];
  if (one === null || other === null) return null;
  if (from === 'eur') return day.rates.get(to) ?? null;
  const { n, d } = divide(other, one);
  return formatScaled(roundToInteger({ n: n * powerOfTen(places), d }), places);
}

interface Row {
  record: string[];
  info: { lines: number };
}

function readCsv(text: string): EcbDay[] {
  let rows: Row[];
  try {
    const options = { bom: true, info: true, relax_column_count: true, skip_empty_lines: true, trim: true };
    // The declared type leaves out what `info` adds.
    rows = parse(text, options) as unknown as Row[];
  } catch (error) {
    throw new EcbFault((error as { lines?: number }).lines ?? 1, 'is not valid CSV');
  }
  const [head, ...days] = rows;
  // Each line of the bank's ends with a comma.
  const columns = head!.record.slice(1).filter((name) => name !== '');
  return days.map(({ record, info }) => {
    const rates = new Map<string, string>();
    columns.forEach((currency, index) => {
      const rate = record[index + 1] ?? '';
      if (rate !== 'N/A' && rate !== '') addRate(rates, currency, rate, info.lines);
    });
    return { line: info.lines, date: dateOf(record[0]!, info.lines), rates };
  });
}

/** `2026-11-24` of the history, `24 November 2026` of the day. */
function dateOf(text: string, line: number): string {
  const [, day, month, year] = /^(\d{1,2}) ([A-Z][a-z]+) (\d{4})$/.exec(text) ?? [];
  const written = day === undefined ? text : `${year}-${pad(MONTHS.indexOf(month!) + 1)}-${pad(Number(day))}`;
  const isDate = /^\d{4}-\d{2}-\d{2}$/.test(written);
  const ms = isDate ? Date.parse(`${written}T00:00:00Z`) : Number.NaN;
  // A day that the calendar does not have would be another one.
  if (Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 10) !== written) {
    throw new EcbFault(line, 'does not begin with a date');
  }
  return written;
}

const pad = (value: number) => String(value).padStart(2, '0');

function addRate(rates: Map<string, string>, currency: string, rate: string, line: number): void {
  if (!/^[A-Z]{3}$/.test(currency)) throw new EcbFault(line, 'names what is no currency');
  if (!/^\d{1,15}(\.\d{1,24})?$/.test(rate) || !/[1-9]/.test(rate))
    throw new EcbFault(line, `has no rate for ${currency}`);
  if (rates.has(currency.toLowerCase())) throw new EcbFault(line, `has ${currency} twice`);
  rates.set(currency.toLowerCase(), rate);
}

/** The elements of the bank's documents; only the first two hold text. */
const TEXTS = ['gesmes:subject', 'gesmes:name'];
const ELEMENTS = new Set([...TEXTS, 'gesmes:Envelope', 'gesmes:Sender', 'Cube']);
const TOKEN =
  /<\?xml [^<>]*\?>|<(?<closes>\/?)(?<name>[A-Za-z:]+)(?<attributes>(?:\s+[A-Za-z:]+=(?:'[^'<&]*'|"[^"<&]*"))*)\s*(?<empty>\/?)>|(?<text>[^<>&]+)/y;

/**
 * The bank's XML and nothing else: its five elements, properly nested, attributes without references, text where it has
 * some. What XML could hold beside that (a document type, entities, comments) is refused.
 */
function readXml(text: string): EcbDay[] {
  const days: EcbDay[] = [];
  const open: string[] = [];
  const token = new RegExp(TOKEN);
  token.lastIndex = text.startsWith('\uFEFF') ? 1 : 0;
  let line = 1;
  for (let next = 1; token.lastIndex < text.length; line = next) {
    const match = token.exec(text);
    const found = match?.groups;
    next = line + (match?.[0].split('\n').length ?? 1) - 1;
    if (!found) throw new EcbFault(line, 'is not as the European Central Bank writes it');
    if (found.text !== undefined) {
      if (found.text.trim() !== '' && !TEXTS.includes(open.at(-1) ?? ''))
        throw new EcbFault(line, 'has text of its own');
      continue;
    }
    const { name } = found;
    if (name === undefined) continue;
    if (!ELEMENTS.has(name)) throw new EcbFault(line, 'has an element that the bank does not write');
    if (found.closes === '/') {
      if (open.pop() !== name) throw new EcbFault(line, 'closes what is not open');
      continue;
    }
    takeCube(days, name, found.attributes ?? '', line);
    if (found.empty !== '/') open.push(name);
  }
  if (open.length > 0) throw new EcbFault(line, 'ends before the document does');
  return days;
}

function takeCube(days: EcbDay[], name: string, attributes: string, line: number): void {
  if (name !== 'Cube') return;
  const read = (attribute: string) => new RegExp(`\\s${attribute}=(['"])(.*?)\\1`).exec(attributes)?.[2];
  const [time, currency, rate] = [read('time'), read('currency'), read('rate')];
  if (time !== undefined) days.push({ line, date: dateOf(time, line), rates: new Map() });
  if (currency === undefined) return;
  const day = days.at(-1);
  if (!day) throw new EcbFault(line, 'has a rate of no day');
  addRate(day.rates, currency, rate ?? '', line);
}
