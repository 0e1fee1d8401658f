/** A period with committed usage that is not priced yet, or one whose workflow has to be started. */
interface Waiting {
  /** Newest settled chunk seen for it. */
  chunk: bigint;
  since_ms: number;
  /** The engine did not take its last nudge: the next one goes out at this time at the earliest. */
  retry_ms: number;
}

/**
 * Which period is nudged next (pure; memory of one relay). A period is nudged once a window, where the window is the
 * larger of its configured one and active periods / signal budget; the one that waits longest goes first. Marks are
 * only ever raised: a later commit's mark survives the nudge for an earlier one.
 */
export class RelayQueue {
  readonly #waiting = new Map<number, Waiting>();
  readonly #nudged = new Map<number, number>();

  get size(): number {
    return this.#waiting.size;
  }

  /** Usage up to `chunk` is settled for this period. */
  mark(periodId: number, chunk: bigint, nowMs: number): void {
    const known = this.#waiting.get(periodId);
    if (!known) this.#waiting.set(periodId, { chunk, since_ms: nowMs, retry_ms: nowMs });
    else if (chunk > known.chunk) known.chunk = chunk;
  }

  /** The longest wait in milliseconds; 0 when nothing waits. */
  lagMs(nowMs: number): number {
    let oldest = nowMs;
    for (const { since_ms } of this.#waiting.values()) if (since_ms < oldest) oldest = since_ms;
    return nowMs - oldest;
  }

  /** Up to `budget` periods whose window has passed, those that wait longest first. */
  due(nowMs: number, budget: number, windowMsOf: (periodId: number) => number): { periodId: number; chunk: bigint }[] {
    const ready: { periodId: number; chunk: bigint; since_ms: number }[] = [];
    for (const [periodId, { chunk, since_ms, retry_ms }] of this.#waiting) {
      const last = this.#nudged.get(periodId);
      // A period that was quiet for a window is told of at once; afterwards one nudge a window.
      const earliest = Math.max(retry_ms, last === undefined ? since_ms : last + windowMsOf(periodId));
      if (earliest <= nowMs) ready.push({ periodId, chunk, since_ms });
    }
    ready.sort((a, b) => a.since_ms - b.since_ms || a.periodId - b.periodId);
    return ready.slice(0, budget);
  }

  /** The nudge that covers `chunk` is delivered: the mark goes, unless a later commit raised it meanwhile. */
  nudged(periodId: number, chunk: bigint, nowMs: number): void {
    this.#nudged.set(periodId, nowMs);
    const known = this.#waiting.get(periodId);
    if (!known) return;
    if (known.chunk <= chunk) this.#waiting.delete(periodId);
    else known.since_ms = nowMs;
  }

  /** The engine did not take the nudge: the mark stays, with its age, and waits until `retryMs`. */
  refused(periodId: number, retryMs: number): void {
    const known = this.#waiting.get(periodId);
    if (known) known.retry_ms = retryMs;
  }

  /** When the period was last nudged, or null. */
  lastNudgedMs(periodId: number): number | null {
    return this.#nudged.get(periodId) ?? null;
  }

  /** Forgets periods that have not been nudged since then: memory grows with active periods only. */
  forgetBefore(ms: number): void {
    for (const [periodId, at] of this.#nudged)
      if (at < ms && !this.#waiting.has(periodId)) this.#nudged.delete(periodId);
  }
}

/** The window of a period: the configured one, or as long as the signal budget needs for all active periods. */
export function effectiveWindowMs(configuredMs: number, activePeriods: number, signalsPerSecond: number): number {
  return Math.max(configuredMs, Math.ceil((activePeriods / signalsPerSecond) * 1_000));
}
