import type { OpeningBalances } from '../../../src/contracts/balances.js';
import { type Plan, type PlanInput, planSchema, type RuleMatch } from '../../../src/contracts/plan.js';
import type { ComposeInput } from '../../../src/invoicing/compose.js';
import { neededAttributes } from '../../../src/plans/plan-rules.js';
import type { CostGroup } from '../../../src/pricing/pricing-result.js';

/** A plan with its defaults; a markup of 0 where no rules are given, so that a charge is its cost. */
export function aPlan(plan: Partial<PlanInput> = {}): Plan {
  return planSchema.parse({ plan_id: 'pro', currency: 'usd', rules: [{ markup: '0' }], ...plan });
}

/** A group of `quantity` tokens at one dollar for a million, of one event. */
export function aGroup(group: Partial<CostGroup> = {}): CostGroup {
  return {
    segment: 0,
    provider: 'anthropic',
    model_id: 'claude-sonnet-4-5-20250929',
    priced_as: 'claude-sonnet-4-5',
    meter: 'input_tokens',
    price_id: '1',
    price: '1',
    per: 1_000_000,
    currency: 'usd',
    attributes: [],
    quantity: '1000000',
    events: 1,
    ...group,
  };
}

/** A group that costs exactly `amount` of its currency: that many requests at a price of 1. */
export function costing(amount: string, group: Partial<CostGroup> = {}): CostGroup {
  return aGroup({ meter: 'requests', quantity: '1', price: amount, per: 1, ...group });
}

interface InputParts extends Partial<Omit<ComposeInput, 'pricing' | 'inputs'>> {
  groups?: CostGroup[];
  /** When each plan comes into force; the first since before the period. */
  from?: (string | null)[];
  versions?: number[];
}

/** What credits match: pricing keeps it apart. */
export function matchesOf(opening: OpeningBalances | undefined): RuleMatch[] {
  return (opening?.credits ?? []).flatMap(({ match }) => match ?? []);
}

/** November 2026 of one customer, whole, in dollars, unless said otherwise. */
export function anInput({
  groups = [],
  from = [],
  versions = [],
  plans = [aPlan()],
  ...rest
}: InputParts = {}): ComposeInput {
  return {
    customer_id: 'acme',
    start_date: '2026-11-01',
    period: { start: '2026-11-01T00:00:00.000Z', end: '2026-12-01T00:00:00.000Z' },
    calendar: { from: '2026-11-01T00:00:00.000Z', to: '2026-12-01T00:00:00.000Z' },
    revision: 1,
    currency: 'usd',
    catalog_version: 7,
    plans,
    exchange_rates: {},
    inputs: {
      catalog_version: 7,
      assignments: plans.map(({ plan_id }, index) => ({
        plan_id,
        version: versions[index] ?? index + 1,
        from: from[index] ?? null,
      })),
      attributes: neededAttributes(plans, matchesOf(rest.opening)),
    },
    pricing: { groups, held: [], events: groups.reduce((events, group) => events + group.events, 0) },
    ...rest,
  };
}
