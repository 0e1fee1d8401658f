import type { CallReport } from './call-report.js';
import { type StreamingFormat, type StreamUsage, streamUsage } from './stream-usage.js';

/**
 * Passes a stream on as it is and reports its usage once: when it ends, when it breaks off, when its reader leaves it.
 * `passes` may keep a chunk back from the reader.
 */
export async function* observeStream<T>(
  source: AsyncIterable<T>,
  format: StreamingFormat,
  report: CallReport,
  requestId: string | null,
  passes: (chunk: T) => boolean = () => true,
): AsyncGenerator<T, void, undefined> {
  const usage = streamUsage(format);
  let ended = false;
  try {
    for await (const chunk of source) {
      see(usage, chunk);
      if (passes(chunk)) yield chunk;
    }
    ended = true;
  } finally {
    report.response(format, usage.body(), requestId, !ended && !usage.complete);
  }
}

/** A stream's reader must not pay for a chunk of another form. */
function see(usage: StreamUsage, chunk: unknown): void {
  try {
    usage.see(chunk);
  } catch {
    // What cannot be read has no usage.
  }
}
