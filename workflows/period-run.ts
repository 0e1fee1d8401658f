import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import { setCurrentDetails, upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import {
  type BillingPeriodInput,
  type CarriedState,
  type PeriodState,
  SEARCH_STATUS,
  type StatusAnswer,
  type UsageBatch,
  type UsageSignal,
} from '../src/contracts/engine.js';
import type { PeriodStatus, TimelineEntry, Totals } from '../src/contracts/period.js';
import type { EventResult } from '../src/contracts/usage-event.js';
import { SIGNAL_BATCHES_PER_RUN_COUNT, SUBMISSION_LAST_MINUTES, TIMELINE_ENTRIES_COUNT } from '../src/limits.js';

const STATUS_KEY = defineSearchAttributeKey(SEARCH_STATUS, SearchAttributeType.KEYWORD);

/** What one run of a billing period remembers. Postgres has all of it: this serves queries and decides what to do next. */
export class PeriodRun {
  status: PeriodStatus = 'open';
  statusReason: string | null = null;
  sealsAtMs: number | null = null;
  retryForMs = 0;
  remindAtMs: number | null = null;
  /** The period that has to be composed before this one is sealed; null where none has. */
  waitsFor: string | null = null;
  totals: Totals | null = null;
  catalogVersion = 0;
  timeline: TimelineEntry[];
  batchResults: Record<string, EventResult[]>;
  /** Batches taken since this run began; they stand in history, so that their number ends a run. */
  batchesTaken = 0;
  #batches: UsageBatch[] = [];
  #statusVersion = -1;
  #nudged = false;
  #newestCatalog = 0;
  /** Until when the submission under way is tried; kept over continue-as-new. */
  #submitUntilMs: number | null;
  readonly #input: BillingPeriodInput;

  constructor(input: BillingPeriodInput) {
    this.#input = input;
    this.timeline = input.carried?.timeline ?? [];
    this.batchResults = input.carried?.batch_results ?? {};
    this.#submitUntilMs = input.carried?.submit_until_ms ?? null;
  }

  /** Anybody who reaches the engine can signal anything: what can be neither acted on nor answered is noted. */
  take(signal: UsageSignal | null | undefined): void {
    if (signal?.kind === 'batch' && typeof signal.batch_id === 'string') this.#batches.push(signal);
    else if (signal?.kind !== 'nudge') this.note('signal_refused');
    else {
      this.#nudged = true;
      this.#newestCatalog = Math.max(this.#newestCatalog, signal.catalog_version);
    }
  }

  get hasBatches(): boolean {
    return this.#batches.length > 0;
  }

  get waiting(): boolean {
    return this.#nudged || this.hasBatches;
  }

  nextBatch(): UsageBatch | undefined {
    const batch = this.#batches.shift();
    if (batch) this.batchesTaken++;
    return batch;
  }

  /** All nudges so far become one: pricing covers whatever is settled when it runs. */
  takeNudge(): { catalogMoved: boolean } | null {
    if (!this.#nudged) return null;
    this.#nudged = false;
    return { catalogMoved: this.#newestCatalog > this.catalogVersion };
  }

  /** Takes over what an activity read or did; search attributes are written only when the status changes. */
  update(state: PeriodState): void {
    this.sealsAtMs = state.seals_at_ms;
    this.retryForMs = state.retry_for_ms;
    this.remindAtMs = state.remind_at_ms ?? null;
    this.waitsFor = state.waits_for ?? null;
    this.totals = state.totals;
    this.setStatus(state, state.status_reason);
  }

  /** Activities overlap with commands: an answer that was read before a change of status does not undo it. */
  setStatus({ status, status_version }: Pick<PeriodState, 'status' | 'status_version'>, reason: string | null): void {
    if (status_version < this.#statusVersion) return;
    this.#statusVersion = status_version;
    const changed = status !== this.status;
    this.status = status;
    this.statusReason = reason;
    if (status !== 'submitting') this.#submitUntilMs = null;
    if (changed) {
      this.note(status, reason === null ? {} : { reason });
      upsertSearchAttributes([{ key: STATUS_KEY, value: status }]);
    }
    this.show();
  }

  /** How long submission is tried from now on: what is left of the time since it began, however many runs ago. */
  submissionTimeMs(nowMs: number): number {
    this.#submitUntilMs ??= nowMs + this.retryForMs;
    return Math.max(this.#submitUntilMs - nowMs, SUBMISSION_LAST_MINUTES * 60_000);
  }

  /** One line for Temporal's UI: what the period is doing, without names or secrets. */
  show(): void {
    const totals = this.totals
      ? `${this.totals.events} events, charge ${this.totals.charge} ${this.totals.currency}`
      : 'nothing priced yet';
    setCurrentDetails(`**${this.status}**${this.statusReason === null ? '' : ` (${this.statusReason})`}: ${totals}`);
  }

  note(kind: string, detail: Record<string, unknown> = {}): void {
    this.timeline.push({ at: new Date().toISOString(), kind, detail });
    if (this.timeline.length > TIMELINE_ENTRIES_COUNT)
      this.timeline.splice(0, this.timeline.length - TIMELINE_ENTRIES_COUNT);
  }

  keepResults(batchId: string, results: EventResult[]): void {
    this.batchResults[batchId] = results;
    const ids = Object.keys(this.batchResults);
    if (ids.length > SIGNAL_BATCHES_PER_RUN_COUNT) delete this.batchResults[ids[0]!];
  }

  /** Whether history has grown enough for a new run. */
  get shouldContinueAsNew(): boolean {
    const info = workflowInfo();
    const threshold = this.#input.continue_after_events;
    return (
      info.continueAsNewSuggested ||
      this.batchesTaken >= SIGNAL_BATCHES_PER_RUN_COUNT ||
      (threshold !== undefined && info.historyLength >= threshold)
    );
  }

  /** The next run's input: the answers to queries; everything else is loaded from Postgres. */
  get continued(): BillingPeriodInput {
    const carried: CarriedState = { timeline: this.timeline, batch_results: this.batchResults };
    if (this.#submitUntilMs !== null) carried.submit_until_ms = this.#submitUntilMs;
    return { ...this.#input, carried };
  }

  get answer(): StatusAnswer {
    return {
      customer_id: this.#input.customer_id,
      start_date: this.#input.start_date,
      status: this.status,
      status_reason: this.statusReason,
      seals_at: this.sealsAtMs === null ? null : new Date(this.sealsAtMs).toISOString(),
      totals: this.totals,
    };
  }
}
