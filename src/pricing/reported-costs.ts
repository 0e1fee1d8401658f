import { add, type Fraction, fromExactText, parseDecimal, toExactText } from '../money/fraction.js';
import type { ReportedGroup, UsageRow } from './pricing-result.js';

interface OpenComparison extends Omit<ReportedGroup, 'catalog_cost' | 'reported_cost'> {
  catalog: Fraction;
  reported: Fraction;
}

/** Sums, side by side, what the catalog and what the senders say that events cost: by provider, model and source. */
export class ReportedCosts {
  readonly #groups = new Map<string, OpenComparison>();

  /** Takes one event that has both. `currencies`: those of the catalog's prices; several cannot be compared. */
  compare(row: UsageRow, provider: string, catalog: Fraction, currencies: ReadonlySet<string>): void {
    const reported = row.reported_cost;
    if (reported === null || currencies.size > 1) return;
    const [currency] = currencies;
    this.#add({
      provider,
      model_id: row.model_id,
      source: row.source_id,
      catalog_currency: currency ?? reported.currency,
      reported_currency: reported.currency,
      events: 1,
      catalog,
      reported: parseDecimal(reported.amount),
    });
  }

  /** Adds groups of another document. */
  merge(groups: readonly ReportedGroup[]): void {
    for (const { catalog_cost, reported_cost, ...group } of groups) {
      this.#add({ ...group, catalog: fromExactText(catalog_cost), reported: fromExactText(reported_cost) });
    }
  }

  /** In no order. */
  groups(): ReportedGroup[] {
    return [...this.#groups.values()].map(({ catalog, reported, ...group }) => ({
      ...group,
      catalog_cost: toExactText(catalog),
      reported_cost: toExactText(reported),
    }));
  }

  #add(one: OpenComparison): void {
    const key = JSON.stringify([one.provider, one.model_id, one.source, one.catalog_currency, one.reported_currency]);
    const known = this.#groups.get(key);
    if (known === undefined) {
      this.#groups.set(key, { ...one });
      return;
    }
    known.events += one.events;
    known.catalog = add(known.catalog, one.catalog);
    known.reported = add(known.reported, one.reported);
  }
}
