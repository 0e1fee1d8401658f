import { stringify } from 'csv-stringify/sync';
import type { Pool } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { type DeriveDeps, derivePricing } from '../ledger/derive-pricing.js';
import { readResult } from '../ledger/pricing-runs.js';
import { readSeal, type Seal } from '../ledger/seal.js';
import { format, fromExactText } from '../money/fraction.js';
import { findPeriod } from '../periods/period-store.js';
import { placeUsage } from '../plans/place-usage.js';
import { allowancesOf, isPricedByTotal } from '../plans/plan-parts.js';
import { groupCharges } from '../pricing/group-charge.js';
import { groupCost } from '../pricing/group-cost.js';
import type { CostGroup, PricingResult } from '../pricing/pricing-result.js';
import { groupAttributes } from '../pricing/totals.js';
import { readInvoice } from './invoice-view.js';
import { lineOfUsage } from './line-of-usage.js';

const HEAD = ['line', 'plan_id', 'plan_version', 'rule', 'provider', 'model_id', 'priced_as', 'meter'];
const TAIL = [
  'quantity',
  'events',
  'price',
  'multiplier',
  'per',
  'price_currency',
  'cost',
  'charge',
  'charge_currency',
  'priced_by',
];

/**
 * Every group of usage behind an issued revision as CSV (RFC 4180): what it was, what it cost and what its rule charges
 * for it, exact, and the line that it stands in. `priced_by` is `total` where a rule charges the sum of its groups (tiers,
 * packages, flat prices, actions): then a group has no charge of its own. Throws `unknown_period`, `unknown_invoice`.
 */
export async function readInvoiceDetails(
  deps: DeriveDeps,
  customerId: string,
  startDate: string,
  revision: number,
): Promise<string> {
  const invoice = await readInvoice(deps.pool, customerId, startDate, revision);
  const period = await findPeriod(deps.pool, customerId, startDate);
  const seal = period === null ? null : await readSeal(deps.pool, period.period_id, revision);
  if (!seal)
    throw new CostplusError('unknown_invoice', `There is no revision ${revision} of this period's invoice yet.`);
  const { pricing: inputs, plans, exchange_rates: rates } = seal.inputs;
  const { groups } = await pricingOf(deps, seal);
  const names = inputs.attributes;
  const rows = groups.map((group) => {
    const plan = plans[group.segment]!;
    const { plan_id, version } = inputs.assignments[group.segment]!;
    const attributes = groupAttributes(inputs, group);
    const { rule, allowance } = placeUsage(plan, attributes);
    const line = lineOfUsage(invoice.lines, version, plan, attributes);
    const priced = isPricedByTotal(plan.rules[rule]!)
      ? { charge: '', currency: '', by: 'total' }
      : chargeOf(group, plan, rule, rates, allowance !== null && allowancesOf(plan)[allowance] !== undefined);
    return [
      line === null ? '' : line + 1,
      plan_id,
      version,
      rule + 1,
      group.provider,
      group.model_id,
      group.priced_as,
      group.meter,
      ...names.map((name) => attributes[name] ?? ''),
      format(fromExactText(group.quantity)),
      group.events,
      group.price,
      group.multiplier ?? '1',
      group.per,
      group.currency,
      format(groupCost(group)),
      priced.charge,
      priced.currency,
      priced.by,
    ].map(asText);
  });
  return stringify([[...HEAD, ...names, ...TAIL], ...rows]);
}

/** What the group's rule charges for it, in the currencies in which it does. */
function chargeOf(
  group: CostGroup,
  plan: Seal['inputs']['plans'][number],
  rule: number,
  rates: Record<string, string>,
  included: boolean,
): { charge: string; currency: string; by: string } {
  const charges = groupCharges(plan.rules[rule]!, group, { currency: plan.currency, rates });
  return {
    charge: charges.map(([, amount]) => format(amount)).join(' + '),
    currency: charges.map(([currency]) => currency).join(' + '),
    by: included ? 'group, before its allowance' : 'group',
  };
}

/** The pricing of a revision: the newest one's is kept, earlier ones are derived again. */
async function pricingOf(deps: DeriveDeps & { pool: Pool }, seal: Seal): Promise<PricingResult> {
  const newest = await readSeal(deps.pool, seal.period_id);
  return newest?.revision === seal.revision
    ? readResult(deps.pool, seal.period_id, seal.inputs_hash)
    : derivePricing(deps, seal);
}

/** A text that a spreadsheet could take for a formula begins with an apostrophe: names come from outside. */
function asText(value: string | number): string | number {
  return typeof value === 'string' && /^[=+\-@\t\r]/.test(value) && !/^-?\d/.test(value) ? `'${value}` : value;
}
