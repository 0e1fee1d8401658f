import type { Catalog } from '../catalog/catalog.js';
import type { PriceSelection } from '../catalog/model-prices.js';
import type { HeldDecision } from '../contracts/held-decision.js';
import type { Plan } from '../contracts/plan.js';
import { add, fromInteger, multiply, parseDecimal, ZERO } from '../money/fraction.js';
import { findSpan, firstMeterWithoutPrice, holdOfMarks, ownHold, selectPrices } from './find-prices.js';
import { HeldDecisions } from './held-decisions.js';
import { HeldSums } from './held-sums.js';
import { type Cell, type Lane, type LaneSpan, laneSpanAt, type MeterSum, openSum } from './lanes.js';
import { type OpenGroup, toResult } from './merge-results.js';
import { priceEvent } from './price-event.js';
import type { PricingObserver, SeenGroup } from './pricing-observer.js';
import type { HeldReason, PricingInputs, PricingResult, UsageRow } from './pricing-result.js';
import { ReportedCosts } from './reported-costs.js';
import { ReviewedUsage } from './reviewed-usage.js';
import { RowAttributes } from './row-attributes.js';
import { SumsApart } from './sums-apart.js';

/** Sums what events cost, group by group. What it says depends on the set of events only, not on order or batches. */
export interface Pricer {
  /** Adds one event: all of its meters, or, where it is held, only the fact that it is. */
  add(row: UsageRow): void;
  /** The document of all events added so far. */
  result(): PricingResult;
}

/** The documents that a period's inputs name. */
export interface PricingDocuments {
  /** In the order of `inputs.assignments`. Without them every event is charged on the catalog's cost. */
  plans?: readonly Plan[];
  decisions?: readonly HeldDecision[];
}

/**
 * A pricer for one period's inputs. Throws a RangeError when the catalog, or the decisions, are not the ones that the
 * inputs name: a result must say what made it.
 */
export function createPricer(
  catalog: Catalog,
  inputs: PricingInputs,
  documents: PricingDocuments = {},
  observer: PricingObserver | null = null,
): Pricer {
  if (catalog.version !== inputs.catalog_version) {
    throw new RangeError(`the inputs name catalog version ${inputs.catalog_version}, not ${catalog.version}`);
  }
  const decided = (documents.decisions ?? []).map(({ decision_id }) => decision_id);
  if (decided.join() !== (inputs.decisions ?? []).join()) {
    throw new RangeError('the decisions about held usage are not those that the inputs name');
  }
  return new LanePricer(catalog, inputs, documents, observer);
}

class LanePricer implements Pricer {
  readonly #catalog: Catalog;
  readonly #attributes: RowAttributes;
  readonly #oneCell: boolean;
  readonly #apart: SumsApart;
  readonly #decisions: HeldDecisions;
  readonly #observer: PricingObserver | null;
  readonly #reported = new ReportedCosts();
  readonly #review = new ReviewedUsage();
  readonly #lanes = new Map<string, Lane[]>();
  readonly #held = new HeldSums();
  #events = 0;
  /** The sums of the event at hand and its quantities; kept between events to spare the allocation. */
  readonly #sums: MeterSum[] = [];
  readonly #quantities: (number | string)[] = [];

  constructor(catalog: Catalog, inputs: PricingInputs, documents: PricingDocuments, observer: PricingObserver | null) {
    this.#catalog = catalog;
    this.#attributes = new RowAttributes(inputs);
    this.#oneCell = this.#attributes.isConstant;
    this.#apart = new SumsApart(catalog, inputs, documents.plans ?? [], this.#attributes, observer);
    this.#observer = observer;
    this.#decisions = new HeldDecisions(documents.decisions ?? []);
  }

