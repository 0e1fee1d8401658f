import { chmod, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ensureDatabase, postmasterPid, startEmbeddedPostgres } from '../../../src/dev/embedded-postgres.js';
import { sendSignal, waitForEnd } from '../../../src/dev/processes.js';

describe('the embedded PostgreSQL', () => {
  let folder: string;
  let directory: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'costplus-pg-'));
    // PostgreSQL runs as a user of its own where the tests run as root.
    await chmod(folder, 0o755);
    directory = join(folder, 'postgres');
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  async function query(url: string, sql: string): Promise<unknown[]> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      return (await client.query(sql)).rows;
    } finally {
      await client.end();
    }
  }

  it('keeps what was committed before it was killed', async () => {
    const first = await startEmbeddedPostgres({ directory });
    await ensureDatabase(first.url('postgres'), 'ledger');
    await query(first.url('ledger'), 'CREATE TABLE kept AS SELECT 1 AS one');
    const pid = (await postmasterPid(directory))!;
    sendSignal(pid, 'SIGKILL');
    await first.stop();
    await waitForEnd(pid, 10_000);

    const second = await startEmbeddedPostgres({ directory });
    await ensureDatabase(second.url('postgres'), 'ledger');
    expect(await query(second.url('ledger'), 'SELECT one FROM kept')).toEqual([{ one: 1 }]);
    expect(await query(second.url('ledger'), 'SHOW fsync')).toEqual([{ fsync: 'on' }]);
    await second.stop();
    expect(await postmasterPid(directory)).toBeNull();
  });

  it('asks for its password', async () => {
    const server = await startEmbeddedPostgres({ directory, password: 'right' });
    const wrong = new URL(server.url('postgres'));
    wrong.password = 'wrong';
    await expect(query(wrong.href, 'SELECT 1')).rejects.toMatchObject({ code: '28P01' });
    await server.stop();
  });

  it('is set up anew where an earlier set-up was interrupted', async () => {
    await mkdir(`${directory}.new`);
    await writeFile(join(`${directory}.new`, 'PG_VERSION'), '18\n');
    const server = await startEmbeddedPostgres({ directory });
    expect(await query(server.url('postgres'), 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(await stat(`${directory}.new`).catch(() => null)).toBeNull();
    await server.stop();
  });
});
