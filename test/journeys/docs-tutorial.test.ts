import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPool } from '../../src/database/pool.js';
import { blocksOf, type DocsBlock, RUN_PAGES } from '../support/docs.js';
import { DocsShell, missingLine } from '../support/docs-shell.js';
import { temporalCli } from '../support/temporal.js';

/** The reader has set nothing of costplus's own yet. */
const FOREIGN = /^(DATABASE_URL|TEMPORAL_|STRIPE_|PORT$|HOST$|WORKER_METRICS_PORT|COSTPLUS_|NODE_ENV$|VITEST|npm_)/;

let home: string;
let shell: DocsShell;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'costplus-docs-home-'));
  // PostgreSQL runs as a user of its own where the tests run as root.
  await chmod(home, 0o755);
  const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !FOREIGN.test(name)));
  shell = await DocsShell.open(home, { ...own, TEMPORAL_CLI_PATH: await temporalCli() });
});

afterAll(async () => {
  await shell?.close();
  await rm(home, { recursive: true, force: true });
});

/** Runs a block where it is one to run; returns what it printed, null where it is none. */
async function run(block: DocsBlock): Promise<string | null> {
  if (block.language === 'test') {
    if (block.text === 'stop') await shell.stop();
    else await shell.type(block.text);
    return null;
  }
  if (block.language === 'sql') return query(block.text);
  if (block.language !== 'sh' || block.mark !== '') return null;
  return block.text === 'npm start' ? shell.start() : shell.type(block.text);
}

/** Asks the system's database, and shows the answer as psql does. */
async function query(sql: string): Promise<string> {
  const { database_url } = JSON.parse(await readFile(join(home, 'dev.json'), 'utf8')) as { database_url: string };
  const pool = createPool(database_url, { max: 1, applicationName: 'costplus-test' });
  try {
    const { rows, fields } = await pool.query<Record<string, unknown>>(sql);
    const shown = (value: unknown) => (typeof value === 'boolean' ? (value ? 't' : 'f') : String(value));
    const head = fields.map(({ name }) => name).join(' | ');
    const lines = rows.map((row) => Object.values(row).map(shown).join(' | '));
    return [head, '-'.repeat(head.length + 2), ...lines].join('\n');
  } finally {
    await pool.end();
  }
}

describe.each(RUN_PAGES)('%s', (page) => {
  let printed: string | null = null;
  let failed = false;

  for (const block of blocksOf(page)) {
    it(`line ${block.line}: ${block.language}`, { timeout: 150_000 }, async ({ skip }) => {
      // Each step stands on the ones before it: after a failure the rest says nothing.
      if (failed) skip();
      failed = true;
      if (block.language === 'text') {
        if (printed !== null) expect(missingLine(printed, block.text), `was not printed:\n${printed}\n`).toBeNull();
      } else printed = await run(block);
      failed = false;
    });
  }
});