  add(row: UsageRow): void {
    this.#events++;
    const { usage, occurred_at_ms: atMs } = row;
    const unplaced = this.#decisions.haveUnplaced ? this.#decisions.findUnplaced(row) : null;
    if (unplaced !== null) {
      this.#held.writeOff(row, unplaced.decision_id, 'unknown_customer', null);
      return;
    }
    if (usage === null || row.held_reason !== null) {
      this.#hold(row, ownHold(row) ?? 'impossible_counts', null);
      return;
    }
    if (row.paid_by === 'customer') {
      this.#apart.addPaidByCustomer(row);
      return;
    }
    if (row.reported_cost !== null && this.#apart.isChargedAsReported(row)) {
      this.#apart.addAsReported(row);
      this.#compareAsReported(row);
      return;
    }
    const lane = this.#laneOf(row);
    const { span, cells } = laneSpanAt(this.#catalog, lane, row);
    if ('held' in span) {
      this.#hold(row, span.held, null);
      return;
    }
    const selection = selectPrices(span, usage, atMs);
    const lacking = row.marks === null ? null : holdOfMarks(row.marks, span, selection);
    if (lacking !== null) {
      this.#hold(row, lacking, null);
      return;
    }
    const cell = this.#cellOf(cells, selection, row);
    let count = 0;
    for (const meter in usage) {
      const quantity = usage[meter]!;
      if (quantity === 0 || (typeof quantity === 'string' && /^[0.]+$/.test(quantity))) continue;
      let sum = cell.sums.get(meter);
      if (sum === undefined) {
        const price = selection.prices.get(meter) ?? span.free;
        if (price === null) {
          this.#hold(row, 'no_price', firstMeterWithoutPrice(span, usage, atMs));
          return;
        }
        sum = openSum(cell, meter, price);
      }
      this.#sums[count] = sum;
      this.#quantities[count++] = quantity;
    }
    for (const meter of selection.perEvent) {
      const carried = usage[meter];
      if (carried !== undefined && Number(carried) !== 0) continue;
      this.#sums[count] = cell.sums.get(meter) ?? openSum(cell, meter, selection.prices.get(meter)!);
      this.#quantities[count++] = 1;
    }
    if (count === 0) return;
    let first = this.#sums[0]!;
    for (let i = 0; i < count; i++) {
      const sum = this.#sums[i]!;
      sum.quantity.add(this.#quantities[i]!);
      if (sum.meter < first.meter) first = sum;
    }
    first.events++;
    if (this.#observer !== null) this.#tell(this.#observer, row, cell, span.model, count);
    this.#review.add(row, span);
    if (row.reported_cost !== null) this.#compare(row, span.model.provider, count);
  }

  result(): PricingResult {
    const groups: OpenGroup[] = this.#apart.groups();
    for (const lane of [...this.#lanes.values()].flat()) {
      for (const { span, cells } of lane.spans) {
        if ('held' in span) continue;
        for (const cell of [...cells.values()].flatMap((bySegment) => [...bySegment.values()])) {
          for (const { meter, price, quantity, events } of cell.sums.values()) {
            const sum = quantity.total;
            // Opened for an event that turned out to be held.
            if (sum.n === 0n) continue;
            groups.push({
              segment: cell.segment,
              provider: span.model.provider,
              model_id: lane.name.model_id,
              priced_as: span.model.priced_as,
              meter,
              price_id: price.row.price_id,
              price: price.row.price!,
              ...(price.multiplier === null ? {} : { multiplier: price.multiplier }),
              per: price.row.per,
              currency: price.row.currency,
              attributes: cell.attributes,
              sum,
              events,
            });
          }
        }
      }
    }
    const asides = {
      written_off: this.#held.writtenOff,
      reported: this.#reported.groups(),
      review: this.#review.groups(),
    };
    return toResult(groups, this.#held.held, this.#events, asides);
  }

  #laneOf(row: UsageRow): Lane {
    let lanes = this.#lanes.get(row.model_id);
    if (lanes === undefined) {
      lanes = [];
      this.#lanes.set(row.model_id, lanes);
    }
    const conditions = this.#catalog.conditionsOf(row, row.occurred_at_ms);
    for (const lane of lanes) {
      const { name } = lane;
      if (name.provider === row.provider && name.provider_hint === row.provider_hint && lane.conditions === conditions)
        return lane;
    }
    const current: LaneSpan = { span: findSpan(this.#catalog, row), cells: new Map() };
    const lane: Lane = { name: row, conditions, spans: [current], current };
    lanes.push(lane);
    return lane;
  }

  #cellOf(cells: LaneSpan['cells'], selection: PriceSelection, row: UsageRow): Cell {
    let bySegment = cells.get(selection);
    if (bySegment === undefined) {
      bySegment = new Map();
      cells.set(selection, bySegment);
    }
    let segment = 0;
    let key = '';
    if (!this.#oneCell) {
      segment = this.#attributes.segmentOf(row);
      key = this.#attributes.keyOf(row);
    }
    let cell = bySegment.get(key);
    if (cell === undefined) {
      cell = { segment, attributes: this.#attributes.valuesOf(row), sums: new Map() };
      bySegment.set(key, cell);
    }
    return cell;
  }

  /** Tells in which groups the event at hand stands, whose sums are the first `count`. */
  #tell(
    observer: PricingObserver,
    row: UsageRow,
    { segment, attributes }: Cell,
    { provider, priced_as }: Pick<SeenGroup, 'provider' | 'priced_as'>,
    count: number,
  ): void {
    for (let i = 0; i < count; i++) {
      const sum = this.#sums[i]!;
      sum.seen ??= { segment, provider, model_id: row.model_id, priced_as, meter: sum.meter, attributes };
      observer.inGroup(row, sum.seen, this.#quantities[i]!);
    }
  }

  /** Puts the cost of the event at hand, whose sums are the first `count`, beside the one that was reported. */
  #compare(row: UsageRow, provider: string, count: number): void {
    let cost = ZERO;
    const currencies = new Set<string>();
    for (let i = 0; i < count; i++) {
      const { price } = this.#sums[i]!;
      const quantity = this.#quantities[i]!;
      cost = add(
        cost,
        multiply(typeof quantity === 'number' ? fromInteger(quantity) : parseDecimal(quantity), price.unit),
      );
      if (!price.row.free) currencies.add(price.row.currency);
    }
    this.#reported.compare(row, provider, cost, currencies);
  }

  /** The same for an event that is charged on its reported cost, where the catalog has prices for it. */
  #compareAsReported(row: UsageRow): void {
    const priced = priceEvent(this.#catalog, row);
    if ('held' in priced) return;
    const charged = priced.meters.filter(({ row: { free } }) => !free);
    const currencies = new Set(charged.map(({ row: { currency } }) => currency));
    this.#reported.compare(row, priced.model.provider, priced.total, currencies);
  }

  /** Holds an event, unless a person decided about it. */
  #hold(row: UsageRow, reason: HeldReason, meter: string | null): void {
    const decision = this.#decisions.find(row, reason);
    if (decision !== null && 'write_off' in decision.decision) {
      this.#held.writeOff(row, decision.decision_id, reason, meter);
      return;
    }
    if (decision !== null && this.#apart.addDecided(row, decision)) return;
    this.#held.hold(row, reason, meter);
    this.#observer?.held(row);
  }
}
