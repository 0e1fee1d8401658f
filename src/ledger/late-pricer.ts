import type { Catalog } from '../catalog/catalog.js';
import type { CatalogCache } from '../catalog/catalog-cache.js';
import type { HeldDecision } from '../contracts/held-decision.js';
import type { Plan } from '../contracts/plan.js';
import { mergeResults } from '../pricing/merge-results.js';
import { createPricer, type Pricer } from '../pricing/price-events.js';
import type { PricingInputs, PricingResult, UsageRow } from '../pricing/pricing-result.js';

/** Pricing inputs with the documents that they name. */
export interface PricingTerms {
  pricing: PricingInputs;
  plans: Plan[];
  decisions?: HeldDecision[];
}

interface OpenTerms extends PricingTerms {
  catalog: Catalog;
}

/** Whether pricing would hold an event, and whether it would charge anything for it. */
function priceAlone(terms: OpenTerms, row: UsageRow): { held: boolean; priced: boolean } {
  const pricer = openPricer(terms);
  pricer.add(row);
  const { groups, held } = pricer.result();
  return { held: held.length > 0, priced: groups.length > 0 };
}

function openPricer({ catalog, pricing, plans, decisions }: OpenTerms): Pricer {
  return createPricer(catalog, pricing, { plans, ...(decisions === undefined ? {} : { decisions }) });
}

/**
 * Prices usage of a sealed period: by the terms of its seal, and what these hold (a model that the catalog did not know
 * then) by the resolver: the terms of the seal that bills it, with the same plans. Both find the price of the instant at
 * which it happened.
 */
export class LatePricer {
  readonly #own: OpenTerms;
  readonly #resolver: OpenTerms;
  readonly #pricers: [Pricer, Pricer];

  private constructor(own: OpenTerms, resolver: OpenTerms) {
    this.#own = own;
    this.#resolver = resolver;
    this.#pricers = [openPricer(own), openPricer(resolver)];
  }

  static async open(catalogs: CatalogCache, own: PricingTerms, resolver: PricingTerms = own): Promise<LatePricer> {
    return new LatePricer(
      { ...own, catalog: await catalogs.at(own.pricing.catalog_version) },
      { ...resolver, catalog: await catalogs.at(resolver.pricing.catalog_version) },
    );
  }

  /** Whether usage that was held or late can be billed now: late and not held, or held at the seal and priced now. */
  canBill(row: UsageRow, late: boolean): boolean {
    if (!priceAlone(this.#own, row).held) return late;
    const now = priceAlone(this.#resolver, row);
    return late ? !now.held : now.priced;
  }

  /** `decided`: it came by a decision about late usage, so that it may be priced by the resolver. */
  add(row: UsageRow, decided: boolean): void {
    this.#pricers[decided && priceAlone(this.#own, row).held ? 1 : 0].add(row);
  }

  result(): PricingResult {
    return mergeResults(this.#pricers[0].result(), this.#pricers[1].result());
  }
}
