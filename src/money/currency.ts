import { type Fraction, parseDecimal, powerOfTen, roundToInteger } from './fraction.js';

/** Stripe's zero-decimal currencies (https://docs.stripe.com/currencies#zero-decimal). */
const ZERO_DECIMAL = new Set('bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf'.split(' '));
/** Three-decimal currencies: Stripe takes amounts in thousandths that end in 0 (same page). */
const THREE_DECIMAL = new Set('bhd jod kwd omr tnd'.split(' '));
/** Two-decimal at the API, but the amount must be a whole number of units: multiples of 100 (same page). */
const WHOLE_UNITS = new Set(['isk', 'ugx']);

/** A lower-case ISO 4217 code as Stripe writes it. */
export type Currency = string;

export function isCurrency(text: string): boolean {
  return /^[a-z]{3}$/.test(text);
}

/** Digits after the point of an amount in minor units at Stripe: 0, 2 or 3. */
export function minorDigits(currency: Currency): number {
  return ZERO_DECIMAL.has(currency) ? 0 : THREE_DECIMAL.has(currency) ? 3 : 2;
}

/** The smallest billable step in minor units: 10 for three-decimal currencies, 100 for ISK and UGX, else 1. */
export function billableStepMinor(currency: Currency): bigint {
  return THREE_DECIMAL.has(currency) ? 10n : WHOLE_UNITS.has(currency) ? 100n : 1n;
}

/**
 * An exact amount in major units rounded to minor units of the currency, half away from zero, to a billable step.
 * The one rounding of a line (invariant 4).
 */
export function roundToMinor(amount: Fraction, currency: Currency): bigint {
  const step = billableStepMinor(currency);
  const inSteps = { n: amount.n * powerOfTen(minorDigits(currency)), d: amount.d * step };
  return roundToInteger(inSteps) * step;
}

/** A decimal text in minor units, rounded as `roundToMinor` does. Throws `RangeError` for what is no decimal. */
export function parseMinor(amount: string, currency: Currency): bigint {
  return roundToMinor(parseDecimal(amount), currency);
}

/** Minor units as a fraction in major units. */
export function fromMinor(minor: bigint, currency: Currency): Fraction {
  return { n: minor, d: powerOfTen(minorDigits(currency)) };
}

/** Minor units as a decimal string in major units with all the currency's digits, `"12.30"`. */
export function formatMinor(minor: bigint, currency: Currency): string {
  const digits = minorDigits(currency);
  const negative = minor < 0n;
  const text = (negative ? -minor : minor).toString().padStart(digits + 1, '0');
  const whole = text.slice(0, text.length - digits);
  return (negative ? '-' : '') + whole + (digits === 0 ? '' : `.${text.slice(text.length - digits)}`);
}
