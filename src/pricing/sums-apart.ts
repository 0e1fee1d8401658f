import type { Catalog } from '../catalog/catalog.js';
import type { HeldDecision } from '../contracts/held-decision.js';
import type { Plan, PlanRule } from '../contracts/plan.js';
import { type GroupAttributes, matchRule } from '../plans/plan-rules.js';
import { chargedQuantities, findSpan, isZeroQuantity, selectPrices } from './find-prices.js';
import type { OpenGroup } from './merge-results.js';
import type { PricingObserver } from './pricing-observer.js';
import {
  AS_REPORTED,
  DECISION_PREFIX,
  PAID_BY_CUSTOMER,
  type PricingInputs,
  REPORTED_COST_METER,
  type UsageRow,
} from './pricing-result.js';
import { QuantitySum } from './quantity-sum.js';
import type { RowAttributes } from './row-attributes.js';

/** One meter of an event with the price that is not (or not only) the catalog's. */
interface Part extends Pick<OpenGroup, 'meter' | 'price_id' | 'price' | 'per' | 'currency' | 'multiplier'> {
  quantity: number | string;
}

interface Sum extends Omit<OpenGroup, 'sum'> {
  quantity: QuantitySum;
}

/**
 * Sums of events whose cost is not what the catalog says: paid by the customer, charged on a reported cost, or billed at
 * a price that a person stated. They are groups like all others, told by their `price_id`.
 */
export class SumsApart {
  readonly #catalog: Catalog;
  readonly #inputs: PricingInputs;
  readonly #plans: readonly Plan[];
  readonly #attributes: RowAttributes;
  /** Segments with a rule that charges on reported costs. */
  readonly #onReported: ReadonlySet<number>;
  readonly #observer: PricingObserver | null;
  readonly #sums = new Map<string, Sum>();

  constructor(
    catalog: Catalog,
    inputs: PricingInputs,
    plans: readonly Plan[],
    attributes: RowAttributes,
    observer: PricingObserver | null,
  ) {
    this.#observer = observer;
    this.#catalog = catalog;
    this.#inputs = inputs;
    this.#plans = plans;
    this.#attributes = attributes;
    const segments = plans.flatMap(({ rules }, at) =>
      rules.some((rule) => costBasisOf(rule) === 'reported') ? [at] : [],
    );
    this.#onReported = new Set(segments);
  }

  /** Usage under the customer's own provider key: its quantities, at no cost. */
  addPaidByCustomer(row: UsageRow): void {
    const currency = this.#plans[this.#attributes.segmentOf(row)]?.currency ?? 'usd';
    this.#add(row, quantitiesAt(row, { price_id: PAID_BY_CUSTOMER, price: '0', per: 1, currency }));
  }

  /**
   * Whether the event's rule charges on its reported cost. The rule is found for the event as a whole: one that names
   * meters never matches.
   */
  isChargedAsReported(row: UsageRow): boolean {
    if (row.reported_cost === null || this.#onReported.size === 0) return false;
    const segment = this.#attributes.segmentOf(row);
    if (!this.#onReported.has(segment)) return false;
    const attributes: GroupAttributes = { ...this.#modelOf(row), model_id: row.model_id, meter: REPORTED_COST_METER };
    const values = this.#attributes.valuesOf(row);
    this.#inputs.attributes.forEach((name, at) => {
      attributes[name] = values[at] ?? null;
    });
    const plan = this.#plans[segment]!;
    return costBasisOf(plan.rules[matchRule(plan, attributes)]!) === 'reported';
  }

  /** The reported amount, and the quantities at no further cost. */
  addAsReported(row: UsageRow): void {
    const { amount, currency } = row.reported_cost!;
    const price = { price_id: AS_REPORTED, per: 1, currency };
    this.#add(row, [
      { ...price, meter: REPORTED_COST_METER, quantity: amount, price: '1' },
      ...quantitiesAt(row, { ...price, price: '0' }),
    ]);
  }

  /** Bills an event at stated prices; false where a meter has neither a stated price nor one of the catalog. */
  addDecided(row: UsageRow, { decision_id, decision }: HeldDecision): boolean {
    if (!('bill' in decision)) return false;
    const { prices } = decision.bill;
    const parts: Part[] = [];
    const usage = row.usage ?? { requests: 1 };
    const span = row.usage === null ? null : findSpan(this.#catalog, row);
    const priced = span === null || 'held' in span ? null : span;
    const selection = priced === null ? null : selectPrices(priced, usage, row.occurred_at_ms);
    const charged =
      selection === null
        ? Object.entries(usage).filter(([, quantity]) => !isZeroQuantity(quantity))
        : chargedQuantities(usage, selection);
    for (const [meter, quantity] of charged.sort(([a], [b]) => (a < b ? -1 : 1))) {
      const stated = Object.hasOwn(prices, meter) ? prices[meter] : undefined;
      const listed = selection?.prices.get(meter) ?? priced?.free ?? null;
      if (stated !== undefined)
        parts.push({ meter, quantity, price_id: `${DECISION_PREFIX}${decision_id}`, ...stated });
      else if (listed === null) return false;
      else {
        const { price_id, price, per, currency } = listed.row;
        const multiplier = listed.multiplier === null ? {} : { multiplier: listed.multiplier };
        parts.push({ meter, quantity, price_id, price: price!, per, currency, ...multiplier });
      }
    }
    this.#add(row, parts);
    return true;
  }

  groups(): OpenGroup[] {
    return [...this.#sums.values()].map(({ quantity, ...group }) => ({ ...group, sum: quantity.total }));
  }

  #add(row: UsageRow, parts: Part[]): void {
    const segment = this.#attributes.segmentOf(row);
    const attributes = this.#attributes.valuesOf(row);
    const model = this.#modelOf(row);
    parts.forEach(({ quantity, ...part }, at) => {
      const group = { segment, ...model, model_id: row.model_id, ...part, attributes };
      const key = JSON.stringify(Object.values(group));
      let sum = this.#sums.get(key);
      if (sum === undefined) {
        sum = { ...group, quantity: new QuantitySum(), events: 0 };
        this.#sums.set(key, sum);
      }
      sum.quantity.add(quantity);
      if (at === 0) sum.events++;
      this.#observer?.inGroup(row, sum, quantity);
    });
  }

  /** The catalog's model; what it does not know goes by the event's own words. */
  #modelOf(row: UsageRow): { provider: string; priced_as: string } {
    const resolution = this.#catalog.resolveModel(row, row.occurred_at_ms);
    if (!('held' in resolution)) return { provider: resolution.provider, priced_as: resolution.priced_as };
    const [prefix, name] = row.model_id.split('/', 2);
    const provider = row.provider ?? (name === undefined ? row.provider_hint : prefix!) ?? 'unknown';
    return { provider, priced_as: row.model_id };
  }
}

/** The quantities above zero by meter name, all at one price. */
function quantitiesAt(row: UsageRow, price: Pick<Part, 'price_id' | 'price' | 'per' | 'currency'>): Part[] {
  return Object.entries(row.usage ?? {})
    .filter(([, quantity]) => !isZeroQuantity(quantity))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([meter, quantity]) => ({ meter, quantity, ...price }));
}

/** Own prices do not depend on cost. */
function costBasisOf(rule: PlanRule): 'catalog' | 'reported' {
  return ('cost_basis' in rule ? rule.cost_basis : undefined) ?? 'catalog';
}
