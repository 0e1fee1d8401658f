import type { Catalog } from '../catalog/catalog.js';
import type { Plan } from '../contracts/plan.js';
import { PRICING_READ_EVENTS_COUNT } from '../limits.js';
import { type Fraction, fromInteger, maximum, parseDecimal } from '../money/fraction.js';
import { placeUsage } from '../plans/place-usage.js';
import { allowancesOf, countsActions } from '../plans/plan-parts.js';
import { createPricer, type Pricer } from '../pricing/price-events.js';
import type { PricingObserver, SeenGroup } from '../pricing/pricing-observer.js';
import type { UsageRow } from '../pricing/pricing-result.js';
import { groupAttributes } from '../pricing/totals.js';
import type { PricingTerms } from './late-pricer.js';

export type CounterTerms = PricingTerms & { catalog: Catalog };

/** What one event is counted as. */
export interface CountedRow {
  /** Keys of the rules and allowances that count its action. */
  counters: ReadonlySet<string>;
  /** Seats that it reports, by key of their meter. */
  seats: ReadonlyMap<string, Fraction>;
}

/** Says of each event of a period which rules and allowances of the period's plans count its action. */
export class RowCounters {
  readonly #own: PlacingPricer;
  readonly #resolver: PlacingPricer;
  /** Keys of all that counts actions. */
  readonly counters: readonly string[];
  /** Keys of the meters of seats. */
  readonly meters: readonly string[];

  /** `resolver`: prices usage that was decided about and that the own terms hold. */
  constructor(own: CounterTerms, resolver: CounterTerms = own) {
    const keyOf = (segment: number, of: string) => {
      const { plan_id, version } = own.pricing.assignments[segment]!;
      return `${plan_id} ${version} ${of}`;
    };
    this.#own = new PlacingPricer(own, keyOf);
    this.#resolver = resolver === own ? this.#own : new PlacingPricer(resolver, keyOf);
    const keys = (of: (plan: Plan) => string[]) => [
      ...new Set(own.plans.flatMap((plan, segment) => of(plan).map((one) => keyOf(segment, one)))),
    ];
    this.counters = keys(countersOf);
    this.meters = keys(({ seats }) => (seats ? [seats.meter] : []));
  }

  /** Held usage is counted as nothing. */
  read(row: UsageRow, decided: boolean): CountedRow {
    const { held, ...counted } = this.#own.read(row);
    return held && decided ? this.#resolver.read(row) : counted;
  }
}

/** What counts usage of one group. */
interface GroupPlace {
  counters: readonly string[];
  /** The key of the meter, where it reports seats. */
  seats: string | null;
}

/** Prices events one by one and says where each of them stands. */
class PlacingPricer implements PricingObserver {
  readonly #terms: CounterTerms;
  readonly #keyOf: (segment: number, of: string) => string;
  #pricer: Pricer;
  #places = new Map<SeenGroup, GroupPlace>();
  #taken = 0;
  #held = false;
  #counters = new Set<string>();
  #seats = new Map<string, Fraction>();

  constructor(terms: CounterTerms, keyOf: (segment: number, of: string) => string) {
    this.#terms = terms;
    this.#keyOf = keyOf;
    this.#pricer = this.#open();
  }

  read(row: UsageRow): CountedRow & { held: boolean } {
    // Groups can be as many as actions are: what was summed up to here is of no use.
    if (++this.#taken % PRICING_READ_EVENTS_COUNT === 0) {
      this.#pricer = this.#open();
      this.#places = new Map();
    }
    this.#held = false;
    this.#counters = new Set();
    this.#seats = new Map();
    this.#pricer.add(row);
    return { counters: this.#counters, seats: this.#seats, held: this.#held };
  }

  inGroup(_row: UsageRow, group: SeenGroup, quantity: number | string): void {
    let place = this.#places.get(group);
    if (place === undefined) {
      place = this.#placeOf(group);
      this.#places.set(group, place);
    }
    for (const key of place.counters) this.#counters.add(key);
    if (place.seats === null) return;
    const seats = typeof quantity === 'number' ? fromInteger(quantity) : parseDecimal(quantity);
    this.#seats.set(place.seats, maximum(this.#seats.get(place.seats) ?? seats, seats));
  }

  held(): void {
    this.#held = true;
  }

  #open(): Pricer {
    const { catalog, pricing, plans, decisions } = this.#terms;
    const documents = { plans, ...(decisions === undefined ? {} : { decisions }) };
    return createPricer(catalog, pricing, documents, this);
  }

  #placeOf(group: SeenGroup): GroupPlace {
    const plan = this.#terms.plans[group.segment]!;
    if (plan.seats?.meter === group.meter) return { counters: [], seats: this.#keyOf(group.segment, group.meter) };
    const { rule, allowance } = placeUsage(plan, groupAttributes(this.#terms.pricing, group));
    const included = allowance === null ? undefined : allowancesOf(plan)[allowance];
    return {
      counters: [
        ...(countsActions(plan.rules[rule]!) ? [this.#keyOf(group.segment, `rule ${rule}`)] : []),
        ...(included && 'quantity' in included && included.count === 'actions'
          ? [this.#keyOf(group.segment, `allowance ${allowance}`)]
          : []),
      ],
      seats: null,
    };
  }
}

/** The parts of a counter's key. Plan ids have no spaces. */
export function splitKey<Name extends string>(key: string, name: Name) {
  const [planId, version, ...rest] = key.split(' ');
  return { plan_id: planId!, version: Number(version), [name]: rest.join(' ') } as {
    plan_id: string;
    version: number;
  } & Record<Name, string>;
}

/** What of a plan counts actions. */
function countersOf(plan: Plan): string[] {
  const rules = plan.rules.flatMap((rule, index) => (countsActions(rule) ? [`rule ${index}`] : []));
  const allowances = allowancesOf(plan).flatMap((one, index) =>
    'quantity' in one && one.count === 'actions' ? [`allowance ${index}`] : [],
  );
  return [...rules, ...allowances];
}
