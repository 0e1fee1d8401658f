import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listProposals } from '../../src/catalog/proposal-store.js';
import {
  IMPORT_PRICES_SCHEDULE,
  IMPORT_PRICES_WORKFLOW,
  type ImportedSource,
  type ImportPricesInput,
  TASK_QUEUE,
} from '../../src/contracts/engine.js';
import { ensurePriceSchedule } from '../../src/engine/price-schedule.js';
import { cloneDatabase } from '../support/database.js';
import { saveHistory } from '../support/histories.js';
import { publishBasics } from '../support/ledger.js';
import { startDevServer } from '../support/temporal.js';
import { startTestWorker, type TestWorker } from '../support/worker.js';

type Workflow = (input: ImportPricesInput) => Promise<ImportedSource[]>;

describe('the import of prices', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  let environment: TestWorkflowEnvironment;
  let worker: TestWorker;
  let folder: string;

  beforeAll(async () => {
    database = await cloneDatabase();
    await publishBasics(database.pool);
    folder = await mkdtemp(join(tmpdir(), 'costplus-prices-'));
    const from = join(folder, 'litellm.json');
    await writeFile(
      from,
      JSON.stringify({ 'claude-x': { litellm_provider: 'anthropic', input_cost_per_token: 4e-6 } }),
    );
    environment = await startDevServer();
    worker = await startTestWorker(environment, database.pool, {
      sources: [{ source: 'litellm', from, providers: null }],
      policy: 'publish_unsuspicious',
    });
  });
  afterAll(async () => {
    await worker.stop();
    await environment.teardown();
    await database.drop();
    await rm(folder, { recursive: true });
  });

  const wanted = { sources: ['litellm'], everyHours: 24 };
  const describeSchedule = () => environment.client.schedule.getHandle(IMPORT_PRICES_SCHEDULE).describe();

  it('is scheduled once where sources are configured, and runs at once', async () => {
    await Promise.all([1, 2].map(() => ensurePriceSchedule(environment.client, wanted)));
    const proposals = () =>
      listProposals(database.pool, { source: null, status: 'published', page: { cursor: null, limit: 10 } });
    while ((await proposals()).data.length === 0) await sleep(50);
    expect((await proposals()).data).toMatchObject([
      { source: 'litellm', created_by: 'costplus:import-prices', published_version: 2, counts: { changed: 1 } },
    ]);
  });

  it('changes its schedule with the configuration, keeps a pause, and ends it without sources', async () => {
    const handle = environment.client.schedule.getHandle(IMPORT_PRICES_SCHEDULE);
    await handle.pause('a person looks');
    await ensurePriceSchedule(environment.client, { sources: ['litellm', 'openrouter'], everyHours: 6 });
    const { action, spec, state } = await describeSchedule();
    expect(action).toMatchObject({ args: [{ sources: ['litellm', 'openrouter'] }] });
    expect(spec.intervals).toMatchObject([{ every: 6 * 3_600_000 }]);
    expect(state.paused).toBe(true);
    await ensurePriceSchedule(environment.client, { sources: [], everyHours: 6 });
    await expect(describeSchedule()).rejects.toThrow();
    await ensurePriceSchedule(environment.client, { sources: [], everyHours: 6 });
  });

  it('says of each source what became of it; one that fails keeps no other from being looked at', async () => {
    const handle = await environment.client.workflow.start<Workflow>(IMPORT_PRICES_WORKFLOW, {
      taskQueue: TASK_QUEUE,
      workflowId: 'by-hand',
      args: [{ sources: ['openrouter', 'litellm'] }],
    });
    const outcomes = await handle.result();
    await saveHistory(handle, 'import-prices');
    expect(outcomes).toEqual([
      expect.objectContaining({
        source: 'openrouter',
        status: 'failed',
        failure: expect.stringContaining('PRICE_SOURCES'),
      }),
      {
        source: 'litellm',
        status: 'unchanged',
        proposal_id: null,
        published_version: null,
        counts: null,
        failure: null,
      },
    ]);
  });
});
