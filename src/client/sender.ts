import { EVENT_STATUSES, type EventResult } from '../contracts/event-result.js';
import { signRequest } from '../usage/request-signature.js';
import { retryAfterMs } from './backoff.js';
import { newId } from './event-id.js';

/** How one attempt ended. */
export type Attempt =
  | { kind: 'acknowledged'; results: EventResult[] }
  /** Nobody knows, or not now: the same events again, not before `afterMs` where the server said so. */
  | { kind: 'again'; afterMs: number | null; error: Error }
  /** Too many bytes for the server or for what stands before it. */
  | { kind: 'too_large'; error: Error }
  /** The request can never be taken. */
  | { kind: 'refused'; error: Error };

export interface SenderOptions {
  url: string;
  apiKey: string;
  source: string | null;
  secret: string | null;
  timeoutMs: number;
}

const STATUSES: ReadonlySet<unknown> = new Set(EVENT_STATUSES);
/** What a proxy or another server answers is shown in an error, so much of it. */
const SHOWN_CHARS = 200;

/** Sends a batch to `POST /v1/usage`, once. */
export class Sender {
  readonly #endpoint: URL;
  readonly #options: SenderOptions;

  /** Throws a TypeError for what is no URL. */
  constructor(options: SenderOptions) {
    this.#endpoint = new URL('v1/usage', options.url.endsWith('/') ? options.url : `${options.url}/`);
    this.#options = options;
  }

  /**
   * One attempt with events that are lines of JSON. `batchId` stays the same in every attempt of a batch; timestamp and
   * signature are of the attempt, so that a batch that waited out an outage is not stale. Never rejects.
   */
  async attempt(lines: readonly string[], batchId: string, stop: AbortSignal): Promise<Attempt> {
    const body = `{"events":[${lines.join(',')}]}`;
    try {
      const response = await fetch(this.#endpoint, {
        method: 'POST',
        headers: this.#headers(body, batchId),
        body,
        redirect: 'error',
        signal: AbortSignal.any([stop, AbortSignal.timeout(this.#options.timeoutMs)]),
      });
      const text = await response.text();
      return response.ok ? readResults(text, lines.length) : readFailure(response, text);
    } catch (cause) {
      return { kind: 'again', afterMs: null, error: new Error('costplus cannot be reached', { cause }) };
    }
  }

  #headers(body: string, batchId: string): Record<string, string> {
    const { apiKey, source, secret } = this.#options;
    return {
      'content-type': 'application/json',
      authorization: `Bearer ${apiKey}`,
      'user-agent': source === null ? 'costplus-client' : `costplus-client (${source})`,
      ...(secret === null ? {} : signRequest({ secret, id: batchId, timestamp: Math.floor(Date.now() / 1_000), body })),
    };
  }
}

/** A 200 counts only with one result for each event: a proxy's page is no acknowledgement. */
function readResults(text: string, count: number): Attempt {
  let results: unknown;
  try {
    results = (JSON.parse(text) as { results?: unknown } | null)?.results;
  } catch {
    // Not JSON: the same as JSON without results.
  }
  const complete =
    Array.isArray(results) &&
    results.length === count &&
    results.every((result: EventResult | null) => typeof result === 'object' && STATUSES.has(result?.status));
  if (complete) return { kind: 'acknowledged', results: results as EventResult[] };
  return { kind: 'again', afterMs: null, error: new Error('the answer has no result for each event') };
}

function readFailure(response: Response, text: string): Attempt {
  const error = new Error(`costplus answered ${response.status}: ${text.slice(0, SHOWN_CHARS)}`);
  switch (response.status) {
    case 413:
      return { kind: 'too_large', error };
    case 400:
    case 415:
    case 422:
      return { kind: 'refused', error };
    default:
      // Also 401, 403 and 404: a key or an address that somebody has to put right is no reason to lose usage.
      return { kind: 'again', afterMs: retryAfterMs(response.headers.get('retry-after'), Date.now()), error };
  }
}

/** The id under which a batch is sent, the same in each attempt (Standard Webhooks). */
export function newBatchId(): string {
  return newId('batch');
}
