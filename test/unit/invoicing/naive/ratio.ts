/** n / d with d > 0, never shortened: slow, exact, and nothing to trust but whole numbers. */
export type Ratio = readonly [bigint, bigint];

export const NOTHING: Ratio = [0n, 1n];
export const ALL: Ratio = [1n, 1n];

export const whole = (n: number | bigint): Ratio => [BigInt(n), 1n];
export const plus = (a: Ratio, b: Ratio): Ratio => [a[0] * b[1] + b[0] * a[1], a[1] * b[1]];
export const minus = (a: Ratio, b: Ratio): Ratio => plus(a, [-b[0], b[1]]);
export const times = (a: Ratio, b: Ratio): Ratio => [a[0] * b[0], a[1] * b[1]];
/** b above zero. */
export const over = (a: Ratio, b: Ratio): Ratio => [a[0] * b[1], a[1] * b[0]];
export const isLess = (a: Ratio, b: Ratio): boolean => a[0] * b[1] < b[0] * a[1];
export const isSame = (a: Ratio, b: Ratio): boolean => a[0] * b[1] === b[0] * a[1];
export const smaller = (a: Ratio, b: Ratio): Ratio => (isLess(b, a) ? b : a);
export const larger = (a: Ratio, b: Ratio): Ratio => (isLess(a, b) ? b : a);
export const sumOf = (all: Iterable<Ratio>): Ratio => [...all].reduce(plus, NOTHING);

/** `"-12.345"` is -12345 / 1000; `"1/3"`, as balances are written where they have no end, is 1 / 3. */
export function ratio(text: string): Ratio {
  const [n, d] = text.split('/');
  if (d !== undefined) return [BigInt(n!), BigInt(d)];
  const [before, after = ''] = text.split('.');
  return [BigInt(before! + after), 10n ** BigInt(after.length)];
}

/** How many of the smallest billable amounts are one unit of the currency (docs/explanation/money.md). */
const BILLABLE: Readonly<Record<string, bigint>> = { usd: 100n, eur: 100n, jpy: 1n, kwd: 100n, isk: 1n };

/** The smallest billable amounts of the currency in an amount, half away from zero. All sums after it are of these. */
export function billable([n, d]: Ratio, currency: string): bigint {
  const scaled = n * BILLABLE[currency]!;
  const size = scaled < 0n ? -scaled : scaled;
  const rounded = size / d + (2n * (size % d) >= d ? 1n : 0n);
  return scaled < 0n ? -rounded : rounded;
}

/** The amount that so many of the smallest billable ones are. */
export const worth = (amount: bigint, currency: string): Ratio => [amount, BILLABLE[currency]!];

export const least = (a: bigint, b: bigint): bigint => (a < b ? a : b);
export const most = (a: bigint, b: bigint): bigint => (a > b ? a : b);
