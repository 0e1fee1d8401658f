import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EventResult } from '../../contracts/usage-event.js';
import { CostplusError } from '../../errors/error.js';
import { signRequest } from '../../usage/request-signature.js';
import type { StackInfo } from '../stack.js';

const RETRIES_COUNT = 5;

/** The public API as a customer of costplus uses it: over HTTP, with a key, usage signed. */
export class DemoApi {
  readonly #info: StackInfo;

  constructor(info: StackInfo) {
    this.#info = info;
  }

  get<T>(path: string): Promise<T> {
    return this.#send('GET', path, this.#info.keys.finance);
  }

  put<T>(path: string, body: unknown): Promise<T> {
    return this.#send('PUT', path, this.#info.keys.finance, JSON.stringify(body));
  }

  post<T>(path: string, body: unknown): Promise<T> {
    return this.#send('POST', path, this.#info.keys.finance, JSON.stringify(body));
  }

  /** Sends a signed batch. A batch whose answer was lost goes out again: its events are duplicates then. */
  async sendUsage(events: unknown[]): Promise<EventResult[]> {
    const body = JSON.stringify({ events });
    const signed = signRequest({
      secret: this.#info.signing.secret,
      id: `msg_${randomUUID()}`,
      timestamp: Math.floor(Date.now() / 1_000),
      body,
    });
    const answer = await this.#send<{ results: EventResult[] }>('POST', '/v1/usage', this.#info.keys.service, body, {
      ...signed,
    });
    return answer.results;
  }

  async #send<T>(
    method: string,
    path: string,
    key: string,
    body?: string,
    headers: Record<string, string> = {},
  ): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const response = await fetch(this.#info.api_url + path, {
        method,
        headers: {
          authorization: `Bearer ${key}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body }),
      });
      const answer = (await response.json()) as T & { detail?: string };
      if (response.ok) return answer;
      if (response.status !== 503 || attempt === RETRIES_COUNT) {
        throw new CostplusError('internal', `${method} ${path} answered ${response.status}: ${answer.detail ?? ''}`);
      }
      await sleep(attempt * 500);
    }
  }
}
