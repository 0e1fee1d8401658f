import type { MultiplierRow, PriceRow } from '../contracts/catalog.js';
import { METERS } from '../contracts/meters.js';
import { PRICE_FALLBACK_STEPS_COUNT } from '../limits.js';
import { type Fraction, ONE, parseDecimal } from '../money/fraction.js';
import { instantMs } from './catalog-data.js';
import { boundariesOf, type DatedRow, winnersAt } from './in-force.js';
import { multipliersOf, productOf, type TimedMultiplier, timedMultiplier } from './multipliers.js';

const DAY_MS = 86_400_000;

/** What prices one meter of one event: the row with the price, and the fallback rows that led to it. */
export interface MeterPrice {
  row: PriceRow;
  via: PriceRow[];
  multipliers: MultiplierRow[];
  /** Their product as an exact decimal; null where there is none. */
  multiplier: string | null;
  /** Cost of one unit: price x multiplier / per, exact. */
  unit: Fraction;
}

/** The prices of a model that meet one size of input at one time of day. */
export interface PriceSelection {
  prices: ReadonlyMap<string, MeterPrice>;
  /** Meters of which every event counts one unit where it does not carry them. */
  perEvent: readonly string[];
}

/** A price row with its instants as numbers. */
interface TimedRow extends DatedRow {
  row: PriceRow;
  /** Milliseconds of the UTC day; both null without a window. */
  dailyFrom: number | null;
  dailyTo: number | null;
}

/** The slot of a row: rows of one slot stand for each other in time, rows of different slots stand side by side. */
export function slotKey(row: {
  meter: string;
  context_over?: number | null | undefined;
  daily_window?: { from: string; to: string } | null | undefined;
  service_tier?: string | null | undefined;
  region?: string | null | undefined;
  book?: string | null | undefined;
}): string {
  const window = row.daily_window ? `${row.daily_window.from}-${row.daily_window.to}` : '';
  return `${placeKey(row)} ${window}`;
}

/** A row's slot but for its daily window: at one time of day one row of these applies. */
function placeKey(row: Parameters<typeof slotKey>[0]): string {
  const conditions = [row.service_tier, row.region, row.book].map((value) => value ?? '').join('\n');
  return `${row.meter} ${row.context_over ?? ''} ${conditions}`;
}

/** The event's whole input: tokens of all input meters, which is what context cliffs are tested against. */
export function wholeInput(usage: Record<string, number | string>): number {
  let total = 0;
  for (const meter in usage) {
    const known = METERS[meter];
    if (known !== undefined && known.direction === 'input' && known.unit === 'tokens') total += Number(usage[meter]);
  }
  return total;
}

/**
 * All price rows of one (provider, model), compiled; or those that events of some conditions meet, with the multipliers
 * that they meet. In a slot the newest version wins among the rows that cover an instant, then the latest
 * `effective_from`; a winner without price and fallback withdraws the slot.
 */
export class ModelPrices {
  readonly #rows: TimedRow[];
  readonly #multipliers: TimedMultiplier[];
  /** Instants at which the rows in force may change, ascending. */
  readonly #boundaries: number[];
  readonly #spans = new Map<number, PriceSpan>();

