import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { CLI_REQUEST_TIMEOUT_SECONDS } from '../limits.js';
import { signRequest } from '../usage/request-signature.js';
import { CommandFailure, EXIT_FAILED, EXIT_NOT_FOUND, EXIT_UNREACHABLE, EXIT_USAGE } from './exit-codes.js';

/** Where the API is and the key for it. */
export interface Connection {
  url: string;
  key: string;
  /** The signing secret of the source that the key belongs to: requests with a body are signed. */
  secret?: string;
}

interface DevFile {
  api_url?: unknown;
  keys?: { finance?: unknown; service?: unknown };
  signing?: { secret?: unknown };
}

/**
 * The connection from COSTPLUS_URL and COSTPLUS_API_KEY; what is missing comes from `dev.json` of the stack that
 * `costplus start` runs (its finance key, and only for its own URL). Throws a usage failure where nothing says it.
 */
export async function findConnection(environment: NodeJS.ProcessEnv = process.env): Promise<Connection> {
  const { COSTPLUS_URL: url, COSTPLUS_API_KEY: key } = environment;
  if (url && key) return { url, key };
  const path = join(environment.COSTPLUS_HOME || join(homedir(), '.costplus'), 'dev.json');
  const dev = await readDevFile(path);
  const found = {
    url: url || (typeof dev?.api_url === 'string' ? dev.api_url : undefined),
    // A key of this machine's stack is not sent to another server.
    key: key || (!url && typeof dev?.keys?.finance === 'string' ? dev.keys.finance : undefined),
  };
  if (found.url && found.key) return { url: found.url, key: found.key };
  const missing = found.url ? 'COSTPLUS_API_KEY' : 'COSTPLUS_URL and COSTPLUS_API_KEY';
  throw new CommandFailure(EXIT_USAGE, `Set ${missing}, or start the stack on this machine: costplus start.`);
}

/**
 * The connection of a usage source, for sending events: COSTPLUS_URL, COSTPLUS_API_KEY and, where the source signs,
 * COSTPLUS_SIGNING_SECRET; without a key the service key and the source of the stack on this machine.
 */
export async function findSourceConnection(environment: NodeJS.ProcessEnv = process.env): Promise<Connection> {
  const { COSTPLUS_URL: url, COSTPLUS_API_KEY: key, COSTPLUS_SIGNING_SECRET: secret } = environment;
  if (key) return { ...(await findConnection(environment)), ...(secret ? { secret } : {}) };
  const dev = await readDevFile(join(environment.COSTPLUS_HOME || join(homedir(), '.costplus'), 'dev.json'));
  if (!url && typeof dev?.api_url === 'string' && typeof dev.keys?.service === 'string') {
    const signing = dev.signing?.secret;
    return { url: dev.api_url, key: dev.keys.service, ...(typeof signing === 'string' ? { secret: signing } : {}) };
  }
  throw new CommandFailure(EXIT_USAGE, 'Set COSTPLUS_URL and COSTPLUS_API_KEY (a service key of a usage source).');
}

async function readDevFile(path: string): Promise<DevFile | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new CommandFailure(EXIT_USAGE, `${path} cannot be read as JSON.`);
  }
}

/** A path whose `{...}` parts are data: `apiPath('/v1/periods/{}/{}', customer, date)`. */
export function apiPath(pattern: string, ...parts: string[]): string {
  let next = 0;
  return pattern.replaceAll('{}', () => encodeURIComponent(parts[next++] ?? ''));
}

/** Talks to the HTTP API for one command. Every failure is a CommandFailure with its exit code. */
export class ApiClient {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  get(path: string, query: Record<string, string | undefined> = {}): Promise<unknown> {
    const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
    const search = new URLSearchParams(given).toString();
    return this.#send('GET', search === '' ? path : `${path}?${search}`);
  }

  post(path: string, body: unknown): Promise<unknown> {
    return this.#send('POST', path, body);
  }

  put(path: string, body: unknown): Promise<unknown> {
    return this.#send('PUT', path, body);
  }

  /** All items of a list, page after page, at most `limit`. */
  async list(path: string, query: Record<string, string | undefined>, limit: number): Promise<unknown[]> {
    const items: unknown[] = [];
    let cursor: string | undefined;
    do {
      const page = (await this.get(path, { ...query, cursor, limit: String(Math.min(limit - items.length, 500)) })) as {
        data: unknown[];
        next_cursor: string | null;
      };
      items.push(...page.data);
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined && items.length < limit);
    return items;
  }

  async #send(method: string, path: string, body?: unknown): Promise<unknown> {
    const { url, key, secret } = this.#connection;
    const sent = body === undefined ? undefined : JSON.stringify(body);
    let response: Response;
    let text: string;
    try {
      response = await fetch(new URL(path, url), {
        method,
        headers: {
          authorization: `Bearer ${key}`,
          ...(sent === undefined ? {} : { 'content-type': 'application/json' }),
          ...(sent === undefined || secret === undefined ? {} : signatureOf(sent, secret)),
        },
        ...(sent === undefined ? {} : { body: sent }),
        signal: AbortSignal.timeout(CLI_REQUEST_TIMEOUT_SECONDS * 1_000),
      });
      text = await response.text();
    } catch {
      throw new CommandFailure(EXIT_UNREACHABLE, `No answer from ${url}. Is costplus running there?`);
    }
    const value = parseJson(text);
    if (response.ok && value !== undefined) return value;
    throw refusal(url, response.status, value);
  }
}

/** The headers of a request that its source signs now. */
function signatureOf(body: string, secret: string): Record<string, string> {
  const id = `msg_${randomUUID()}`;
  return { ...signRequest({ secret, id, timestamp: Math.floor(Date.now() / 1_000), body }) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A problem document as a failure; anything else says that the URL is not costplus. */
function refusal(url: string, status: number, value: unknown): CommandFailure {
  const problem = value as { type?: unknown; title?: unknown; detail?: unknown } | undefined;
  if (typeof problem?.type !== 'string' || !problem.type.startsWith('urn:costplus:error:')) {
    return new CommandFailure(EXIT_UNREACHABLE, `${url} answered ${status} and is not the costplus API.`);
  }
  const code = problem.type.slice('urn:costplus:error:'.length);
  const message = `${String(problem.title)} (${code}). ${String(problem.detail)}`;
  if (status === 404) return new CommandFailure(EXIT_NOT_FOUND, message);
  return new CommandFailure(status === 503 ? EXIT_UNREACHABLE : EXIT_FAILED, message);
}
