import { Catalog } from '../../../../src/catalog/catalog.js';
import type { Adjustment, ClosingBalances, OpeningBalances } from '../../../../src/contracts/balances.js';
import { catalogVersionSchema } from '../../../../src/contracts/catalog.js';
import { type ComposedInvoice, type ComposeInput, composeInvoice } from '../../../../src/invoicing/compose.js';
import { parseDecimal, ZERO } from '../../../../src/money/fraction.js';
import { neededAttributes } from '../../../../src/plans/plan-rules.js';
import { createPricer } from '../../../../src/pricing/price-events.js';
import type { PricingInputs, UsageRow } from '../../../../src/pricing/pricing-result.js';
import { usageRow } from '../../../support/usage-row.js';
import {
  allowancesOf,
  type NaiveBooks,
  type NaiveEvent,
  type NaivePeriod,
  type NaivePrice,
  partsOf,
} from './period.js';
import { type Ratio, worth } from './ratio.js';
import { byBurning, largestSeats } from './terms.js';
import { countActions } from './usage.js';

/* The same period as the evaluator takes it: events are priced by a catalog, sums and balances are composed. */

/** Composes a period as it stands for the naive reference. */
export function composed(period: NaivePeriod): ComposedInvoice {
  return composeInvoice(inputOf(period));
}

export function inputOf(period: NaivePeriod): ComposeInput {
  const { assignments, currency, rates, events, next } = period;
  const plans = assignments.map(({ plan }) => plan);
  const inputs: PricingInputs = {
    catalog_version: 1,
    assignments: assignments.map(({ plan: { plan_id }, version, from }, index) => ({
      plan_id,
      version,
      from: index === 0 ? null : time(from),
    })),
    attributes: neededAttributes(plans),
  };
  const pricer = createPricer(catalogOf(period.prices), inputs, { plans });
  for (const event of events) pricer.add(rowOf(event));
  return {
    customer_id: 'acme',
    start_date: time(period.start).slice(0, 10),
    period: { start: time(period.start), end: time(period.end) },
    calendar: { from: time(period.calendar.from), to: time(period.calendar.to) },
    revision: 1,
    currency,
    catalog_version: 1,
    inputs,
    plans,
    exchange_rates: rates,
    pricing: pricer.result(),
    late: period.late.map((amount, index) => ({
      start_date: `2026-0${index + 1}-01`,
      units: new Map(),
      events: 1,
      cost: ZERO,
      charge: parseDecimal(decimal(worth(amount, currency))),
      amount: minorOf(amount, currency),
    })),
    counts: countsOf(period),
    opening: openingOf(period.opening, currency),
    plan_at_end: plans.at(-1)!.plan_id,
    next:
      next === null
        ? null
        : {
            start_date: time(next.start).slice(0, 10),
            start: time(next.start),
            end: time(next.end),
            calendar_from: time(next.calendar.from),
            calendar_to: time(next.calendar.to),
            plan_id: next.plan.plan_id,
            version: next.version,
            plan_name: null,
            advance_fee:
              typeof next.plan.base_fee === 'object' && next.plan.base_fee.timing === 'advance'
                ? next.plan.base_fee.amount
                : null,
          },
    adjustments: period.adjustments.map(
      (amount, index): Adjustment => ({
        adjustment_id: index + 1,
        kind: amount.startsWith('-') ? 'goodwill' : 'adjustment',
        amount,
        description: 'by hand',
      }),
    ),
  };
}

/** What the naive reference leaves, as the composer writes it. */
export function closingOf(
  { rollover, paid_ahead, commitment }: NaiveBooks,
  uses: { id: number; burned: bigint; expired: bigint; left: bigint }[],
  currency: string,
): ClosingBalances {
  return {
    ...openingOf({ rollover, paid_ahead, commitment, grants: [] }, currency),
    credits: uses.map(({ id, burned, expired, left }) => ({
      grant_id: id,
      burned: amountOf(burned, currency),
      expired: amountOf(expired, currency),
      remaining: amountOf(left, currency),
    })),
  };
}

