import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Part } from '../../../src/dev/part.js';
import { freePort } from '../../../src/dev/ports.js';
import { findTemporalCli } from '../../../src/dev/temporal-binary.js';
import { type DevServerOptions, startTemporalServer } from '../../../src/dev/temporal-server.js';
import { registerSearchAttributes } from '../../../src/engine/search-attributes.js';

describe('the Temporal dev server', () => {
  let home: string;
  let options: DevServerOptions;
  let part: Part | undefined;
  const said: string[] = [];

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'costplus-temporal-'));
    const cache = fileURLToPath(new URL('../../../node_modules/.cache/costplus', import.meta.url));
    options = {
      binary: await findTemporalCli({ cache }),
      directory: join(home, 'temporal'),
      port: await freePort(),
      uiPort: null,
      logFile: join(home, 'temporal.log'),
    };
  });
  afterEach(async () => {
    await part?.stop();
    said.length = 0;
  });
  afterAll(() => rm(home, { recursive: true, force: true }));

  const start = async () => {
    part = await startTemporalServer(options, { say: (line) => said.push(line) });
  };
  async function withConnection<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    const connection = await Connection.connect({ address: `127.0.0.1:${options.port}` });
    try {
      return await work(connection);
    } finally {
      await connection.close();
    }
  }
  const startRun = () =>
    withConnection((connection) =>
      new Client({ connection }).workflow.start('absent', { workflowId: 'kept', taskQueue: 'nobody', args: [] }),
    );
  const listRuns = () =>
    withConnection(async (connection) => {
      const runs: string[] = [];
      for await (const run of new Client({ connection }).workflow.list()) runs.push(run.workflowId);
      return runs;
    });
  const setAside = async () => (await readdir(home)).filter((name) => name.startsWith('temporal.unused-'));

  it('has the search attributes of billing runs and keeps closed runs for 90 days', async () => {
    await start();
    await withConnection(async (connection) => {
      await registerSearchAttributes(connection, 'default');
      const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace: 'default' });
      expect(customAttributes).toMatchObject({ CostplusCustomer: 2, CostplusPeriod: 2, CostplusStatus: 2 });
      const { config } = await connection.workflowService.describeNamespace({ namespace: 'default' });
      expect(Number(config?.workflowExecutionRetentionTtl?.seconds)).toBe(90 * 86_400);
    });
    await startRun();
  });

  it('still has its runs after it was stopped', async () => {
    await start();
    expect(await listRuns()).toEqual(['kept']);
    expect(said).toEqual([]);
  });

  it('replaces a file with which it cannot start, keeps that aside and says so', async () => {
    for (const name of await readdir(options.directory)) {
      if (name.startsWith('temporal.db')) await rm(join(options.directory, name));
    }
    await writeFile(join(options.directory, 'temporal.db'), 'not a database'.repeat(1_000));
    await start();
    expect(await listRuns()).toEqual([]);
    expect(await setAside()).toHaveLength(1);
    expect(said[0]).toContain('cannot start with its file');
  });

  it('replaces a file that another version of the server made', async () => {
    await startTemporalServer(options).then((server) => server.stop());
    const version = await readFile(join(options.directory, 'version'), 'utf8');
    expect(version).toMatch(/^\d+\.\d+\.\d+\n$/);
    await writeFile(join(options.directory, 'version'), '1.2.3\n');
    await start();
    expect(await readFile(join(options.directory, 'version'), 'utf8')).toBe(version);
    expect(await setAside()).toHaveLength(2);
    expect(said[0]).toContain('made by server 1.2.3');
  });
});
