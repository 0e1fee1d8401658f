import {
  CLIENT_BATCH_BYTES,
  CLIENT_CLOSE_MILLISECONDS,
  CLIENT_QUEUE_BYTES,
  CLIENT_QUEUE_EVENTS_COUNT,
  CLIENT_REQUEST_TIMEOUT_MILLISECONDS,
  CLIENT_SPOOL_BYTES,
  CLIENT_WINDOW_MILLISECONDS,
  EVENTS_PER_REQUEST_COUNT,
} from '../limits.js';
import { checkedKey, checkedSpool } from './check-options.js';
import { deliver } from './delivery.js';
import { newId } from './event-id.js';
import { prepareEvent, type UsageEventInput } from './event-input.js';
import { EventQueue, takeBatch } from './event-queue.js';
import { FlushWaiters } from './flush-waiters.js';
import { Outcomes } from './outcomes.js';
import { flushOnExit } from './process-hooks.js';
import type { ReporterOptions, ReporterStats, SpoolOptions } from './reporter-options.js';
import { Sender } from './sender.js';
import { type Segment, Spool } from './spool.js';

/**
 * Reports usage events in the background. `report` never waits and never throws: what a model call costs must not
 * become what a model call fails of. Made by `createReporter`.
 */
export class Reporter {
  readonly #windowMs: number;
  readonly #maxBatchEvents: number;
  readonly #sender: Sender;
  readonly #eventKey: Buffer | null;
  readonly #queue: EventQueue;
  readonly #spool: Spool | null;
  readonly #outcomes: Outcomes;
  readonly #unhook: (() => void) | null;
  readonly #waiters = new FlushWaiters();
  readonly #stop = new AbortController();
  #timer: NodeJS.Timeout | null = null;
  /** The window is over: also what does not fill a batch is to be sent. */
  #due = false;
  #soon = false;
  #sending: Promise<void> | null = null;
  #closing: Promise<ReporterStats> | null = null;

