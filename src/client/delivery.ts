import { setTimeout as sleep } from 'node:timers/promises';
import type { EventResult } from '../contracts/event-result.js';
import { backoffMs } from './backoff.js';
import { newBatchId, type Sender } from './sender.js';

/** What became of the lines of a batch. */
export interface DeliveryHandlers {
  /** Each line has the result at its position. */
  onAcknowledged: (lines: readonly string[], results: readonly EventResult[]) => void;
  /** The server will never take these lines. */
  onRefused: (lines: readonly string[], error: Error) => void;
  onFailedAttempt: (error: Error) => void;
}

/**
 * Sends lines until each of them is acknowledged or refused, however long that takes. Waits between attempts by full
 * jitter, and at least as long as the server asks. A batch that is too large is halved. True when nothing is left to
 * do; false when `stop` ended it: then the lines that no handler was told of are still to be sent.
 * `keepAlive` says whether a pause holds the process: not when the lines are safe on disk.
 */
export async function deliver(
  sender: Sender,
  lines: readonly string[],
  options: { stop: AbortSignal; keepAlive: boolean; handlers: DeliveryHandlers },
): Promise<boolean> {
  const { stop, keepAlive, handlers } = options;
  const batchId = newBatchId();
  for (let failures = 0; !stop.aborted; ) {
    const attempt = await sender.attempt(lines, batchId, stop);
    switch (attempt.kind) {
      case 'acknowledged':
        handlers.onAcknowledged(lines, attempt.results);
        return true;
      case 'refused':
        handlers.onRefused(lines, attempt.error);
        return true;
      case 'too_large': {
        if (lines.length === 1) {
          handlers.onRefused(lines, attempt.error);
          return true;
        }
        const half = lines.length >> 1;
        return (
          (await deliver(sender, lines.slice(0, half), options)) && (await deliver(sender, lines.slice(half), options))
        );
      }
      case 'again': {
        if (stop.aborted) return false;
        failures++;
        handlers.onFailedAttempt(attempt.error);
        const pauseMs = Math.max(attempt.afterMs ?? 0, backoffMs(failures, Math.random()));
        await sleep(pauseMs, undefined, { signal: stop, ref: keepAlive }).catch(() => {});
      }
    }
  }
  return false;
}
