import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createReporter, type Reporter } from '../../../src/client/reporter.js';
import type { ReporterStats } from '../../../src/client/reporter-options.js';
import { buildClient } from '../../support/client-build.js';
import { type Fault, UsageServer } from '../../support/usage-server.js';

const SECRET = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;
const CHILD = fileURLToPath(new URL('../../fixtures/client/reporting-child.mjs', import.meta.url));

const ENDING_CHILD = fileURLToPath(new URL('../../fixtures/client/ending-child.mjs', import.meta.url));

const reset: Fault = (request) => {
  request.socket.resetAndDestroy();
  return 'handled';
};
const status =
  (code: number, headers: Record<string, string> = {}): Fault =>
  (_request, response) => {
    response.writeHead(code, headers).end('{}');
    return 'handled';
  };
/** The worst one: the events are appended, and nobody hears of it. */
const lostAnswer: Fault = (request, response) => {
  const { end } = response;
  response.end = ((..._args: unknown[]) => {
    request.socket.resetAndDestroy();
    return response;
  }) as typeof end;
  return null;
};
const slow: Fault = (_request, response) => {
  setTimeout(() => response.writeHead(503).end(), 40).unref();
  return 'handled';
};
const cutShort: Fault = (_request, response) => {
  response.writeHead(200, { 'content-length': '1000' }).write('{"results":[');
  response.destroy();
  return 'handled';
};

/** Faults in turn, each with some requests that succeed between them. */
function takingTurns(faults: Fault[]): Fault {
  let turn = 0;
  return (request, response, events) => {
    const fault = turn % 2 === 0 ? faults[(turn / 2) % faults.length] : undefined;
    turn++;
    return fault?.(request, response, events) ?? null;
  };
}

