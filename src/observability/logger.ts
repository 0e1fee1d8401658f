import { type Logger, pino } from 'pino';
import { CostplusError } from '../errors/error.js';

export type { Logger };
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

/**
 * Members that are never written, wherever a log line carries them (counts of that name are): credentials, and whatever
 * a request contained.
 */
const REDACTED = ['authorization', 'headers', 'key', 'secret', 'password', 'body', 'payload', 'events'];

/**
 * Errors whose message is the text of whoever wrote the code. Every other class (a JSON or SQL syntax error, a range
 * error, a validation error) may quote what it was given, and that may be a prompt: its message is left out.
 */
const OWN_WORDS = new Set(['Error', 'TypeError', 'ReferenceError', 'AggregateError']);

/** An error as it is logged: its class, code and stack frames; its message only where it cannot quote received values. */
export function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { type: typeof error };
  const { code, table, constraint, routine, syscall, severity } = error as Error & Record<string, unknown>;
  const quotesNothing =
    error instanceof CostplusError ||
    typeof syscall === 'string' ||
    (OWN_WORDS.has(error.name) && error.constructor.name === error.name && severity === undefined);
  return {
    type: error.constructor.name,
    ...(quotesNothing ? { message: error.message } : {}),
    ...Object.fromEntries(
      Object.entries({ code, table, constraint, routine, syscall }).filter(([, value]) => typeof value === 'string'),
    ),
    frames: (error.stack ?? '')
      .split('\n')
      .filter((line) => /^\s+at /.test(line))
      .map((line) => line.trim())
      .slice(0, 12),
    ...(error.cause === undefined ? {} : { cause: describeError(error.cause) }),
  };
}

/**
 * The logger of a process: one JSON line per event on stdout (or `destination`), times in RFC 3339. Requests and activity
 * attempts log one wide line each and never what they carried.
 */
export function createLogger(
  level: LogLevel,
  process: 'api' | 'worker' | 'cli' | 'dev',
  destination?: { write(line: string): void },
): Logger {
  return pino(
    {
      level,
      base: { process },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: {
        paths: REDACTED.flatMap((name) => [name, `*.${name}`]),
        censor: (value) => (typeof value === 'number' ? value : '[redacted]'),
      },
      serializers: { error: describeError, err: describeError },
    },
    destination ?? pino.destination({ fd: 1, sync: true }),
  );
}

/** What the wide line of one HTTP request says. */
export interface RequestLine {
  request_id: string;
  method: string;
  /** The route's pattern, never the URL: a URL can hold anything. */
  route: string;
  status: number;
  duration_ms: number;
  bytes_in?: number;
  /** Prefix of the API key, which names the key and opens nothing. */
  api_key?: string;
  role?: string;
  source_id?: string;
  error_code?: string;
  error?: unknown;
  /** Results of a usage request by status. */
  results?: Record<string, number>;
}

/** Writes the one line of a request: `error` for what is our fault, `info` otherwise. */
export function logRequest(logger: Logger, line: RequestLine): void {
  logger[line.status >= 500 ? 'error' : 'info'](line, 'request');
}

/** What the wide line of one activity attempt says. */
export interface ActivityLine {
  activity: string;
  workflow_id: string;
  attempt: number;
  outcome: 'completed' | 'failed' | 'cancelled';
  duration_ms: number;
  error_code?: string;
  error?: unknown;
}

/** Writes the one line of an activity attempt: `warn` for one that failed (the engine tries again), `info` otherwise. */
export function logActivity(logger: Logger, line: ActivityLine): void {
  logger[line.outcome === 'failed' ? 'warn' : 'info'](line, 'activity');
}
