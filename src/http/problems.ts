import type { FastifyReply } from 'fastify';
import { isDatabaseAway } from '../database/failures.js';
import { CostplusError, toProblem } from '../errors/error.js';
import { asRestored } from '../ledger/origin.js';
import { RETRY_AFTER_DEFAULT_SECONDS } from '../limits.js';

export const PROBLEM_MEDIA_TYPE = 'application/problem+json';

/** What Fastify refuses by itself, by its code. Other refusals of Fastify (4xx) are an `invalid_request`. */
const FRAMEWORK_REFUSALS: Readonly<Record<string, () => CostplusError>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: () => new CostplusError('body_too_large', 'The body is larger than this route takes.'),
  FST_ERR_CTP_INVALID_MEDIA_TYPE: () =>
    new CostplusError('unsupported_media_type', 'Send the body as application/json.'),
  FST_ERR_CTP_INVALID_JSON_BODY: () => new CostplusError('invalid_request', 'The body is not valid JSON.'),
  FST_ERR_CTP_EMPTY_JSON_BODY: () => new CostplusError('invalid_request', 'The body is empty.'),
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: () =>
    new CostplusError('invalid_request', 'The body is not as long as Content-Length says.'),
  FST_ERR_NOT_FOUND: () => new CostplusError('not_found', 'There is no such route.'),
};

/**
 * Whatever was thrown, as an error of the catalog. What is not ours becomes `internal` with words that tell nothing of
 * the inside; the original stays as its cause for the log.
 */
export function asCostplusError(thrown: unknown): CostplusError {
  if (thrown instanceof CostplusError) return thrown;
  if (thrown instanceof Error) {
    const { code, statusCode } = thrown as Error & { code?: unknown; statusCode?: unknown };
    const refusal = typeof code === 'string' ? FRAMEWORK_REFUSALS[code] : undefined;
    if (refusal) return refusal();
    if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) {
      return new CostplusError('invalid_request', 'The request cannot be read.', { cause: thrown });
    }
    const restored = asRestored(thrown);
    if (restored) return restored;
    if (isDatabaseAway(thrown)) {
      return new CostplusError('database_unavailable', 'The database does not answer; try again.', { cause: thrown });
    }
  }
  return new CostplusError('internal', 'Something went wrong; the request id finds it in the log.', { cause: thrown });
}

/** Answers with an error as RFC 9457 problem+json; a 503 and a 429 say when to try again. */
export function sendProblem(reply: FastifyReply, error: CostplusError): FastifyReply {
  const retryAfter =
    error.retryAfterSeconds ?? (error.status === 503 || error.status === 429 ? RETRY_AFTER_DEFAULT_SECONDS : undefined);
  if (retryAfter !== undefined) void reply.header('retry-after', String(Math.ceil(retryAfter)));
  if (error.status === 401) void reply.header('www-authenticate', 'Bearer');
  return reply
    .code(error.status)
    .type(PROBLEM_MEDIA_TYPE)
    .serializer((problem: unknown) => JSON.stringify(problem))
    .send(toProblem(error));
}
