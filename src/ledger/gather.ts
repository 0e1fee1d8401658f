import type { EventResult } from '../contracts/usage-event.js';
import { isDatabaseAway } from '../database/failures.js';
import { CostplusError } from '../errors/error.js';
import {
  APPEND_QUEUE_EVENTS_COUNT,
  CHUNK_EVENTS_COUNT,
  CHUNK_GATHER_MILLISECONDS,
  CHUNKS_IN_FLIGHT_COUNT,
} from '../limits.js';
import type { AppendItem } from './append-chunk.js';

interface Waiting {
  items: AppendItem[];
  since: number;
  resolve: (results: EventResult[]) => void;
  reject: (error: unknown) => void;
}

/** Commits events in one transaction; answers in their order. */
export type Commit = (items: readonly AppendItem[]) => Promise<EventResult[]>;

/**
 * Gathers requests into shared commits: a chunk leaves when a connection is free and it is full or its first request has
 * waited CHUNK_GATHER_MILLISECONDS. Under load chunks grow by themselves, since requests queue while commits are under
 * way. A request is never split.
 */
export class Gatherer {
  readonly #commit: Commit;
  readonly #queue: Waiting[] = [];
  #queuedEvents = 0;
  #inFlight = 0;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;
  #idle: (() => void)[] = [];

  constructor(commit: Commit) {
    this.#commit = commit;
  }

  /**
   * Resolves after the commit. Throws `too_busy` when too much waits already, `shutting_down` after `close`, and
   * `database_unavailable` when the commit's outcome is not known: sending the same events again is always safe.
   */
  submit(items: AppendItem[]): Promise<EventResult[]> {
    if (this.#closed) {
      return Promise.reject(new CostplusError('shutting_down', 'The server stops; send the events to another one.'));
    }
    if (this.#queuedEvents + items.length > APPEND_QUEUE_EVENTS_COUNT) {
      const detail = `${this.#queuedEvents} events wait for their commit; send these again later.`;
      return Promise.reject(new CostplusError('too_busy', detail, { retryAfterSeconds: 1 }));
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ items, since: performance.now(), resolve, reject });
      this.#queuedEvents += items.length;
      this.#pump();
    });
  }

  /** Refuses what comes, and waits until everything that was taken has its answer. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#pump();
    if (this.#inFlight > 0 || this.#queue.length > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #pump(): void {
    while (this.#inFlight < CHUNKS_IN_FLIGHT_COUNT) {
      const first = this.#queue[0];
      if (!first) {
        if (this.#inFlight === 0) for (const resolve of this.#idle.splice(0)) resolve();
        return;
      }
      const waitMs = first.since + CHUNK_GATHER_MILLISECONDS - performance.now();
      if (this.#queuedEvents < CHUNK_EVENTS_COUNT && waitMs > 0 && !this.#closed) {
        this.#timer ??= setTimeout(() => {
          this.#timer = null;
          this.#pump();
        }, waitMs);
        return;
      }
      void this.#run(this.#cut());
    }
  }

  /** Takes whole requests from the front while they fit. */
  #cut(): Waiting[] {
    let events = 0;
    let count = 0;
    while (count < this.#queue.length) {
      const { length } = this.#queue[count]!.items;
      if (count > 0 && events + length > CHUNK_EVENTS_COUNT) break;
      events += length;
      count++;
    }
    this.#queuedEvents -= events;
    return this.#queue.splice(0, count);
  }

  async #run(requests: Waiting[]): Promise<void> {
    this.#inFlight++;
    try {
      await this.#answer(requests);
    } finally {
      this.#inFlight--;
      this.#pump();
    }
  }

  /** Commits the requests together; where that fails for what one of them holds, each one alone. */
  async #answer(requests: Waiting[]): Promise<void> {
    try {
      const results = await this.#commit(requests.flatMap(({ items }) => items));
      let from = 0;
      for (const { items, resolve } of requests) {
        resolve(results.slice(from, from + items.length));
        from += items.length;
      }
    } catch (error) {
      if (requests.length === 1 || isDatabaseAway(error)) for (const { reject } of requests) reject(error);
      else for (const request of requests) await this.#answer([request]);
    }
  }
}
