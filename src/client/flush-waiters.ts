/** Somebody who waits until what was reported before has its result. */
interface Waiter {
  /** Memory lines and own segments that must be gone, counted since the reporter was made. */
  lines: number;
  segments: number;
  resolve: (done: boolean) => void;
}

/** Those who wait for a flush of a reporter, and the counts of what was taken and is gone that tell them when it is done. */
export class FlushWaiters {
  #waiters: Waiter[] = [];
  #linesTaken = 0;
  #linesGone = 0;
  #segmentsGone = 0;

  /** Whether anybody waits. */
  get any(): boolean {
    return this.#waiters.length > 0;
  }

  /** A line was taken into memory. */
  took(): void {
    this.#linesTaken++;
  }

  /** Lines of memory have their results. */
  sent(lines: number): void {
    this.#linesGone += lines;
    this.#answer();
  }

  /** A segment is gone; `own`: it had lines that were reported here. */
  sentSegment(own: boolean): void {
    if (own) this.#segmentsGone++;
    this.#answer();
  }

  /** Others send the segments from now on: nobody waits for them here. */
  handedOver(): void {
    for (const waiter of this.#waiters) waiter.segments = this.#segmentsGone;
    this.#answer();
  }

  /**
   * Waits for all lines that were taken until now, and for so many own segments. True when they have their results; false
   * when that did not come about within `timeoutMs`.
   */
  wait(segments: number, timeoutMs: number): Promise<boolean> {
    return new Promise<boolean>((resolve) => {
      const waiter: Waiter = {
        lines: this.#linesTaken,
        segments: this.#segmentsGone + segments,
        resolve: (done) => {
          clearTimeout(timer);
          this.#waiters = this.#waiters.filter((other) => other !== waiter);
          resolve(done);
        },
      };
      const timer = setTimeout(() => waiter.resolve(false), timeoutMs);
      this.#waiters.push(waiter);
      this.#answer();
    });
  }

  #answer(): void {
    for (const waiter of this.#waiters) {
      if (this.#linesGone >= waiter.lines && this.#segmentsGone >= waiter.segments) waiter.resolve(true);
    }
  }
}
