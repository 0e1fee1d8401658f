import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readConfig } from '../config.js';
import type { Pool } from '../database/pool.js';
import type { CommandContext } from './context.js';
import { CommandFailure, EXIT_USAGE } from './exit-codes.js';

/** Runs `work` on the database of DATABASE_URL, else of the stack that runs on this machine (`dev.json`). */
export async function withDatabase<T>(context: CommandContext, work: (pool: Pool) => Promise<T>): Promise<T> {
  const config = readConfig(context.environment);
  const url = config.DATABASE_URL ?? (await stackValue(config.COSTPLUS_HOME, 'dev.json', 'database_url'));
  if (url === undefined) {
    throw new CommandFailure(EXIT_USAGE, 'Set DATABASE_URL, or start the stack on this machine: costplus start.');
  }
  const { createPool } = await import('../database/pool.js');
  const pool = createPool(url, { max: 2, applicationName: 'costplus-cli' });
  try {
    return await work(pool);
  } finally {
    await pool.end();
  }
}

/**
 * The key that seals signing secrets: COSTPLUS_ENCRYPTION_KEY, else the one of the stack that runs on this machine, where
 * its database is the one that is written to. Throws a usage failure where neither is there.
 */
export async function sealingKey(context: CommandContext): Promise<Buffer> {
  const config = readConfig(context.environment);
  const text =
    config.COSTPLUS_ENCRYPTION_KEY ??
    (config.DATABASE_URL === undefined
      ? await stackValue(config.COSTPLUS_HOME, 'secrets.json', 'encryption_key')
      : undefined);
  if (text === undefined) {
    throw new CommandFailure(EXIT_USAGE, 'Set COSTPLUS_ENCRYPTION_KEY to the key that the API opens secrets with.');
  }
  return Buffer.from(text, 'base64');
}

/** A text that the stack of this machine left in its home folder. */
async function stackValue(home: string, file: string, name: string): Promise<string | undefined> {
  try {
    const value = (JSON.parse(await readFile(join(home, file), 'utf8')) as Record<string, unknown>)[name];
    return typeof value === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}
