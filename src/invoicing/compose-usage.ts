import type { StripeReference } from '../contracts/plan-rule.js';
import { type Currency, fromMinor, roundToMinor } from '../money/currency.js';
import { divide, type Fraction, format, isZero, multiply, sum, ZERO } from '../money/fraction.js';
import { type ChargeCurrency, exchangeRate } from '../pricing/group-charge.js';
import type { ChargedUsage } from './compose-charges.js';
import type { Draft, DraftLine, IncludedUsage } from './compose-lines.js';
import { planOf, type Terms } from './compose-parts.js';
import type { Piece, Takers } from './compose-pieces.js';
import type { UsageSum } from './compose-sums.js';
import { planLabel, usageDescription } from './line-wording.js';

/** The usage behind one line in single currencies: the cost in the invoice's cost currency, the charge in its own. */
export interface ExchangedUsage extends Omit<UsageSum, 'costs' | 'charges' | 'pieces'> {
  cost: Fraction;
  charge: Fraction;
  pieces: Map<Takers, Fraction>;
}

export interface Exchanged {
  usage: ExchangedUsage[];
  cost_currency: Currency;
  /** From the cost's currency to the invoice's; null where it was not needed and is not known. */
  cost_rate: Fraction | null;
  /** The rate of each currency that something is charged in. */
  rates: Record<Currency, string>;
}

/**
 * Step "exchange": everything into the invoice's currency, exact, at one rate for each catalog currency. Costs of one
 * catalog currency stay in it, as the providers charge them; costs of several can only be added after the exchange.
 * Throws `no_exchange_rate` where a rate is missing or not above zero.
 */
export function exchangeUsage(usage: UsageSum[], to: ChargeCurrency): Exchanged {
  const used = new Map(currenciesOf(usage, 'charges').map((from) => [from, exchangeRate(from, to)]));
  const spent = currenciesOf(usage, 'costs');
  const costCurrency = spent.length === 1 ? spent[0]! : to.currency;
  for (const from of spent.length > 1 ? spent : []) used.set(from, exchangeRate(from, to));
  const exchange = (amounts: Map<Currency, Fraction>) =>
    sum([...amounts].map(([from, amount]) => multiply(amount, used.get(from)!)));
  return {
    usage: usage.map(({ costs, charges, pieces, ...line }) => ({
      ...line,
      cost: spent.length === 1 ? (costs.get(costCurrency) ?? ZERO) : exchange(costs),
      charge: exchange(charges),
      pieces: new Map([...pieces].map(([takers, amounts]) => [takers, exchange(amounts)])),
    })),
    cost_currency: costCurrency,
    cost_rate: knownRate(costCurrency, to),
    rates: Object.fromEntries(
      [...used].sort(([a], [b]) => (a < b ? -1 : 1)).map(([from, rate]) => [from, format(rate)]),
    ),
  };
}

/** Step "rounding": a line for each usage sum, its exact charge rounded to a billable amount. */
export function roundUsage(usage: ExchangedUsage[], charged: ChargedUsage, { parts, currency }: Terms): Draft {
  const rounded = parts.map(() => 0n);
  const included: IncludedUsage[] = charged.included.map(({ used: _used, ...one }) => ({ ...one, amount: 0n }));
  const pieces: Piece[] = [];
  const lines = usage.map((one): DraftLine => {
    const part = parts[one.part]!;
    const amount = roundToMinor(one.charge, currency);
    rounded[one.part]! += amount;
    const use =
      one.kind === 'usage' && one.allowance !== null
        ? included.find((known) => known.part === one.part && known.allowance === one.allowance)
        : undefined;
    if (use) use.amount += amount;
    // What an allowance of quantity includes is taken off: nothing of it is left to pay.
    if (use === undefined || isZero(use.included)) pieces.push(...piecesOf(one, fromMinor(amount, currency)));
    return {
      kind: one.kind,
      description: usageDescription({ ...one, plan_label: parts.length > 1 ? planLabel(part) : null }),
      group: one.group,
      plan: planOf(part),
      part: one.part,
      rule: one.rule,
      allowance: one.allowance,
      units: one.units,
      events: one.events,
      cost: one.cost,
      charge: one.charge,
      amount,
      stripe: referenceOf(part.plan, one),
    };
  });
  return {
    lines,
    usage: rounded,
    fees: parts.map(() => 0n),
    beside: 0n,
    rounded,
    pieces,
    included,
    seat_events: charged.seat_events,
    rollover: charged.rollover,
    advance: null,
    commitment: null,
    credits: [],
  };
}

/** The pieces of a line, each with its share of the line's rounded amount. */
function piecesOf({ part, charge, pieces }: ExchangedUsage, amount: Fraction): Piece[] {
  if (isZero(charge)) return [];
  return [...pieces].map(([takers, own]) => ({ part, takers, charge: divide(multiply(amount, own), charge) }));
}

/** The currencies of the usage's charges or costs, sorted. */
export function currenciesOf(usage: UsageSum[], of: 'charges' | 'costs'): Currency[] {
  return [...new Set(usage.flatMap((line) => [...line[of].keys()]))].sort();
}

function knownRate(from: Currency, to: ChargeCurrency): Fraction | null {
  return from === to.currency || Object.hasOwn(to.rates, from) ? exchangeRate(from, to) : null;
}

function referenceOf(plan: Terms['parts'][number]['plan'], usage: ExchangedUsage): StripeReference | null {
  const own = usage.rule === null ? undefined : plan.rules[usage.rule]?.stripe;
  return own ?? plan.lines.stripe?.[usage.kind] ?? null;
}
