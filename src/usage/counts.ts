import type { Quantities } from '../contracts/usage-event.js';

/**
 * Reading counts out of a provider's usage object. A count that is absent or null is zero: providers leave out what did
 * not happen. A count that cannot be true is never corrected: it throws ImpossibleCounts, and the event is held.
 */
export class ImpossibleCounts extends Error {}

/** A JSON object of a provider's usage. */
export type Counts = Readonly<Record<string, unknown>>;

/** What a normaliser makes of a provider's usage object. */
export interface NormalisedUsage {
  /** Additive meters without zeros. */
  usage: Quantities;
  /** Counts that are part of others, and counts that nobody is charged for. Without zeros. */
  info: Record<string, number>;
  /** The tier that the provider says it served, where its usage object says so. */
  service_tier?: string;
  /** Where the provider says the call ran, where that changes its price. */
  region?: string;
  /** What the provider says the call cost; exact decimal. Kept beside the cost that the catalog gives, never instead. */
  reported_cost?: { amount: string; currency: string };
  /** The call was paid by a provider key of the customer. */
  paid_by?: 'customer';
}

const NOTHING: Counts = {};

/** A whole number from 0 to 2^53 - 1, or null where the count is absent. */
export function optionalCount(counts: Counts, name: string): number | null {
  const value = counts[name];
  if (value === undefined || value === null) return null;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw new ImpossibleCounts(`${name} is not a whole number from 0`);
  }
  return value;
}

/** A count that may be absent, then it is zero. */
export function count(counts: Counts, name: string): number {
  return optionalCount(counts, name) ?? 0;
}

/** A count without which the usage says nothing. */
export function requiredCount(counts: Counts, name: string): number {
  const value = optionalCount(counts, name);
  if (value === null) throw new ImpossibleCounts(`${name} is missing`);
  return value;
}

/** One count that providers write under several names, some of them twice: zero where none is given. */
export function agreedCount(given: readonly (readonly [Counts, string])[]): number {
  let agreed: { value: number; name: string } | null = null;
  for (const [counts, name] of given) {
    const value = optionalCount(counts, name);
    if (value === null) continue;
    if (agreed !== null && agreed.value !== value) {
      throw new ImpossibleCounts(`${name} is not what ${agreed.name} says`);
    }
    agreed = { value, name };
  }
  return agreed?.value ?? 0;
}

/** A nested object of counts; empty where it is absent. */
export function part(counts: Counts, name: string): Counts {
  const value = counts[name];
  if (value === undefined || value === null) return NOTHING;
  if (typeof value !== 'object' || Array.isArray(value)) throw new ImpossibleCounts(`${name} is not an object`);
  return value as Counts;
}

/** A list of objects of counts; empty where it is absent. */
export function parts(counts: Counts, name: string): Counts[] {
  const value = counts[name];
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || value.some((entry) => typeof entry !== 'object' || entry === null)) {
    throw new ImpossibleCounts(`${name} is not a list of objects`);
  }
  return value as Counts[];
}

/** Holds what says to be part of another count to that: a part is at most its whole. */
export function requireWithin(value: number, name: string, whole: number, wholeName: string): void {
  if (value > whole) throw new ImpossibleCounts(`${name} is larger than ${wholeName}`);
}

/** A label that the provider wrote, or undefined. */
export function label(counts: Counts, name: string): string | undefined {
  const value = counts[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** Named counts without zeros. */
export class Tally {
  readonly counts: Record<string, number> = {};

  add(name: string, value: number): this {
    if (value === 0) return this;
    const sum = (Object.hasOwn(this.counts, name) ? this.counts[name]! : 0) + value;
    if (!Number.isSafeInteger(sum)) throw new ImpossibleCounts(`${name} is larger than a whole number can be`);
    this.counts[name] = sum;
    return this;
  }
}
