import Stripe from 'stripe';
import { describe, expect, it } from 'vitest';
import { toFailure } from '../../../src/stripe/stripe-errors.js';

const SECRET = 'sk_live_51Habcdef and 4242424242424242';

function answer(status: number, error: { type?: string; code?: string; param?: string }, headers = {}): unknown {
  const raw = { message: SECRET, statusCode: status, headers, requestId: 'req_1', ...error };
  return Stripe.errors.generateV1Error(raw as never);
}

function lost(code: string): unknown {
  return new Stripe.errors.StripeConnectionError({ message: SECRET, detail: { code } } as never);
}

const RETRY = { 'stripe-should-retry': 'true' };
const NO_RETRY = { 'stripe-should-retry': 'false' };

describe('what a failed call to Stripe means', () => {
  it.each([
    ['a lost connection', lost('ECONNRESET'), 'stripe_unavailable', true, true],
    ['a timeout', lost('ETIMEDOUT'), 'stripe_unavailable', true, true],
    ['a connection that never was', lost('ECONNREFUSED'), 'stripe_unavailable', false, true],
    ['500', answer(500, { type: 'api_error' }), 'stripe_unavailable', true, true],
    ['503', answer(503, {}), 'stripe_unavailable', true, true],
    ['500 that a retry will only repeat', answer(500, {}, NO_RETRY), 'stripe_unavailable', true, false],
    ['409, the key is in use', answer(409, { code: 'idempotency_key_in_use' }), 'stripe_unavailable', true, true],
    ['429', answer(429, { code: 'rate_limit' }), 'stripe_unavailable', false, true],
    ['429 for a lock', answer(429, { code: 'lock_timeout' }), 'stripe_unavailable', false, true],
    ['429 not to be repeated now', answer(429, {}, NO_RETRY), 'stripe_unavailable', false, false],
    ['400 that Stripe wants again', answer(400, { code: 'x' }, RETRY), 'stripe_unavailable', false, true],
    ['400', answer(400, { type: 'invalid_request_error', param: 'customer' }), 'stripe_refused', false, false],
    ['404', answer(404, { code: 'resource_missing' }), 'stripe_refused', false, false],
    ['an idempotency error', answer(400, { type: 'idempotency_error' }), 'stripe_refused', false, false],
    ['401', answer(401, {}), 'stripe_refused', false, false],
    ['402', answer(402, { type: 'card_error' }), 'stripe_refused', false, false],
    ['403', answer(403, {}), 'stripe_refused', false, false],
    ['a fault of ours', new TypeError(SECRET), 'internal', true, false],
  ])('%s', (_name, thrown, code, outcomeUnknown, replay) => {
    const failure = toFailure(thrown, 'create draft');
    expect({ code: failure.error.code, outcomeUnknown: failure.outcomeUnknown, replay: failure.replay }).toEqual({
      code,
      outcomeUnknown,
      replay,
    });
    expect(failure.error.message).toContain('create draft');
    // Stripe's own message quotes values: neither it nor the error that carries it is passed on.
    expect(JSON.stringify([failure.error.message, failure.error.extra, failure.error.cause])).not.toContain('4242');
  });

  it('says what support needs: status, code, parameter, request', () => {
    const { error } = toFailure(answer(400, { code: 'resource_missing', param: 'customer' }), 'create draft');
    expect(error.message).toBe(
      'Stripe answered the call "create draft" with HTTP 400, resource_missing, parameter customer, request req_1.',
    );
  });

  it('waits as long as Stripe asks, two seconds where it does not say', () => {
    expect(toFailure(answer(429, {}, { 'retry-after': '7' }), 'x').error.retryAfterSeconds).toBe(7);
    expect(toFailure(answer(429, {}), 'x').error.retryAfterSeconds).toBe(2);
  });
});