  constructor(options: ReporterOptions) {
    const key = checkedKey(options);
    this.#eventKey = options.signEvents ? key : null;
    this.#windowMs = options.windowMs ?? CLIENT_WINDOW_MILLISECONDS;
    this.#maxBatchEvents = Math.min(options.maxBatchEvents ?? EVENTS_PER_REQUEST_COUNT, EVENTS_PER_REQUEST_COUNT);
    this.#outcomes = new Outcomes(options);
    this.#sender = new Sender({
      url: options.url,
      apiKey: options.apiKey,
      source: options.source ?? null,
      secret: options.secret ?? null,
      timeoutMs: options.requestTimeoutMs ?? CLIENT_REQUEST_TIMEOUT_MILLISECONDS,
    });
    this.#queue = new EventQueue(
      options.maxQueueEvents ?? CLIENT_QUEUE_EVENTS_COUNT,
      options.maxQueueBytes ?? CLIENT_QUEUE_BYTES,
    );
    this.#spool = options.spool ? checkedSpool(() => this.#openSpool(options.spool!)) : null;
    this.#unhook = options.flushOnExit ? flushOnExit(this) : null;
    this.#sendSoon();
  }

  /**
   * Takes an event and returns its id. With a spool it is on the disk (not synced) when this returns. What cannot be
   * taken is told to `onRejected` (the event is not valid) or `onDrop` (no room, or the reporter is closed).
   */
  report(input: UsageEventInput): string {
    this.#outcomes.reported();
    let event_id = newId('evt');
    try {
      const prepared = prepareEvent({ ...input, event_id: input.event_id ?? event_id }, this.#eventKey);
      event_id = prepared.event_id ?? event_id;
      if ('rejected' in prepared) this.#outcomes.rejectedHere(event_id, input.customer_id, prepared.rejected);
      else this.#take(prepared.text);
    } catch (error) {
      this.#outcomes.rejectedHere(event_id, undefined, { field: 'event', reason: 'cannot be read' });
      this.#outcomes.failed(error);
    }
    return event_id;
  }

  /**
   * Sends what was reported until now without waiting for the window. True when each of those events has its result;
   * false when that did not come about within `timeoutMs`. Unsent events go on being sent all the same.
   */
  async flush(timeoutMs: number = CLIENT_CLOSE_MILLISECONDS): Promise<boolean> {
    this.#spool?.seal();
    const segments = this.#spool?.sealed.filter(({ own }) => own > 0).length ?? 0;
    const done = this.#waiters.wait(segments, timeoutMs);
    this.#send();
    return done;
  }

  /**
   * Sends what it has for at most `timeoutMs`, and stops. Events reported meanwhile are still taken. What is then
   * unsent stays in the spool for the next reporter that opens its directory; without a spool `onDrop` is given it.
   * Returns the last counters.
   */
  close(timeoutMs: number = CLIENT_CLOSE_MILLISECONDS): Promise<ReporterStats> {
    this.#closing ??= this.#close(timeoutMs);
    return this.#closing;
  }

  /** A copy of the counters. */
  get stats(): ReporterStats {
    return this.#outcomes.stats;
  }

  async #close(timeoutMs: number): Promise<ReporterStats> {
    await this.flush(timeoutMs);
    this.#stop.abort();
    if (this.#timer) clearTimeout(this.#timer);
    await this.#sending;
    const unsent = this.#queue.peek(this.#queue.length, Number.POSITIVE_INFINITY);
    this.#queue.remove(unsent.length);
    const lost = unsent.filter((line) => !this.#spool?.append(line));
    this.#spool?.close();
    if (lost.length > 0) this.#outcomes.dropped({ reason: 'unsent_at_close', events: lost });
    this.#unhook?.();
    return this.stats;
  }

  #openSpool(spool: SpoolOptions): Spool {
    return new Spool({
      directory: spool.directory,
      fsync: spool.fsync ?? 'window',
      windowMs: this.#windowMs,
      maxBytes: spool.maxBytes ?? CLIENT_SPOOL_BYTES,
      segmentEvents: this.#maxBatchEvents,
      segmentBytes: CLIENT_BATCH_BYTES,
      onError: (error) => this.#outcomes.failed(error),
      onHandedOver: (events) => {
        this.#outcomes.handedOver(events);
        this.#waiters.handedOver();
      },
      onRecovered: () => this.#sendSoon(),
    });
  }

  #take(line: string): void {
    if (this.#stop.signal.aborted) {
      this.#outcomes.dropped({ reason: 'closed', events: [line] });
      return;
    }
    if (!this.#spool?.append(line)) {
      if (!this.#queue.push(line)) {
        this.#outcomes.dropped({ reason: 'queue_full', events: [line] });
        return;
      }
      this.#waiters.took();
    }
    if (this.#queue.length >= this.#maxBatchEvents || this.#sealed > 0) this.#sendSoon();
    else this.#armWindow();
  }

  /** Segments and events of the spool that are to be sent; 0 without a spool. */
  get #sealed(): number {
    return this.#spool?.sealed.length ?? 0;
  }
  get #active(): number {
    return this.#spool?.activeEvents ?? 0;
  }

  #armWindow(): void {
    if (this.#timer || this.#sending || this.#stop.signal.aborted) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#due = true;
      this.#send();
    }, this.#windowMs);
    // What is nowhere but in memory keeps the process alive, unless its end is hooked; what is on disk need not.
    if (this.#queue.length === 0 || this.#unhook) this.#timer.unref();
  }

  /** After the caller's own work. */
  #sendSoon(): void {
    if (this.#sending || this.#soon) return;
    this.#soon = true;
    setImmediate(() => {
      this.#soon = false;
      this.#send();
    });
  }

  #send(): void {
    if (this.#sending || this.#stop.signal.aborted) return;
    this.#sending = this.#sendAll()
      .catch((error: unknown) => this.#outcomes.failed(error))
      .finally(() => {
        this.#sending = null;
        if (this.#queue.length + this.#active + this.#sealed > 0) this.#armWindow();
      });
  }

  /** Sends batch after batch while there is a full one, or any one and the window is over. */
  async #sendAll(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const due = this.#due || this.#waiters.any;
      const segment = this.#spool?.sealed[0];
      if (this.#queue.length > 0 && (due || this.#queue.length >= this.#maxBatchEvents)) await this.#sendQueued();
      else if (this.#spool && segment) await this.#sendSegment(this.#spool, segment);
      else if (this.#active > 0 && due) this.#spool?.seal();
      else break;
    }
    this.#due = false;
  }

  async #sendQueued(): Promise<void> {
    const lines = this.#queue.peek(this.#maxBatchEvents, CLIENT_BATCH_BYTES);
    const { gone } = await this.#deliver(lines, lines.length, true);
    this.#queue.remove(gone);
    this.#waiters.sent(gone);
  }

  async #sendSegment(spool: Spool, segment: Segment): Promise<void> {
    const lines = await spool.read(segment);
    for (let at = 0; lines && at < lines.length; ) {
      const batch = takeBatch(lines, at, this.#maxBatchEvents, CLIENT_BATCH_BYTES);
      const { done } = await this.#deliver(batch, segment.own > 0 ? batch.length : 0, false);
      if (!done) return;
      at += batch.length;
    }
    if (!spool.sealed.includes(segment)) {
      // Taken over and counted as such while it was sent: it is acknowledged all the same.
      if (lines) this.#outcomes.handedOver(-segment.own);
      return;
    }
    if (lines) await spool.remove(segment);
    else {
      this.#outcomes.handedOver(segment.own);
      spool.forget(segment);
    }
    this.#waiters.sentSegment(segment.own > 0);
  }

  /** Delivers lines, the first `own` of them reported here. Answers how many have a result, and whether all have. */
  async #deliver(lines: string[], own: number, keepAlive: boolean): Promise<{ gone: number; done: boolean }> {
    let gone = 0;
    const settle = (count: number): number => {
      const mine = Math.max(0, Math.min(count, own - gone));
      gone += count;
      return mine;
    };
    const done = await deliver(this.#sender, lines, {
      stop: this.#stop.signal,
      keepAlive,
      handlers: {
        onAcknowledged: (sent, results) => this.#outcomes.acknowledged(sent, settle(sent.length), results),
        onRefused: (sent, error) => {
          this.#outcomes.failed(error);
          const kept = this.#spool?.setAside(sent) ?? null;
          const dropped = { reason: 'refused' as const, events: [...sent] };
          this.#outcomes.dropped(kept === null ? dropped : { ...dropped, kept_at: kept }, settle(sent.length));
        },
        onFailedAttempt: (error) => this.#outcomes.failedAttempt(error),
      },
    });
    return { gone, done };
  }
}

/**
 * A reporter that sends usage events to costplus in the background. Throws `configuration` for options that cannot work
 * (an URL or a secret of another form, a spool directory that cannot be written): that is found when a service starts.
 */
export function createReporter(options: ReporterOptions): Reporter {
  return new Reporter(options);
}
