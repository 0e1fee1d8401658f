import { expect } from 'vitest';
import {
  type NextPeriod,
  NO_OPENING,
  type OpeningBalances,
  type UsageCounts,
} from '../../../src/contracts/balances.js';
import type { PlanInput } from '../../../src/contracts/plan.js';
import { type ComposedInvoice, type ComposeInput, composeInvoice } from '../../../src/invoicing/compose.js';
import { checkPlan, neededAttributes } from '../../../src/plans/plan-rules.js';
import type { CostGroup } from '../../../src/pricing/pricing-result.js';
import { aGroup, anInput, aPlan, matchesOf } from './compose-fixtures.js';

/** Usage that costs `cost` in all; `quantity` of its meter, one event, unless said otherwise. */
export interface Used {
  cost?: string;
  meter?: string;
  quantity?: number;
  events?: number;
  provider?: string;
  model_id?: string;
  currency?: string;
  /** Which of the plans was in force. */
  segment?: number;
  [attribute: string]: string | number | undefined;
}

/** What an example composes, beside its plan. Actions by what counts them, for the first plan. */
export interface Example extends Partial<Omit<ComposeInput, 'opening' | 'counts' | 'plans'>> {
  plan?: Partial<PlanInput>;
  plans?: Partial<PlanInput>[];
  from?: (string | null)[];
  /** 1 of each plan unless said otherwise. */
  versions?: number[];
  used?: Used[];
  actions?: Record<string, number>;
  seats?: string;
  opening?: Partial<OpeningBalances>;
}

/** December 2026 after November, for the plan `pro`. */
export function december(next: Partial<NextPeriod> = {}): NextPeriod {
  return {
    start_date: '2026-12-01',
    start: '2026-12-01T00:00:00.000Z',
    end: '2027-01-01T00:00:00.000Z',
    calendar_from: '2026-12-01T00:00:00.000Z',
    calendar_to: '2027-01-01T00:00:00.000Z',
    plan_id: 'pro',
    version: 1,
    plan_name: null,
    advance_fee: null,
    ...next,
  };
}

/** Composes an example; its plans are checked as publishing checks them. */
export function compose(example: Example): ComposedInvoice {
  return composeInvoice(inputOf(example));
}

export function inputOf(example: Example): ComposeInput {
  const { plan, plans: several, used = [], actions = {}, seats, opening, from, versions, ...rest } = example;
  const currency = rest.currency ?? 'usd';
  const plans = (several ?? [plan ?? {}]).map((body, index) =>
    aPlan({ currency, ...(index === 0 ? {} : { plan_id: `plan-${index}` }), ...body }),
  );
  for (const one of plans) checkPlan(one);
  const { plan_id, seats: reported } = plans[0]!;
  const counts: UsageCounts = {
    actions: Object.entries(actions).map(([of, count]) => ({ plan_id, version: 1, of, actions: count })),
    largest: seats === undefined ? [] : [{ plan_id, version: 1, meter: reported!.meter, quantity: seats }],
  };
  const balances = { ...NO_OPENING, ...opening };
  const names = neededAttributes(plans, matchesOf(balances));
  return anInput({
    ...rest,
    currency,
    plans,
    versions: versions ?? plans.map(() => 1),
    from: from ?? plans.map((_, index) => (index === 0 ? null : '2026-11-16T00:00:00.000Z')),
    groups: used.map((one) => groupOf(one, names)),
    counts,
    opening: balances,
  });
}

function groupOf(used: Used, names: string[]): CostGroup {
  const { cost = '0', meter = 'requests', quantity = 1, events = 1, provider, model_id, currency, segment } = used;
  return aGroup({
    meter,
    quantity: `${quantity}`,
    price: cost,
    per: quantity,
    price_id: `${meter} ${cost} ${quantity}`,
    events,
    attributes: names.map((name) => (used[name] === undefined ? null : String(used[name]))),
    ...(provider === undefined ? {} : { provider }),
    ...(model_id === undefined ? {} : { model_id }),
    ...(currency === undefined ? {} : { currency }),
    ...(segment === undefined ? {} : { segment }),
  });
}

/** `kind amount` of each line. */
export function linesOf({ content }: ComposedInvoice): string[] {
  return content.lines.map((line) => `${line.kind} ${line.amount}`);
}

/** What, the example, its lines in order, its total. */
export type Case = [what: string, example: Example, lines: string[], total: string];

export const chats: Used = { cost: '100', feature: 'chat', events: 12 };
export const reports: Used = { cost: '30', feature: 'report', events: 4 };
export const pages = (quantity: number, cost = '1'): Used => ({ cost, meter: 'pages', quantity });
export const REPORT = { match: { feature: 'report' }, unit_price: '0.40', count: 'actions' as const, unit: 'reports' };
export const rest = { markup: '0' };
export const TIERS = [{ up_to: '100', price: '0.50' }, { up_to: '1000', price: '0.20' }, { price: '0.10' }];
export const HALF = { start: '2026-11-16T00:00:00.000Z', end: '2026-12-01T00:00:00.000Z' };
export const UNTIL_HALF = { start: '2026-11-01T00:00:00.000Z', end: '2026-11-16T00:00:00.000Z' };
export const credit = (grant_id: number, remaining: string, more: object = {}) => ({
  grant_id,
  name: `pack ${grant_id}`,
  amount: remaining,
  remaining,
  priority: 100,
  expires_at: null,
  applies_to: 'all' as const,
  cost_basis: null,
  ...more,
});

/** Composes an example and compares lines and total. */
export function check(example: Example, lines: string[], total: string): void {
  const composed = compose(example);
  expect(linesOf(composed)).toEqual(lines);
  expect(composed.content.total).toBe(total);
}
