import type { CatalogCache } from '../catalog/catalog-cache.js';
import { currentCatalogVersion } from '../catalog/catalog-store.js';
import { readPlace, writeCursor } from '../contracts/cursor.js';
import type { HeldDecision } from '../contracts/held-decision.js';
import type { Page, PageRequest } from '../contracts/page.js';
import type { Plan } from '../contracts/plan.js';
import type { Pool } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { readPricingInputs } from '../ledger/pricing-inputs.js';
import { readSeal } from '../ledger/seal.js';
import { type StoredUsageRow, toUsageRow, USAGE_ROW_COLUMNS } from '../ledger/usage-reader.js';
import { ACTION_EVENTS_COUNT } from '../limits.js';
import { add, divide, type Fraction, format, isZero, parseDecimal, subtract, ZERO } from '../money/fraction.js';
import { readPeriod } from '../periods/period-store.js';
import type { PricingInputs } from '../pricing/pricing-result.js';
import { type ChargedEvent, chargeEvent } from './charge-event.js';

/** One event of an action. */
export interface ActionCall {
  event_id: string;
  occurred_at: string;
  /** The start of its billing period; null where none takes it. */
  start_date: string | null;
  status: 'accepted' | 'held' | 'late' | 'written_off';
  held_reason: string | null;
  provider: string | null;
  model_id: string;
  paid_by: 'us' | 'customer';
  usage: Record<string, number | string> | null;
  /** Exact decimal string in `currency`; null while it is held. */
  cost: string | null;
  currency: string | null;
  /** The same in `charge_currency`; null as well where a rule charges on the total of a period. */
  charge: string | null;
  charge_currency: string | null;
}

/** What one kind of work cost: a meter of a model or resource. */
export interface ActionKind {
  provider: string;
  model_id: string;
  meter: string;
  paid_by: 'us' | 'customer';
  quantity: string;
  cost: string;
  currency: string;
}

/** Everything that one action of a customer fanned out into. */
export interface ActionView {
  customer_id: string;
  action_id: string;
  first_at: string;
  last_at: string;
  events: number;
  held_events: number;
  late_events: number;
  /** False where the action has more events than are read to answer. */
  complete: boolean;
  /** Calls that are charged by prices for a period's total (tiers, packages, actions): the sums of charges lack them. */
  calls_without_charge: number;
  /**
   * Sums of what is priced, by currency. `margin` is (charge - cost) / charge; null where nothing is charged, or some calls
   * have no charge of their own.
   */
  totals: { currency: string; cost: string; charge: string; margin: string | null }[];
  costs: ActionKind[];
  calls: Page<ActionCall>;
}

type Row = StoredUsageRow & { period_id: number | null; late: boolean };

/** What prices usage of a period now: what its seal pinned, else what would be pinned. */
interface Terms {
  inputs: PricingInputs;
  plans: Plan[];
  decisions: readonly HeldDecision[];
  /** Of the seal; empty before. */
  rates: Readonly<Record<string, string>>;
  start_date: string;
}

/**
 * The calls of an action in the order of time, what they cost by kind, what they are charged. Usage counts whatever
 * period it fell into; held usage is listed and in no sum. What is priced on a period's total (tiers) has no charge of its
 * own, and is in no sum of charges. Throws `not_found` where the customer has no usage of that action.
 */
