import { setTimeout as sleep } from 'node:timers/promises';
import { SHUTDOWN_GRACE_SECONDS } from '../limits.js';
import type { Logger } from '../observability/logger.js';

/** A job that runs again and again until it is stopped. */
export interface PeriodicJob {
  /**
   * Starts no further run, tells the one under way to end, and waits for it: what it needs may be closed then. At most
   * `graceMs`: the step that it is at may be a call that waits for an answer.
   */
  stop(graceMs?: number): Promise<void>;
}

/**
 * Runs a job now and then again and again, never twice at once; a failure is logged and the next run tries again. The
 * signal says that the job is stopped: a long one looks at it between its steps.
 */
export function every(
  intervalMs: number,
  job: (signal: AbortSignal) => Promise<unknown>,
  logger: Pick<Logger, 'warn'>,
): PeriodicJob {
  const stopped = new AbortController();
  let underWay: Promise<void> | null = null;
  const run = async () => {
    try {
      await job(stopped.signal);
    } catch (error) {
      if (!stopped.signal.aborted) logger.warn({ err: error }, 'a periodic job failed; it runs again');
    }
  };
  const start = () => {
    underWay ??= run().finally(() => {
      underWay = null;
    });
  };
  start();
  const timer = setInterval(start, intervalMs);
  timer.unref();
  return {
    async stop(graceMs = SHUTDOWN_GRACE_SECONDS * 1_000) {
      clearInterval(timer);
      stopped.abort();
      if (underWay === null) return;
      const ended = new AbortController();
      const grace = sleep(graceMs, undefined, { signal: ended.signal }).catch(() => undefined);
      await Promise.race([underWay, grace]);
      ended.abort();
    },
  };
}
