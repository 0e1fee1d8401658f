import Stripe from 'stripe';
import { CostplusError } from '../errors/error.js';

/** What is known of a call that failed. */
export interface StripeFailure {
  error: CostplusError;
  /** The call may have taken effect: read before anything else is done. */
  outcomeUnknown: boolean;
  /** Sending the same key and body again can help. */
  replay: boolean;
  rateLimited: boolean;
}

/** Seconds that a rate-limited caller waits when Stripe names none. */
const DEFAULT_WAIT_SECONDS = 2;

/**
 * Maps what stripe-node throws. Texts name the call, status, code, parameter and request id; never Stripe's own message
 * (it quotes values), a key or a body. `Stripe-Should-Retry: true` makes any answer retryable, `false` forbids sending
 * the same key again; a 5xx stays retryable then, because a later attempt has keys of its own.
 */
export function toFailure(thrown: unknown, call: string): StripeFailure {
  if (thrown instanceof CostplusError) {
    return { error: thrown, outcomeUnknown: isOutcomeUnknown(thrown), replay: false, rateLimited: false };
  }
  if (!(thrown instanceof Stripe.errors.StripeError)) {
    // Not an answer and not the network: a fault of ours. Its message may quote what was sent.
    const name = thrown instanceof Error ? thrown.name : typeof thrown;
    const error = new CostplusError('internal', `The call "${call}" to Stripe failed inside costplus (${name}).`);
    return { error, outcomeUnknown: true, replay: false, rateLimited: false };
  }
  if (thrown instanceof Stripe.errors.StripeConnectionError) {
    const code = networkCode(thrown);
    return unavailable(`The call "${call}" got no answer from Stripe (${code}).`, {
      outcomeUnknown: code !== 'ECONNREFUSED' && code !== 'ENOTFOUND',
      replay: true,
      rateLimited: false,
    });
  }
  const status = thrown.statusCode ?? 0;
  const said = headerOf(thrown, 'stripe-should-retry');
  const facts = [
    `HTTP ${status}`,
    thrown.rawType,
    thrown.code,
    thrown.param === undefined ? undefined : `parameter ${thrown.param}`,
    thrown.requestId === undefined ? undefined : `request ${thrown.requestId}`,
  ].filter((fact) => fact !== undefined && fact !== '');
  const answered = `Stripe answered the call "${call}" with ${facts.join(', ')}.`;
  const rateLimited = thrown instanceof Stripe.errors.StripeRateLimitError;
  const conflict = status === 409;
  // No status: an answer that was not JSON.
  const broken = status >= 500 || status === 0;
  if (rateLimited || conflict || broken || said === 'true') {
    const asked = Number(headerOf(thrown, 'retry-after'));
    return unavailable(
      answered,
      { outcomeUnknown: broken || conflict, replay: said !== 'false', rateLimited },
      Number.isFinite(asked) && asked > 0 ? asked : rateLimited ? DEFAULT_WAIT_SECONDS : undefined,
    );
  }
  const extra = { stripe_status: status, stripe_code: codeOf(thrown) };
  const error = new CostplusError('stripe_refused', answered, { extra });
  return { error, outcomeUnknown: false, replay: false, rateLimited: false };
}

function unavailable(
  detail: string,
  kind: Omit<StripeFailure, 'error'>,
  retryAfterSeconds?: number | undefined,
): StripeFailure {
  const error = new CostplusError('stripe_unavailable', detail, {
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    extra: { outcome_unknown: kind.outcomeUnknown },
  });
  return { error, ...kind };
}

/** Whether the call behind an error may have taken effect. */
export function isOutcomeUnknown(error: unknown): boolean {
  return error instanceof CostplusError && error.extra.outcome_unknown === true;
}

/** Whether Stripe says that the object is not there. */
export function isMissing(error: unknown): boolean {
  return error instanceof CostplusError && error.code === 'stripe_refused' && error.extra.stripe_status === 404;
}

/** Stripe's code; a known identifier of a meter event is told by the message alone. */
function codeOf(error: Stripe.errors.StripeError): string {
  if (/already exists with identifier/.test(error.message)) return DUPLICATE_METER_EVENT;
  return error.code ?? error.rawType ?? 'unknown';
}

const DUPLICATE_METER_EVENT = 'duplicate_meter_event';

/** Whether Stripe has a meter event with this identifier already. */
export function isDuplicateMeterEvent(error: unknown): boolean {
  return isRefused(error) && error.extra.stripe_code === DUPLICATE_METER_EVENT;
}

/** Whether Stripe refused the call because an object that it names, a customer for example, does not exist (any more). */
export function isMissingReference(error: unknown): boolean {
  return isRefused(error) && error.extra.stripe_code === 'resource_missing';
}

/** Whether Stripe refused the call for good; nothing took effect. */
export function isRefused(error: unknown): error is CostplusError {
  return error instanceof CostplusError && error.code === 'stripe_refused';
}

function headerOf(error: Stripe.errors.StripeError, name: string): string | undefined {
  return (error.headers as Record<string, string> | undefined)?.[name];
}

function networkCode(error: Stripe.errors.StripeError): string {
  const detail = error.detail as unknown;
  const code = typeof detail === 'object' && detail !== null ? (detail as { code?: unknown }).code : undefined;
  return typeof code === 'string' && /^[A-Z_]{1,40}$/.test(code) ? code : 'connection lost';
}
