import type { Fraction } from '../money/fraction.js';

/** A period in milliseconds; `calendar_ms` is longer than it where billing starts or ends inside the calendar's period. */
export interface PeriodSpan {
  start_ms: number;
  end_ms: number;
  calendar_ms: number;
}

/** A plan version from an instant on; null: since before the period began. */
export interface AssignedPlan {
  plan_id: string;
  version: number;
  from_ms: number | null;
}

/** When one plan version was in force inside a period. A plan that is left and taken up again is one. */
export interface PlanTime {
  plan_id: string;
  version: number;
  /** Indexes of its assignments. */
  segments: number[];
  /** Half-open stretches in ms, in order. */
  stretches: (readonly [number, number])[];
  /** Milliseconds of all stretches together. */
  in_force_ms: number;
  /** in_force / calendar: what a fee, an allowance or the bound of a tier is multiplied by. */
  share: Fraction;
}

/** The times of the plan versions of a period, in the order in which they came into force first. */
export function planTimes(
  { start_ms, end_ms, calendar_ms }: PeriodSpan,
  assigned: readonly AssignedPlan[],
): PlanTime[] {
  const froms = assigned.map(({ from_ms }) => Math.min(end_ms, Math.max(start_ms, from_ms ?? start_ms)));
  const times = new Map<string, Omit<PlanTime, 'in_force_ms' | 'share'>>();
  assigned.forEach(({ plan_id, version }, segment) => {
    const key = `${plan_id}@${version}`;
    const time = times.get(key) ?? { plan_id, version, segments: [], stretches: [] };
    time.segments.push(segment);
    time.stretches.push([froms[segment]!, froms[segment + 1] ?? end_ms]);
    times.set(key, time);
  });
  return [...times.values()].map((time) => {
    const inForceMs = time.stretches.reduce((total, [from, to]) => total + to - from, 0);
    return { ...time, in_force_ms: inForceMs, share: { n: BigInt(inForceMs), d: BigInt(calendar_ms) } };
  });
}
