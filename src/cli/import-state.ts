import { createHash } from 'node:crypto';
import { open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import type { EventStatus } from '../contracts/event-result.js';
import { CommandFailure, EXIT_USAGE } from './exit-codes.js';

/** How far an import came; written after each batch that the server answered. */
export interface ImportState {
  /** Names the file: another file, or one that changed, does not go on where this one stopped. */
  file: string;
  /** The line of the last row whose result is known: what comes after it is to be sent. */
  line: number;
  /** Rows whose result is known. */
  rows: number;
  results: Partial<Record<EventStatus, number>>;
  refused: number;
}

const FINGERPRINT_BYTES = 1024 * 1024;

/** Size and the hash of the first MiB. Throws a usage failure for a file that cannot be read. */
export async function fingerprintOf(path: string): Promise<{ file: string; bytes: number }> {
  try {
    const handle = await open(path, 'r');
    try {
      const { size } = await handle.stat();
      const start = Buffer.alloc(Math.min(size, FINGERPRINT_BYTES));
      await handle.read(start, 0, start.length, 0);
      return { file: `${size}-${createHash('sha256').update(start).digest('hex')}`, bytes: size };
    } finally {
      await handle.close();
    }
  } catch {
    throw new CommandFailure(EXIT_USAGE, `${path} cannot be read.`);
  }
}

/** The state of an import that begins. */
export function newState(file: string): ImportState {
  return { file, line: 0, rows: 0, results: {}, refused: 0 };
}

/** The state at `path`, or that of a beginning. Throws a usage failure for the state of another file. */
export async function readState(path: string, file: string): Promise<ImportState> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch {
    return newState(file);
  }
  let state: Partial<ImportState> = {};
  try {
    state = JSON.parse(text) as Partial<ImportState>;
  } catch {
    // Not one of ours: the words below.
  }
  if (state.file !== file || !Number.isSafeInteger(state.line)) {
    throw new CommandFailure(EXIT_USAGE, `${path} is the state of another file, or the file changed: use --restart.`);
  }
  return state as ImportState;
}

/** Replaces the state as a whole: a crash leaves the one before or this one. */
export async function writeState(path: string, state: ImportState): Promise<void> {
  await writeFile(`${path}.new`, `${JSON.stringify(state)}\n`);
  await rename(`${path}.new`, path);
}

/** Forgets a state: the import is done, or begins again. */
export function removeState(path: string): Promise<void> {
  return rm(path, { force: true });
}
