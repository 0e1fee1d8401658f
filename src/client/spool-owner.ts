import {
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { CLIENT_SPOOL_LEASE_MILLISECONDS } from '../limits.js';
import { newId } from './event-id.js';

/** Stands in each owner's folder; its modification time is the owner's last sign of life. */
const OWNER_FILE = 'owner.json';
const FOLDER_PREFIX = 'owner_';

interface Owner {
  pid: number;
  /** Where that process id means something. */
  scope: string;
}

/** Host and, on Linux, the namespace of process ids: containers of one host do not see each other's processes. */
function processScope(): string {
  let namespace = '';
  try {
    namespace = readlinkSync('/proc/self/ns/pid');
  } catch {
    // Not Linux: there are no namespaces.
  }
  return `${hostname()} ${namespace}`;
}

/** Makes a folder of this process's own, complete before it can be seen, and returns its path. */
export function makeOwnerFolder(directory: string): string {
  const name = newId('owner');
  const unseen = join(directory, `.${name}`);
  mkdirSync(unseen, { recursive: true, mode: 0o700 });
  const owner: Owner = { pid: process.pid, scope: processScope() };
  writeFileSync(join(unseen, OWNER_FILE), JSON.stringify(owner), { mode: 0o600 });
  const folder = join(directory, name);
  renameSync(unseen, folder);
  return folder;
}

/** Shows that the owner lives. False when the folder is gone: somebody took it for dead and took it over. */
export function beat(folder: string): boolean {
  try {
    const now = new Date();
    utimesSync(join(folder, OWNER_FILE), now, now);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/**
 * Whether the owner of a folder is gone: its process does not run any more (where this process can tell), it has shown
 * no sign of life for a lease, or it left its folder behind in order.
 */
function isAbandoned(folder: string, nowMs: number): boolean {
  try {
    const path = join(folder, OWNER_FILE);
    if (nowMs - statSync(path).mtimeMs > CLIENT_SPOOL_LEASE_MILLISECONDS) return true;
    const owner = JSON.parse(readFileSync(path, 'utf8')) as Owner;
    if (owner.scope !== processScope() || owner.pid === process.pid) return false;
    process.kill(owner.pid, 0);
    return false;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' || code === 'ESRCH';
  }
}

/**
 * Takes over the folders that dead owners left, by renaming them into one's own: of several processes that try, one
 * succeeds. Returns their new paths.
 */
export function adoptAbandoned(directory: string, own: string, nowMs: number = Date.now()): string[] {
  const adopted: string[] = [];
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const folder = join(directory, entry.name);
    if (!entry.isDirectory() || !entry.name.startsWith(FOLDER_PREFIX) || folder === own) continue;
    if (!isAbandoned(folder, nowMs)) continue;
    const target = join(own, entry.name);
    try {
      renameSync(folder, target);
      adopted.push(target);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return adopted;
}

/** The path of the file that says whose the folder is: without it the folder is anybody's. */
export function ownerFile(folder: string): string {
  return join(folder, OWNER_FILE);
}
