import { createHash } from 'node:crypto';
import { METERS } from '../contracts/meters.js';
import { METER_PATTERN } from '../contracts/patterns.js';
import { CommandFailure, EXIT_USAGE } from './exit-codes.js';

/** Fields of an event that a column of the same name holds. */
const FIELDS: ReadonlySet<string> = new Set([
  'event_id',
  'customer_id',
  'provider',
  'model_id',
  'occurred_at',
  'request_id',
  'subscription_item_id',
  'feature',
  'action_id',
  'region',
  'service_tier',
  'features',
  'paid_by',
  'reservation_id',
  'reported_cost.amount',
  'reported_cost.currency',
]);

export interface CsvOptions {
  /** Field by column, for columns that are named otherwise. */
  map: Readonly<Record<string, string>>;
  /** Value by field, for what is the same in every row. */
  set: Readonly<Record<string, string>>;
  ignore: readonly string[];
  /** Columns whose values together name the event, for files without event ids. */
  idFrom: readonly string[];
}

export type CsvRow = Readonly<Record<string, string>>;

/** Whether a field is one that a column can hold: an event's own, `usage.<meter>` or a known meter, `dimensions.<name>`. */
function isField(field: string): boolean {
  if (FIELDS.has(field) || Object.hasOwn(METERS, field)) return true;
  if (field.startsWith('usage.')) return METER_PATTERN.test(field.slice('usage.'.length));
  return field.startsWith('dimensions.') && field.length > 'dimensions.'.length;
}

/**
 * How rows of a file with this header become usage events. Throws a usage failure that names the columns which are
 * neither a field nor mapped nor ignored: nothing of a backfill is left out in silence.
 */
export function csvReader(header: readonly string[], options: CsvOptions): (row: CsvRow) => Record<string, unknown> {
  const columns = header.filter((column) => !options.ignore.includes(column));
  const fields = new Map(columns.map((column) => [column, options.map[column] ?? column]));
  const unknown = [...fields].filter(([, field]) => !isField(field)).map(([column]) => column);
  if (unknown.length > 0) {
    throw new CommandFailure(
      EXIT_USAGE,
      `Columns that are no field of an event: ${unknown.join(', ')}. Use --map column=field or --ignore column.`,
    );
  }
  const missing = [...Object.keys(options.map), ...options.idFrom].filter((column) => !header.includes(column));
  if (missing.length > 0) throw new CommandFailure(EXIT_USAGE, `There are no columns ${missing.join(', ')}.`);
  const unset = Object.keys(options.set).filter((field) => !isField(field));
  if (unset.length > 0) throw new CommandFailure(EXIT_USAGE, `--set knows no field ${unset.join(', ')}.`);

  return (row) => {
    const event: Record<string, unknown> = {};
    for (const [field, value] of Object.entries(options.set)) place(event, field, value);
    // An empty cell says nothing.
    for (const [column, field] of fields) if (row[column]) place(event, field, row[column]);
    if (options.idFrom.length > 0) event.event_id = idOf(options.idFrom.map((column) => row[column] ?? ''));
    return event;
  };
}

/** The id of a row that has none: the same values are the same event. */
function idOf(values: readonly string[]): string {
  return `csv:sha256-${createHash('sha256').update(JSON.stringify(values), 'utf8').digest('hex')}`;
}

function place(event: Record<string, unknown>, field: string, value: string): void {
  const meter = field.startsWith('usage.') ? field.slice('usage.'.length) : Object.hasOwn(METERS, field) ? field : null;
  if (meter !== null) inside(event, 'usage')[meter] = quantityOf(value);
  else if (field.startsWith('dimensions.')) inside(event, 'dimensions')[field.slice('dimensions.'.length)] = value;
  else if (field.startsWith('reported_cost.'))
    inside(event, 'reported_cost')[field.slice('reported_cost.'.length)] = value;
  else if (field === 'features') event.features = value.split(';').filter((feature) => feature !== '');
  else event[field] = value;
}

function inside(event: Record<string, unknown>, name: string): Record<string, unknown> {
  event[name] ??= {};
  return event[name] as Record<string, unknown>;
}

/** Whole numbers as numbers; what has a fraction stays the text that it is, no digit lost. */
function quantityOf(text: string): number | string {
  return /^\d{1,16}$/.test(text) ? Number(text) : text;
}
