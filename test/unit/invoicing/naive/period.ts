import type { Plan } from '../../../../src/contracts/plan.js';
import type { Allowance } from '../../../../src/contracts/plan-terms.js';
import { NOTHING, type Ratio, ratio, smaller } from './ratio.js';

/*
 * What a period is for the naive reference: events one by one, a price list, plans as they are published, and what the
 * periods before left. Times are milliseconds, amounts of balances are whole numbers of the smallest billable amount.
 */

export interface NaiveEvent {
  at: number;
  model: string;
  feature: string;
  region: string | null;
  /** Null: an action of its own. */
  action: string | null;
  paid_by: 'us' | 'customer';
  /** What the provider says that it cost, in dollars. */
  reported: string | null;
  /** Decimal strings by meter. */
  usage: Record<string, string>;
}

/** What a provider charges from an instant on, until the same meter of the model has a later row. */
export interface NaivePrice {
  model: string;
  meter: string;
  price: string;
  per: number;
  currency: string;
  from: number;
}

/** A plan version in force from an instant until the next one's. */
export interface NaiveAssignment {
  plan: Plan;
  version: number;
  from: number;
}

/** A grant of prepaid credits. */
export interface NaiveGrant {
  id: number;
  priority: number;
  expires_at: number | null;
  /** What the customer paid for one; null: nothing. */
  cost_basis: string | null;
  applies_to: 'all' | 'usage' | 'fees';
  left: bigint;
}

/** A commitment under way, under the terms that it was begun with. */
export interface NaiveCommitment {
  plan_id: string;
  amount: string;
  periods: number;
  early_end: 'prorated' | 'full';
  over: number;
  elapsed: Ratio;
  spent: bigint;
}

/** What one period leaves to the next. */
export interface NaiveBooks {
  /** What is left of allowances that roll over, by plan and allowance. */
  rollover: Map<string, Ratio>;
  /** What the invoice before charged for this period already. */
  paid_ahead: { plan_id: string; version: number; amount: bigint } | null;
  commitment: NaiveCommitment | null;
  grants: NaiveGrant[];
}

export interface NaivePeriod {
  currency: string;
  /** From each other currency of the price list to that of the invoice. */
  rates: Record<string, string>;
  prices: readonly NaivePrice[];
  /** Half-open; the calendar's whole period is at least as long. */
  start: number;
  end: number;
  calendar: { from: number; to: number };
  /** The first in force at the start, the others from inside the period. */
  assignments: NaiveAssignment[];
  events: NaiveEvent[];
  late: bigint[];
  adjustments: string[];
  opening: NaiveBooks;
  /** The period that follows, with the plan in force at its start; null: billing ends. */
  next: { plan: Plan; version: number; start: number; end: number; calendar: { from: number; to: number } } | null;
}

/** A plan version with all its time in the period and the events of that time. */
export interface NaivePart {
  plan: Plan;
  version: number;
  stretches: [number, number][];
  events: NaiveEvent[];
  /** Its time over that of the calendar's whole period. */
  share: Ratio;
}

/** A plan version that is left and taken up again is one part. */
export function partsOf({ assignments, end, calendar, events }: NaivePeriod): NaivePart[] {
  const parts: NaivePart[] = [];
  assignments.forEach(({ plan, version, from }, index) => {
    const to = assignments[index + 1]?.from ?? end;
    let part = parts.find((known) => known.plan.plan_id === plan.plan_id && known.version === version);
    if (!part) {
      part = { plan, version, stretches: [], events: [], share: [0n, 1n] };
      parts.push(part);
    }
    part.stretches.push([from, to]);
    part.events.push(...events.filter(({ at }) => from <= at && at < to));
  });
  for (const part of parts) part.share = [BigInt(timeOf(part)), BigInt(calendar.to - calendar.from)];
  return parts;
}

export const timeOf = ({ stretches }: NaivePart): number => stretches.reduce((ms, [from, to]) => ms + to - from, 0);

/** The allowances of a plan, and what each is called in the books. */
export function allowancesOf({ plan }: Pick<NaivePart, 'plan'>) {
  return [plan.allowance ?? []].flat().map((allowance) => {
    const key =
      'quantity' in allowance
        ? `quantity ${allowance.count} ${JSON.stringify(allowance.match ?? {})}`
        : 'charge' in allowance
          ? 'charge'
          : 'credits';
    return { allowance, key: `${plan.plan_id} ${key}` };
  });
}

/** What of an allowance is kept for the next period, or for the plan's next version in this one. */
export function kept({ rollover, rollover_limit: limit }: Allowance, left: Ratio): Ratio {
  if (rollover !== true) return NOTHING;
  return limit === undefined ? left : smaller(left, ratio(limit));
}
