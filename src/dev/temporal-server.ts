import { execFile } from 'node:child_process';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import { registerSearchAttributes } from '../engine/search-attributes.js';
import { CostplusError } from '../errors/error.js';
import { DEV_RETENTION_DAYS } from '../limits.js';
import { logTail, type Part, type PartHooks, type PartSpec, startPart } from './part.js';

export const DEV_NAMESPACE = 'default';
const CONNECT_MILLISECONDS = 2_000;

export interface DevServerOptions {
  /** Path of the Temporal CLI. */
  binary: string;
  /** Folder that holds the engine's file; made at the first start. */
  directory: string;
  port: number;
  /** Null leaves the web UI out. */
  uiPort: number | null;
  logFile: string;
}

/** The server's version as the CLI tells it, e.g. `1.32.0`. */
async function serverVersion(binary: string): Promise<string> {
  const { stdout } = await promisify(execFile)(binary, ['--version']);
  const version = /\(Server (\d+\.\d+\.\d+)/.exec(stdout)?.[1];
  if (!version) throw new CostplusError('configuration', 'The Temporal CLI does not tell the version of its server.');
  return version;
}

const minor = (version: string) => version.split('.').slice(0, 2).join('.');

async function connect(port: number): Promise<Connection> {
  return Connection.connect({ address: `127.0.0.1:${port}`, connectTimeout: CONNECT_MILLISECONDS });
}

async function answers(port: number): Promise<boolean> {
  const connection = await connect(port);
  try {
    await connection.workflowService.describeNamespace({ namespace: DEV_NAMESPACE });
    return true;
  } finally {
    await connection.close();
  }
}

function serverSpec(options: DevServerOptions, directory: string): PartSpec {
  const settings = {
    // Keys of fairness are ignored without this; one partition, since one machine gains nothing from more.
    'matching.enableFairness': true,
    'matching.numTaskqueueReadPartitions': 1,
    'matching.numTaskqueueWritePartitions': 1,
  };
  return {
    name: 'temporal',
    command: options.binary,
    args: [
      'server',
      'start-dev',
      ...['--db-filename', join(directory, 'temporal.db')],
      ...['--ip', '127.0.0.1', '--port', String(options.port)],
      ...(options.uiPort === null ? ['--headless'] : ['--ui-port', String(options.uiPort), '--ui-disable-news-fetch']),
      // Survives a killed process, not a loss of power: fine beside a ledger from which runs are rebuilt.
      ...['--sqlite-pragma', 'journal_mode=wal', '--sqlite-pragma', 'synchronous=normal'],
      ...Object.entries(settings).flatMap(([name, value]) => ['--dynamic-config-value', `${name}=${value}`]),
      ...['--log-level', 'warn'],
    ],
    // What the user has set for his own server must not reach this one.
    env: Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('TEMPORAL_'))),
    logFile: options.logFile,
    stopSignal: 'SIGTERM',
    isReady: () => answers(options.port),
  };
}

/**
 * Beside the ports that it is told the server takes some at random, and another program can be faster: a start that
 * failed is tried once more before anything is made of it.
 */
async function startTwice(spec: PartSpec, hooks: PartHooks): Promise<Part> {
  try {
    return await startPart(spec, hooks);
  } catch {
    hooks.signal?.throwIfAborted();
    return startPart(spec, hooks);
  }
}

/**
 * The schema is applied only to a file that does not exist yet, so a start that was killed leaves a file that can
 * never be used: the first start happens in a folder of another name, which is renamed once it has worked.
 */
async function create(options: DevServerOptions, version: string, hooks: PartHooks): Promise<void> {
  const unfinished = `${options.directory}.new`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { recursive: true, mode: 0o700 });
  const first = await startTwice(serverSpec(options, unfinished), { ...hooks, say: () => undefined });
  await first.stop();
  await writeFile(join(unfinished, 'version'), `${version}\n`);
  await rename(unfinished, options.directory);
}

async function putAside(directory: string, why: string, hooks: PartHooks): Promise<void> {
  const aside = `${directory}.unused-${new Date().toISOString().replaceAll(/[:.]/g, '-')}`;
  await rename(directory, aside);
  hooks.say?.(`${why}: it is kept as ${aside}, a new one is made; runs are rebuilt from the ledger`);
}

/** Makes the server ready for billing runs: search attributes, and closed runs that stay readable. */
async function configure(port: number): Promise<void> {
  const connection = await connect(port);
  try {
    await registerSearchAttributes(connection, DEV_NAMESPACE);
    await connection.workflowService.updateNamespace({
      namespace: DEV_NAMESPACE,
      config: { workflowExecutionRetentionTtl: msToTs(`${DEV_RETENTION_DAYS} days`) },
    });
  } finally {
    await connection.close();
  }
}

/**
 * Starts a Temporal dev server on a kept file and answers once it serves. A file that was made by another minor
 * version of the server, or with which the server cannot start, is kept aside and replaced by a new one: billing runs
 * are rebuilt from the ledger. Throws `internal` when a new file does not work either.
 */
export async function startTemporalServer(options: DevServerOptions, hooks: PartHooks = {}): Promise<Part> {
  const { directory } = options;
  const version = await serverVersion(options.binary);
  if (await stat(directory).catch(() => null)) {
    const made = (await readFile(join(directory, 'version'), 'utf8').catch(() => 'unknown')).trim();
    if (minor(made) !== minor(version)) {
      await putAside(directory, `the engine's file was made by server ${made}, this is ${version}`, hooks);
    }
  }
  const kept = await stat(join(directory, 'temporal.db')).then(
    () => true,
    () => false,
  );
  if (!kept) {
    await rm(directory, { recursive: true, force: true });
    await create(options, version, hooks);
  }
  let part: Part;
  try {
    part = await startTwice(serverSpec(options, directory), hooks);
  } catch (error) {
    hooks.signal?.throwIfAborted();
    if (!kept || /address already in use/.test(await logTail(options.logFile))) throw error;
    await putAside(directory, 'the server cannot start with its file', hooks);
    await create(options, version, hooks);
    part = await startTwice(serverSpec(options, directory), hooks);
  }
  try {
    await configure(options.port);
  } catch (error) {
    await part.stop();
    throw error;
  }
  return part;
}
