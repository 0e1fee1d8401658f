import { NO_COUNTS, NO_OPENING, type OpeningBalances, type UsageCounts } from '../contracts/balances.js';
import type { Seal } from '../ledger/seal.js';
import type { PricingResult } from '../pricing/pricing-result.js';
import { type ComposedInvoice, composeInvoice } from './compose.js';
import { type AllowanceBounds, NO_BOUNDS } from './compose-held.js';
import type { LateLine } from './compose-late.js';
import { leftBeside } from './compose-rollover.js';

/**
 * The invoice of a seal: a pure function of it, of the pricing and the counts of its set (src/ledger/count-usage.ts) and
 * of the late usage that it carries. `bounds`: what it may take of its allowances, where that is not what the seal says.
 */
export function composeSeal(
  seal: Pick<Seal, 'inputs' | 'revision' | 'catalog_version'>,
  pricing: PricingResult,
  late: LateLine[] = [],
  counts: UsageCounts = NO_COUNTS,
  bounds: AllowanceBounds | undefined = ownBounds(seal),
): ComposedInvoice {
  const { customer, period, pricing: inputs, plans, exchange_rates, next, adjustments } = seal.inputs;
  return composeInvoice({
    customer_id: customer.customer_id,
    start_date: period.start_date,
    period: { start: period.start, end: period.end },
    calendar: { from: period.calendar_from, to: period.calendar_to },
    revision: seal.revision,
    currency: customer.currency,
    catalog_version: seal.catalog_version,
    inputs,
    plans,
    exchange_rates,
    pricing,
    counts,
    opening: openingOf(seal, late),
    next: next ?? null,
    adjustments: adjustments ?? [],
    ...(seal.inputs.plan_at_end === undefined ? {} : { plan_at_end: seal.inputs.plan_at_end }),
    ...(late.length === 0 ? {} : { late }),
    ...(bounds === undefined ? {} : { bounds }),
  });
}

/** What the seal pins, less what late usage of the period before takes by the same invoice. */
function openingOf({ inputs: { opening = NO_OPENING } }: Pick<Seal, 'inputs'>, late: LateLine[]): OpeningBalances {
  const before = late.find(({ left }) => left?.opens)?.left;
  return before === undefined ? opening : { ...opening, rollover: leftBeside(opening.rollover, before.rollover) };
}

function ownBounds({ inputs: { held } }: Pick<Seal, 'inputs'>): AllowanceBounds | undefined {
  return held && { ...NO_BOUNDS, ...held };
}
