import type { Catalog } from '../catalog/catalog.js';
import { NO_COUNTS, type UsageCounts } from '../contracts/balances.js';
import type { Plan } from '../contracts/plan.js';
import { compare, type Fraction, format, fromExactText, ZERO } from '../money/fraction.js';
import { placeUsage } from '../plans/place-usage.js';
import { allowancesOf, countsActions, needsCounts } from '../plans/plan-parts.js';
import { createPricer } from '../pricing/price-events.js';
import type { CostGroup, UsageRow } from '../pricing/pricing-result.js';
import { groupAttributes } from '../pricing/totals.js';
import type { DeriveDeps } from './derive-pricing.js';
import type { PricingTerms } from './late-pricer.js';
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

type Terms = PricingTerms & { catalog: Catalog };

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
  const open = async (terms: PricingTerms): Promise<Terms> => ({
    ...terms,
    catalog: await deps.catalogs.at(terms.pricing.catalog_version),
  });
  const own = await open(inputs);
  const counter = new UsageCounter(own, resolver === undefined ? own : await open(resolver));
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
  readonly #own: Terms;
  readonly #resolver: Terms;
  /** Actions by plan version and what counts them. */
  readonly #actions = new Map<string, number>();
  readonly #largest = new Map<string, Fraction>();
  /** What counts the action at hand. */
  #current: { action: string; of: Set<string> } | null = null;
  /** What counts actions of usage that comes in no order. */
  readonly #apart = new Map<string, Set<string>>();

  constructor(own: Terms, resolver: Terms) {
    this.#own = own;
    this.#resolver = resolver;
    own.plans.forEach((plan, segment) => {
      for (const of of countersOf(plan)) this.#actions.set(this.#keyOf(segment, of), 0);
      if (plan.seats) this.#largest.set(this.#keyOf(segment, plan.seats.meter), ZERO);
    });
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
  #read(row: UsageRow, decided: boolean): Set<string> {
    const of = new Set<string>();
    for (const group of this.#priced(row, decided)) {
      const plan = this.#own.plans[group.segment]!;
      if (plan.seats?.meter === group.meter) {
        const key = this.#keyOf(group.segment, group.meter);
        const quantity = fromExactText(group.quantity);
        if (compare(quantity, this.#largest.get(key) ?? ZERO) > 0) this.#largest.set(key, quantity);
        continue;
      }
      const { rule, allowance } = placeUsage(plan, groupAttributes(this.#own.pricing, group));
      if (countsActions(plan.rules[rule]!)) of.add(this.#keyOf(group.segment, `rule ${rule}`));
      const included = allowance === null ? undefined : allowancesOf(plan)[allowance];
      if (included && 'quantity' in included && included.count === 'actions') {
        of.add(this.#keyOf(group.segment, `allowance ${allowance}`));
      }
    }
    return of;
  }

  #priced(row: UsageRow, decided: boolean): CostGroup[] {
    const result = priceAlone(this.#own, row);
    return decided && result.held.length > 0 ? priceAlone(this.#resolver, row).groups : result.groups;
  }

  #keyOf(segment: number, of: string): string {
    const { plan_id, version } = this.#own.pricing.assignments[segment]!;
    return `${plan_id} ${version} ${of}`;
  }
}

function priceAlone({ catalog, pricing, plans, decisions }: Terms, row: UsageRow) {
  const pricer = createPricer(catalog, pricing, { plans, ...(decisions === undefined ? {} : { decisions }) });
  pricer.add(row);
  return pricer.result();
}

/** What of a plan counts actions. */
function countersOf(plan: Plan): string[] {
  const rules = plan.rules.flatMap((rule, index) => (countsActions(rule) ? [`rule ${index}`] : []));
  const allowances = allowancesOf(plan).flatMap((one, index) =>
    'quantity' in one && one.count === 'actions' ? [`allowance ${index}`] : [],
  );
  return [...rules, ...allowances];
}

/** Plan ids have no spaces. */
function splitKey<Name extends string>(key: string, name: Name) {
  const [planId, version, ...rest] = key.split(' ');
  return { plan_id: planId!, version: Number(version), [name]: rest.join(' ') } as {
    plan_id: string;
    version: number;
  } & Record<Name, string>;
}
