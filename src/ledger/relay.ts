import { setTimeout as sleep } from 'node:timers/promises';
import { currentCatalogVersion } from '../catalog/catalog-store.js';
import type { PeriodRef } from '../contracts/engine.js';
import { lockKey } from '../database/locks.js';
import type { Client, Pool } from '../database/pool.js';
import {
  RELAY_INTERVAL_MILLISECONDS,
  RELAY_LEADER_IDLE_SECONDS,
  RELAY_OVERDUE_REPEAT_SECONDS,
  RELAY_OVERDUE_SECONDS,
  RELAY_REPEAT_SECONDS,
  RELAY_RETRY_SECONDS,
  RELAY_SCAN_SECONDS,
} from '../limits.js';
import { readHorizon } from './horizon.js';
import { placeAllWaiting } from './place-usage.js';
import { effectiveWindowMs, RelayQueue } from './relay-queue.js';
import {
  deletePricedChunks,
  type RelayPeriod,
  readOldestChunkMs,
  readRelayPeriods,
  readSettledChunks,
  readUnopened,
  readUnpriced,
} from './relay-reads.js';

export interface RelayDeps {
  pool: Pool;
  signalsPerSecond: number;
  /** How often the whole level is read; RELAY_SCAN_SECONDS where it is left out. */
  scanSeconds?: number;
  /** Delivers one nudge (signalWithStart); throws when the engine cannot take it. */
  nudge: (period: PeriodRef, horizon: bigint, catalogVersion: number) => Promise<void>;
  log: { info: (fields: object, text: string) => void; warn: (fields: object, text: string) => void };
  /** Hears how many waiting events got their period. */
  onPlaced?: (events: number) => void;
  /** `lag_ms`: how long the oldest committed usage waits: for its nudge, for the horizon, or (as of the last scan) for pricing. */
  onTick?: (state: { lag_ms: number; waiting: number; signals: number }) => void;
}

/** Nudges under way at once: enough to hide the engine's latency, few enough to leave it alone. */
const NUDGES_IN_FLIGHT = 8;

/**
 * Tells workflows that usage of their period is committed and unpriced. Level-triggered: new chunks are read as they
 * settle, and every RELAY_SCAN_SECONDS the whole level is read again, so that a crash between commit and signal, a lost
 * signal or a lost engine lose nothing. Several relays may run: one holds the lock and works, the others stand by.
 */
export class Relay {
  readonly #deps: RelayDeps;
  readonly #stop = new AbortController();
  readonly #queue = new RelayQueue();
  readonly #periods = new Map<number, RelayPeriod>();
  #running: Promise<void> = Promise.resolve();
  #read: bigint | null = null;
  #scannedMs = 0;
  /** Age of the oldest chunk that was not priced at the last scan. */
  #unpricedMs = 0;
  #catalogVersion = 0;
  /** Whether the last sweep of waiting usage left some: the next tick goes on with it. */
  #placesMore = false;
  #credit = 0;
  #creditMs = 0;

  constructor(deps: RelayDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  get #stopped(): boolean {
    return this.#stop.signal.aborted;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      let client: Client | undefined;
      try {
        client = await this.#deps.pool.connect();
        // A process that hangs keeps its connection: the server ends it, so that the lock comes free for another relay.
        await client.query(`SET idle_session_timeout = '${RELAY_LEADER_IDLE_SECONDS}s'`);
        const { rows } = await client.query<{ leader: boolean }>('SELECT pg_try_advisory_lock($1::bigint) AS leader', [
          lockKey('relay'),
        ]);
        if (rows[0]!.leader) await this.#lead(client);
        // Another one leads, and tells the lag.
        else this.#deps.onTick?.({ lag_ms: 0, waiting: 0, signals: 0 });
      } catch (error) {
        this.#deps.log.warn({ err: error }, 'relay: interrupted, starts again');
      } finally {
        // Closing the connection gives the lock back, whatever state it is in.
        client?.release(true);
      }
      // A server that crashed gives transaction ids out again: every chunk that is left is read once more.
      if (this.#read !== null) this.#read = 0n;
      await this.#pause(RELAY_INTERVAL_MILLISECONDS * 4);
    }
  }