export async function readAction(
  deps: { pool: Pool; catalogs: CatalogCache },
  customerId: string,
  actionId: string,
  page: PageRequest,
): Promise<ActionView> {
  const { rows } = await deps.pool.query<Row>(
    `SELECT ${USAGE_ROW_COLUMNS}, period_id, late FROM usage_events WHERE customer_id = $1 AND action_id = $2
     ORDER BY occurred_at, event_id LIMIT ${ACTION_EVENTS_COUNT + 1}`,
    [customerId, actionId],
  );
  if (rows.length === 0) throw new CostplusError('not_found', 'The customer has no usage of this action.');
  const read = rows.slice(0, ACTION_EVENTS_COUNT);
  const sums = new ActionSums();
  const calls: ActionCall[] = [];
  const terms = new Map<number, Terms>();
  for (const stored of read) {
    const call = callOf(stored);
    calls.push(call);
    if (stored.period_id === null) continue;
    const known = terms.get(stored.period_id) ?? (await readTerms(deps.pool, stored.period_id));
    terms.set(stored.period_id, known);
    call.start_date = known.start_date;
    const catalog = await deps.catalogs.at(known.inputs.catalog_version);
    const charged = chargeEvent(catalog, known.inputs, known.plans, toUsageRow(stored), known.decisions, known.rates);
    if ('held' in charged) Object.assign(call, { status: 'held', held_reason: charged.held });
    else if ('written_off' in charged) call.status = 'written_off';
    else {
      call.status = stored.late ? 'late' : 'accepted';
      call.cost = charged.cost;
      call.currency = charged.rows[0]?.currency ?? charged.charge_currency;
      call.charge = charged.charge;
      call.charge_currency = charged.charge_currency;
      sums.add(charged, call.paid_by);
    }
  }
  const from = readCursor(page.cursor);
  const end = from + page.limit;
  return {
    customer_id: customerId,
    action_id: actionId,
    first_at: calls[0]!.occurred_at,
    last_at: calls.at(-1)!.occurred_at,
    events: calls.length,
    held_events: calls.filter(({ status }) => status === 'held').length,
    late_events: read.filter(({ late }) => late).length,
    complete: rows.length === read.length,
    calls_without_charge: sums.withoutCharge,
    totals: sums.totals(),
    costs: sums.kinds(),
    calls: {
      data: calls.slice(from, end),
      next_cursor: end < calls.length ? writeCursor(`c${end}`) : null,
    },
  };
}

function callOf(stored: Row): ActionCall {
  return {
    event_id: stored.event_id,
    occurred_at: stored.occurred_at.toISOString(),
    start_date: null,
    status: 'held',
    held_reason: stored.period_id === null ? 'no_period' : null,
    provider: stored.provider,
    model_id: stored.model_id,
    paid_by: stored.paid_by ?? 'us',
    usage: stored.usage,
    cost: null,
    currency: null,
    charge: null,
    charge_currency: null,
  };
}

async function readTerms(pool: Pool, periodId: number): Promise<Terms> {
  const period = await readPeriod(pool, periodId);
  const seal = await readSeal(pool, periodId);
  if (seal) {
    const { pricing, plans, decisions = [], exchange_rates: rates } = seal.inputs;
    return { inputs: pricing, plans, decisions, rates, start_date: period.start_date };
  }
  const open = await readPricingInputs(pool, period, await currentCatalogVersion(pool));
  const { inputs, plans, decisions } = open;
  return { inputs, plans, decisions, rates: {}, start_date: period.start_date };
}

/** Running sums of an action. */
class ActionSums {
  withoutCharge = 0;
  readonly #totals = new Map<string, { cost: Fraction; charge: Fraction }>();
  readonly #kinds = new Map<string, Omit<ActionKind, 'quantity' | 'cost'> & { quantity: Fraction; cost: Fraction }>();

  add({ provider, priced_as, rows, charge, charge_currency }: ChargedEvent, paidBy: ActionKind['paid_by']): void {
    if (charge === null) this.withoutCharge++;
    else this.#addTo(charge_currency, ZERO, parseDecimal(charge));
    for (const row of rows) {
      this.#addTo(row.currency, parseDecimal(row.cost), ZERO);
      const kind = { provider, model_id: priced_as, meter: row.meter, paid_by: paidBy, currency: row.currency };
      const key = JSON.stringify(Object.values(kind));
      const sum = this.#kinds.get(key) ?? { ...kind, quantity: ZERO, cost: ZERO };
      sum.quantity = add(sum.quantity, parseDecimal(row.quantity));
      sum.cost = add(sum.cost, parseDecimal(row.cost));
      this.#kinds.set(key, sum);
    }
  }

  #addTo(currency: string, cost: Fraction, charge: Fraction): void {
    const total = this.#totals.get(currency) ?? { cost: ZERO, charge: ZERO };
    this.#totals.set(currency, { cost: add(total.cost, cost), charge: add(total.charge, charge) });
  }

  totals(): ActionView['totals'] {
    return [...this.#totals].sort(byKey).map(([currency, { cost, charge }]) => ({
      currency,
      cost: format(cost),
      charge: format(charge),
      margin: isZero(charge) || this.withoutCharge > 0 ? null : format(divide(subtract(charge, cost), charge), 6),
    }));
  }

  kinds(): ActionKind[] {
    return [...this.#kinds]
      .sort(byKey)
      .map(([, kind]) => ({ ...kind, quantity: format(kind.quantity), cost: format(kind.cost) }));
  }
}

function byKey([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : 1;
}

function readCursor(cursor: string | null): number {
  if (cursor === null) return 0;
  return Number(readPlace(cursor, /^c\d{1,9}$/).slice(1));
}
