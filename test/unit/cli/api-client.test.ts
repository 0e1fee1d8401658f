import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ApiClient, apiPath, findConnection } from '../../../src/cli/api-client.js';
import { EXIT_FAILED, EXIT_NOT_FOUND, EXIT_UNREACHABLE, EXIT_USAGE } from '../../../src/cli/exit-codes.js';

describe('where the command line finds the API', () => {
  let home: string;
  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'costplus-cli-'));
    const dev = { api_url: 'http://127.0.0.1:8080', keys: { finance: 'cp_finance_dev' } };
    await writeFile(join(home, 'dev.json'), JSON.stringify(dev));
  });
  afterAll(() => rm(home, { recursive: true }));

  it('is the environment first', async () => {
    const environment = { COSTPLUS_URL: 'https://billing.example', COSTPLUS_API_KEY: 'k', COSTPLUS_HOME: home };
    expect(await findConnection(environment)).toEqual({ url: 'https://billing.example', key: 'k' });
  });

  it('is the stack of this machine otherwise', async () => {
    expect(await findConnection({ COSTPLUS_HOME: home })).toEqual({
      url: 'http://127.0.0.1:8080',
      key: 'cp_finance_dev',
    });
    const withKey = await findConnection({ COSTPLUS_HOME: home, COSTPLUS_API_KEY: 'mine' });
    expect(withKey).toEqual({ url: 'http://127.0.0.1:8080', key: 'mine' });
  });

  it("never takes this machine's key to another server", async () => {
    const elsewhere = findConnection({ COSTPLUS_HOME: home, COSTPLUS_URL: 'https://billing.example' });
    await expect(elsewhere).rejects.toMatchObject({ exitCode: EXIT_USAGE, message: /COSTPLUS_API_KEY/ });
  });

  it('is a mistake of usage where nothing says it', async () => {
    await expect(findConnection({ COSTPLUS_HOME: join(home, 'none') })).rejects.toMatchObject({ exitCode: EXIT_USAGE });
    await writeFile(join(home, 'dev.json'), 'not JSON');
    await expect(findConnection({ COSTPLUS_HOME: home })).rejects.toMatchObject({ exitCode: EXIT_USAGE });
  });
});

describe('paths', () => {
  it('carry data as data', () => {
    expect(apiPath('/v1/periods/{}/{}', 'a/../b', '2026-11-01?x')).toBe('/v1/periods/a%2F..%2Fb/2026-11-01%3Fx');
  });
});

describe('the API client', () => {
  const requests: { method?: string | undefined; url?: string | undefined; key?: string | undefined; body: string }[] =
    [];
  let server: Server;
  let client: ApiClient;

  beforeAll(async () => {
    server = createServer(async (request, response) => {
      let body = '';
      for await (const part of request) body += String(part);
      requests.push({ method: request.method, url: request.url, key: request.headers.authorization, body });
      const answer = (status: number, value: unknown) =>
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
      const problem = (status: number, code: string) =>
        answer(status, { type: `urn:costplus:error:${code}`, title: 'Title', status, detail: 'Detail.' });
      const url = new URL(request.url!, 'http://x');
      if (url.pathname === '/list') {
        const from = Number(url.searchParams.get('cursor') ?? 0);
        const data = [0, 1, 2, 3, 4].slice(from, from + Math.min(2, Number(url.searchParams.get('limit'))));
        const next = from + data.length;
        return answer(200, { data, next_cursor: next < 5 ? String(next) : null });
      }
      if (url.pathname === '/gone') return problem(404, 'unknown_period');
      if (url.pathname === '/refused') return problem(409, 'wrong_status');
      if (url.pathname === '/away') return problem(503, 'engine_unavailable');
      if (url.pathname === '/html') return response.writeHead(404).end('<html>');
      return answer(200, { ok: true });
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    client = new ApiClient({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, key: 'cp_key' });
  });
  afterAll(() => void server.close());

  it('sends the key, the query and the body', async () => {
    expect(await client.get('/thing', { a: '1 2', b: undefined })).toEqual({ ok: true });
    await client.put('/thing', { name: 'x' });
    expect(requests.slice(-2)).toEqual([
      { method: 'GET', url: '/thing?a=1+2', key: 'Bearer cp_key', body: '' },
      { method: 'PUT', url: '/thing', key: 'Bearer cp_key', body: '{"name":"x"}' },
    ]);
  });

  it('reads lists page after page, up to what is wanted', async () => {
    expect(await client.list('/list', {}, 100)).toEqual([0, 1, 2, 3, 4]);
    expect(await client.list('/list', {}, 3)).toEqual([0, 1, 2]);
  });

  it.each([
    ['/gone', EXIT_NOT_FOUND, 'Title (unknown_period). Detail.'],
    ['/refused', EXIT_FAILED, 'Title (wrong_status). Detail.'],
    ['/away', EXIT_UNREACHABLE, 'Title (engine_unavailable). Detail.'],
    ['/html', EXIT_UNREACHABLE, 'is not the costplus API'],
  ])('ends %s with exit code %i', async (path, exitCode, message) => {
    await expect(client.get(path)).rejects.toMatchObject({ exitCode, message: expect.stringContaining(message) });
  });

  it('says that nobody answers', async () => {
    const nobody = new ApiClient({ url: 'http://127.0.0.1:1', key: 'k' });
    await expect(nobody.get('/')).rejects.toMatchObject({ exitCode: EXIT_UNREACHABLE });
  });
});
