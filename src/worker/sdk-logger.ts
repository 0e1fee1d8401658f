import { DefaultLogger } from '@temporalio/worker';
import type { Logger } from '../observability/logger.js';

/**
 * The Temporal SDK's own messages in our log: warnings and errors only. Of their fields only the error, as our log
 * describes errors: others, and a failure's message, can quote what was received. Activities have their own wide line.
 */
export function sdkLogger(logger: Logger): DefaultLogger {
  return new DefaultLogger('WARN', ({ level, message, meta }) => {
    const error = meta?.error as unknown;
    const fields = { sdk: true, ...(error === undefined ? {} : { err: error }) };
    if (level === 'ERROR') logger.error(fields, message);
    else logger.warn(fields, message);
  });
}
