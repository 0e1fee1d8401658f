import { ERROR_CATALOG, type ErrorCode } from './catalog.js';

/** What a problem may carry beside its code. Never put received values here: they may be what must not be stored. */
export interface ErrorContext {
  /** JSON path of the field at fault, e.g. `events[3].usage.input_tokens`. */
  field?: string;
  /** Seconds after which a retry makes sense (becomes Retry-After). */
  retryAfterSeconds?: number;
  /** Further members of the problem document: ids, counts, statuses. */
  extra?: Record<string, string | number | boolean | string[]>;
  cause?: unknown;
}

/** The one error of costplus: a code of the catalog and a detail that says what was wrong and what to do. */
export class CostplusError extends Error {
  readonly code: ErrorCode;
  readonly field: string | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly extra: Record<string, string | number | boolean | string[]>;

  constructor(code: ErrorCode, detail: string, context: ErrorContext = {}) {
    super(detail, context.cause === undefined ? undefined : { cause: context.cause });
    this.name = 'CostplusError';
    this.code = code;
    this.field = context.field;
    this.retryAfterSeconds = context.retryAfterSeconds;
    this.extra = context.extra ?? {};
  }

  get status(): number {
    return ERROR_CATALOG[this.code].status;
  }

  get retryable(): boolean {
    return ERROR_CATALOG[this.code].retryable;
  }
}

/** An RFC 9457 problem document. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  field?: string;
  [member: string]: unknown;
}

/** The stable `type` of an error code. A URN: it identifies, nothing has to be served under it. */
export function problemType(code: ErrorCode): string {
  return `urn:costplus:error:${code}`;
}

/** The problem document of an error, ready for `application/problem+json`. */
export function toProblem(error: CostplusError): Problem {
  return {
    type: problemType(error.code),
    title: ERROR_CATALOG[error.code].title,
    status: error.status,
    detail: error.message,
    ...(error.field === undefined ? {} : { field: error.field }),
    ...error.extra,
  };
}
