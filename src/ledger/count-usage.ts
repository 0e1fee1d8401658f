import { NO_COUNTS, type UsageCounts } from '../contracts/balances.js';
import { compare, type Fraction, format, ZERO } from '../money/fraction.js';
import { needsCounts } from '../plans/plan-parts.js';
import type { UsageRow } from '../pricing/pricing-result.js';
import type { DeriveDeps } from './derive-pricing.js';
import type { PricingTerms } from './late-pricer.js';
import { type CounterTerms, RowCounters, splitKey } from './row-counters.js';
import type { SealInputs } from './seal.js';
import { readRows, type StoredUsageRow, toUsageRow } from './usage-reader.js';
import {
  type CarriedUsage,
  DECIDED_SQL,
  E_COLUMNS,
  readCarried,
  SET_SQL,
  setParameters,
  type UsageSet,
} from './usage-set.js';

/**
 * Counts what the sums of pricing cannot say of a set of usage: the distinct actions of each rule and allowance that
 * counts them, and the largest number of seats that one event reports. Exact over the whole set, never a sum of ranges:
 * the set is read in the order of its actions, so that memory does not grow with it. Held usage is not counted; an event
 * without an action is one of its own. `carried`: usage that is counted with the set although another period bills it, and what
 * prices it where the set's own terms hold it.
 * Reads nothing where no plan asks for it.
 */
export async function countUsage(
  deps: DeriveDeps,
  inputs: Pick<SealInputs, 'pricing' | 'plans' | 'decisions' | 'late'>,
  set: UsageSet,
  carried: { ranges: readonly CarriedUsage[]; resolver: PricingTerms } | null = null,
): Promise<UsageCounts> {
  if (!inputs.plans.some(needsCounts)) return NO_COUNTS;
  const resolver = carried?.resolver ?? inputs.late?.resolver;
  const open = async (terms: PricingTerms): Promise<CounterTerms> => ({
    ...terms,
    catalog: await deps.catalogs.at(terms.pricing.catalog_version),
  });
  const own = await open(inputs);
  const counter = new UsageCounter(new RowCounters(own, resolver === undefined ? own : await open(resolver)));
  for (const range of carried?.ranges ?? []) {
    await readCarried(deps.pool, range, (rows) => {
      for (const row of rows) counter.addApart(row);
    });
  }
  for (const row of set.added ?? []) counter.addApart(row);
  await readRows<StoredUsageRow & { decided: boolean }>(
    deps.pool,
    {
      text: `SELECT ${E_COLUMNS}, ${DECIDED_SQL} AS decided ${SET_SQL} ORDER BY e.action_id`,
      values: setParameters(set),
    },
    (rows) => {
      for (const row of rows) counter.add(toUsageRow(row), row.decided);
    },
    deps.onProgress,
  );
  return counter.result();
}

/** Takes events in the order of their actions. */
class UsageCounter {
  readonly #rows: RowCounters;
  /** Actions by plan version and what counts them. */
  readonly #actions: Map<string, number>;
  readonly #largest: Map<string, Fraction>;
  /** What counts the action at hand. */
  #current: { action: string; of: Set<string> } | null = null;
  /** What counts actions of usage that comes in no order. */
  readonly #apart = new Map<string, Set<string>>();

  constructor(rows: RowCounters) {
    this.#rows = rows;
    this.#actions = new Map(rows.counters.map((key) => [key, 0]));
    this.#largest = new Map(rows.meters.map((key) => [key, ZERO]));
  }

  add(row: UsageRow, decided: boolean): void {
    const of = this.#read(row, decided);
    const action = row.action_id ?? null;
    if (action === null) {
      this.#count(of);
      return;
    }
    if (this.#current?.action !== action) {
      this.#finish();
      this.#current = { action, of: new Set() };
    }
    for (const key of of) this.#current.of.add(key);
  }

  /** Usage in no order; there is little of it. */
  addApart(row: UsageRow): void {
    const of = this.#read(row, true);
    const action = row.action_id ?? null;
    if (action === null) {
      this.#count(of);
      return;
    }
    const known = this.#apart.get(action) ?? new Set<string>();
    for (const key of of) known.add(key);
    this.#apart.set(action, known);
  }

  result(): UsageCounts {
    this.#finish();
    this.#current = null;
    for (const of of this.#apart.values()) this.#count(of);
    this.#apart.clear();
    return {
      actions: [...this.#actions].map(([key, actions]) => ({ ...splitKey(key, 'of'), actions })),
      largest: [...this.#largest].map(([key, quantity]) => ({ ...splitKey(key, 'meter'), quantity: format(quantity) })),
    };
  }

  #finish(): void {
    if (this.#current === null) return;
    const { action, of } = this.#current;
    for (const key of this.#apart.get(action) ?? []) of.add(key);
    this.#apart.delete(action);
    this.#count(of);
  }

  #count(of: Iterable<string>): void {
    for (const key of of) this.#actions.set(key, (this.#actions.get(key) ?? 0) + 1);
  }

  /** What counts the event's action; notes the seats that it reports. */
  #read(row: UsageRow, decided: boolean): ReadonlySet<string> {
    const { counters, seats } = this.#rows.read(row, decided);
    for (const [key, quantity] of seats) {
      if (compare(quantity, this.#largest.get(key) ?? ZERO) > 0) this.#largest.set(key, quantity);
    }
    return counters;
  }
}
