import type { Catalog, ResolvedModel } from '../catalog/catalog.js';
import type { MultiplierRow, PriceRow } from '../contracts/catalog.js';
import { meterDirection } from '../contracts/meters.js';
import { add, type Fraction, fromInteger, multiply, parseDecimal, ZERO } from '../money/fraction.js';
import { chargedQuantities, findSpan, type Held, heldReason, selectPrices } from './find-prices.js';
import type { UsageRow } from './pricing-result.js';
import { unpricedTier } from './unpriced-tier.js';

/** What one meter of an event costs, and why. */
export interface PricedMeter {
  meter: string;
  quantity: string;
  /** The row whose price it is. */
  row: PriceRow;
  /** The fallback rows that led to it, the meter's own one first. */
  via: PriceRow[];
  /** What the price was multiplied by, for the event's tier, region or price book. */
  multipliers: MultiplierRow[];
  cost: Fraction;
}

/** One event priced: exact amounts in `currency`. `total` also has what stands on neither side (web searches). */
export interface PricedEvent {
  model: ResolvedModel;
  catalog_version: number;
  /** The tier is another than the standard one and the catalog has no price for it: base prices stand in, for review. */
  unpriced_tier: string | null;
  currency: string;
  /** Ordered by meter. */
  meters: PricedMeter[];
  total: Fraction;
  input: Fraction;
  output: Fraction;
}

/** What one event costs by a catalog, or why it is held; the same rules as `createPricer`, with the reasons kept. */
export function priceEvent(catalog: Catalog, row: UsageRow): PricedEvent | { held: Held } {
  const held = heldReason(catalog, row);
  if (held) return { held };
  const span = findSpan(catalog, row);
  const usage = row.usage ?? {};
  if ('held' in span) return { held: { reason: span.held, meter: null } };
  const selection = selectPrices(span, usage, row.occurred_at_ms);
  const meters: PricedMeter[] = [];
  const costs = { input: ZERO, output: ZERO, other: ZERO };
  const charged = chargedQuantities(usage, selection).sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [meter, quantity] of charged) {
    const price = selection.prices.get(meter) ?? span.free;
    if (price === null) return { held: { reason: 'no_price', meter } };
    const units = typeof quantity === 'number' ? fromInteger(quantity) : parseDecimal(quantity);
    const cost = multiply(units, price.unit);
    const side = meterDirection(meter);
    costs[side] = add(costs[side], cost);
    meters.push({
      meter,
      quantity: String(quantity),
      row: price.row,
      via: price.via,
      multipliers: price.multipliers,
      cost,
    });
  }
  return {
    model: span.model,
    catalog_version: catalog.version,
    unpriced_tier: unpricedTier(span, row.service_tier),
    currency: meters.find(({ row: { free } }) => !free)?.row.currency ?? meters[0]?.row.currency ?? 'usd',
    meters,
    total: add(add(costs.input, costs.output), costs.other),
    input: costs.input,
    output: costs.output,
  };
}
