import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { migrate } from '../../src/database/migrate.js';
import { createPool } from '../../src/database/pool.js';
import { startEmbeddedPostgres } from '../../src/dev/embedded-postgres.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** Connection string of the server's maintenance database. */
    postgresUrl: string;
  }
}

/** One real PostgreSQL for the whole run; each database test works on a clone of its migrated template. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const directory = await mkdtemp(join(tmpdir(), 'costplus-test-'));
  // PostgreSQL runs as a user of its own where the tests run as root.
  await chmod(directory, 0o755);
  const server = await startEmbeddedPostgres({
    directory: join(directory, 'postgres'),
    settings: { max_connections: '300' },
  });
  const maintenance = createPool(server.url('postgres'), { max: 1 });
  await maintenance.query('CREATE DATABASE costplus_template');
  const template = createPool(server.url('costplus_template'), { max: 2 });
  await migrate(template);
  await template.end();
  await maintenance.end();
  project.provide('postgresUrl', server.url('postgres'));
  return async () => {
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  };
}
