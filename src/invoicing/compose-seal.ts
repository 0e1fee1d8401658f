import { NO_COUNTS, NO_OPENING, type UsageCounts } from '../contracts/balances.js';
import type { Seal } from '../ledger/seal.js';
import type { PricingResult } from '../pricing/pricing-result.js';
import { type ComposedInvoice, composeInvoice } from './compose.js';
import type { LateLine } from './compose-late.js';

/**
 * The invoice of a seal: a pure function of it, of the pricing and the counts of its set (src/ledger/count-usage.ts) and
 * of the late usage that it carries.
 */
export function composeSeal(
  seal: Pick<Seal, 'inputs' | 'revision' | 'catalog_version'>,
  pricing: PricingResult,
  late: LateLine[] = [],
  counts: UsageCounts = NO_COUNTS,
): ComposedInvoice {
  const { customer, period, pricing: inputs, plans, exchange_rates, opening, next, adjustments } = seal.inputs;
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
    opening: opening ?? NO_OPENING,
    next: next ?? null,
    adjustments: adjustments ?? [],
    ...(late.length === 0 ? {} : { late }),
  });
}
