import type { Logger } from '../observability/logger.js';

/** Runs a job now and then again and again, never twice at once; a failure is logged and the next run tries again. */
export function every(intervalMs: number, job: () => Promise<unknown>, logger: Logger): { stop: () => void } {
  let running = false;
  const run = async () => {
    if (running) return;
    running = true;
    try {
      await job();
    } catch (error) {
      logger.warn({ err: error }, 'a periodic job failed; it runs again');
    } finally {
      running = false;
    }
  };
  void run();
  const timer = setInterval(() => void run(), intervalMs);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}
