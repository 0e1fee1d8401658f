import type { EventResult } from '../contracts/event-result.js';

/** Keeping events on disk until the server has acknowledged them. */
export interface SpoolOptions {
  /** Made where it is missing. Several processes and hosts may share it; each writes its own folder inside. */
  directory: string;
  /**
   * When events are synced to the disk. They are always written before `report` returns, which a crash or a SIGKILL of
   * the process survives. `window` (default) also syncs once a window: a power failure loses at most the last one.
   * `never` leaves it to the operating system.
   */
  fsync?: 'window' | 'never';
  /** Bytes of this reporter's segments (default 1 GiB). Beyond it events wait in memory, then they are dropped. */
  maxBytes?: number;
}

/** What became of one event, as a callback is told. */
export interface EventOutcome {
  event_id: string | null;
  customer_id: string | null;
  result: EventResult;
}

/** Events that will not be sent: they stand nowhere else, so whoever is told must keep what matters. */
export interface DroppedEvents {
  reason: 'queue_full' | 'closed' | 'unsent_at_close' | 'refused';
  /** Each as the line of JSON that would have been sent. */
  events: string[];
  /** Where the events of a refused request were set aside; only with a spool. */
  kept_at?: string;
}

export interface ReporterOptions {
  /** Where costplus answers, `https://costplus.internal`; a path is kept. */
  url: string;
  /** An API key with the role `service`. */
  apiKey: string;
  /** The id of the source, shown in the user agent. The server knows the source by the key. */
  source?: string;
  /** The source's signing secret, `whsec_...`: every request is signed by Standard Webhooks. */
  secret?: string;
  /** Also sign each event, so that it can be proved later that it was not altered. Needs `secret`. */
  signEvents?: boolean;
  /** How long events gather (default 1,000 ms). */
  windowMs?: number;
  /** Events of one request (default and at most 1,000). */
  maxBatchEvents?: number;
  /** Events and bytes that may wait in memory. */
  maxQueueEvents?: number;
  maxQueueBytes?: number;
  requestTimeoutMs?: number;
  spool?: SpoolOptions;
  /** Flush when the process ends by itself, by SIGTERM or by SIGINT (default false). */
  flushOnExit?: boolean;
  /** Every result, whatever its status. */
  onResult?: (outcome: EventOutcome) => void;
  /** Refused by the check before sending or by the server: it will never be billed. */
  onRejected?: (outcome: EventOutcome) => void;
  /** The id was taken by an event with another payload: this one is not billed. */
  onConflict?: (outcome: EventOutcome) => void;
  /** Kept, and not billable until somebody resolves it (unknown model, no price, unknown customer). */
  onHeld?: (outcome: EventOutcome) => void;
  onDrop?: (dropped: DroppedEvents) => void;
  /** What went wrong beside: an attempt that failed, a disk that refuses, a callback that threw. */
  onError?: (error: Error) => void;
}

/** Counters since the reporter was made. `reported = acknowledged + rejected_here + dropped + handed_over + waiting`. */
export interface ReporterStats {
  reported: number;
  /** Events with a result of the server. */
  acknowledged: number;
  results: Record<EventResult['status'], number>;
  /** Refused before sending. */
  rejected_here: number;
  dropped: number;
  /** Sent by this reporter although another process had reported them: left by one that died. */
  recovered: number;
  /** Events of this reporter without a result, in memory and on disk. */
  waiting: number;
  /** Events of this reporter that another process sends, because it took this one for dead. */
  handed_over: number;
  failed_attempts: number;
}
