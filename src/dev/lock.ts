import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { CostplusError } from '../errors/error.js';
import { readJson } from './private-json.js';
import { processIdentity } from './processes.js';

const holderSchema = z.object({ pid: z.number().int().positive(), identity: z.string() });

/** The lock of one COSTPLUS_HOME. */
export interface HomeLock {
  release: () => Promise<void>;
}

/** Process id of the holder that wrote a lock, while that very process runs; else null. */
async function holderRuns(text: string): Promise<number | null> {
  let value: unknown = null;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const holder = holderSchema.safeParse(value);
  if (!holder.success) return null;
  return (await processIdentity(holder.data.pid)) === holder.data.identity ? holder.data.pid : null;
}

async function alreadyRuns(home: string, pid: number): Promise<CostplusError> {
  const info = z.object({ api_url: z.string() }).safeParse(await readJson(join(home, 'dev.json')));
  const where = info.success ? `its API is at ${info.data.api_url}` : 'it is still starting';
  return new CostplusError('conflict', `costplus already runs with ${home} (process ${pid}): ${where}.`, {
    extra: { pid, ...(info.success ? { api_url: info.data.api_url } : {}) },
  });
}

/**
 * Takes the lock of a home, also from a holder that no longer runs. Throws `conflict` (with `pid` and, once known,
 * `api_url`) while another process holds it.
 *
 * A lock appears by `link`, so it is never seen half written. A stale one is moved aside first, and what was moved is
 * looked at again: of two processes that find it stale, the slower one may have moved the faster one's new lock.
 */
export async function takeLock(home: string): Promise<HomeLock> {
  const path = join(home, 'lock');
  const mine = join(home, `lock.${process.pid}`);
  const text = JSON.stringify({ pid: process.pid, identity: await processIdentity(process.pid) });
  await writeFile(mine, text, { mode: 0o600 });
  try {
    for (;;) {
      try {
        await link(mine, path);
        return { release: () => release(path, text) };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const held = await readFile(path, 'utf8').catch(() => null);
      if (held === null) continue;
      const pid = await holderRuns(held);
      if (pid !== null) throw await alreadyRuns(home, pid);
      await setAside(path);
    }
  } finally {
    await rm(mine, { force: true });
  }
}

async function setAside(path: string): Promise<void> {
  const aside = `${path}.stale-${process.pid}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  const moved = await readFile(aside, 'utf8');
  if ((await holderRuns(moved)) !== null) await link(aside, path).catch(() => undefined);
  await rm(aside, { force: true });
}

async function release(path: string, text: string): Promise<void> {
  if ((await readFile(path, 'utf8').catch(() => null)) === text) await rm(path, { force: true });
}