describe('usage through faults', () => {
  let client: string;
  let server: UsageServer;
  let directory: string;
  const reporters: Reporter[] = [];

  const reporter = (spool: boolean): Reporter => {
    const made = createReporter({
      url: server.url,
      apiKey: 'key',
      secret: SECRET,
      windowMs: 5,
      maxBatchEvents: 50,
      requestTimeoutMs: 1_000,
      ...(spool ? { spool: { directory } } : {}),
    });
    reporters.push(made);
    return made;
  };
  const child = (count: number, ...more: string[]): ChildProcess =>
    spawn(process.execPath, [...more, CHILD, client, server.url, SECRET, directory, '0', String(count)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });

  beforeAll(async () => {
    client = await buildClient();
  });
  afterAll(() => rmSync(join(client, '../../..'), { recursive: true, force: true }));
  beforeEach(async () => {
    server = await UsageServer.start({ secret: SECRET });
    directory = mkdtempSync(join(tmpdir(), 'costplus-chaos-'));
  });
  afterEach(async () => {
    await Promise.all(reporters.splice(0).map((made) => made.close(0)));
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  it.each([['in memory', false] as const, ['with a spool', true] as const])(
    'loses nothing and counts nothing twice, %s',
    async (_name, spool) => {
      server.fault = takingTurns([
        reset,
        status(503),
        lostAnswer,
        status(429, { 'retry-after': '0' }),
        slow,
        cutShort,
        status(500),
      ]);
      const reporting = reporter(spool);
      const ids = new Set<string>();
      for (let i = 0; i < 600; i++) {
        ids.add(reporting.report({ customer_id: 'acme', model_id: 'm', usage: { input_tokens: i } }));
        if (i % 50 === 49) await sleep(1);
      }
      expect(await reporting.flush(30_000)).toBe(true);
      expect(new Set(server.received.map(({ event_id }) => event_id))).toEqual(ids);
      expect(server.conflicts).toBe(0);
      // What was appended without an answer came again under its own id.
      expect(server.duplicates).toBeGreaterThan(0);
      const { results, ...stats } = reporting.stats;
      expect(stats).toMatchObject({ reported: 600, acknowledged: 600, dropped: 0, waiting: 0 });
      expect(results.accepted + results.duplicate).toBe(600);
      expect(stats.failed_attempts).toBeGreaterThan(5);
    },
  );

  it('comes back when a server that was down is up again', async () => {
    await server.stop();
    const reporting = reporter(false);
    const id = reporting.report({ customer_id: 'acme', model_id: 'm', usage: { input_tokens: 1 } });
    await expect.poll(() => reporting.stats.failed_attempts).toBeGreaterThan(1);
    server = await UsageServer.start({ secret: SECRET, port: server.port });
    expect(await reporting.flush(30_000)).toBe(true);
    expect(server.received.map(({ event_id }) => event_id)).toEqual([id]);
  });

  it('waits as long as the server asks', async () => {
    let refused = false;
    server.fault = (...request) => {
      if (refused) return null;
      refused = true;
      return status(429, { 'retry-after': '1' })(...request);
    };
    const reporting = reporter(false);
    reporting.report({ customer_id: 'acme', model_id: 'm', usage: { input_tokens: 1 } });
    expect(await reporting.flush(30_000)).toBe(true);
    const [first, second] = server.requests;
    expect(second!.at - first!.at).toBeGreaterThanOrEqual(990);
    expect(second!.headers['webhook-id']).toBe(first!.headers['webhook-id']);
    expect(second!.headers['webhook-timestamp']).not.toBe(first!.headers['webhook-timestamp']);
  });

  it.each([37, 1_234])('a process that is killed after %i events has lost none of them', async (killAfter) => {
    server.fault = takingTurns([lostAnswer, reset, status(503)]);
    const killed = child(1_000_000);
    const reported: string[] = [];
    for await (const line of createInterface({ input: killed.stdout! })) {
      reported.push(line);
      if (reported.length === killAfter) killed.kill('SIGKILL');
    }
    expect(killed.signalCode ?? (await once(killed, 'exit'))[1]).toBe('SIGKILL');
    expect(reported.length).toBeGreaterThanOrEqual(killAfter);

    const next = reporter(true);
    const missing = () => reported.filter((id) => !server.events.has(`acme/${id}`)).length;
    await expect.poll(missing, { timeout: 30_000 }).toBe(0);
    // The killed one's last requests may have been appended without an answer: they are sent once more.
    await expect.poll(() => segmentsIn(directory), { timeout: 30_000 }).toEqual([]);
    await next.close();
    expect(readdirSync(directory)).toEqual([]);
    expect(server.conflicts).toBe(0);
    // At most the one whose `report` was interrupted stands beside those that it returned for.
    expect(server.events.size - reported.length).toBeLessThanOrEqual(1);
  });

  it.each([
    ['runs out of work', undefined],
    ['is asked to end', 'SIGTERM' as const],
  ])('a process that %s sends what waits, and ends as it would have', async (_name, signal) => {
    const ending = spawn(
      process.execPath,
      [ENDING_CHILD, client, server.url, SECRET, signal === undefined ? '' : 'stay'],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    if (signal !== undefined) {
      await once(ending.stdout, 'data');
      ending.kill(signal);
    }
    expect(await once(ending, 'exit')).toEqual(signal === undefined ? [0, null] : [null, signal]);
    expect(server.received.map(({ event_id }) => event_id)).toEqual(['evt_last']);
  });

  it('several processes that share a spool send each event once', async () => {
    await server.stop();
    const outage = reporter(true);
    for (let i = 0; i < 500; i++) outage.report({ customer_id: 'acme', model_id: 'm', usage: { input_tokens: i } });
    await outage.close(0);
    server = await UsageServer.start({ secret: SECRET });
    const heirs = [reporter(true), reporter(true), reporter(true)];
    await expect.poll(() => server.events.size).toBe(500);
    await expect.poll(() => heirs.reduce((sum, heir) => sum + heir.stats.recovered, 0)).toBe(500);
    expect(server.duplicates).toBe(0);
  });

  it('needs no more memory when the outage is long', async () => {
    await server.stop();
    // 60 MB of events against 32 MB of heap: a reporter that kept them would die here.
    const count = 100_000;
    const reporting = spawn(
      process.execPath,
      ['--max-old-space-size=32', CHILD, client, server.url, SECRET, directory, '0', String(count), '128'],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    let output = '';
    reporting.stdout.on('data', (data) => {
      output += data;
    });
    const [code] = await once(reporting, 'close');
    expect(code).toBe(0);
    const stats = JSON.parse(output) as ReporterStats;
    expect(stats).toMatchObject({ reported: count, dropped: 0, waiting: count });
    server = await UsageServer.start();
  });
});

function segmentsIn(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.jsonl'));
}
