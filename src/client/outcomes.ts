import type { EventResult } from '../contracts/event-result.js';
import type { UsageEventInput } from './event-input.js';
import type { DroppedEvents, EventOutcome, ReporterOptions, ReporterStats } from './reporter-options.js';

type Callbacks = Pick<ReporterOptions, 'onResult' | 'onRejected' | 'onConflict' | 'onHeld' | 'onDrop' | 'onError'>;

/** What became of the events of one reporter: counts it and tells the service's callbacks, none of which can harm it. */
export class Outcomes {
  readonly #callbacks: Callbacks;
  readonly #warned = new Set<string>();
  readonly #counts: Omit<ReporterStats, 'waiting'> = {
    reported: 0,
    acknowledged: 0,
    results: { accepted: 0, duplicate: 0, held: 0, late: 0, conflict: 0, rejected: 0 },
    rejected_here: 0,
    dropped: 0,
    recovered: 0,
    handed_over: 0,
    failed_attempts: 0,
  };

  constructor(callbacks: Callbacks) {
    this.#callbacks = callbacks;
  }

  /** A copy of the counters. */
  get stats(): ReporterStats {
    const { reported, acknowledged, rejected_here, dropped, handed_over } = this.#counts;
    const waiting = reported - acknowledged - rejected_here - dropped - handed_over;
    return { ...this.#counts, results: { ...this.#counts.results }, waiting };
  }

  reported(): void {
    this.#counts.reported++;
  }

  /** The first `own` lines were reported here, the others by a reporter that died. */
  acknowledged(lines: readonly string[], own: number, results: readonly EventResult[]): void {
    this.#counts.acknowledged += own;
    this.#counts.recovered += lines.length - own;
    for (let i = 0; i < lines.length; i++) this.#acknowledgedOne(lines[i]!, results[i]!);
  }

  #acknowledgedOne(line: string, result: EventResult): void {
    this.#counts.results[result.status]++;
    const { onResult, onConflict, onRejected, onHeld } = this.#callbacks;
    let special: ((outcome: EventOutcome) => void) | undefined;
    if (result.status === 'held') special = onHeld;
    else if (result.status === 'conflict') {
      special = onConflict ?? (() => this.#warn('conflict', 'an event id was taken by another event'));
    } else if (result.status === 'rejected') {
      special = onRejected ?? (() => this.#warn('rejected', `an event was rejected: ${result.field ?? result.reason}`));
    }
    if (!onResult && !special) return;
    const { event_id, customer_id } = JSON.parse(line) as { event_id: string; customer_id: string };
    this.#tell(onResult, { event_id, customer_id, result });
    this.#tell(special, { event_id, customer_id, result });
  }

  /** An event was refused before it was sent. Callbacks run after the caller: they must not delay the model call. */
  rejectedHere(
    event_id: string,
    customer_id: UsageEventInput['customer_id'] | undefined,
    fault: { field: string; reason: string },
  ): void {
    this.#counts.rejected_here++;
    const result: EventResult = {
      event_id,
      status: 'rejected',
      reason: 'invalid_event',
      detail: fault.reason,
      field: fault.field,
    };
    const outcome = { event_id, customer_id: typeof customer_id === 'string' ? customer_id : null, result };
    const { onResult, onRejected } = this.#callbacks;
    if (!onRejected) this.#warn('rejected', `an event was rejected: ${fault.field} ${fault.reason}`);
    queueMicrotask(() => {
      this.#tell(onResult, outcome);
      this.#tell(onRejected, outcome);
    });
  }

  /** Events will not be sent; `own` of them were reported here. */
  dropped(dropped: DroppedEvents, own: number = dropped.events.length): void {
    this.#counts.dropped += own;
    const { onDrop } = this.#callbacks;
    if (!onDrop) this.#warn(dropped.reason, `usage events were dropped: ${dropped.reason}`);
    else queueMicrotask(() => this.#tell(onDrop, dropped));
  }

  /** Another process sends so many events of this reporter now; negative where they were acknowledged all the same. */
  handedOver(events: number): void {
    this.#counts.handed_over += events;
  }

  failedAttempt(error: Error): void {
    this.#counts.failed_attempts++;
    this.failed(error);
  }

  failed(error: unknown): void {
    try {
      this.#callbacks.onError?.(error instanceof Error ? error : new Error(String(error)));
    } catch {
      // Nobody is left to be told.
    }
  }

  #tell<T>(callback: ((value: T) => void) | undefined, value: T): void {
    try {
      callback?.(value);
    } catch (error) {
      this.failed(error);
    }
  }

  /** Where no callback listens, the process says it once of each kind: nothing is lost in silence. */
  #warn(kind: string, message: string): void {
    if (this.#warned.has(kind)) return;
    this.#warned.add(kind);
    process.emitWarning(message, 'CostplusWarning');
  }
}
