/*
 * What an invoice has to be, computed a second time from the usage as it was sent, from prices as they were published,
 * and from the rules of docs/explanation/money.md. It shares no code with src: a mistake made there is not made here.
 */

/** n / d, d > 0. */
type Ratio = readonly [bigint, bigint];

const NOTHING: Ratio = [0n, 1n];

export function ratio(decimal: string): Ratio {
  const [whole = '', places = ''] = decimal.split('.');
  return [BigInt(whole + places), 10n ** BigInt(places.length)];
}

const lowest = ([n, d]: Ratio): Ratio => {
  let [a, b] = [n < 0n ? -n : n, d];
  while (b > 0n) [a, b] = [b, a % b];
  return a === 0n ? NOTHING : [n / a, d / a];
};
const plus = (a: Ratio, b: Ratio): Ratio => lowest([a[0] * b[1] + b[0] * a[1], a[1] * b[1]]);
const times = (a: Ratio, b: Ratio): Ratio => lowest([a[0] * b[0], a[1] * b[1]]);
const over = (a: Ratio, b: Ratio): Ratio => lowest([a[0] * b[1], a[1] * b[0]]);

/** Half away from zero. */
function nearest([n, d]: Ratio): bigint {
  const size = n < 0n ? -n : n;
  const whole = size / d + (2n * (size % d) >= d ? 1n : 0n);
  return n < 0n ? -whole : whole;
}

const cents = (amount: Ratio): bigint => nearest(times(amount, [100n, 1n]));

/** A decimal without trailing zeros; 18 places where it has no end. */
export function shown(value: Ratio): string {
  const [n, d] = lowest(value);
  let places = 0;
  while (places < 200 && (n * 10n ** BigInt(places)) % d !== 0n) places++;
  if (places === 200) places = 18;
  const scaled = nearest([n * 10n ** BigInt(places), d]);
  const digits = (scaled < 0n ? -scaled : scaled).toString().padStart(places + 1, '0');
  const fraction = digits.slice(digits.length - places).replace(/0+$/, '');
  const whole = digits.slice(0, digits.length - places);
  return `${scaled < 0n ? '-' : ''}${whole}${places > 0 && fraction !== '' ? `.${fraction}` : ''}`;
}