  /** Works for as long as this connection, and with it the lock, lives. */
  async #lead(client: Client): Promise<void> {
    this.#deps.log.info({}, 'relay: leads');
    while (!this.#stopped) {
      await this.#tick(client);
      await this.#pause(RELAY_INTERVAL_MILLISECONDS);
    }
  }

  async #tick(client: Client): Promise<void> {
    const now = Date.now();
    const horizon = await readHorizon(client);
    // The scan passes over periods that were nudged just now: what settled since the last tick is read beside it.
    if (this.#read !== null) {
      for (const [periodId, chunk] of await readSettledChunks(client, this.#read, horizon)) {
        this.#queue.mark(periodId, chunk, now);
      }
    }
    if (this.#read === null || now - this.#scannedMs >= (this.#deps.scanSeconds ?? RELAY_SCAN_SECONDS) * 1_000) {
      await this.#scan(client, horizon, now);
    } else if (this.#placesMore) {
      await this.#place();
    }
    for (const periodId of await readUnopened(client)) {
      if (this.#isQuiet(periodId, now, RELAY_REPEAT_SECONDS)) this.#queue.mark(periodId, 0n, now);
    }
    this.#read = horizon;
    const signals = await this.#nudgeDue(client, horizon, now);
    const lagMs = Math.max(this.#queue.lagMs(Date.now()), await readOldestChunkMs(client, horizon), this.#unpricedMs);
    this.#deps.onTick?.({ lag_ms: lagMs, waiting: this.#queue.size, signals });
  }

  async #scan(client: Client, horizon: bigint, now: number): Promise<void> {
    await this.#place();
    // That a version was published is news, also for a period that was nudged just now.
    const newest = await currentCatalogVersion(client);
    const published = newest !== this.#catalogVersion;
    this.#catalogVersion = newest;
    for (const { period_id, chunk, overdue } of await readUnpriced(client, horizon, RELAY_OVERDUE_SECONDS)) {
      const repeatSeconds = overdue ? RELAY_OVERDUE_REPEAT_SECONDS : RELAY_REPEAT_SECONDS;
      if (published || this.#isQuiet(period_id, now, repeatSeconds)) this.#queue.mark(period_id, chunk, now);
    }
    await deletePricedChunks(client, horizon);
    this.#unpricedMs = await readOldestChunkMs(client, 0n);
    this.#queue.forgetBefore(now - 2 * RELAY_OVERDUE_REPEAT_SECONDS * 1_000);
    for (const periodId of this.#periods.keys()) {
      if (this.#queue.lastNudgedMs(periodId) === null) this.#periods.delete(periodId);
    }
    this.#scannedMs = now;
  }

  /** Usage that cannot be placed keeps no nudge from going out. */
  async #place(): Promise<void> {
    try {
      const { placed, more } = await placeAllWaiting(this.#deps.pool);
      this.#placesMore = more;
      if (placed === 0) return;
      this.#deps.onPlaced?.(placed);
      this.#deps.log.info({ placed, more }, 'relay: placed waiting usage');
    } catch (error) {
      this.#placesMore = false;
      this.#deps.log.warn({ err: error }, 'relay: waiting usage is not placed; the next scan tries again');
    }
  }

  async #nudgeDue(client: Client, horizon: bigint, now: number): Promise<number> {
    // A budget that is not used is kept for one second at most.
    this.#credit = Math.min(
      this.#deps.signalsPerSecond,
      this.#credit + ((now - this.#creditMs) / 1_000) * this.#deps.signalsPerSecond,
    );
    this.#creditMs = now;
    const windowOf = (periodId: number) =>
      effectiveWindowMs(this.#periods.get(periodId)?.window_ms ?? 0, this.#queue.size, this.#deps.signalsPerSecond);
    const due = this.#queue.due(now, Math.floor(this.#credit), windowOf);
    if (due.length === 0) return 0;
    const catalogVersion = await currentCatalogVersion(client);
    const names = await readRelayPeriods(
      client,
      due.map(({ periodId }) => periodId),
    );
    for (const [periodId, period] of names) this.#periods.set(periodId, period);
    let sent = 0;
    const failures: unknown[] = [];
    const waiting = [...due];
    const sender = async () => {
      // Where nothing gets through, the engine is away, and the others would only wait for it too.
      while (!this.#stopped && (sent > 0 || failures.length < NUDGES_IN_FLIGHT)) {
        const next = waiting.shift();
        if (!next) return;
        const period = names.get(next.periodId);
        try {
          if (period) await this.#deps.nudge(period, horizon, catalogVersion);
        } catch (error) {
          failures.push(error);
          this.#queue.refused(next.periodId, Date.now() + RELAY_RETRY_SECONDS * 1_000);
          continue;
        }
        this.#queue.nudged(next.periodId, next.chunk, Date.now());
        sent++;
      }
    };
    await Promise.all(Array.from({ length: NUDGES_IN_FLIGHT }, sender));
    this.#credit -= sent + failures.length;
    if (failures.length > 0) {
      this.#deps.log.warn(
        { err: failures[0], failed: failures.length, sent },
        'relay: nudges failed; they are repeated',
      );
    }
    return sent;
  }

  /** One that was nudged just now is being worked on: it is asked again only when that led nowhere. */
  #isQuiet(periodId: number, now: number, seconds: number): boolean {
    const last = this.#queue.lastNudgedMs(periodId);
    return last === null || now - last >= seconds * 1_000;
  }

  #pause(ms: number): Promise<void> {
    return sleep(ms, undefined, { signal: this.#stop.signal }).catch(() => undefined);
  }
}
