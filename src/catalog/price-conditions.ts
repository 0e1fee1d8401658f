import type { CatalogData, SourceBook } from './catalog-data.js';

/** What of an event, beside its model and its size, chooses among prices. */
export interface ConditionedUsage {
  source_id: string | null;
  service_tier: string | null;
  region: string | null;
}

/** The conditions that an event meets, reduced to what the catalog prices by: others choose nothing and are null here. */
export interface PriceConditions {
  service_tier: string | null;
  region: string | null;
  book: string | null;
}

/** Of an event that meets none. */
export const NO_CONDITIONS: PriceConditions = { service_tier: null, region: null, book: null };

/** The text of conditions, or of the conditions that a row names: labels hold no line breaks. */
export function conditionsKey({ service_tier, region, book }: PriceConditions): string {
  return `${service_tier ?? ''}\n${region ?? ''}\n${book ?? ''}`;
}

/** Whether events of these conditions meet a row: it names no other value than theirs. */
export function meetsConditions(row: PriceConditions, conditions: PriceConditions): boolean {
  return (
    (row.service_tier === null || row.service_tier === conditions.service_tier) &&
    (row.region === null || row.region === conditions.region) &&
    (row.book === null || row.book === conditions.book)
  );
}

/**
 * Tells an event's conditions. Clients choose tiers and regions freely, so only values that a row of the catalog names
 * count: there are never more conditions than the catalog has. The same conditions are the same object.
 */
export class ConditionIndex {
  readonly #tiers = new Set<string>();
  readonly #regions = new Set<string>();
  /** By source, the assignment to try first in front: newest version, then latest start. */
  readonly #books = new Map<string, SourceBook[]>();
  readonly #known = new Map<string, PriceConditions>();
  readonly #none: boolean;

  constructor({ prices, multipliers, source_books }: Pick<CatalogData, 'prices' | 'multipliers' | 'source_books'>) {
    for (const list of [prices, multipliers]) {
      for (const { service_tier, region } of list) {
        if (service_tier !== null) this.#tiers.add(service_tier);
        if (region !== null) this.#regions.add(region);
      }
    }
    for (const entry of [...source_books].sort((a, b) => b.version - a.version || b.from_ms - a.from_ms)) {
      const entries = this.#books.get(entry.source_id);
      if (entries) entries.push(entry);
      else this.#books.set(entry.source_id, [entry]);
    }
    this.#none = this.#tiers.size === 0 && this.#regions.size === 0 && this.#books.size === 0;
  }

  /** The conditions of an event at an instant. */
  of(usage: ConditionedUsage, atMs: number): PriceConditions {
    if (this.#none) return NO_CONDITIONS;
    const service_tier = usage.service_tier !== null && this.#tiers.has(usage.service_tier) ? usage.service_tier : null;
    const region = usage.region !== null && this.#regions.has(usage.region) ? usage.region : null;
    const book = usage.source_id === null ? null : this.#bookOf(usage.source_id, atMs);
    if (service_tier === null && region === null && book === null) return NO_CONDITIONS;
    const conditions = { service_tier, region, book };
    const key = conditionsKey(conditions);
    const known = this.#known.get(key);
    if (known) return known;
    this.#known.set(key, conditions);
    return conditions;
  }

  #bookOf(sourceId: string, atMs: number): string | null {
    return this.#books.get(sourceId)?.find(({ from_ms }) => from_ms <= atMs)?.book ?? null;
  }
}
