import type { Catalog } from '../catalog/catalog.js';
import type { MeterPrice, PriceSelection } from '../catalog/model-prices.js';
import type { PriceConditions } from '../catalog/price-conditions.js';
import { findSpan, type NameSpan } from './find-prices.js';
import type { SeenGroup } from './pricing-observer.js';
import type { UsageRow } from './pricing-result.js';
import { QuantitySum } from './quantity-sum.js';

/** The sum of one meter in one cell. */
export interface MeterSum {
  meter: string;
  price: MeterPrice;
  quantity: QuantitySum;
  events: number;
  /** The group as an observer knows it. */
  seen?: SeenGroup;
}

/** Sums of the events of a lane that share price selection, plan segment and attributes. */
export interface Cell {
  segment: number;
  attributes: (string | null)[];
  sums: Map<string, MeterSum>;
}

/** A span of time of a lane, with its cells by price selection, then by segment and attributes. */
export interface LaneSpan {
  span: NameSpan;
  cells: Map<PriceSelection, Map<string, Cell>>;
}

/** The events that name their model in one way (provider, hint, model) and meet the same conditions. */
export interface Lane {
  name: UsageRow;
  conditions: PriceConditions;
  spans: LaneSpan[];
  current: LaneSpan;
}

/** The lane's span around the event's instant; mostly the one of the event before. */
export function laneSpanAt(catalog: Catalog, lane: Lane, row: UsageRow): LaneSpan {
  const atMs = row.occurred_at_ms;
  if (isInside(lane.current, atMs)) return lane.current;
  let known = lane.spans.find((span) => isInside(span, atMs));
  if (known === undefined) {
    known = { span: findSpan(catalog, row), cells: new Map() };
    lane.spans.push(known);
  }
  lane.current = known;
  return known;
}

function isInside({ span }: LaneSpan, atMs: number): boolean {
  return span.fromMs <= atMs && atMs < span.toMs;
}

/** Begins a meter's sum in a cell. */
export function openSum(cell: Cell, meter: string, price: MeterPrice): MeterSum {
  const sum: MeterSum = { meter, price, quantity: new QuantitySum(), events: 0 };
  cell.sums.set(meter, sum);
  return sum;
}
