import { meterUnit } from '../contracts/meters.js';
import type { Plan } from '../contracts/plan.js';
import type { Currency } from '../money/currency.js';
import { add, type Fraction, multiply, ZERO } from '../money/fraction.js';

/** The usage behind one line: exact sums, in the currencies of the catalog that priced it and of the plan. */
export interface UsageSum {
  kind: 'usage' | 'overage' | 'action_fee';
  /** Index into the period's plan parts. */
  part: number;
  group: Record<string, string | null>;
  /** The rule that alone made it; null where it is grouped by attributes. */
  rule: number | null;
  /** The allowance of quantity that includes it, or that it goes beyond. */
  allowance: number | null;
  /** What stands before its quantities; null: the values of its group. */
  label: string | null;
  /** Summed quantities by unit (`tokens`, `seconds`). */
  units: Map<string, Fraction>;
  events: number;
  costs: Map<Currency, Fraction>;
  charges: Map<Currency, Fraction>;
  /** The charges by the grants that match (compose-pieces.ts); empty where no grant has a match. */
  pieces: Map<string, Map<Currency, Fraction>>;
}

/** A sum of nothing yet. */
export function anEmptySum(part: number): UsageSum {
  return {
    kind: 'usage',
    part,
    group: {},
    rule: null,
    allowance: null,
    label: null,
    units: new Map(),
    events: 0,
    costs: new Map(),
    charges: new Map(),
    pieces: new Map(),
  };
}

/** The share of a sum; whole events stay where `events` says. */
export function shareOf(usage: UsageSum, share: Fraction, events: number): UsageSum {
  const cut = (amounts: Map<string, Fraction>) =>
    new Map([...amounts].map(([key, amount]) => [key, multiply(amount, share)]));
  const pieces = new Map([...usage.pieces].map(([takers, charges]) => [takers, cut(charges)]));
  return { ...usage, units: cut(usage.units), costs: cut(usage.costs), charges: cut(usage.charges), pieces, events };
}

/** How the plan shows a meter's quantity. */
export function unitOf(plan: Plan, meter: string): { name: string; per: number } {
  return [plan.lines.unit ?? []].flat().find((unit) => unit.meter === meter) ?? { name: meterUnit(meter), per: 1 };
}

/** Adds to a sum by name. */
export function addTo(sums: Map<string, Fraction>, key: string, value: Fraction): void {
  sums.set(key, add(sums.get(key) ?? ZERO, value));
}

export function smaller(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

export function larger(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