  constructor(rows: PriceRow[], multipliers: MultiplierRow[] = []) {
    this.#rows = rows.map((row, place) => ({
      row,
      version: row.version,
      place,
      slot: slotKey(row),
      fromMs: instantMs(row.effective_from),
      toMs: row.effective_to === null ? Number.POSITIVE_INFINITY : instantMs(row.effective_to),
      dailyFrom: row.daily_window ? dayMs(row.daily_window.from) : null,
      dailyTo: row.daily_window ? dayMs(row.daily_window.to) : null,
    }));
    this.#multipliers = multipliers.map(timedMultiplier);
    this.#boundaries = boundariesOf([...this.#rows, ...this.#multipliers]);
  }

  /** Instants at which the rows in force may change, ascending. */
  get boundaries(): readonly number[] {
    return this.#boundaries;
  }

  /** The rows in force at an instant, with the span of time in which they stay the same. */
  spanAt(atMs: number): PriceSpan {
    let low = 0;
    let high = this.#boundaries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#boundaries[middle]! <= atMs) low = middle + 1;
      else high = middle;
    }
    let span = this.#spans.get(low);
    if (span === undefined) {
      const fromMs = this.#boundaries[low - 1] ?? Number.NEGATIVE_INFINITY;
      const rows = winnersAt(this.#rows, fromMs).filter(({ row }) => row.price !== null || row.same_as !== null);
      const multipliers = winnersAt(this.#multipliers, fromMs).filter(({ row }) => row.multiplier !== null);
      span = new PriceSpan(
        fromMs,
        this.#boundaries[low] ?? Number.POSITIVE_INFINITY,
        rows,
        multipliers.map(({ row }) => row),
      );
      this.#spans.set(low, span);
    }
    return span;
  }

  /** The row that wins a slot at an instant, a withdrawal included. */
  winnerAt(slot: string, atMs: number): PriceRow | null {
    return winnersAt(this.#rows, atMs).find((row) => row.slot === slot)?.row ?? null;
  }
}

/** The rows of a model that are in force in `[fromMs, toMs)`; which of them applies may depend on input and time of day. */
export class PriceSpan {
  readonly fromMs: number;
  readonly toMs: number;
  /** Whether the size of the input or the time of day decides; if not, there is one selection for all events. */
  readonly varies: boolean;
  /** The multipliers in force. */
  readonly multipliers: readonly MultiplierRow[];
  readonly #rows: TimedRow[];
  readonly #cliffs: number[];
  readonly #cuts: number[];
  readonly #selections = new Map<number, PriceSelection>();

  constructor(fromMs: number, toMs: number, rows: TimedRow[], multipliers: MultiplierRow[]) {
    this.fromMs = fromMs;
    this.toMs = toMs;
    this.multipliers = multipliers;
    this.#rows = rows;
    this.#cliffs = ascending(rows.map(({ row }) => row.context_over));
    this.#cuts = ascending(rows.flatMap(({ dailyFrom, dailyTo }) => [dailyFrom, dailyTo]));
    this.varies = this.#cliffs.length > 0 || this.#cuts.length > 0;
  }

  /** Whether the size of the whole input decides. */
  get dependsOnInput(): boolean {
    return this.#cliffs.length > 0;
  }

  /** All rows in force, those of cliffs and of windows that do not apply now included. */
  get rows(): PriceRow[] {
    return this.#rows.map(({ row }) => row);
  }

  /** The rows that apply at a time of day, one for each meter, cliff and condition. */
  rowsAt(atMs: number): PriceRow[] {
    const day = dayOf(atMs);
    const chosen = new Map<string, TimedRow>();
    for (const row of this.#rows) {
      const place = placeKey(row.row);
      if (isInWindow(row, day) && isMoreSpecific(row, chosen.get(place))) chosen.set(place, row);
    }
    const rows = new Set([...chosen.values()].map(({ row }) => row));
    return this.rows.filter((row) => rows.has(row));
  }

  /** The prices for an event of this whole input at this instant; the same object for all events that they meet. */
  select(input: number, atMs: number): PriceSelection {
    const day = dayOf(atMs);
    let cliff = 0;
    while (cliff < this.#cliffs.length && this.#cliffs[cliff]! < input) cliff++;
    let cut = 0;
    while (cut < this.#cuts.length && this.#cuts[cut]! <= day) cut++;
    const key = cliff * (this.#cuts.length + 1) + cut;
    let selection = this.#selections.get(key);
    if (selection === undefined) {
      selection = priceMeters(this.#choose(input, day), this.multipliers);
      this.#selections.set(key, selection);
    }
    return selection;
  }

  /**
   * For each meter the most specific row: of the event's book, then of its tier and region, then the highest cliff below
   * the input, then a daily window, the later one.
   */
  #choose(input: number, day: number): Map<string, TimedRow> {
    const chosen = new Map<string, TimedRow>();
    for (const row of this.#rows) {
      if (row.row.context_over !== null && row.row.context_over >= input) continue;
      if (!isInWindow(row, day)) continue;
      if (isMoreSpecific(row, chosen.get(row.row.meter))) chosen.set(row.row.meter, row);
    }
    return chosen;
  }
}

function isInWindow({ dailyFrom, dailyTo }: TimedRow, day: number): boolean {
  if (dailyFrom === null || dailyTo === null) return true;
  return dailyFrom < dailyTo ? day >= dailyFrom && day < dailyTo : day >= dailyFrom || day < dailyTo;
}

function isMoreSpecific(row: TimedRow, other: TimedRow | undefined): boolean {
  if (other === undefined) return true;
  const [rank, otherRank] = [conditionRank(row.row), conditionRank(other.row)];
  if (rank !== otherRank) return rank > otherRank;
  const [cliff, otherCliff] = [row.row.context_over ?? -1, other.row.context_over ?? -1];
  if (cliff !== otherCliff) return cliff > otherCliff;
  const [windowed, otherWindowed] = [row.dailyFrom !== null, other.dailyFrom !== null];
  return windowed !== otherWindowed ? windowed : row.place > other.place;
}

/** A book before tier and region together, both before one of them, the tier before the region. */
function conditionRank({ book, service_tier, region }: PriceRow): number {
  return (book === null ? 0 : 4) + (service_tier === null ? 0 : 2) + (region === null ? 0 : 1);
}

/** Follows fallbacks; a meter whose fallbacks lead nowhere has no price. */
function priceMeters(chosen: Map<string, TimedRow>, inForce: readonly MultiplierRow[]): PriceSelection {
  const prices = new Map<string, MeterPrice>();
  const perEvent: string[] = [];
  for (const [meter, { row: first }] of chosen) {
    const via: PriceRow[] = [];
    let row: PriceRow | undefined = first;
    while (row !== undefined && row.same_as !== null && via.length < PRICE_FALLBACK_STEPS_COUNT) {
      via.push(row);
      row = chosen.get(row.same_as)?.row;
    }
    if (row === undefined || row.price === null) continue;
    const price = parseDecimal(row.price);
    const multipliers = multipliersOf(meter, row, inForce);
    const multiplier = productOf(multipliers);
    const times = multiplier === null ? ONE : parseDecimal(multiplier);
    const unit = { n: price.n * times.n, d: price.d * times.d * BigInt(row.per) };
    prices.set(meter, { row, via, multipliers, multiplier, unit });
    if (first.per_event) perEvent.push(meter);
  }
  return { prices, perEvent };
}

function ascending(values: (number | null)[]): number[] {
  return [...new Set(values.filter((value) => value !== null))].sort((a, b) => a - b);
}

function dayOf(atMs: number): number {
  return ((atMs % DAY_MS) + DAY_MS) % DAY_MS;
}

function dayMs(timeOfDay: string): number {
  return Number(timeOfDay.slice(0, 2)) * 3_600_000 + Number(timeOfDay.slice(3, 5)) * 60_000;
}
