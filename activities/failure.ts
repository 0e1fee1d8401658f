import { ApplicationFailure } from '@temporalio/common';
import { CostplusError } from '../src/errors/error.js';
import { asRestored } from '../src/ledger/origin.js';

/**
 * The failure that Temporal is told of: its type is the error's code, so that workflows and the UI can tell them apart,
 * and what retrying cannot fix is not retried. Messages of costplus' own errors hold no payloads; of any other error
 * only its class is told, since failures stand in history (the log has the whole).
 */
export function toFailure(thrown: unknown): unknown {
  const error = asRestored(thrown) ?? thrown;
  if (error instanceof ApplicationFailure) return error;
  if (error instanceof CostplusError) {
    return withoutStack({
      message: error.message,
      type: error.code,
      nonRetryable: !error.retryable,
      ...(error.retryAfterSeconds === undefined ? {} : { nextRetryDelay: error.retryAfterSeconds * 1_000 }),
    });
  }
  if (error instanceof Error && error.name !== 'CancelledFailure') {
    return withoutStack({
      message: `An activity failed with ${error.name}; the worker's log says more.`,
      type: 'internal',
    });
  }
  return error;
}

/** Frames name files of the machine and say nothing that the worker's log does not: history keeps the message alone. */
function withoutStack(options: Parameters<typeof ApplicationFailure.create>[0]): ApplicationFailure {
  const failure = ApplicationFailure.create(options);
  failure.stack = `${failure.name}: ${failure.message}`;
  return failure;
}
