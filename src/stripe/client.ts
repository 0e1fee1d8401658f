import { setTimeout as sleep } from 'node:timers/promises';
import Stripe from 'stripe';
import type { Queryable } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import {
  STRIPE_RATE_DEFAULT_PER_SECOND,
  STRIPE_RATE_LIMITED_COUNT,
  STRIPE_REQUEST_TIMEOUT_MILLISECONDS,
} from '../limits.js';
import { accountOf, pauseAccount, takeToken } from './rate-limit.js';
import { toFailure } from './stripe-errors.js';
import type { Notification } from './webhooks.js';

export interface StripeClientOptions {
  secretKey: string;
  /** A Stripe-compatible server instead of Stripe: scheme, host and port. */
  apiBase?: string | undefined;
  /** Holds the account's token bucket. */
  pool: Queryable;
  callsPerSecond?: number;
  timeoutMilliseconds?: number;
  /** Hears of each call when it ends, replays included: `answered`, `rate_limited`, or the code of its error. */
  onCall?: (operation: string, outcome: string, seconds: number) => void;
}

/** Who calls: hears that the call is alive, and can end it. */
export interface Caller {
  heartbeat?: ((detail: unknown) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** How often a caller hears that its call is alive, while it waits for its turn and while it waits for the answer. */
const HEARTBEAT_MILLISECONDS = 2_000;

/**
 * stripe-node with the account's shared rate limit around it and its own retries off: what a failed call means is
 * decided here and by the caller, never by a retry that nobody sees.
 */
export class StripeClient {
  readonly account: string;
  /** A key of a sandbox: there, and only there, customers can be on test clocks. */
  readonly isTestMode: boolean;
  readonly #sdk: Stripe;
  readonly #pool: Queryable;
  readonly #callsPerSecond: number;
  readonly #timeoutMs: number;
  readonly #onCall: StripeClientOptions['onCall'];

  constructor(options: StripeClientOptions) {
    this.account = accountOf(options.secretKey);
    this.isTestMode = /^[rs]k_test_/.test(options.secretKey);
    this.#pool = options.pool;
    this.#callsPerSecond = options.callsPerSecond ?? STRIPE_RATE_DEFAULT_PER_SECOND;
    this.#timeoutMs = options.timeoutMilliseconds ?? STRIPE_REQUEST_TIMEOUT_MILLISECONDS;
    this.#onCall = options.onCall;
    this.#sdk = new Stripe(options.secretKey, {
      apiVersion: Stripe.API_VERSION,
      maxNetworkRetries: 0,
      timeout: this.#timeoutMs,
      telemetry: false,
      ...addressOf(options.apiBase),
    });
  }

  /**
   * Runs one call within the account's rate limit and its deadline. A 429 waits and goes out again with the same key (it
   * was not executed); an outcome that is not known is replayed once with the same key and body. Throws
   * `stripe_unavailable` (retryable; `outcome_unknown` in `extra`) or `stripe_refused` (final; nothing took effect).
   */
  async call<T>(name: string, caller: Caller, send: (sdk: Stripe) => Promise<T>): Promise<T> {
    let limited = 0;
    let replayed = false;
    // Once one try may have taken effect, a 429 to the next does not say that none did.
    let unknown = false;
    for (;;) {
      await this.#wait(name, caller, await takeToken(this.#pool, this.account, this.#callsPerSecond));
      caller.signal?.throwIfAborted();
      caller.heartbeat?.({ stripe: name });
      const alive = setInterval(
        () => caller.heartbeat?.({ stripe: name, waits_for: 'answer' }),
        HEARTBEAT_MILLISECONDS,
      );
      const sentAt = performance.now();
      const report = (outcome: string) => this.#onCall?.(name, outcome, (performance.now() - sentAt) / 1_000);
      try {
        const answer = await this.#withDeadline(name, send(this.#sdk));
        report('answered');
        return answer;
      } catch (thrown) {
        const failure = toFailure(thrown, name);
        report(failure.rateLimited ? 'rate_limited' : failure.error.code);
        unknown ||= failure.outcomeUnknown;
        if (failure.rateLimited) {
          const seconds = failure.error.retryAfterSeconds ?? 1;
          await pauseAccount(this.#pool, this.account, this.#callsPerSecond, seconds);
          limited++;
          if (failure.replay && limited < STRIPE_RATE_LIMITED_COUNT) continue;
        } else if (failure.replay && !replayed) {
          replayed = true;
          continue;
        }
        if (unknown && failure.error.code === 'stripe_unavailable' && !failure.outcomeUnknown) {
          throw new CostplusError('stripe_unavailable', failure.error.message, {
            ...(failure.error.retryAfterSeconds === undefined
              ? {}
              : { retryAfterSeconds: failure.error.retryAfterSeconds }),
            extra: { outcome_unknown: true },
          });
        }
        throw failure.error;
      } finally {
        clearInterval(alive);
      }
    }
  }

  /** A thin event notification of Stripe, verified over the raw bytes. Throws what stripe-node throws where it does not fit. */
  parseNotification(rawBody: Buffer, signature: string, secret: string): Notification {
    const parsed = this.#sdk.parseEventNotification(rawBody, signature, secret);
    // Some events are about no object, some about one that is alone of its kind and has no id.
    const { related_object: about } = parsed as { related_object?: { id?: string; type: string } | null };
    const related_object = about?.id === undefined ? null : { id: about.id, type: about.type };
    return { id: parsed.id, type: parsed.type, related_object };
  }

  async #wait(name: string, caller: Caller, milliseconds: number): Promise<void> {
    for (let left = milliseconds; left > 0 && !caller.signal?.aborted; left -= HEARTBEAT_MILLISECONDS) {
      caller.heartbeat?.({ stripe: name, waits_milliseconds: left });
      const slice = Math.min(left, HEARTBEAT_MILLISECONDS);
      await sleep(slice, undefined, caller.signal ? { signal: caller.signal } : {}).catch(() => undefined);
    }
  }

  /** The SDK's timeout counts idle time only, and it repeats a lost connection by itself: this one counts all of it. */
  async #withDeadline<T>(name: string, sent: Promise<T>): Promise<T> {
    const done = new AbortController();
    const deadline = sleep(this.#timeoutMs + 1_000, undefined, { signal: done.signal }).then(
      () => {
        throw new CostplusError('stripe_unavailable', `The call "${name}" passed its deadline.`, {
          extra: { outcome_unknown: true },
        });
      },
      () => new Promise<never>(() => undefined),
    );
    try {
      return await Promise.race([sent, deadline]);
    } finally {
      done.abort();
    }
  }
}

function addressOf(apiBase: string | undefined): { host?: string; port?: number; protocol?: 'http' | 'https' } {
  if (apiBase === undefined) return {};
  const url = new URL(apiBase);
  if ((url.protocol !== 'http:' && url.protocol !== 'https:') || url.pathname !== '/') {
    throw new CostplusError('configuration', 'STRIPE_API_BASE must be a scheme, a host and a port, without a path.');
  }
  const isHttps = url.protocol === 'https:';
  return {
    protocol: isHttps ? 'https' : 'http',
    host: url.hostname,
    port: url.port === '' ? (isHttps ? 443 : 80) : Number(url.port),
  };
}
