import type { MultiplierRow, PriceRow } from '../contracts/catalog.js';
import { format, multiply, ONE, parseDecimal } from '../money/fraction.js';
import { instantMs } from './catalog-data.js';
import type { DatedRow } from './in-force.js';

/** A multiplier with its instants as numbers. */
export interface TimedMultiplier extends DatedRow {
  row: MultiplierRow;
}

/** The condition that a multiplier is for; `list` multiplies list prices whatever the event's conditions are. */
type Dimension = 'list' | 'service_tier' | 'region' | 'book';
const DIMENSIONS: readonly Dimension[] = ['list', 'service_tier', 'region', 'book'];

function dimensionOf(row: MultiplierRow): Dimension {
  if (row.service_tier !== null) return 'service_tier';
  if (row.region !== null) return 'region';
  return row.book === null ? 'list' : 'book';
}

/** The slot of a multiplier: provider or model, and the condition. */
export function multiplierSlot(row: {
  provider: string;
  model_id?: string | null | undefined;
  service_tier?: string | null | undefined;
  region?: string | null | undefined;
  book?: string | null | undefined;
}): string {
  const condition = [row.service_tier, row.region, row.book].map((value) => value ?? '').join('\n');
  return `${row.provider}\n${row.model_id ?? ''}\n${condition}`;
}

/** A multiplier as rows in force are found. */
export function timedMultiplier(row: MultiplierRow, place: number): TimedMultiplier {
  return {
    row,
    version: row.version,
    place,
    slot: multiplierSlot(row),
    fromMs: instantMs(row.effective_from),
    toMs: row.effective_to === null ? Number.POSITIVE_INFINITY : instantMs(row.effective_to),
  };
}

/**
 * The multipliers (in force, of conditions that the event meets) that apply to one meter priced by a row: for each
 * condition the model's own before the provider's. A row that names a tier, region or book is that one's price already,
 * and a negotiated price (of a book) is no list price: neither is multiplied for it again.
 */
export function multipliersOf(meter: string, price: PriceRow, rows: readonly MultiplierRow[]): MultiplierRow[] {
  if (price.free || rows.length === 0) return [];
  return DIMENSIONS.flatMap((dimension) => {
    if (price[dimension === 'list' ? 'book' : dimension] !== null) return [];
    const candidates = rows.filter(
      (row) => dimensionOf(row) === dimension && (row.meters === null || row.meters.includes(meter)),
    );
    const applied = candidates.find((row) => row.model_id !== null) ?? candidates[0];
    return applied === undefined ? [] : [applied];
  });
}

/** What they multiply a price by together, exact; null for none. */
export function productOf(rows: readonly MultiplierRow[]): string | null {
  if (rows.length === 0) return null;
  return format(rows.reduce((product, { multiplier }) => multiply(product, parseDecimal(multiplier ?? '1')), ONE));
}
