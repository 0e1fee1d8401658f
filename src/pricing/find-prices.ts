import type { Catalog, ResolvedModel } from '../catalog/catalog.js';
import { type MeterPrice, type PriceSelection, type PriceSpan, wholeInput } from '../catalog/model-prices.js';
import { ZERO } from '../money/fraction.js';
import { HELD_REASONS, type HeldReason, type UsageRow } from './pricing-result.js';

/** Why an event waits, and the meter that has no price where that is the reason. */
export interface Held {
  reason: HeldReason;
  meter: string | null;
}

/**
 * The model of an event name and the price rows that its conditions meet around an instant; the same for all instants in
 * `[fromMs, toMs)` at which the conditions are the same.
 */
export interface PricedSpan {
  fromMs: number;
  toMs: number;
  model: ResolvedModel;
  prices: PriceSpan;
  /** Prices every meter without a price of its own, where the model is free on purpose. */
  free: MeterPrice | null;
}
export type NameSpan = PricedSpan | { fromMs: number; toMs: number; held: HeldReason };

/** What the catalog says of an event's name and conditions at an instant. */
export function findSpan(catalog: Catalog, row: UsageRow): NameSpan {
  const atMs = row.occurred_at_ms;
  const { fromMs, toMs, resolution } = catalog.resolveSpan(row, atMs);
  if ('held' in resolution) return { fromMs, toMs, held: resolution.held };
  const conditions = catalog.conditionsOf(row, atMs);
  const prices = catalog.modelPrices(resolution.provider, resolution.priced_as, conditions).spanAt(atMs);
  const free = catalog.freeModel(resolution.provider, resolution.priced_as);
  return {
    fromMs: Math.max(fromMs, prices.fromMs),
    toMs: Math.min(toMs, prices.toMs),
    model: resolution,
    prices,
    free: free && { row: free, via: [], multipliers: [], multiplier: null, unit: ZERO },
  };
}

/** The prices that meet an event of this usage at this instant. */
export function selectPrices(span: PricedSpan, usage: Record<string, number | string>, atMs: number): PriceSelection {
  return span.prices.select(span.prices.varies ? wholeInput(usage) : 0, atMs);
}

/** Whether a quantity is zero; zero quantities cost nothing and never hold an event. */
export function isZeroQuantity(quantity: number | string): boolean {
  return typeof quantity === 'number' ? quantity === 0 : /^[0.]+$/.test(quantity);
}

/**
 * The quantities of an event that are charged: those above zero, and one unit of each per-event meter (a fee for each
 * call) that the event does not carry.
 */
export function chargedQuantities(
  usage: Record<string, number | string>,
  selection: PriceSelection,
): [meter: string, quantity: number | string][] {
  const charged = Object.entries(usage).filter(([, quantity]) => !isZeroQuantity(quantity));
  for (const meter of selection.perEvent) if (!charged.some(([carried]) => carried === meter)) charged.push([meter, 1]);
  return charged;
}

/** Why the ledger itself holds an event whatever the catalog says, or null. */
export function ownHold(row: UsageRow): HeldReason | null {
  if (row.held_reason === null) return row.usage === null ? 'impossible_counts' : null;
  return HELD_REASONS.find((reason) => reason === row.held_reason) ?? 'impossible_counts';
}

/**
 * Why an event that is known to lack something cannot be priced by these rows, or null: a price by the size of the input
 * needs that size, and a fee for each call would be charged for both halves of a call.
 */
export function holdOfMarks(marks: readonly string[], span: PricedSpan, selection: PriceSelection): HeldReason | null {
  if (span.prices.dependsOnInput && marks.includes('context_size_unknown')) return 'context_size_unknown';
  return selection.perEvent.length > 0 && marks.includes('split_call') ? 'split_call' : null;
}

/** Why an event cannot be priced by this catalog, or null where it can. Nothing of a held event is charged. */
export function heldReason(catalog: Catalog, row: UsageRow): Held | null {
  const own = ownHold(row);
  if (own !== null || row.usage === null) return { reason: own ?? 'impossible_counts', meter: null };
  // It costs us nothing, whatever the catalog says.
  if (row.paid_by === 'customer') return null;
  const span = findSpan(catalog, row);
  if ('held' in span) return { reason: span.held, meter: null };
  if (row.marks !== null) {
    const selection = selectPrices(span, row.usage, row.occurred_at_ms);
    const reason = holdOfMarks(row.marks, span, selection);
    if (reason !== null) return { reason, meter: null };
  }
  const meter = firstMeterWithoutPrice(span, row.usage, row.occurred_at_ms);
  return meter === null ? null : { reason: 'no_price', meter };
}

/** The first meter by name that is charged and has no price, or null. */
export function firstMeterWithoutPrice(
  span: PricedSpan,
  usage: Record<string, number | string>,
  atMs: number,
): string | null {
  if (span.free) return null;
  const selection = selectPrices(span, usage, atMs);
  let first: string | null = null;
  for (const [meter, quantity] of Object.entries(usage)) {
    if (isZeroQuantity(quantity) || selection.prices.has(meter)) continue;
    if (first === null || meter < first) first = meter;
  }
  return first;
}
