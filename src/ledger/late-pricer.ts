import type { Catalog } from '../catalog/catalog.js';
import type { CatalogCache } from '../catalog/catalog-cache.js';
import type { HeldDecision } from '../contracts/held-decision.js';
import type { Plan } from '../contracts/plan.js';
import type { Queryable } from '../database/pool.js';
import { PRICING_READ_EVENTS_COUNT } from '../limits.js';
import { mergeResults } from '../pricing/merge-results.js';
import { createPricer, type Pricer } from '../pricing/price-events.js';
import type { PricingObserver } from '../pricing/pricing-observer.js';
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

/** Says of single events whether pricing would hold them, and whether it would charge anything for them. */
class Probe implements PricingObserver {
  readonly #terms: OpenTerms;
  #pricer: Pricer;
  #taken = 0;
  #held = false;
  #priced = false;

  constructor(terms: OpenTerms) {
    this.#terms = terms;
    this.#pricer = openPricer(terms, this);
  }

  ask(row: UsageRow): { held: boolean; priced: boolean } {
    // What it sums up is of no use.
    if (++this.#taken % PRICING_READ_EVENTS_COUNT === 0) this.#pricer = openPricer(this.#terms, this);
    this.#held = false;
    this.#priced = false;
    this.#pricer.add(row);
    return { held: this.#held, priced: this.#priced };
  }

  inGroup(): void {
    this.#priced = true;
  }

  held(): void {
    this.#held = true;
  }
}

function openPricer(
  { catalog, pricing, plans, decisions }: OpenTerms,
  observer: PricingObserver | null = null,
): Pricer {
  return createPricer(catalog, pricing, { plans, ...(decisions === undefined ? {} : { decisions }) }, observer);
}

/**
 * Prices usage of a sealed period: by the terms of its seal, and what these hold (a model that the catalog did not know
 * then) by the resolver: the terms of the seal that bills it, with the same plans. Both find the price of the instant at
 * which it happened.
 */
export class LatePricer {
  readonly #own: Probe;
  readonly #resolver: Probe;
  readonly #pricers: [Pricer, Pricer];

  private constructor(own: OpenTerms, resolver: OpenTerms) {
    this.#own = new Probe(own);
    this.#resolver = new Probe(resolver);
    this.#pricers = [openPricer(own), openPricer(resolver)];
  }

  /** `held`: the connection that the caller holds, if it does. */
  static async open(
    catalogs: CatalogCache,
    own: PricingTerms,
    resolver: PricingTerms = own,
    held?: Queryable,
  ): Promise<LatePricer> {
    return new LatePricer(
      { ...own, catalog: await catalogs.at(own.pricing.catalog_version, held) },
      {
        ...resolver,
        // Their results are added up: groups are kept apart by the same attributes.
        pricing: { ...resolver.pricing, attributes: own.pricing.attributes },
        catalog: await catalogs.at(resolver.pricing.catalog_version, held),
      },
    );
  }

  /** Whether usage that was held or late can be billed now: late and not held, or held at the seal and priced now. */
  canBill(row: UsageRow, late: boolean): boolean {
    if (!this.#own.ask(row).held) return late;
    const now = this.#resolver.ask(row);
    return late ? !now.held : now.priced;
  }

  /** `decided`: it came by a decision about late usage, so that it may be priced by the resolver. */
  add(row: UsageRow, decided: boolean): void {
    this.#pricers[decided && this.#own.ask(row).held ? 1 : 0].add(row);
  }

  result(): PricingResult {
    return mergeResults(this.#pricers[0].result(), this.#pricers[1].result());
  }
}
