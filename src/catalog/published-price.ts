import { isDecimal } from '../money/fraction.js';

/** Digits that a published price can have; beyond them stands what binary floating point made of it. */
const PUBLISHED_DIGITS = 12;

/**
 * The decimal that a provider published as a JSON number: the digits of its shortest text, rounded where binary floating
 * point left more than a price can have; the source's number is kept then. Throws for zero: free is never meant by
 * omission.
 */
export function publishedPrice(value: number): { price: string; raw_price?: string } {
  const [digits, exponent] = value.toExponential(PUBLISHED_DIGITS - 1).split('e');
  const price = plainDecimal(digits!.replace('.', '').replace(/0+$/, ''), Number(exponent));
  if (Number(price) === 0) throw new Error('a price of zero: free is never meant by omission');
  return Number(price) === value ? { price } : { price, raw_price: String(value) };
}

/** `d.ddd x 10^exponent` without a point in the digits, written without an exponent. */
function plainDecimal(digits: string, exponent: number): string {
  if (exponent < 0) return `0.${'0'.repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0');
  const fraction = digits.slice(exponent + 1);
  return fraction === '' ? whole : `${whole}.${fraction}`;
}

/** A price of a document, number or decimal text; or why it is none that the catalog could take. */
export function readPrice(value: unknown): { price: string; raw_price?: string } | { reason: string } {
  if (typeof value === 'string') {
    const text = value.trim();
    if (isDecimal(text)) return Number(text) > 0 ? { price: text } : { reason: whyNoPrice(Number(text)) };
    return text === '' ? { reason: 'not a number' } : readPrice(Number(text));
  }
  if (typeof value !== 'number' || !Number.isFinite(value)) return { reason: 'not a number' };
  if (value <= 0) return { reason: whyNoPrice(value) };
  const published = publishedPrice(value);
  return isDecimal(published.price) ? published : { reason: 'more digits than a price can have' };
}

function whyNoPrice(value: number): string {
  return value < 0 ? 'below zero: the source says that the price varies' : 'zero: free has to be said by a person';
}
