import type { InvoiceView } from '../contracts/invoice.js';
import type { Plan } from '../contracts/plan.js';
import { CostplusError } from '../errors/error.js';
import { type DeriveDeps, derivePricing } from '../ledger/derive-pricing.js';
import { LatePricer } from '../ledger/late-pricer.js';
import type { LateOrigin } from '../ledger/late-usage.js';
import { readResult } from '../ledger/pricing-runs.js';
import { readSeal, type Seal } from '../ledger/seal.js';
import { readCarried } from '../ledger/usage-set.js';
import type { Currency } from '../money/currency.js';
import { type Fraction, isZero } from '../money/fraction.js';
import { findPeriod } from '../periods/period-store.js';
import { placeUsage } from '../plans/place-usage.js';
import { allowancesOf, isPricedByTotal } from '../plans/plan-parts.js';
import type { GroupAttributes } from '../plans/plan-rules.js';
import { groupCharges } from '../pricing/group-charge.js';
import { groupCost } from '../pricing/group-cost.js';
import type { CostGroup, PricingResult } from '../pricing/pricing-result.js';
import { groupAttributes } from '../pricing/totals.js';
import { readInvoice } from './invoice-view.js';
import { lineOfUsage } from './line-of-usage.js';

/**
 * What a group's charge is found on. `total`: its rule charges the sum of its groups (tiers, packages, flat prices,
 * actions, seats). `late`: its line is what another period would have come to with it, less what that one billed. Then a
 * group has no charge of its own.
 */
export const PRICED_BY = ['group', 'group, before its allowance', 'total', 'late'] as const;
export type PricedBy = (typeof PRICED_BY)[number];

/** A group of usage behind an issued revision. */
export interface DetailGroup {
  group: CostGroup;
  attributes: GroupAttributes;
  /** Index of the invoice's line that it stands in; null where none is found. */
  line: number | null;
  plan: Plan;
  plan_version: number;
  rule: number;
  /** Exact, in the currencies in which its rule charges; empty where it has no charge of its own. */
  charges: [Currency, Fraction][];
  priced_by: PricedBy;
}

/** An issued revision with every group of usage behind it. */
export interface InvoiceGroups {
  invoice: InvoiceView;
  /** What usage can be grouped by, beside provider, model and meter. */
  attribute_names: readonly string[];
  /** Of all plans of the period: what the lines were grouped by. */
  grouped_by: readonly string[];
  groups: readonly DetailGroup[];
}

/** Reads the groups of a revision, carried late usage included. Throws `unknown_period`, `unknown_invoice`. */
export async function readInvoiceGroups(
  deps: DeriveDeps,
  customerId: string,
  startDate: string,
  revision: number,
): Promise<InvoiceGroups> {
  const invoice = await readInvoice(deps.pool, customerId, startDate, revision);
  const period = await findPeriod(deps.pool, customerId, startDate);
  const seal = period === null ? null : await readSeal(deps.pool, period.period_id, revision);
  if (!seal)
    throw new CostplusError('unknown_invoice', `There is no revision ${revision} of this period's invoice yet.`);
  const { groups } = await pricingOf(deps, seal);
  const own = groups.map((group) => detailOf(group, seal.inputs, invoice));
  const late: DetailGroup[] = [];
  for (const origin of seal.inputs.late?.origins ?? []) late.push(...(await lateGroups(deps, seal, origin, invoice)));
  return {
    invoice,
    attribute_names: [...new Set([...seal.inputs.pricing.attributes, ...late.flatMap(namesOf)])],
    grouped_by: [...new Set([...own, ...late].flatMap(({ plan }) => plan.lines.group_by))],
    groups: [...own, ...late],
  };
}

/** Usage of the period itself: its line, and what its rule charges for it. */
function detailOf(group: CostGroup, { pricing, plans, exchange_rates: rates }: Seal['inputs'], invoice: InvoiceView) {
  const plan = plans[group.segment]!;
  const plan_version = pricing.assignments[group.segment]!.version;
  const attributes = groupAttributes(pricing, group);
  const { rule, allowance } = placeUsage(plan, attributes);
  const detail = { group, attributes, plan, plan_version, rule };
  if (isSeatReport({ plan, group })) {
    const line = invoice.lines.findIndex(({ kind }) => kind === 'seats');
    return { ...detail, line: line < 0 ? null : line, charges: [], priced_by: 'total' } satisfies DetailGroup;
  }
  const line = lineOfUsage(invoice.lines, plan_version, plan, attributes);
  if (isPricedByTotal(plan.rules[rule]!)) {
    return { ...detail, line, charges: [], priced_by: 'total' } satisfies DetailGroup;
  }
  const included = allowance !== null && allowancesOf(plan)[allowance] !== undefined;
  return {
    ...detail,
    line,
    charges: groupCharges(plan.rules[rule]!, group, { currency: plan.currency, rates }),
    priced_by: included ? 'group, before its allowance' : 'group',
  } satisfies DetailGroup;
}

/** Whether a group is reports of seats: the line charges the largest of them, and their sum says nothing. */
export function isSeatReport({ plan, group }: Pick<DetailGroup, 'plan' | 'group'>): boolean {
  return plan.seats?.meter === group.meter && isZero(groupCost(group));
}

/** Late usage that the invoice carries for another period, grouped by the terms of that one. */
async function lateGroups(
  deps: DeriveDeps,
  seal: Seal,
  origin: LateOrigin,
  invoice: InvoiceView,
): Promise<DetailGroup[]> {
  const base = (await readSeal(deps.pool, origin.period_id, origin.revision))!;
  const pricer = await LatePricer.open(deps.catalogs, base.inputs, origin.resolver);
  const carried = {
    period_id: origin.period_id,
    voided_to: seal.inputs.pricing.voided_to ?? 0,
    from: origin.decided_from,
    to: seal.inputs.late!.decided_to + 1,
    billed_in: seal.period_id,
  };
  await readCarried(deps.pool, carried, (rows) => {
    for (const row of rows) pricer.add(row, true);
  });
  const at = invoice.lines.findIndex(
    ({ kind, group }) =>
      kind === 'late_usage' && (group.late_usage_of === origin.start_date || group.late_usage_of === undefined),
  );
  return pricer.result().groups.map((group) => ({
    ...detailOf(group, base.inputs, { ...invoice, lines: [] }),
    line: at < 0 ? null : at,
    charges: [],
    priced_by: 'late',
  }));
}

function namesOf({ attributes }: DetailGroup): string[] {
  return Object.keys(attributes).filter((name) => !MODEL_ATTRIBUTES.has(name));
}

/** Attributes that every group has, in columns of their own. */
export const MODEL_ATTRIBUTES: ReadonlySet<string> = new Set(['provider', 'model_id', 'priced_as', 'meter']);

/** The pricing of a revision: the newest one's is kept, earlier ones are derived again. */
async function pricingOf(deps: DeriveDeps, seal: Seal): Promise<PricingResult> {
  const newest = await readSeal(deps.pool, seal.period_id);
  return newest?.revision === seal.revision
    ? readResult(deps.pool, seal.period_id, seal.inputs_hash)
    : derivePricing(deps, seal);
}
