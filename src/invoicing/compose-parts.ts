import type { NextPeriod, OpeningBalances, UsageCounts } from '../contracts/balances.js';
import type { Plan } from '../contracts/plan.js';
import { CostplusError } from '../errors/error.js';
import { type Currency, roundToMinor } from '../money/currency.js';
import { type Fraction, isZero, multiply, parseDecimal } from '../money/fraction.js';
import { planTimes } from '../plans/plan-times.js';
import type { PricingInputs } from '../pricing/pricing-result.js';
import type { AllowanceBounds } from './compose-held.js';

/** One plan version of a period, with the time it was in force: each part is charged by its own rules and terms. */
export interface PlanPart {
  plan: Plan;
  version: number;
  /** When it was in force inside the period: half-open stretches in ms, in order. */
  stretches: readonly (readonly [number, number])[];
  /** Milliseconds of all its stretches together. */
  in_force_ms: number;
  /** Milliseconds of the calendar's whole period. */
  calendar_ms: number;
  /** in_force / calendar: what a fee, an allowance, a minimum or a maximum is multiplied by. */
  share: Fraction;
}

export interface PlanParts {
  /** In the order in which the plans came into force first. */
  parts: PlanPart[];
  /** The part of each assignment (the `segment` of a pricing group). */
  part_of_segment: number[];
}

/** The plan version of a part, as a line names it. */
export function planOf({ plan, version }: PlanPart): { plan_id: string; version: number } {
  return { plan_id: plan.plan_id, version };
}

/** What the steps after the usage work with. */
export interface Terms {
  parts: PlanPart[];
  currency: Currency;
  /** End of the period, ms. */
  end_ms: number;
  opening: OpeningBalances;
  /** Null: billing ends with this period. */
  next: NextPeriod | null;
  counts: UsageCounts;
  /** What of the allowances this invoice may take. */
  bounds: AllowanceBounds;
  /** The plan whose terms go on into the next period. */
  last: Plan;
}

/** RFC 3339 times, UTC. `calendar` is wider than the period where billing starts or ends inside it. */
export interface PeriodTimes {
  period: { start: string; end: string };
  calendar: { from: string; to: string };
}

/**
 * The parts of a period. A plan that is left and taken up again is one part. Throws `invalid_plan` where a plan's
 * currency is not the invoice's: its fees would have no meaning there.
 */
export function planParts(times: PeriodTimes, inputs: PricingInputs, plans: Plan[], currency: Currency): PlanParts {
  const calendarMs = instant(times.calendar.to) - instant(times.calendar.from);
  const span = { start_ms: instant(times.period.start), end_ms: instant(times.period.end), calendar_ms: calendarMs };
  inputs.assignments.forEach(({ plan_id }, segment) => {
    const plan = plans[segment];
    if (!plan) throw new RangeError(`the plan of assignment ${segment} is missing`);
    if (plan.currency !== currency) {
      throw new CostplusError('invalid_plan', `Plan ${plan_id} is in ${plan.currency}, the invoice in ${currency}.`);
    }
  });
  const assigned = inputs.assignments.map(({ from, ...plan }) => ({
    ...plan,
    from_ms: from === null ? null : instant(from),
  }));
  const inForce = planTimes(span, assigned);
  return {
    parts: inForce.map(({ version, segments, stretches, in_force_ms, share }) => ({
      plan: plans[segments[0]!]!,
      version,
      stretches,
      in_force_ms,
      calendar_ms: calendarMs,
      share,
    })),
    part_of_segment: assigned.map((_, segment) => inForce.findIndex(({ segments }) => segments.includes(segment))),
  };
}

/** A term of the part's plan for the part's time, exact, and rounded to a billable amount in minor units. */
export interface Term {
  exact: Fraction;
  minor: bigint;
}

/**
 * What a term (fee, allowance, minimum, maximum) comes to in a part, or null where the plan does not have it or was
 * never in force.
 */
export function termOf(part: PlanPart, amount: string | undefined, currency: Currency): Term | null {
  if (amount === undefined || isZero(part.share)) return null;
  const exact = multiply(parseDecimal(amount), part.share);
  return { exact, minor: roundToMinor(exact, currency) };
}

/** Milliseconds of an RFC 3339 time. Throws a RangeError for anything else. */
export function instant(text: string): number {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw new RangeError('a period is bounded by an RFC 3339 time');
  return ms;
}

/** The distinct actions that were counted for a rule or an allowance of a part. Throws a RangeError if none were. */
export function countedActions(part: PlanPart, of: string, { actions }: UsageCounts): number {
  const { plan_id, version } = planOf(part);
  const counted = actions.find((one) => one.plan_id === plan_id && one.version === version && one.of === of);
  if (!counted) throw new RangeError(`the actions of ${of} of plan ${plan_id} were not counted`);
  return counted.actions;
}
