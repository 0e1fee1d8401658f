import { randomBytes } from 'node:crypto';
import type { RouteOptions } from 'fastify';
import { expect } from 'vitest';
import type { z } from 'zod';
import { CatalogCache } from '../../src/catalog/catalog-cache.js';
import { publishCatalogVersion } from '../../src/catalog/publish.js';
import { catalogVersionSchema } from '../../src/contracts/catalog.js';
import type { CommandAnswer, CommandName, PeriodCommand, PeriodRef } from '../../src/contracts/engine.js';
import { CustomerCache } from '../../src/customers/customer-cache.js';
import type { Pool } from '../../src/database/pool.js';
import { type ApiRole, createApiKey } from '../../src/http/api-keys.js';
import type { HttpDeps } from '../../src/http/deps.js';
import { createServer, type HttpServer } from '../../src/http/server.js';
import { DetailsLinks } from '../../src/invoicing/details-link.js';
import { createAppender } from '../../src/ledger/append.js';
import { createLogger } from '../../src/observability/logger.js';
import { createMetrics } from '../../src/observability/metrics.js';
import { cloneDatabase } from './database.js';

export interface Answer {
  status: number;
  headers: Record<string, unknown>;
  body: unknown;
  text: string;
}

/** An API server on a clone of the database with the real appender and stores; only the engine writes down what it hears. */
export interface TestApi {
  server: HttpServer;
  deps: HttpDeps;
  pool: Pool;
  databaseUrl: string;
  keys: Record<ApiRole, string>;
  /** Commands that reached the engine. */
  commands: { period: PeriodRef; name: CommandName; command: PeriodCommand }[];
  engine: { healthy: boolean };
  clock: { now: number };
  logs: string[];
  /** Routes by `METHOD /path`, as registered. */
  routes: Map<string, RouteOptions>;
  /** Sends a request; an answer below 300 is checked against the schema that the OpenAPI document shows. */
  call(
    method: 'GET' | 'PUT' | 'POST' | 'DELETE',
    url: string,
    options?: { key?: string | null; body?: unknown; headers?: Record<string, string> },
  ): Promise<Answer>;
  close(): Promise<void>;
}

export const NOW = Date.parse('2026-11-24T12:00:00Z');

export async function startTestApi(overrides: Partial<HttpDeps> = {}): Promise<TestApi> {
  const database = await cloneDatabase();
  const { pool } = database;
  const clock = { now: NOW };
  const logs: string[] = [];
  const commands: TestApi['commands'] = [];
  const engine = { healthy: true };
  const catalogs = new CatalogCache(pool);
  const appender = createAppender({
    pool,
    catalogs,
    customers: new CustomerCache(),
    eventAgeDays: 35,
    now: () => clock.now,
  });
  const deps: HttpDeps = {
    pool,
    appender,
    catalogs,
    engine: {
      command: async (period, name, command): Promise<CommandAnswer> => {
        commands.push({ period, name, command });
        return { status: name === 'hold' ? 'on_hold' : 'closing', status_version: commands.length, applied: true };
      },
      healthy: async () => engine.healthy,
    },
    receiveStripeWebhook: async () => 'ignored',
    reportedCostTolerance: '0.02',
    encryptionKey: randomBytes(32),
    detailsLinks: new DetailsLinks({ encryptionKey: randomBytes(32), publicUrl: 'https://billing.example.com' }),
    logger: createLogger('info', 'api', { write: (line) => void logs.push(line) }),
    metrics: createMetrics(),
    now: () => clock.now,
    ...overrides,
  };
  const server = createServer(deps);
  const routes = new Map<string, RouteOptions>();
  server.addHook('onRoute', (route) => {
    for (const method of [route.method].flat()) routes.set(`${method} ${route.url}`, route);
  });
  await server.ready();
  const keys = {
    service: await createApiKey(pool, { role: 'service', name: 'service' }),
    ops: await createApiKey(pool, { role: 'ops', name: 'ops' }),
    finance: await createApiKey(pool, { role: 'finance', name: 'finance' }),
  };

  return {
    server,
    deps,
    pool,
    databaseUrl: database.url,
    keys,
    commands,
    engine,
    clock,
    logs,
    routes,
    async call(method, url, options = {}) {
      const key = options.key === undefined ? keys.finance : options.key;
      const isText = typeof options.body === 'string' || Buffer.isBuffer(options.body);
      const answer = await server.inject({
        method,
        url,
        headers: {
          ...(key === null ? {} : { authorization: `Bearer ${key}` }),
          ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
          ...options.headers,
        },
        ...(options.body === undefined
          ? {}
          : { payload: isText ? (options.body as string | Buffer) : JSON.stringify(options.body) }),
      });
      const isJson = /json/.test(String(answer.headers['content-type']));
      const body: unknown = isJson ? JSON.parse(answer.body) : answer.body;
      if (answer.statusCode < 300) checkAnswer(routes, method, url, answer.statusCode, body);
      return { status: answer.statusCode, headers: answer.headers, body, text: answer.body };
    },
    async close() {
      await server.close();
      await appender.close();
      await database.drop();
    },
  };
}

