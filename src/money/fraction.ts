import { DECIMAL_FRACTION_DIGITS, DECIMAL_INTEGER_DIGITS, EXACT_DISPLAY_PLACES } from '../limits.js';

/**
 * An exact rational number: `n / d` with d > 0. Not always in lowest terms (reducing costs more than it saves inside
 * sums); `equals`, `compare` and `format` do not depend on it. No floating point touches money (invariant 4).
 */
export interface Fraction {
  readonly n: bigint;
  readonly d: bigint;
}

export const ZERO: Fraction = { n: 0n, d: 1n };
export const ONE: Fraction = { n: 1n, d: 1n };

const DECIMAL = new RegExp(`^(-?)(\\d{1,${DECIMAL_INTEGER_DIGITS}})(?:\\.(\\d{1,${DECIMAL_FRACTION_DIGITS}}))?$`);

const powersOfTen: bigint[] = [1n];
/** 10^exponent. */
export function powerOfTen(exponent: number): bigint {
  for (let i = powersOfTen.length; i <= exponent; i++) powersOfTen.push(powersOfTen[i - 1]! * 10n);
  return powersOfTen[exponent]!;
}

/** Whether a text is a decimal as the API accepts it: optional minus, digits, optional fraction; no exponent. */
export function isDecimal(text: string): boolean {
  return DECIMAL.test(text);
}

/** The exact value of a decimal string such as `"0.0000003"`. Throws a RangeError for anything else. */
export function parseDecimal(text: string): Fraction {
  const match = DECIMAL.exec(text);
  if (!match) throw new RangeError(`not a decimal: ${JSON.stringify(text.slice(0, 40))}`);
  const places = match[3] ?? '';
  const magnitude = BigInt(match[2]! + places);
  return { n: match[1] === '-' ? -magnitude : magnitude, d: powerOfTen(places.length) };
}

/** The value of a text that `format` wrote: it may have more digits than a decimal that the API accepts. */
export function parseShown(text: string): Fraction {
  const match = /^(-?\d+)(?:\.(\d+))?$/.exec(text);
  if (!match) throw new RangeError(`not a decimal: ${JSON.stringify(text.slice(0, 40))}`);
  const places = match[2] ?? '';
  return { n: BigInt(match[1]! + places), d: powerOfTen(places.length) };
}

/** A whole number as a fraction. */
export function fromInteger(value: bigint | number): Fraction {
  return { n: BigInt(value), d: 1n };
}

export function add(a: Fraction, b: Fraction): Fraction {
  if (a.d === b.d) return { n: a.n + b.n, d: a.d };
  // Denominators are mostly powers of ten, one dividing the other: keep the larger instead of their product.
  if (a.d % b.d === 0n) return { n: a.n + b.n * (a.d / b.d), d: a.d };
  if (b.d % a.d === 0n) return { n: a.n * (b.d / a.d) + b.n, d: b.d };
  return reduce({ n: a.n * b.d + b.n * a.d, d: a.d * b.d });
}

export function negate(a: Fraction): Fraction {
  return { n: -a.n, d: a.d };
}

export function subtract(a: Fraction, b: Fraction): Fraction {
  return add(a, negate(b));
}

export function multiply(a: Fraction, b: Fraction): Fraction {
  return { n: a.n * b.n, d: a.d * b.d };
}

/** a / b. Throws a RangeError when b is zero. */
export function divide(a: Fraction, b: Fraction): Fraction {
  if (b.n === 0n) throw new RangeError('division by zero');
  return b.n > 0n ? { n: a.n * b.d, d: a.d * b.n } : { n: -a.n * b.d, d: a.d * -b.n };
}

/** -1, 0 or 1. */
export function compare(a: Fraction, b: Fraction): -1 | 0 | 1 {
  const difference = a.n * b.d - b.n * a.d;
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

export function equals(a: Fraction, b: Fraction): boolean {
  return a.n * b.d === b.n * a.d;
}

export function isZero(a: Fraction): boolean {
  return a.n === 0n;
}

export function sum(values: Iterable<Fraction>): Fraction {
  let total = ZERO;
  for (const value of values) total = add(total, value);
  return total;
}

export function minimum(a: Fraction, b: Fraction): Fraction {
  return compare(a, b) <= 0 ? a : b;
}

export function maximum(a: Fraction, b: Fraction): Fraction {
  return compare(a, b) >= 0 ? a : b;
}

/** The same value in lowest terms. */
export function reduce(a: Fraction): Fraction {
  let x = a.n < 0n ? -a.n : a.n;
  let y = a.d;
  while (y !== 0n) [x, y] = [y, x % y];
  return x === 1n || x === 0n ? (a.n === 0n ? ZERO : a) : { n: a.n / x, d: a.d / x };
}

/** n / d rounded to a whole number, half away from zero. */
export function roundToInteger(a: Fraction): bigint {
  const magnitude = a.n < 0n ? -a.n : a.n;
  const rounded = (2n * magnitude + a.d) / (2n * a.d);
  return a.n < 0n ? -rounded : rounded;
}

/**
 * The value as a decimal string: exact, without trailing zeros, where its expansion ends within `places`; otherwise
 * rounded half away from zero to `places` (EXACT_DISPLAY_PLACES by default, the contract's 18).
 * An exact value with more than 18 places is shown whole: hiding digits of a price would make sums look wrong.
 */
export function format(a: Fraction, places: number = EXACT_DISPLAY_PLACES): string {
  const { n, d } = reduce(a);
  let rest = d;
  let twos = 0;
  let fives = 0;
  while (rest % 2n === 0n) {
    rest /= 2n;
    twos++;
  }
  while (rest % 5n === 0n) {
    rest /= 5n;
    fives++;
  }
  const ends = rest === 1n;
  const shown = ends ? Math.max(twos, fives) : places;
  const scaled = ends ? (n * powerOfTen(shown)) / d : roundToInteger({ n: n * powerOfTen(shown), d });
  return formatScaled(scaled, shown);
}

/** `scaled / 10^places` as a decimal string without trailing zeros of its fraction. */
export function formatScaled(scaled: bigint, places: number): string {
  const negative = scaled < 0n;
  const digits = (negative ? -scaled : scaled).toString().padStart(places + 1, '0');
  const whole = digits.slice(0, digits.length - places);
  const fraction = digits.slice(digits.length - places).replace(/0+$/, '');
  return (negative ? '-' : '') + whole + (fraction === '' ? '' : `.${fraction}`);
}

/** Lossless text of any fraction, `n` or `n/d` in lowest terms; what pricing results and seals store. */
export function toExactText(a: Fraction): string {
  const { n, d } = reduce(a);
  return d === 1n ? n.toString() : `${n}/${d}`;
}

/** The fraction that `toExactText` wrote. Throws a RangeError for anything else. */
export function fromExactText(text: string): Fraction {
  const match = /^(-?\d+)(?:\/(\d+))?$/.exec(text);
  if (!match || match[2] === '0') throw new RangeError(`not an exact fraction: ${JSON.stringify(text.slice(0, 40))}`);
  return { n: BigInt(match[1]!), d: match[2] === undefined ? 1n : BigInt(match[2]) };
}
