import Stripe from 'stripe';
import { newId } from './stripe-objects.js';
import type { StandInStore } from './stripe-stand-in-store.js';

/** Waits between deliveries of one event: Stripe goes on for days, a test or a restart of the receiver takes seconds. */
const RETRY_MILLISECONDS = [50, 200, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 60_000, 60_000];
const DELIVERY_TIMEOUT_MILLISECONDS = 10_000;
/** Deliveries under way at one time. */
const DELIVERIES_COUNT = 8;

/**
 * Delivers events to the webhook endpoint, signed by the stripe package's own signer, again until it answers 2xx.
 * Events wait in the store, so that they survive a restart of the stand-in.
 */
export class WebhookSender {
  readonly #store: StandInStore;
  readonly #target: { url: string; secret: string } | null;
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #waiting: string[] = [];
  readonly #stop = new AbortController();
  #sending = 0;

  constructor(store: StandInStore, target: { url: string; secret: string } | null) {
    this.#store = store;
    this.#target = target;
    if (target !== null) for (const event of store.values('events')) this.#schedule(event.id, 0);
  }

  /** Takes an event up; it is delivered after the request that caused it is committed. */
  emit(type: string, object: object, nowMs: number): void {
    if (this.#target === null) return;
    const id = newId('evt');
    const body = JSON.stringify({
      id,
      object: 'event',
      api_version: Stripe.API_VERSION,
      created: Math.floor(nowMs / 1_000),
      data: { object },
      livemode: false,
      pending_webhooks: 1,
      request: { id: null, idempotency_key: null },
      type,
    });
    this.deliver(id, body);
  }

  /** Takes up a delivery that is worded already. */
  deliver(id: string, body: string): void {
    if (this.#target === null) return;
    this.#store.put('events', id, { id, body, attempts: 0 });
    this.#schedule(id, 0);
  }

  close(): void {
    this.#stop.abort();
    for (const timer of this.#timers) clearTimeout(timer);
  }

  #schedule(id: string, delayMs: number): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#waiting.push(id);
      this.#next();
    }, delayMs);
    timer.unref();
    this.#timers.add(timer);
  }

  #next(): void {
    while (this.#sending < DELIVERIES_COUNT && this.#waiting.length > 0) {
      const id = this.#waiting.shift()!;
      this.#sending++;
      void this.#deliver(id).finally(() => {
        this.#sending--;
        this.#next();
      });
    }
  }

  async #deliver(id: string): Promise<void> {
    const event = this.#store.get('events', id);
    if (!event || this.#target === null || this.#stop.signal.aborted) return;
    const { url, secret } = this.#target;
    let delivered = false;
    try {
      const answer = await fetch(url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json; charset=utf-8',
          'stripe-signature': Stripe.webhooks.generateTestHeaderString({ payload: event.body, secret }),
        },
        body: event.body,
        signal: AbortSignal.any([this.#stop.signal, AbortSignal.timeout(DELIVERY_TIMEOUT_MILLISECONDS)]),
      });
      await answer.arrayBuffer();
      delivered = answer.ok;
    } catch {
      // Not reachable: delivered again below.
    }
    if (this.#stop.signal.aborted) return;
    const delay = RETRY_MILLISECONDS[event.attempts];
    if (delivered || delay === undefined) this.#store.delete('events', id);
    else {
      this.#store.put('events', id, { ...event, attempts: event.attempts + 1 });
      this.#schedule(id, delay);
    }
    this.#store.commit();
  }
}
