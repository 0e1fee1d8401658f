import { contentHash } from '../contracts/canonical-json.js';

/**
 * The name of one revision's invoice, the same for every attempt and process; it stands in the invoice's metadata
 * (500 characters) and in every key below.
 */
export function invoiceKey(customerId: string, startDate: string, revision: number): string {
  return `${customerId}/${startDate}/${revision}`;
}

/**
 * The idempotency key of one step of one generation (below Stripe's 255 characters). A step whose body is not fixed by
 * the invoice key names what it sends by a hash: the same key never goes out with two bodies. A new generation has new
 * keys, because Stripe replays a saved 500 under an old one.
 */
export function stepKey(
  key: string,
  generation: number,
  step: 'create' | 'lines' | 'finalize' | 'void' | 'credit' | 'item',
  body?: unknown,
): string {
  return `costplus-${step}-${generation}-${contentHash(body === undefined ? [key, step] : [key, step, body])}`;
}

/**
 * The idempotency key for making a customer at Stripe. It comes from our customer id and what is sent, so that periods
 * that submit at once make one; `retry` names a further try after an outcome that reading could not clear up.
 */
export function customerKey(customerId: string, body: unknown, retry?: string): string {
  return `costplus-customer-${contentHash(retry === undefined ? [customerId, body] : [customerId, body, retry])}`;
}