/** The answer has exactly the members that the route's description names. */
function checkAnswer(routes: TestApi['routes'], method: string, url: string, status: number, body: unknown): void {
  const path = url.split('?')[0]!.split('/');
  // A route that names the path comes before one with parameters, as in the router.
  const named = [...routes].filter(([name]) => name === `${method} ${path.join('/')}`);
  for (const [name, route] of named.length > 0 ? named : routes) {
    const [routeMethod, pattern] = name.split(' ') as [string, string];
    const parts = pattern.split('/');
    if (routeMethod !== method || parts.length !== path.length) continue;
    if (!parts.every((part, i) => part.startsWith(':') || part === path[i])) continue;
    const schema = (route.schema?.response as Record<number, z.ZodType> | undefined)?.[status];
    // A file has no schema of ours.
    if (schema && 'safeParse' in schema) expect(schema.safeParse(body).error?.issues ?? []).toEqual([]);
  }
}

/** Expects an RFC 9457 answer with this code, and nothing of the inside in it. */
export function expectProblem(answer: Answer, status: number, code: string): Record<string, unknown> {
  expect(answer.body, answer.text).toMatchObject({
    type: `urn:costplus:error:${code}`,
    status,
    title: expect.any(String),
    detail: expect.any(String),
  });
  expect(answer.status).toBe(status);
  expect(answer.headers['content-type']).toBe('application/problem+json');
  expect(answer.text).not.toMatch(/node_modules|src\/|\bat .*:\d+:\d+|SELECT|INSERT/);
  return answer.body as Record<string, unknown>;
}

/** A small catalog: one model with two meters, since 2026-01-01. */
export async function publishTestCatalog(pool: Pool): Promise<number> {
  const price = { provider: 'anthropic', model_id: 'claude-x', per: 1_000_000, effective_from: '2026-01-01T00:00:00Z' };
  const body = catalogVersionSchema.parse({
    note: 'prices of the tests',
    prices: [
      { ...price, meter: 'input_tokens', price: '3.00' },
      { ...price, meter: 'output_tokens', price: '15.00' },
    ],
  });
  return (await publishCatalogVersion(pool, body, { actor: 'test', source: 'test' })).version;
}

/** A usage event of customer acme on the day of the tests. */
export function usageEvent(event_id: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    event_id,
    customer_id: 'acme',
    provider: 'anthropic',
    model_id: 'claude-x',
    occurred_at: '2026-11-24T11:58:00Z',
    usage: { input_tokens: 1200, output_tokens: 310 },
    ...more,
  };
}

/** Publishes the plan `pro` and makes customer acme on it, through the API. */
export async function makeCustomer(api: TestApi, customer_id = 'acme'): Promise<void> {
  const plan = await api.call('POST', '/v1/plans', {
    body: { plan_id: 'pro', currency: 'usd', rules: [{ markup: '0.25' }] },
  });
  expect(plan.status, plan.text).toBe(201);
  const customer = await api.call('PUT', `/v1/customers/${customer_id}`, {
    body: { currency: 'usd', plan_id: 'pro', starts_at: '2026-11-01T00:00:00Z' },
  });
  expect(customer.status, customer.text).toBeLessThan(300);
}
