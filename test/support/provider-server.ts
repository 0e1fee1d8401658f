import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the model said in every recorded body. */
export const SAID = 'The quick brown fox.';

const ROUTES: readonly [RegExp, string][] = [
  [/\/chat\/completions(\?|$)/, 'openai-chat'],
  [/\/responses(\?|$)/, 'openai-responses'],
  [/\/embeddings(\?|$)/, 'openai-embeddings'],
  [/\/messages(\?|$)/, 'anthropic-messages'],
  [/:(generateContent|streamGenerateContent)/, 'google-generate-content'],
];

const fixture = (name: string): string => readFileSync(new URL(`../fixtures/sse/${name}`, import.meta.url), 'utf8');

/** Answers as model providers do, from recorded bodies. */
export class ProviderServer {
  readonly #server: Server;
  readonly requests: { path: string; body: Record<string, unknown> }[] = [];
  /** Ends each stream after so many events: `break` resets the connection, `wait` sends nothing more. */
  after: { events: number; how: 'break' | 'wait' } | null = null;
  /** Answers every request with this status. */
  failWith: number | null = null;
  /** Bodies that are answered before the recorded ones. */
  readonly next: unknown[] = [];

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<ProviderServer> {
    const server = createServer();
    const provider = new ProviderServer(server);
    server.on('request', (request, response) => void provider.#answer(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return provider;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const path = request.url ?? '';
    const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Record<string, unknown>;
    this.requests.push({ path, body });
    const name = ROUTES.find(([route]) => route.test(path))?.[1];
    const ids = { 'x-request-id': 'req_openai_1', 'request-id': 'req_anthropic_1' };
    if (name === undefined || this.failWith !== null) {
      const error = { type: 'error', error: { type: 'invalid_request_error', message: 'refused' } };
      response.writeHead(this.failWith ?? 404, { 'content-type': 'application/json', ...ids });
      response.end(JSON.stringify(error));
    } else if (body.stream === true || path.includes(':streamGenerateContent')) {
      response.writeHead(200, { 'content-type': 'text/event-stream', ...ids });
      await this.#stream(name, body, response);
    } else {
      response.writeHead(200, { 'content-type': 'application/json', ...ids });
      const next = this.next.shift();
      response.end(next === undefined ? fixture(`${name}.json`) : JSON.stringify(next));
    }
  }

  async #stream(name: string, body: Record<string, unknown>, response: ServerResponse): Promise<void> {
    const wantsUsage = (body.stream_options as { include_usage?: boolean } | undefined)?.include_usage === true;
    const events = fixture(`${name}.sse`)
      .split(/(?<=\n\n)/)
      .filter((event) => wantsUsage || !event.includes('"choices":[],'));
    for (const [i, event] of events.entries()) {
      if (this.after?.events === i) {
        if (this.after.how === 'break') response.destroy();
        return;
      }
      response.write(event);
      // Each event is a read of its own for the client.
      await new Promise((resolve) => setImmediate(resolve));
    }
    response.end();
  }
}
