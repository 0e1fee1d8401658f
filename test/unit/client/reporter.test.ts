import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Webhook } from 'standardwebhooks';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { UsageEventInput } from '../../../src/client/event-input.js';
import { createReporter, type Reporter } from '../../../src/client/reporter.js';
import type { DroppedEvents, EventOutcome, ReporterOptions } from '../../../src/client/reporter-options.js';
import { ID_PATTERN } from '../../../src/contracts/patterns.js';
import { CostplusError } from '../../../src/errors/error.js';
import { UsageServer } from '../../support/usage-server.js';

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const NEVER_MS = 3_600_000;

const call = (over: Partial<UsageEventInput> = {}): UsageEventInput => ({
  customer_id: 'acme',
  provider: 'anthropic',
  model_id: 'claude-sonnet-4-5-20250929',
  usage: { input_tokens: 1200, output_tokens: 310 },
  ...over,
});

describe('a reporter', () => {
  let server: UsageServer;
  let spoolDirectory: string;
  const reporters: Reporter[] = [];

  const reporter = (options: Partial<ReporterOptions> = {}): Reporter => {
    const made = createReporter({ url: server.url, apiKey: 'key', source: 'gateway', secret: SECRET, ...options });
    reporters.push(made);
    return made;
  };

  beforeEach(async () => {
    server = await UsageServer.start({ secret: SECRET });
    spoolDirectory = mkdtempSync(join(tmpdir(), 'costplus-spool-'));
  });

  afterEach(async () => {
    await Promise.all(reporters.splice(0).map((made) => made.close(0)));
    await server.stop();
    rmSync(spoolDirectory, { recursive: true, force: true });
  });

  it('gives each event an id and a time, and sends it as it was reported', async () => {
    const reporting = reporter();
    const event_id = reporting.report(call({ feature: 'report', action_id: 'run_42' }));
    expect(event_id).toMatch(ID_PATTERN);
    expect(await reporting.flush()).toBe(true);
    expect(server.received).toEqual([
      { event_id, occurred_at: expect.any(String), ...call({ feature: 'report', action_id: 'run_42' }) },
    ]);
  });

  it('signs each request as the Standard Webhooks package expects it, and shows key and source', async () => {
    let body = '';
    server.fault = (_request, _response, events) => {
      body = JSON.stringify({ events });
      return null;
    };
    const reporting = reporter();
    reporting.report(call());
    await reporting.flush();
    const { headers } = server.requests[0]!;
    expect(headers.authorization).toBe('Bearer key');
    expect(headers['user-agent']).toContain('gateway');
    const verified = new Webhook(SECRET).verify(body, headers as Record<string, string>);
    expect(verified).toHaveProperty('events');
  });

  it('signs each event too when it is told to', async () => {
    const reporting = reporter({ signEvents: true });
    reporting.report(call());
    await reporting.flush();
    expect(reporting.stats.results.accepted).toBe(1);
    expect(server.received[0]?.signature).toMatch(/^v1,/);
  });

  it('gathers events into requests of at most 1,000', async () => {
    const reporting = reporter({ windowMs: NEVER_MS });
    for (let i = 0; i < 2_500; i++) reporting.report(call());
    expect(await reporting.flush()).toBe(true);
    expect(server.batches).toEqual([1_000, 1_000, 500]);
  });

  it('sends what waits when its window is over', async () => {
    const results = new Promise<EventOutcome>((resolve) => {
      reporter({ windowMs: 20, onResult: resolve }).report(call({ event_id: 'evt_window' }));
    });
    expect(await results).toMatchObject({
      event_id: 'evt_window',
      customer_id: 'acme',
      result: { status: 'accepted' },
    });
  });

  it('tells rejected, conflicting and held events to their callbacks', async () => {
    const told: string[] = [];
    const note =
      (name: string) =>
      ({ event_id, result }: EventOutcome) =>
        void told.push(`${name} ${event_id} ${result.status}`);
    const reporting = reporter({ onRejected: note('rejected'), onConflict: note('conflict'), onHeld: note('held') });
    reporting.report(call({ event_id: 'evt_1' }));
    reporting.report(call({ event_id: 'evt_1', usage: { input_tokens: 1 } }));
    reporting.report(call({ event_id: 'evt_2', model_id: 'unknown' }));
    reporting.report(call({ event_id: 'evt_3', customer_id: 'not an id' }));
    await reporting.flush();
    expect(told.sort()).toEqual(['conflict evt_1 conflict', 'held evt_2 held', 'rejected evt_3 rejected']);
    expect(reporting.stats).toMatchObject({ reported: 4, acknowledged: 3, rejected_here: 1, waiting: 0 });
  });

  it('never throws into the caller, whatever it is given', async () => {
    const rejected: EventOutcome[] = [];
    const reporting = reporter({ onRejected: (outcome) => void rejected.push(outcome) });
    const hostile = {
      get customer_id(): string {
        throw new Error('no');
      },
    };
    const inputs: unknown[] = [
      {},
      hostile,
      { ...call(), prompt: 'secret text' },
      { ...call(), occurred_at: new Date(Number.NaN) },
    ];
    for (const input of inputs) expect(reporting.report(input as UsageEventInput)).toMatch(ID_PATTERN);
    await reporting.flush();
    expect(rejected).toHaveLength(inputs.length);
    expect(JSON.stringify(rejected)).not.toContain('secret text');
    expect(server.requests).toHaveLength(0);
  });

  it('goes on when a callback throws', async () => {
    const errors: Error[] = [];
    const reporting = reporter({
      onResult: () => {
        throw new Error('of the callback');
      },
      onError: (error) => void errors.push(error),
    });
    reporting.report(call());
    reporting.report(call());
    expect(await reporting.flush()).toBe(true);
    expect(errors.map(({ message }) => message)).toEqual(['of the callback', 'of the callback']);
  });

  it('halves a request that is too large for the server', async () => {
    server.fault = (_request, response, events) => {
      if (events.length <= 3) return null;
      response.writeHead(413).end();
      return 'handled';
    };
    const reporting = reporter({ windowMs: NEVER_MS });
    for (let i = 0; i < 10; i++) reporting.report(call());
    expect(await reporting.flush()).toBe(true);
    expect(server.events.size).toBe(10);
    expect(Math.max(...server.batches)).toBeLessThanOrEqual(3);
  });

  it('takes no answer for an acknowledgement that has no result for each event', async () => {
    const answers = ['<html>ok</html>', '{"results":[]}', '{"results":[{"status":"fine"}]}'];
    server.fault = (_request, response) => {
      const answer = answers.shift();
      if (answer === undefined) return null;
      response.writeHead(200).end(answer);
      return 'handled';
    };
    const reporting = reporter();
    reporting.report(call());
    expect(await reporting.flush()).toBe(true);
    expect(reporting.stats).toMatchObject({ failed_attempts: 3, acknowledged: 1 });
  });

  it('without a spool drops what its queue has no room for, and says so', async () => {
    await server.stop();
    const dropped: DroppedEvents[] = [];
    const reporting = reporter({ maxQueueEvents: 5, onDrop: (drop) => void dropped.push(drop) });
    for (let i = 0; i < 8; i++) reporting.report(call({ event_id: `evt_${i}` }));
    const stats = await reporting.close(0);
    expect(dropped.filter(({ reason }) => reason === 'queue_full').flatMap(({ events }) => events)).toHaveLength(3);
    const unsent = dropped.find(({ reason }) => reason === 'unsent_at_close');
    expect(unsent?.events.map((line) => (JSON.parse(line) as { event_id: string }).event_id)).toEqual(
      [0, 1, 2, 3, 4].map((i) => `evt_${i}`),
    );
    expect(stats).toMatchObject({ reported: 8, dropped: 8, waiting: 0 });
    server = await UsageServer.start();
  });

  it('with a spool has an event on the disk when report returns, and off it once it is acknowledged', async () => {
    const reporting = reporter({ windowMs: NEVER_MS, spool: { directory: spoolDirectory } });
    const event_id = reporting.report(call());
    expect(spooledText(spoolDirectory)).toContain(event_id);
    expect(await reporting.flush()).toBe(true);
    expect(spooledText(spoolDirectory)).toBe('');
    await reporting.close();
    expect(readdirSync(spoolDirectory)).toEqual([]);
  });

  it('leaves to the next reporter of the directory what it could not send', async () => {
    await server.stop();
    const first = reporter({ spool: { directory: spoolDirectory } });
    const ids = Array.from({ length: 2_300 }, () => first.report(call()));
    expect(await first.close(0)).toMatchObject({ waiting: 2_300, dropped: 0 });

    server = await UsageServer.start({ secret: SECRET });
    const second = reporter({ spool: { directory: spoolDirectory } });
    await expect.poll(() => second.stats.recovered).toBe(2_300);
    expect(new Set(server.received.map(({ event_id }) => event_id))).toEqual(new Set(ids));
    expect(server.duplicates).toBe(0);
    await second.close();
    expect(readdirSync(spoolDirectory)).toEqual([]);
  });

  it('keeps a full spool within its bytes and then the queue within its events', async () => {
    await server.stop();
    const reporting = reporter({
      spool: { directory: spoolDirectory, maxBytes: 2_000 },
      maxQueueEvents: 3,
      onDrop: () => {},
    });
    for (let i = 0; i < 100; i++) reporting.report(call());
    const spooled = spooledText(spoolDirectory);
    expect(spooled.length).toBeLessThanOrEqual(2_000);
    const onDisk = spooled.trim().split('\n').length;
    expect(reporting.stats).toMatchObject({ reported: 100, dropped: 100 - onDisk - 3, waiting: onDisk + 3 });
    server = await UsageServer.start();
  });

  it('sets aside a request that the server can never take', async () => {
    server.fault = (_request, response) => {
      response.writeHead(400).end();
      return 'handled';
    };
    const dropped: DroppedEvents[] = [];
    const reporting = reporter({ spool: { directory: spoolDirectory }, onDrop: (drop) => void dropped.push(drop) });
    const event_id = reporting.report(call());
    expect(await reporting.flush()).toBe(true);
    expect(dropped).toMatchObject([{ reason: 'refused', kept_at: expect.any(String) }]);
    expect(readFileSync(dropped[0]!.kept_at!, 'utf8')).toContain(event_id);
    expect(reporting.stats).toMatchObject({ dropped: 1, waiting: 0 });
  });

  it('drops what is reported after it was closed, and says so', async () => {
    const dropped: DroppedEvents[] = [];
    const reporting = reporter({ onDrop: (drop) => void dropped.push(drop) });
    await reporting.close();
    reporting.report(call({ event_id: 'evt_late' }));
    await Promise.resolve();
    expect(dropped).toMatchObject([{ reason: 'closed', events: [expect.stringContaining('evt_late')] }]);
  });

  it.each([
    ['an URL', { url: 'costplus' }],
    ['a secret', { secret: 'hunter2' }],
    ['event signatures without a secret', { secret: undefined, signEvents: true }],
    ['a spool directory', { spool: { directory: '/dev/null/spool' } }],
  ])('finds %s of a wrong form when it is made', (_name, options) => {
    expect(() => reporter(options as Partial<ReporterOptions>)).toThrow(CostplusError);
  });
});

/** All that stands in the segments of a spool directory. */
function spooledText(directory: string): string {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.jsonl'))
    .map((name) => readFileSync(join(directory, name), 'utf8'))
    .join('');
}
