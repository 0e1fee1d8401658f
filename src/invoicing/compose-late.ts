import type { AllowanceUse, RolledOver } from '../contracts/balances.js';
import { LATE_LINES_COUNT } from '../limits.js';
import { add, type Fraction, ZERO } from '../money/fraction.js';
import { type Draft, type DraftLine, foldLines, termLine } from './compose-lines.js';
import { foldedLateDescription, lateDescription } from './line-wording.js';

/** What a sealed period would have come to with usage that came later, beyond what it was billed. */
export interface LateLine {
  /** The start date of the period in which it happened. */
  start_date: string;
  /** Summed quantities by unit. */
  units: Map<string, Fraction>;
  events: number;
  /** Exact, in the invoice's cost currency. */
  cost: Fraction;
  /** Exact, in the invoice's currency, before allowances and bounds of that period. */
  charge: Fraction;
  /** Minor units: the difference of two rounded invoices. */
  amount: bigint;
  /** What it counts towards the commitment under way, of this plan, exact; left out where it counts nothing. */
  committed?: { plan_id: string; spent: Fraction };
  /** What becomes of that period's allowances; left out where it has none. */
  left?: LeftOfOrigin;
}

export interface LeftOfOrigin {
  period_id: number;
  /** It is the period before: the carrying one opens with what is left. */
  opens: boolean;
  /** What the usage took of the allowances. */
  taken: AllowanceUse[];
  /** What is left of those with rollover, but for credits. */
  rollover: RolledOver[];
}

/** How many lines late usage takes: what folding has to leave free. */
export function lateLinesCount(late: readonly LateLine[]): number {
  return Math.min(late.length, LATE_LINES_COUNT);
}

/**
 * Step "late_usage": a line for each sealed period whose late usage this invoice carries. The terms of that period were
 * applied when the difference was taken; the terms of this one do not touch it.
 */
export function addLateUsage(draft: Draft, late: readonly LateLine[]): Draft {
  const lines = late.map(
    (one): DraftLine => ({
      ...termLine('late_usage', lateDescription(one), null, one.charge, one.amount),
      group: { late_usage_of: one.start_date },
      units: one.units,
      events: one.events,
      cost: one.cost,
    }),
  );
  return {
    ...draft,
    lines: [...draft.lines, ...foldLines(lines, LATE_LINES_COUNT, foldedLateDescription)],
    beside: late.reduce((total, { amount }) => total + amount, draft.beside),
  };
}

/** Units and quantities of several lines, added up. */
export function addUnits(units: Map<string, Fraction>, unit: string, quantity: Fraction): void {
  units.set(unit, add(units.get(unit) ?? ZERO, quantity));
}
