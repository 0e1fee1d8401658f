import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { EventResult } from '../../src/contracts/event-result.js';
import type { ReceivedUsageEvent } from '../../src/contracts/usage-event.js';
import { unsignedForm, verifyEventSignature } from '../../src/usage/event-signature.js';
import { parseUsageEvent } from '../../src/usage/parse-event.js';
import { signingKey, verifyRequest } from '../../src/usage/request-signature.js';

/** What the server does with a request instead of appending, `null` to append. */
export type Fault = (request: IncomingMessage, response: ServerResponse, events: unknown[]) => 'handled' | null;

/** A server with the contract of `POST /v1/usage`: it checks, dedupes and remembers, and fails as it is told. */
export class UsageServer {
  readonly #server: Server;
  readonly #secret: string | null;
  /** Events by customer and id, as the first request brought them. */
  readonly events = new Map<string, ReceivedUsageEvent>();
  /** Sizes of the requests that were answered with results. */
  readonly batches: number[] = [];
  readonly requests: { headers: IncomingMessage['headers']; at: number }[] = [];
  duplicates = 0;
  conflicts = 0;
  fault: Fault = () => null;
  port = 0;

  private constructor(server: Server, secret: string | null) {
    this.#server = server;
    this.#secret = secret;
  }

  static async start(options: { secret?: string; port?: number } = {}): Promise<UsageServer> {
    const server = createServer();
    const usage = new UsageServer(server, options.secret ?? null);
    server.on('request', (request, response) => void usage.#answer(request, response));
    await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve));
    usage.port = (server.address() as AddressInfo).port;
    return usage;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Events in the order they were first received. */
  get received(): ReceivedUsageEvent[] {
    return [...this.events.values()];
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      return;
    }
    const body = Buffer.concat(chunks);
    this.requests.push({ headers: request.headers, at: Date.now() });
    const { events } = JSON.parse(body.toString('utf8')) as { events: unknown[] };
    if (this.fault(request, response, events) === 'handled') return;
    if (this.#secret !== null) {
      try {
        verifyRequest({ secrets: [this.#secret], headers: request.headers, body });
      } catch {
        response.writeHead(401).end('{"type":"urn:costplus:error:invalid_signature"}');
        return;
      }
    }
    const results = events.map((event, i) => this.#append(event, i));
    this.batches.push(events.length);
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ results }));
  }

  #append(received: unknown, at: number): EventResult {
    const parsed = parseUsageEvent(received, `events[${at}]`);
    if ('rejected' in parsed) {
      return { event_id: null, status: 'rejected', field: parsed.rejected.field, detail: parsed.rejected.reason };
    }
    const { event } = parsed;
    const { event_id } = event;
    const keys = this.#secret === null ? [] : [signingKey(this.#secret)];
    if (event.signature !== undefined && !verifyEventSignature(event, keys)) {
      return { event_id, status: 'rejected', reason: 'invalid_signature' };
    }
    const key = `${event.customer_id}/${event_id}`;
    const there = this.events.get(key);
    if (there) {
      if (unsignedForm(there) !== unsignedForm(event)) {
        this.conflicts++;
        return { event_id, status: 'conflict' };
      }
      this.duplicates++;
      return { event_id, status: 'duplicate' };
    }
    this.events.set(key, event);
    return event.model_id === 'unknown'
      ? { event_id, status: 'held', reason: 'unknown_model' }
      : { event_id, status: 'accepted' };
  }
}
