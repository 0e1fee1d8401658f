import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { PART_STOP_MILLISECONDS } from '../limits.js';
import { postmasterPid } from './embedded-postgres.js';
import { readJson } from './private-json.js';
import { endProcess, isAlive, isProcess } from './processes.js';

/** The parts in the order in which they start. */
export const PART_NAMES = ['postgres', 'temporal', 'stripe', 'api', 'worker'] as const;
export type PartName = (typeof PART_NAMES)[number];

/** Where the parts of a home live, as far as their command lines show it. */
export interface Places {
  home: string;
  /** Data directory of the embedded PostgreSQL. */
  cluster: string;
  /** Folder of the engine's file. */
  engine: string;
}

const pidsSchema = z.record(z.string(), z.number().int().positive());

/** The title that a Node.js part of this home shows in the list of processes. */
export function processTitle(part: string, home: string): string {
  return `costplus-${part}-${createHash('sha256').update(home).digest('hex').slice(0, 10)}`;
}

/** What the command line of a part of this home must carry, and no other process does. */
export function markerOf(part: PartName, places: Places): string {
  if (part === 'postgres') return `-D ${places.cluster} `;
  if (part === 'temporal') return `--db-filename ${places.engine}`;
  return processTitle(part, places.home);
}

/** The parts that a killed run has left running: name and process id, in the order in which they started. */
export async function findLeftovers(places: Places): Promise<{ part: PartName; pid: number }[]> {
  const noted = pidsSchema.safeParse(await readJson(join(places.home, 'pids.json')));
  const found: { part: PartName; pid: number }[] = [];
  for (const part of PART_NAMES) {
    // PostgreSQL notes its own process id, also when the run was killed before it could.
    const pids = [noted.data?.[part], part === 'postgres' ? await postmasterPid(places.cluster) : null];
    for (const pid of new Set(pids)) {
      if (typeof pid === 'number' && (await isProcess(pid, markerOf(part, places)))) found.push({ part, pid });
    }
  }
  return found;
}

/** Stops what a killed run has left running, last started first, and clears its notes. Data is not touched. */
export async function clearLeftovers(places: Places, say: (line: string) => void): Promise<void> {
  for (const { part, pid } of (await findLeftovers(places)).reverse()) {
    say(`${part} of an earlier run still runs (process ${pid}): stopping it`);
    await endProcess(pid, part === 'postgres' ? 'SIGINT' : 'SIGTERM', PART_STOP_MILLISECONDS);
  }
  for (const file of ['pids.json', 'dev.json']) await rm(join(places.home, file), { force: true });
  // PostgreSQL does not start while the id in its own note belongs to any process. A server of this cluster, whoever
  // started it, names the cluster in its command line; any other process has only inherited the id.
  const pid = await postmasterPid(places.cluster);
  if (pid !== null && isAlive(pid) && !(await isProcess(pid, places.cluster))) {
    await rm(join(places.cluster, 'postmaster.pid'), { force: true });
  }
}
