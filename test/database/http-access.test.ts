import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { API_ROLES, ApiKeys, createApiKey, newApiKey, revokeApiKey } from '../../src/http/api-keys.js';
import { CREDENTIAL_CACHE_SECONDS } from '../../src/limits.js';
import { type Answer, expectProblem, startTestApi, type TestApi } from '../support/http.js';

/** Which roles each kind of route lets in. */
const LETS_IN: Record<string, readonly string[]> = {
  service: ['service'],
  ops: ['ops', 'finance'],
  finance: ['finance'],
};

describe('who may use a route', () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startTestApi();
  });
  afterAll(() => api.close());

  it('every route says who may use it', () => {
    const silent = [...api.routes].filter(([, route]) => route.config?.access === undefined).map(([name]) => name);
    expect(silent).toEqual([]);
    expect([...api.routes].filter(([name]) => name.includes('/v1/')).length).toBeGreaterThan(20);
  });

  it('docs/reference/api.md lists every route with who may use it, and no other', async () => {
    const page = await readFile(new URL('../../docs/reference/api.md', import.meta.url), 'utf8');
    const documented = [...page.matchAll(/^\| `([A-Z]+ [^`]+)` \| (\w+) \|$/gm)].map(([, route, role]) => [
      route,
      role,
    ]);
    const registered = [...api.routes]
      // HEAD comes with each GET; the files of the documentation pages come with /docs.
      .filter(([name]) => !name.startsWith('HEAD') && !name.includes(' /docs/'))
      .map(([name, route]) => [name.replaceAll(/:(\w+)/g, '{$1}'), route.config?.access]);
    expect(documented.sort()).toEqual(registered.sort());
  });

  /** The endpoints that stand in for Stripe's answer as Stripe does. */
  const refused = (answer: Answer, url: string, status: number, code: string) => {
    if (!url.includes('/billing/meter_event')) expectProblem(answer, status, code);
    else expect([answer.status, answer.body]).toMatchObject([status, { error: { code } }]);
  };

  it('each role gets into the routes of its role and into no other', async () => {
    for (const [name, route] of api.routes) {
      const access = route.config?.access;
      const roles = access === undefined ? undefined : LETS_IN[access];
      const [method, pattern] = name.split(' ') as ['GET', string];
      if (!roles || name.startsWith('HEAD')) continue;
      const url = pattern.replace(':start_date', '2026-11-01').replaceAll(/:\w+/g, '1');
      for (const role of API_ROLES) {
        const answer = await api.call(method, url, { key: api.keys[role] });
        if (roles.includes(role)) expect([401, 403], `${role} ${name}`).not.toContain(answer.status);
        else refused(answer, url, 403, 'forbidden');
      }
      refused(await api.call(method, url, { key: null }), url, 401, 'unauthenticated');
    }
  });

  it.each([
    ['no bearer', 'Basic Zm9vOmJhcg=='],
    ['an empty key', 'Bearer '],
    ['another form', 'Bearer sk_live_123'],
    ['an unknown key', `Bearer ${newApiKey('finance')}`],
  ])('refuses %s', async (_name, authorization) => {
    const answer = await api.call('GET', '/v1/periods', { key: null, headers: { authorization } });
    expectProblem(answer, 401, 'unauthenticated');
    expect(answer.headers['www-authenticate']).toBe('Bearer');
  });

  it('refuses a known prefix with another secret, also when the right key was just used', async () => {
    expect((await api.call('GET', '/v1/periods')).status).toBe(200);
    const forged = `${api.keys.finance.slice(0, -10)}AAAAAAAAAA`;
    expectProblem(await api.call('GET', '/v1/periods', { key: forged }), 401, 'unauthenticated');
    const raised = api.keys.ops.replace('cp_ops_', 'cp_finance_');
    expectProblem(await api.call('GET', '/v1/plans', { key: raised }), 401, 'unauthenticated');
  });

  it('writes neither keys nor headers into the log', async () => {
    await api.call('GET', '/v1/periods');
    // The secret is base64url and may hold `_` itself.
    const secret = api.keys.finance.split('_').slice(3).join('_');
    expect(secret.length).toBeGreaterThanOrEqual(43);
    expect(api.logs.join('')).not.toContain(secret);
    expect(api.logs.at(-1)).toContain(api.keys.finance.split('_')[2]);
  });
});

describe('API keys', () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startTestApi();
  });
  afterAll(() => api.close());

  it('are stored as a hash only', async () => {
    const key = await createApiKey(api.pool, { role: 'ops', name: 'stored' });
    expect(key).toMatch(/^cp_ops_[a-z0-9]{12}_[A-Za-z0-9_-]{43}$/);
    const rows = await api.pool.query<{ text: string }>('SELECT k::text AS text FROM api_keys k');
    expect(rows.rows.map(({ text }) => text).join()).not.toContain(key.slice(-43));
  });

  it('can be brought, and bringing the same one again changes nothing', async () => {
    const key = newApiKey('service');
    expect(await createApiKey(api.pool, { role: 'service', name: 'a', key })).toBe(key);
    expect(await createApiKey(api.pool, { role: 'service', name: 'a', key })).toBe(key);
    const other = `${key.slice(0, -43)}${randomBytes(32).toString('base64url')}`;
    const taken = createApiKey(api.pool, { role: 'service', name: 'a', key: other });
    await expect(taken).rejects.toMatchObject({ code: 'conflict' });
    const wrongRole = createApiKey(api.pool, { role: 'finance', name: 'a', key });
    await expect(wrongRole).rejects.toMatchObject({ code: 'invalid_request' });
  });

  it('stop working soon after they are revoked', async () => {
    const clock = { now: 0 };
    const keys = new ApiKeys(api.pool, () => clock.now);
    const key = await createApiKey(api.pool, { role: 'finance', name: 'short-lived' });
    const caller = { role: 'finance', source_id: null, prefix: key.split('_')[2] };
    expect(await keys.authenticate(`Bearer ${key}`)).toEqual(caller);
    await revokeApiKey(api.pool, caller.prefix!);
    clock.now = CREDENTIAL_CACHE_SECONDS * 1_000;
    await expect(keys.authenticate(`Bearer ${key}`)).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(revokeApiKey(api.pool, caller.prefix!)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('belong to a source only where they send usage', async () => {
    const made = createApiKey(api.pool, { role: 'finance', name: 'x', source_id: 'gateway' });
    await expect(made).rejects.toMatchObject({ code: 'invalid_request', field: 'source_id' });
  });
});
