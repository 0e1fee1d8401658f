import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, chown, mkdir, mkdtemp, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { CostplusError } from '../errors/error.js';
import { type PartSpec, startPart } from './part.js';
import { freePort } from './ports.js';
import { findPostgres, isOpenToOthers, type PostgresProgram, SHARED_STATE } from './postgres-program.js';

const USER = 'costplus';

export interface EmbeddedServer {
  port: number;
  /** Connection string of one of its databases. */
  url: (database: string) => string;
  stop: () => Promise<void>;
}

export interface ServerOptions {
  /** Where the cluster is kept: made at the first start. */
  directory: string;
  port: number;
  password: string;
  logFile: string;
  settings?: Record<string, string>;
}

/** Connection string of one database of an embedded server. */
export function embeddedUrl(port: number, password: string, database: string): string {
  return `postgresql://${USER}:${password}@127.0.0.1:${port}/${database}`;
}

/**
 * Where the cluster of a home goes: below it, or below /var/lib/costplus when costplus runs as root and the user that
 * PostgreSQL runs as could not enter the home.
 */
export async function clusterDirectory(home: string): Promise<string> {
  const below = join(home, 'postgres');
  if (process.getuid?.() !== 0) return below;
  const real = await realpath(home);
  const folder = join(SHARED_STATE, createHash('sha256').update(real).digest('hex').slice(0, 12));
  const shared = join(folder, 'postgres');
  // A cluster stays where it was made, also when the modes of folders change later.
  for (const made of [shared, below]) if (await stat(made).catch(() => null)) return made;
  if (await isOpenToOthers(home)) return below;
  await mkdir(folder, { recursive: true });
  for (const path of [SHARED_STATE, folder]) await chmod(path, 0o755);
  await writeFile(join(folder, 'home'), `${real}\n`);
  return shared;
}

/** Makes the cluster under another name and renames it: what carries the name is complete. */
async function initialise(program: PostgresProgram, directory: string, password: string): Promise<void> {
  if (await stat(join(directory, 'PG_VERSION')).catch(() => null)) return;
  const unfinished = `${directory}.new`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { recursive: true, mode: 0o700 });
  const passwords = await mkdtemp(join(tmpdir(), 'costplus-initdb-'));
  const passwordFile = join(passwords, 'password');
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
  if (program.user) {
    for (const path of [unfinished, passwords, passwordFile]) await chown(path, program.user.uid, program.user.gid);
  }
  try {
    await promisify(execFile)(
      program.initdb,
      [
        `--pgdata=${unfinished}`,
        `--username=${USER}`,
        `--pwfile=${passwordFile}`,
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        '--locale=C',
      ],
      { ...program.user, cwd: '/', env: { ...process.env, LC_ALL: 'C' } },
    );
    await rename(unfinished, directory);
  } catch (error) {
    const said = (error as { stderr?: string }).stderr?.trim() ?? '';
    throw new CostplusError('internal', `The embedded PostgreSQL could not be set up. ${said}`.trim(), {
      cause: error,
    });
  } finally {
    await rm(passwords, { recursive: true, force: true });
  }
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('SELECT 1');
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/**
 * Prepares an embedded PostgreSQL (made at the first call, kept afterwards) and answers how to start it. It listens on
 * the loopback only. fsync stays on: acknowledged usage must survive a crash of the machine.
 */
export async function preparePostgres(options: ServerOptions): Promise<PartSpec> {
  const program = await findPostgres();
  await initialise(program, options.directory, options.password);
  const settings = {
    max_connections: '100',
    shared_buffers: '256MB',
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    ...options.settings,
  };
  return {
    name: 'postgres',
    command: program.postgres,
    args: [
      '-D',
      options.directory,
      '-p',
      String(options.port),
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ],
    env: { ...process.env, LC_ALL: 'C' },
    ...(program.user ? { user: program.user } : {}),
    logFile: options.logFile,
    // Fast shutdown: open transactions are rolled back, the data is checkpointed.
    stopSignal: 'SIGINT',
    isReady: () => answers(embeddedUrl(options.port, options.password, 'postgres')),
  };
}

/** Starts an embedded PostgreSQL that nobody watches over, for tests and benches. Port and password have defaults. */
export async function startEmbeddedPostgres(options: {
  directory: string;
  port?: number;
  password?: string;
  settings?: Record<string, string>;
}): Promise<EmbeddedServer> {
  const port = options.port ?? (await freePort());
  const password = options.password ?? 'costplus';
  const spec = await preparePostgres({
    ...options,
    port,
    password,
    logFile: `${options.directory}.log`,
  });
  const part = await startPart(spec);
  return { port, url: (database) => embeddedUrl(port, password, database), stop: part.stop };
}

/** Makes a database unless the server has it. */
export async function ensureDatabase(maintenanceUrl: string, name: string): Promise<void> {
  const client = new pg.Client({ connectionString: maintenanceUrl });
  await client.connect();
  try {
    const known = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [name]);
    if (known.rowCount === 0) await client.query(`CREATE DATABASE ${client.escapeIdentifier(name)}`);
  } finally {
    await client.end();
  }
}

/** Process id that a data directory names as its server's, or null. It may be left from a run that was killed. */
export async function postmasterPid(directory: string): Promise<number | null> {
  const text = await readFile(join(directory, 'postmaster.pid'), 'utf8').catch(() => '');
  const pid = Number.parseInt(text.split('\n')[0] ?? '', 10);
  return Number.isInteger(pid) ? pid : null;
}