/** An amount with all the digits of its currency. */
export function amountOf(amount: bigint, currency: string): string {
  const digits = { jpy: 0, kwd: 3 }[currency] ?? 2;
  const [n, d] = worth(amount, currency);
  const minor = (n * 10n ** BigInt(digits)) / d;
  const text = `${minor < 0n ? -minor : minor}`.padStart(digits + 1, '0');
  const point = text.length - digits;
  return `${minor < 0n ? '-' : ''}${text.slice(0, point)}${digits === 0 ? '' : `.${text.slice(point)}`}`;
}

function openingOf({ rollover, paid_ahead, commitment, grants }: NaiveBooks, currency: string): OpeningBalances {
  return {
    rollover: [...rollover].map(([key, left]) => {
      const [plan_id = '', ...rest] = key.split(' ');
      return { plan_id, key: rest.join(' '), amount: exact(left) };
    }),
    advance: paid_ahead === null ? null : { ...paid_ahead, amount: amountOf(paid_ahead.amount, currency) },
    commitment:
      commitment === null
        ? null
        : { ...commitment, elapsed: exact(commitment.elapsed), spent: exact(worth(commitment.spent, currency)) },
    credits: [...grants].sort(byBurning).map(({ id, left, expires_at, ...grant }) => ({
      ...grant,
      grant_id: id,
      name: `pack ${id}`,
      amount: '1000000',
      remaining: amountOf(left, currency),
      expires_at: expires_at === null ? null : time(expires_at),
    })),
  };
}

function countsOf(period: NaivePeriod): NonNullable<ComposeInput['counts']> {
  const parts = partsOf(period).map((part) => ({ part, name: { plan_id: part.plan.plan_id, version: part.version } }));
  return {
    actions: parts.flatMap(({ part, name }) => [
      ...part.plan.rules.flatMap((one, rule) =>
        ('count' in one && one.count === 'actions') || 'fee_per_action' in one
          ? [{ ...name, of: `rule ${rule}`, actions: countActions(part, period, { rule }) }]
          : [],
      ),
      ...allowancesOf(part).flatMap(({ allowance: one }, allowance) =>
        'count' in one && one.count === 'actions'
          ? [{ ...name, of: `allowance ${allowance}`, actions: countActions(part, period, { allowance }) }]
          : [],
      ),
    ]),
    largest: parts.flatMap(({ part, name }) =>
      part.plan.seats === undefined
        ? []
        : [{ ...name, meter: part.plan.seats.meter, quantity: `${largestSeats(part)}` }],
    ),
  };
}

function rowOf(event: NaiveEvent): UsageRow {
  const { at, model, feature, region, action, paid_by, reported, usage } = event;
  return usageRow({
    occurred_at_ms: at,
    provider: 'p',
    model_id: model,
    usage: Object.fromEntries(
      Object.entries(usage).map(([meter, quantity]) => [meter, /\./.test(quantity) ? quantity : Number(quantity)]),
    ),
    feature,
    region,
    action_id: action,
    paid_by: paid_by === 'customer' ? 'customer' : null,
    reported_cost: reported === null ? null : { amount: reported, currency: 'usd' },
  });
}

const catalogs = new WeakMap<readonly NaivePrice[], Catalog>();

/** A catalog remembers what it looked up: one for each price list. */
function catalogOf(prices: readonly NaivePrice[]): Catalog {
  let catalog = catalogs.get(prices);
  if (catalog === undefined) {
    const rows = prices.map(({ model, from, ...row }) => ({
      ...row,
      provider: 'p',
      model_id: model,
      effective_from: time(from),
    }));
    catalog = Catalog.fromBody(catalogVersionSchema.parse({ note: 'a price list', prices: rows }));
    catalogs.set(prices, catalog);
  }
  return catalog;
}

const time = (ms: number): string => new Date(ms).toISOString();

/** In lowest terms, as balances are written. */
function exact([n, d]: Ratio): string {
  let [x, y] = [n < 0n ? -n : n, d];
  while (y !== 0n) [x, y] = [y, x % y];
  return d / x === 1n ? `${n / x}` : `${n / x}/${d / x}`;
}

function decimal(amount: Ratio): string {
  return amountOf(amount[0], amount[1] === 100n ? 'usd' : 'jpy');
}

const minorOf = (amount: bigint, currency: string): bigint => amount * ({ kwd: 10n, isk: 100n }[currency] ?? 1n);
