import { add, format, isDecimal, isZero, parseDecimal } from '../money/fraction.js';
import type { Counts } from './counts.js';

/**
 * The decimal that a JSON number stands for: the digits of its shortest text, which is what the provider wrote, with
 * the exponent written out. Null for what is no amount (negative, not finite, more digits than a decimal may have).
 */
export function decimalOfNumber(value: unknown): string | null {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) return null;
  // ECMAScript writes `1.825e-7` with one digit before the point; exponents above 0 begin beyond what an amount may be.
  const [digits = '', exponent] = String(value).split('e-');
  const text = exponent === undefined ? digits : `0.${'0'.repeat(Number(exponent) - 1)}${digits.replace('.', '')}`;
  return isDecimal(text) ? text : null;
}

/**
 * What the provider says the call cost, in US dollars. OpenRouter: `cost` in credits (dollars); with the customer's own
 * key (`is_byok`) the upstream provider charges `cost_details.upstream_inference_cost` besides. Perplexity: `cost` is an
 * object with `total_cost`.
 */
export function reportedCost(usage: Counts): { amount: string; currency: string } | null {
  const stated = usage.cost;
  const cost = decimalOfNumber(typeof stated === 'object' && stated !== null ? (stated as Counts).total_cost : stated);
  if (cost === null) return null;
  const details = usage.cost_details;
  const upstream =
    usage.is_byok === true && typeof details === 'object' && details !== null
      ? decimalOfNumber((details as Counts).upstream_inference_cost)
      : null;
  const amount = upstream === null ? cost : format(add(parseDecimal(cost), parseDecimal(upstream)));
  return { amount, currency: 'usd' };
}

/** The exact decimal of an amount that a payload writes as a number or as a decimal string; null for what is none. */
export function decimalOf(value: unknown): string | null {
  if (typeof value === 'string') return isDecimal(value) && !value.startsWith('-') ? value : null;
  return decimalOfNumber(value);
}

/**
 * What Vercel's AI Gateway says a call cost, in US dollars: `cost`, or `marketCost` where free credits made the cost zero,
 * since they pay for the call and do not make it cheaper.
 */
export function gatewayCost(gateway: Counts): string | null {
  const [cost, market] = [decimalOf(gateway.cost), decimalOf(gateway.marketCost)];
  const isFree = cost === null || isZero(parseDecimal(cost));
  return isFree && market !== null ? market : cost;
}
