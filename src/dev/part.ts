import { type ChildProcess, spawn } from 'node:child_process';
import { open, readFile, rename, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { CostplusError } from '../errors/error.js';
import {
  PART_LOG_BYTES,
  PART_READY_MILLISECONDS,
  PART_STOP_MILLISECONDS,
  RESTART_FIRST_MILLISECONDS,
  RESTART_FORGET_MILLISECONDS,
  RESTART_LAST_MILLISECONDS,
} from '../limits.js';
import { sendSignal } from './processes.js';

const POLL_MILLISECONDS = 50;
const LOG_TAIL_LINES = 12;

/** A process of the stack: how it starts, how one knows that it works, how it stops. */
export interface PartSpec {
  name: string;
  command: string;
  args: string[];
  env?: NodeJS.ProcessEnv;
  /** Another user to run as (root only). */
  user?: { uid: number; gid: number };
  /** Takes what the process prints. */
  logFile: string;
  stopSignal: NodeJS.Signals;
  /** Whether it answers. A rejection counts as no. */
  isReady: () => Promise<boolean>;
}

/** A process that runs, is started again when it ends by itself, and stops when told. */
export interface Part {
  name: string;
  /** Null while it is down between two attempts. */
  pid: () => number | null;
  stop: () => Promise<void>;
}

export interface PartHooks {
  /** Hears that the process ended by itself (and is started again), and that it answers again. */
  say?: (line: string) => void;
  /** Hears of each process that was started (its id) and of its end (null). */
  onPid?: (name: string, pid: number | null) => void;
  /** Gives up waiting for a start. */
  signal?: AbortSignal | undefined;
}

type Exit = { code: number | null; signal: NodeJS.Signals | null };

/** The last lines of a log, for messages about what went wrong. */
export async function logTail(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n');
}

function describe(exit: Exit): string {
  return exit.signal ? `was ended by ${exit.signal}` : `ended with code ${exit.code}`;
}

/** Starts the process once. The promise settles when it has ended. */
async function launch(spec: PartSpec): Promise<{ child: ChildProcess; ended: Promise<Exit> }> {
  const size = await stat(spec.logFile)
    .then((found) => found.size)
    .catch(() => 0);
  if (size > PART_LOG_BYTES) await rename(spec.logFile, `${spec.logFile}.1`);
  const log = await open(spec.logFile, 'a', 0o600);
  try {
    await log.write(`--- ${spec.name} starts at ${new Date().toISOString()}\n`);
    // A process group of its own: Ctrl-C reaches the stack alone, which then stops its parts in order.
    const child = spawn(spec.command, spec.args, {
      env: spec.env ?? process.env,
      stdio: ['ignore', log.fd, log.fd],
      detached: true,
      ...spec.user,
    });
    const ended = new Promise<Exit>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) => resolve({ code, signal }));
    });
    // A failed spawn is reported to whoever waits; without a waiter it is no unhandled rejection.
    ended.catch(() => undefined);
    return { child, ended };
  } finally {
    await log.close();
  }
}

/** Waits until the process answers. Throws when it ended, took too long or was given up. */
async function waitUntilReady(spec: PartSpec, ended: Promise<Exit>, signal?: AbortSignal): Promise<void> {
  const deadline = Date.now() + PART_READY_MILLISECONDS;
  let exit: Exit | null = null;
  let failure: unknown = null;
  ended.then(
    (value) => {
      exit = value;
    },
    (error: unknown) => {
      failure = error;
    },
  );
  for (;;) {
    signal?.throwIfAborted();
    if (await spec.isReady().catch(() => false)) return;
    if (failure) throw new CostplusError('internal', `${spec.name} could not be started.`, { cause: failure });
    if (exit) {
      throw new CostplusError(
        'internal',
        `${spec.name} ${describe(exit)} before it was ready. The end of ${spec.logFile}:\n${await logTail(spec.logFile)}`,
      );
    }
    if (Date.now() > deadline) {
      throw new CostplusError(
        'internal',
        `${spec.name} did not answer in ${PART_READY_MILLISECONDS / 1_000} s. The end of ${spec.logFile}:\n${await logTail(spec.logFile)}`,
      );
    }
    await sleep(POLL_MILLISECONDS);
  }
}

/** Stops one process: its signal first, then the whole process group by force. */
async function stopChild(spec: PartSpec, child: ChildProcess, ended: Promise<Exit>): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  child.kill(spec.stopSignal);
  const timer = setTimeout(() => sendSignal(-(child.pid as number), 'SIGKILL'), PART_STOP_MILLISECONDS);
  await ended.catch(() => undefined);
  clearTimeout(timer);
}

/**
 * Starts a process and answers once it is ready. From then on a process that ends by itself is started again, at
 * growing intervals. Throws `internal`, with the end of its log, when the first start fails.
 */
export async function startPart(spec: PartSpec, hooks: PartHooks = {}): Promise<Part> {
  let current = await launch(spec);
  let launchedAt = Date.now();
  let delay = RESTART_FIRST_MILLISECONDS;
  const stopping = new AbortController();
  const killAtExit = () => current.child.kill(spec.stopSignal);
  process.on('exit', killAtExit);
  const tellPid = (pid: number | null) => hooks.onPid?.(spec.name, pid);
  tellPid(current.child.pid ?? null);
  try {
    await waitUntilReady(spec, current.ended, hooks.signal);
  } catch (error) {
    await stopChild(spec, current.child, current.ended);
    process.off('exit', killAtExit);
    tellPid(null);
    throw error;
  }

  async function watch(): Promise<void> {
    for (;;) {
      const exit = await current.ended.catch(() => ({ code: null, signal: null }));
      tellPid(null);
      if (stopping.signal.aborted) return;
      if (Date.now() - launchedAt > RESTART_FORGET_MILLISECONDS) delay = RESTART_FIRST_MILLISECONDS;
      hooks.say?.(`${spec.name} ${describe(exit)}: starting it again in ${delay} ms`);
      await sleep(delay, undefined, { signal: stopping.signal }).catch(() => undefined);
      if (stopping.signal.aborted) return;
      delay = Math.min(delay * 2, RESTART_LAST_MILLISECONDS);
      try {
        current = await launch(spec);
      } catch (error) {
        hooks.say?.(`${spec.name} could not be started: ${error instanceof Error ? error.message : String(error)}`);
        continue;
      }
      if (stopping.signal.aborted) return stopChild(spec, current.child, current.ended);
      launchedAt = Date.now();
      tellPid(current.child.pid ?? null);
      waitUntilReady(spec, current.ended, stopping.signal).then(
        () => hooks.say?.(`${spec.name} is back`),
        () => undefined,
      );
    }
  }
  const watching = watch();

  return {
    name: spec.name,
    pid: () => {
      const { pid, exitCode, signalCode } = current.child;
      return pid !== undefined && exitCode === null && signalCode === null ? pid : null;
    },
    stop: async () => {
      stopping.abort();
      await stopChild(spec, current.child, current.ended);
      await watching;
      process.off('exit', killAtExit);
    },
  };
}
