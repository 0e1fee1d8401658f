import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readServerConfig } from '../../src/config.js';
import { createApiKey } from '../../src/http/api-keys.js';
import { type RunningApi, startApi } from '../../src/http/main.js';
import { cloneDatabase } from '../support/database.js';
import { usageEvent } from '../support/http.js';

describe('the API process', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  let environment: NodeJS.ProcessEnv;
  let api: RunningApi;
  let key: string;

  beforeAll(async () => {
    database = await cloneDatabase();
    environment = {
      DATABASE_URL: database.url,
      // Nothing answers there: an API without its engine takes usage and says that it is not ready.
      TEMPORAL_ADDRESS: '127.0.0.1:1',
      COSTPLUS_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
      PORT: '0',
      LOG_LEVEL: 'silent',
    };
    api = await startApi(readServerConfig(environment));
    key = await createApiKey(database.pool, { role: 'service', name: 'main' });
  });
  afterAll(async () => {
    await api.close();
    await database.drop();
  });

  it('listens, takes usage, and waits for its engine', async () => {
    expect((await fetch(`${api.url}/healthz`)).status).toBe(200);
    const ready = await fetch(`${api.url}/readyz`);
    expect(ready.status).toBe(503);
    expect(await ready.json()).toMatchObject({ type: 'urn:costplus:error:engine_unavailable' });
    const taken = await fetch(`${api.url}/v1/usage`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ events: [usageEvent('main', { occurred_at: new Date().toISOString() })] }),
    });
    expect(await taken.json()).toMatchObject({ results: [{ event_id: 'main', status: 'held' }] });
    expect(await (await fetch(`${api.url}/metrics`)).text()).toContain('process_cpu_seconds_total');
  });

  it('has no webhook without a Stripe account', async () => {
    const answer = await fetch(`${api.url}/v1/stripe/webhook`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    });
    expect(await answer.json()).toMatchObject({ type: 'urn:costplus:error:not_found' });
  });

  it('says which setting is at fault when it cannot listen', async () => {
    const second = startApi(readServerConfig({ ...environment, PORT: new URL(api.url).port }));
    await expect(second).rejects.toMatchObject({ code: 'configuration', message: expect.stringContaining('PORT') });
  });

  it('answers nothing once it is closed', async () => {
    const other = await startApi(readServerConfig(environment));
    await other.close();
    await expect(fetch(`${other.url}/healthz`)).rejects.toThrow();
  });
});