/** Dollars and cents. */
export function dollars(amount: bigint): string {
  const digits = (amount < 0n ? -amount : amount).toString().padStart(3, '0');
  return `${amount < 0n ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

/** A price row as it was published, or as the API shows it. */
export interface Price {
  meter: string;
  price?: string | null;
  per: number;
  same_as?: string | null;
  context_over?: number | null;
  per_event?: boolean;
  free?: boolean;
}

/** What was used, by the provider whose prices count, with the rows in force at its time. */
export interface Used {
  provider: string;
  model_id: string;
  meters: Record<string, number | string>;
  prices: Price[];
  groups: Record<string, string | null>;
  /** The provider charges the customer, not us. */
  paid_by_customer: boolean;
}

export interface Terms {
  rules: { provider?: string; markup?: string; margin?: string }[];
  base_fee?: string;
  allowance?: string;
  group_by: string[];
  /** The part of its calendar's month that the period covers: milliseconds of both. */
  covered: { ms: number; of_ms: number };
}

export interface Line {
  kind: string;
  group: Record<string, string | null>;
  events: number;
  quantity: string | null;
  cost: string;
  charge: string;
  amount: string;
}

const isInputToken = (meter: string) => /^(input|cache_read|cache_write|tool_use_input)_.*tokens$/.test(meter);

/** The price of one unit, or null where the model has none. The highest cliff below the whole input counts. */
export function unitPrice(prices: Price[], meter: string, input: number): Ratio | null {
  let best: Price | undefined;
  for (const row of prices) {
    if (row.meter !== meter || (row.context_over ?? -1) >= input) continue;
    if (best === undefined || (row.context_over ?? -1) > (best.context_over ?? -1)) best = row;
  }
  if (best === undefined) return prices.some((row) => row.meter === '*' && row.free === true) ? NOTHING : null;
  if (best.same_as) return unitPrice(prices, best.same_as, input);
  return best.price === null || best.price === undefined ? null : over(ratio(best.price), [BigInt(best.per), 1n]);
}

/** Quantities that are charged: what was used, and one unit of each fee that is due for every event. */
function charged({ meters, prices }: Used): [string, Ratio][] {
  const due = Object.entries(meters)
    .map(([meter, quantity]): [string, Ratio] => [meter, ratio(String(quantity))])
    .filter(([, quantity]) => quantity[0] > 0n);
  for (const { meter, per_event } of prices) {
    if (per_event === true && !due.some(([name]) => name === meter)) due.push([meter, [1n, 1n]]);
  }
  return due;
}

/** Whether all that was used has a price. */
export function isPriced(used: Used): boolean {
  const input = wholeInput(used);
  return charged(used).every(([meter]) => unitPrice(used.prices, meter, input) !== null);
}

function wholeInput({ meters }: Used): number {
  return Object.entries(meters).reduce((sum, [meter, count]) => sum + (isInputToken(meter) ? Number(count) : 0), 0);
}

export function costOf(used: Used): Ratio {
  if (used.paid_by_customer) return NOTHING;
  const input = wholeInput(used);
  return charged(used).reduce((sum, [meter, quantity]) => {
    const unit = unitPrice(used.prices, meter, input);
    if (unit === null) throw new Error(`${used.model_id} has no price for ${meter}`);
    return plus(sum, times(quantity, unit));
  }, NOTHING);
}

function chargeOf(terms: Terms, { provider }: Used, cost: Ratio): Ratio {
  const rule = terms.rules.find((candidate) => candidate.provider === undefined || candidate.provider === provider);
  if (rule?.markup !== undefined) return times(cost, plus([1n, 1n], ratio(rule.markup)));
  const margin = ratio(rule!.margin!);
  return over(cost, [margin[1] - margin[0], margin[1]]);
}

/** What one unit of a meter is, as far as the journey uses meters. */
function unitOf(meter: string): string {
  if (meter.endsWith('_tokens')) return 'tokens';
  if (meter.endsWith('_searches')) return 'searches';
  return meter.endsWith('_seconds') ? 'seconds' : meter;
}

export interface Computed {
  /** In their order. */
  lines: Line[];
  total: string;
  /** Exact sums over all usage; the charge before fees and allowances. */
  cost: string;
  charge: string;
}

export function computeInvoice(terms: Terms, usage: Used[]): Computed {
  const sums = new Map<
    string,
    { values: (string | null)[]; events: number; units: Map<string, Ratio>; cost: Ratio; charge: Ratio }
  >();
  for (const used of usage) {
    const quantities = charged(used);
    if (quantities.length === 0) continue;
    const values = terms.group_by.map((name) => (name === 'model_id' ? used.model_id : (used.groups[name] ?? null)));
    const key = JSON.stringify(values);
    const sum = sums.get(key) ?? { values, events: 0, units: new Map(), cost: NOTHING, charge: NOTHING };
    const cost = costOf(used);
    for (const [meter, quantity] of quantities) {
      sum.units.set(unitOf(meter), plus(sum.units.get(unitOf(meter)) ?? NOTHING, quantity));
    }
    sum.events++;
    sum.cost = plus(sum.cost, cost);
    sum.charge = plus(sum.charge, chargeOf(terms, used, cost));
    sums.set(key, sum);
  }
  const rank = (value: string | null) => (value === null ? '' : `+${value}`);
  const ordered = [...sums.values()].sort((a, b) => {
    const at = a.values.findIndex((value, i) => value !== b.values[i]);
    return at < 0 ? 0 : rank(a.values[at]!) < rank(b.values[at]!) ? -1 : 1;
  });

  let total = 0n;
  const lines = ordered.map(({ values, events, units, cost, charge }): Line => {
    const amount = cents(charge);
    total += amount;
    return {
      kind: 'usage',
      group: Object.fromEntries(terms.group_by.map((name, i) => [name, values[i]!])),
      events,
      quantity: units.size === 1 ? shown([...units.values()][0]!) : String(events),
      cost: shown(cost),
      charge: shown(charge),
      amount: dollars(amount),
    };
  });
  const usageTotal = total;
  const share: Ratio = [BigInt(terms.covered.ms), BigInt(terms.covered.of_ms)];
  const term = (kind: string, charge: Ratio, amount: bigint) => {
    total += amount;
    lines.push({
      kind,
      group: {},
      events: 0,
      quantity: null,
      cost: '0',
      charge: shown(charge),
      amount: dollars(amount),
    });
  };
  if (terms.base_fee !== undefined) {
    const fee = times(ratio(terms.base_fee), share);
    if (cents(fee) !== 0n) term('base_fee', fee, cents(fee));
  }
  if (terms.allowance !== undefined) {
    const granted = times(ratio(terms.allowance), share);
    const whole = cents(granted) <= usageTotal;
    const covered = whole ? cents(granted) : usageTotal;
    const exact: Ratio = whole ? granted : [usageTotal, 100n];
    if (covered !== 0n) term('allowance', [-exact[0], exact[1]], -covered);
  }
  const sumOf = (part: 'cost' | 'charge') => shown(ordered.reduce((sum, line) => plus(sum, line[part]), NOTHING));
  return { lines, total: dollars(total), cost: sumOf('cost'), charge: sumOf('charge') };
}
