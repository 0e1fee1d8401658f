import { CancelledFailure, Context } from '@temporalio/activity';
import { ACTIVITY_HEARTBEAT_MILLISECONDS, ACTIVITY_SILENT_MINUTES } from '../src/limits.js';

/**
 * Heartbeats while the work runs. A query that searches or sorts a large period answers nothing for minutes, and must not
 * look like a dead worker; one that has said nothing for ACTIVITY_SILENT_MINUTES hangs, and is given up. The work tells how
 * many events it has read, which the heartbeats carry; an attempt that is given up, or whose worker stops, ends there.
 */
export async function heartbeating<T>(
  work: (onProgress: (events: number) => void) => Promise<T>,
  times: { everyMs: number; silentMs: number } = {
    everyMs: ACTIVITY_HEARTBEAT_MILLISECONDS,
    silentMs: ACTIVITY_SILENT_MINUTES * 60_000,
  },
): Promise<T> {
  const context = Context.current();
  let read = 0;
  let heardAt = performance.now();
  const alive = setInterval(() => {
    if (performance.now() - heardAt < times.silentMs) context.heartbeat(read);
  }, times.everyMs);
  try {
    return await work((events) => {
      if (context.cancellationSignal.aborted) throw new CancelledFailure('the attempt was given up');
      read = events;
      heardAt = performance.now();
    });
  } finally {
    clearInterval(alive);
  }
}
