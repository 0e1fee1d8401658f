import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { UsageEventInput } from '../../src/client/event-input.js';
import { periodStartDate } from '../../src/client/period-start-date.js';
import { createReporter } from '../../src/client/reporter.js';
import type { EventOutcome } from '../../src/client/reporter-options.js';
import { type SignalUsageOptions, signalUsage } from '../../src/client/temporal.js';
import { CostplusError } from '../../src/errors/error.js';
import { createApiKey } from '../../src/http/api-keys.js';
import { SIGNAL_EVENTS_COUNT } from '../../src/limits.js';
import { createSource } from '../../src/sources/sources.js';
import { codeOf, ROOT, runnable } from '../support/doc-code.js';
import { makeCustomer, publishTestCatalog, startTestApi, type TestApi } from '../support/http.js';
import { startDevServer } from '../support/temporal.js';
import { ENCRYPTION_KEY, startTestWorker, type TestWorker } from '../support/worker.js';

const SECRET = `whsec_${Buffer.alloc(32, 4).toString('base64')}`;
const SOURCE = 'search-service';

/** An event that the tests' catalog prices. */
const event: UsageEventInput = {
  customer_id: 'acme',
  provider: 'anthropic',
  model_id: 'claude-x',
  usage: { input_tokens: 1200, output_tokens: 310 },
};

describe('the doors that a service reports through, on the real API, ledger and engine', () => {
  let api: TestApi;
  let url: string;
  let key: string;
  let environment: TestWorkflowEnvironment;
  let worker: TestWorker;
  let start_date: string;

  const batch = (over: Partial<SignalUsageOptions> = {}): SignalUsageOptions => ({
    customer_id: 'acme',
    start_date,
    source: SOURCE,
    secret: SECRET,
    events: [event],
    ...over,
  });
  const stored = async (eventId: string) =>
    (await api.pool.query<{ source_id: string }>('SELECT source_id FROM usage_events WHERE event_id = $1', [eventId]))
      .rows;

  beforeAll(async () => {
    api = await startTestApi({ encryptionKey: ENCRYPTION_KEY });
    api.clock.now = Date.now();
    url = await api.server.listen({ host: '127.0.0.1', port: 0 });
    await publishTestCatalog(api.pool);
    await makeCustomer(api);
    await createSource(api.pool, ENCRYPTION_KEY, { source_id: SOURCE, secret: SECRET });
    key = await createApiKey(api.pool, { role: 'service', name: SOURCE, source_id: SOURCE });
    environment = await startDevServer();
    worker = await startTestWorker(environment, api.pool);
    start_date = (await periodStartDate({ url, apiKey: api.keys.ops, customer_id: 'acme' }))!;
  });
  afterAll(async () => {
    await worker?.stop();
    await environment?.teardown();
    await api?.close();
  });

  it('the reporter signs requests and events so that the server takes them', async () => {
    const outcomes: EventOutcome[] = [];
    const reporter = createReporter({
      url,
      apiKey: key,
      secret: SECRET,
      signEvents: true,
      onResult: (outcome) => void outcomes.push(outcome),
    });
    const event_id = reporter.report(event);
    expect(await reporter.flush()).toBe(true);
    expect(outcomes).toMatchObject([{ event_id, result: { status: 'accepted' } }]);
    expect(await stored(event_id)).toEqual([{ source_id: SOURCE }]);
    await reporter.close();
  });

  it('the start date is that of the period around an instant, and nothing where there is no period', async () => {
    expect(start_date).toMatch(/^\d{4}-\d{2}-\d{2}$/);
    const at = new Date('2001-01-01T00:00:00Z');
    expect(await periodStartDate({ url, apiKey: api.keys.ops, customer_id: 'acme', at })).toBeNull();
    expect(await periodStartDate({ url, apiKey: api.keys.ops, customer_id: 'nobody' })).toBeNull();
    await expect(periodStartDate({ url, apiKey: 'wrong', customer_id: 'acme' })).rejects.toThrow('401');
  });

  it('a signalled batch is in the ledger, with a result for each event', async () => {
    const signalled = await signalUsage(environment.client, batch({ events: [event, event] }));
    expect(await signalled.results()).toMatchObject(
      signalled.event_ids.map((event_id) => ({ event_id, status: 'accepted' })),
    );
    expect(await stored(signalled.event_ids[0]!)).toEqual([{ source_id: SOURCE }]);
  });

  it('signalled twice, the events count once', async () => {
    const events = [{ ...event, event_id: 'evt_twice', occurred_at: new Date() }];
    await signalUsage(environment.client, batch({ events }));
    const again = await signalUsage(environment.client, batch({ events }));
    expect(await again.results()).toMatchObject([{ event_id: 'evt_twice', status: 'duplicate' }]);
    expect(await stored('evt_twice')).toHaveLength(1);
  });

  it('a batch that another secret signed is refused, and the results say so', async () => {
    const secret = `whsec_${Buffer.alloc(32, 8).toString('base64')}`;
    const signalled = await signalUsage(environment.client, batch({ secret }));
    expect(await signalled.results()).toMatchObject([{ event_id: null, status: 'rejected' }]);
    expect(await stored(signalled.event_ids[0]!)).toEqual([]);
  });

  it.each([
    ['no event', { events: [] }, /1 to 100 events/],
    ['too many events', { events: Array(SIGNAL_EVENTS_COUNT + 1).fill(event) }, /1 to 100 events/],
    ['too many bytes', { events: Array(100).fill({ ...event, dimensions: wide() }) }, /bytes/],
    [
      'an event that is not valid',
      { events: [event, { ...event, usage: { input_tokens: -1 } }] },
      /events\[1\]\.usage/,
    ],
    ["another customer's event", { events: [{ ...event, customer_id: 'globex' }] }, /another customer/],
    ['an id that cannot stand in a workflow id', { customer_id: 'a/b' }, /customer_id/],
    ['a start date of another form', { start_date: 'november' }, /start_date/],
  ])('%s is found before anything is sent', async (_name, over, message) => {
    const sent = signalUsage(environment.client, batch(over as Partial<SignalUsageOptions>));
    await expect(sent).rejects.toThrow(CostplusError);
    await expect(sent).rejects.toThrow(message);
  });

  it('the code of the how-to page does what it says', async () => {
    const env = {
      TEMPORAL_ADDRESS: environment.address,
      COSTPLUS_URL: url,
      COSTPLUS_OPS_KEY: api.keys.ops,
      COSTPLUS_SIGNING_SECRET: SECRET,
    };
    for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
    const said = vi.spyOn(console, 'log').mockImplementation(() => {});
    mkdirSync(`${ROOT}/.costplus`, { recursive: true });
    const folder = mkdtempSync(`${ROOT}/.costplus/docs-`);
    try {
      const [block] = codeOf('how-to/temporal-signal.md');
      writeFileSync(join(folder, block!.file), runnable(block!.code));
      await import(join(folder, block!.file));
      // Nobody has published a price of browser seconds here: the event is kept and held.
      expect(said.mock.calls).toEqual([[expect.any(String), 'held']]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
      vi.restoreAllMocks();
      vi.unstubAllEnvs();
    }
  });
});

/** Labels of 2 KB. */
function wide(): Record<string, string> {
  return Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`d${i}`, 'x'.repeat(128)]));
}
