import type { AdvanceFee, CommitmentState, CreditUse } from '../contracts/balances.js';
import type { InvoiceLine, LineKind } from '../contracts/invoice.js';
import type { StripeReference } from '../contracts/plan-rule.js';
import { type Currency, formatMinor } from '../money/currency.js';
import { add, divide, type Fraction, format, isZero, multiply, ONE, subtract, sum, ZERO } from '../money/fraction.js';
import type { Piece } from './compose-pieces.js';
import type { RolloverBalances } from './compose-rollover.js';

/** A line while the invoice is composed: numbers, not yet text. */
export interface DraftLine {
  kind: LineKind;
  description: string;
  group: Record<string, string | null>;
  plan: InvoiceLine['plan'];
  /** Index into the period's plan parts; null for a line that stands for several. */
  part: number | null;
  rule: number | null;
  /** The allowance of quantity that includes it, or that it goes beyond. */
  allowance: number | null;
  /** Summed quantities by unit; empty where no usage stands behind the line. */
  units: Map<string, Fraction>;
  events: number;
  /** Exact, in the invoice's cost currency. */
  cost: Fraction;
  /** Exact, in the invoice's currency, before the line's rounding. */
  charge: Fraction;
  /** Minor units of the invoice's currency, rounded once and never again. */
  amount: bigint;
  stripe: StripeReference | null;
}

/** An invoice between two steps. A step answers a new draft and leaves the one it was given alone. Minor units. */
export interface Draft {
  lines: DraftLine[];
  /** Usage of each plan part, less what discounts, allowances and the maximum took of it. */
  usage: readonly bigint[];
  /** Fees of each part, less the same; with what a minimum added. */
  fees: readonly bigint[];
  /** What belongs to no part: fees of the next period, commitments, adjustments, credits. */
  beside: bigint;
  /** Usage of each part as it was rounded. */
  rounded: readonly bigint[];
  /** What of it grants with a match can pay for, before discounts and the like; empty where there are none. */
  pieces: readonly Piece[];
  /** What of it an allowance of quantity includes. */
  included: readonly IncludedUsage[];
  /** Events that reported seats, by part. */
  seat_events: readonly number[];
  /** What is left of allowances with rollover, by plan and key. */
  rollover: RolloverBalances;
  advance: AdvanceFee | null;
  commitment: CommitmentState | null;
  credits: readonly CreditUse[];
}

/** Usage of a part that an allowance of quantity includes. */
export interface IncludedUsage {
  part: number;
  /** Index into the allowances of the part's plan. */
  allowance: number;
  /** Units, events or actions. */
  included: Fraction;
  available: Fraction;
  /** The lines that it includes, as they were rounded. */
  amount: bigint;
}

/** What the lines of a draft come to. */
export function totalOf(draft: Draft): bigint {
  return [...draft.usage, ...draft.fees].reduce((a, b) => a + b, draft.beside);
}

/** A fee, an allowance, a top-up, a reduction: a line without usage of its own. */
export function termLine(
  kind: LineKind,
  description: string,
  plan: InvoiceLine['plan'],
  charge: Fraction,
  amount: bigint,
): DraftLine {
  return {
    kind,
    description,
    group: {},
    plan,
    part: null,
    rule: null,
    allowance: null,
    units: new Map(),
    events: 0,
    cost: ZERO,
    charge,
    amount,
    stripe: null,
  };
}

/**
 * Keeps at most `room` lines: those with the largest amounts stay, in their order (of equal ones the earlier); the
 * others become one line at the end, whose amount is the sum of theirs, so that folding never moves the total.
 */
export function foldLines(lines: DraftLine[], room: number, describe: (folded: DraftLine) => string): DraftLine[] {
  if (lines.length <= room) return lines;
  const size = (amount: bigint) => (amount < 0n ? -amount : amount);
  const byAmount = lines.map((line, index) => ({ line, index, size: size(line.amount) }));
  byAmount.sort((a, b) => (a.size === b.size ? a.index - b.index : a.size > b.size ? -1 : 1));
  const kept = new Set(byAmount.slice(0, room - 1).map(({ line }) => line));
  const others = lines.filter((line) => !kept.has(line));
  const units = new Map<string, Fraction>();
  for (const line of others) {
    for (const [unit, quantity] of line.units) units.set(unit, add(units.get(unit) ?? ZERO, quantity));
  }
  const kind = lines.some((line) => line.kind === 'usage') ? 'usage' : others[0]!.kind;
  const folded: DraftLine = {
    ...termLine(kind, '', null, sum(others.map((line) => line.charge)), sumOfAmounts(others)),
    units,
    events: others.reduce((events, line) => events + line.events, 0),
    cost: sum(others.map((line) => line.cost)),
  };
  return [...lines.filter((line) => kept.has(line)), { ...folded, description: describe(folded) }];
}

export function sumOfAmounts(lines: readonly DraftLine[]): bigint {
  return lines.reduce((total, line) => total + line.amount, 0n);
}

/** The line as the invoice shows it. `costRate`: from the cost's currency to the invoice's; null where it is not known. */
export function toInvoiceLine(line: DraftLine, currency: Currency, costRate: Fraction | null): InvoiceLine {
  const [only, ...more] = line.units;
  // One unit: its quantity. Several (tokens and searches): no sum of them means anything, the events do.
  const measure =
    only === undefined ? null : more.length === 0 ? [format(only[1]), only[0]] : [`${line.events}`, 'events'];
  return {
    description: line.description,
    kind: line.kind,
    group: line.group,
    plan: line.plan,
    rule: line.rule,
    quantity: measure?.[0] ?? null,
    unit: measure?.[1] ?? null,
    events: line.events,
    cost: format(line.cost),
    charge: format(line.charge),
    amount: formatMinor(line.amount, currency),
    ...effectiveRates(line.cost, line.charge, costRate),
    ...(line.stripe === null ? {} : { stripe: line.stripe }),
  };
}

/** Both ways of saying what a charge is over a cost: charge / cost - 1, and 1 - cost / charge. */
export function effectiveRates(
  cost: Fraction,
  charge: Fraction,
  costRate: Fraction | null,
): { markup: string | null; margin: string | null } {
  if (costRate === null || isZero(cost) || isZero(charge)) return { markup: null, margin: null };
  const paid = multiply(cost, costRate);
  return {
    markup: format(subtract(divide(charge, paid), ONE)),
    margin: format(subtract(ONE, divide(paid, charge))),
  };
}
