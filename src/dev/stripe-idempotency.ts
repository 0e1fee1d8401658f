import { STRIPE_IDEMPOTENCY_HOURS } from '../limits.js';
import { type Answer, errorAnswer } from './stripe-answer.js';
import type { StandInStore } from './stripe-stand-in-store.js';

export interface SavedAnswer {
  /** Method, path and body of the first use. */
  request: string;
  status: number;
  body: string;
  saved_at_ms: number;
}

/**
 * Idempotency keys as Stripe keeps them: status and body are saved once an endpoint began to execute, 500s and executed
 * 400s included; refused parameters, conflicts, 429 and 401 are not; a key is forgotten after 24 hours.
 */
export class IdempotencyKeys {
  readonly #store: StandInStore;
  readonly #now: () => number;
  readonly #executing = new Set<string>();

  constructor(store: StandInStore, nowMs: () => number) {
    this.#store = store;
    this.#now = nowMs;
  }

  /** The answer that the key alone decides (replayed, other parameters, in use), or null: the request is new. */
  answer(key: string, request: string): Answer | null {
    if (this.#executing.has(key)) {
      return errorAnswer(409, {
        type: 'idempotency_error',
        code: 'idempotency_key_in_use',
        message: 'There is currently another in-progress request using this idempotency key.',
      });
    }
    const saved = this.#store.get('idempotency', key);
    if (!saved) return null;
    if (this.#now() - saved.saved_at_ms >= STRIPE_IDEMPOTENCY_HOURS * 3_600_000) {
      this.#store.delete('idempotency', key);
      return null;
    }
    if (saved.request !== request) {
      return errorAnswer(400, {
        type: 'idempotency_error',
        message: 'Keys for idempotent requests can only be used with the same parameters they were first used with.',
      });
    }
    return { status: saved.status, body: saved.body, headers: { 'idempotent-replayed': 'true' } };
  }

  /** Prunes all keys. */
  forget(): void {
    for (const key of this.#store.ids('idempotency')) this.#store.delete('idempotency', key);
  }

  /** Marks the key as in use while its first request executes. */
  begin(key: string): void {
    this.#executing.add(key);
  }

  end(key: string): void {
    this.#executing.delete(key);
  }

  save(key: string, request: string, answer: Answer): void {
    this.#store.put('idempotency', key, {
      request,
      status: answer.status,
      body: answer.body,
      saved_at_ms: this.#now(),
    });
  }
}
