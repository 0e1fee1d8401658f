import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const POLL_MILLISECONDS = 50;

/** Whether a process with this id exists (a process of another user exists too). */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** The command line of a process, its arguments joined by spaces, or null when there is no such process. */
export async function commandLine(pid: number): Promise<string | null> {
  if (process.platform === 'linux') {
    const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    return text === '' ? null : text.split('\0').join(' ').trim();
  }
  const listed = await promisify(execFile)('ps', ['-ww', '-o', 'command=', '-p', String(pid)]).catch(() => null);
  return listed?.stdout.trim() || null;
}

/**
 * What tells a process from every other that has or will have the same id: this run of the machine and the instant at
 * which the process started. Null when there is no such process.
 */
export async function processIdentity(pid: number): Promise<string | null> {
  if (process.platform === 'linux') {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
    // The name in parentheses may hold spaces; the start time is the 20th field after it.
    const started = text.slice(text.lastIndexOf(')') + 2).split(' ')[19];
    return started ? `${(await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()} ${started}` : null;
  }
  const listed = await promisify(execFile)('ps', ['-o', 'lstart=', '-p', String(pid)]).catch(() => null);
  return listed?.stdout.trim() || null;
}

/**
 * Whether `pid` is the process that a note on disk means. Ids are used again, after a restart of the machine at the
 * latest: a process counts only when its command line carries `marker`. Nothing is signalled without this check.
 */
export async function isProcess(pid: number, marker: string): Promise<boolean> {
  return (await commandLine(pid))?.includes(marker) ?? false;
}

/** Waits until a process is gone. Answers false when it is still there after the time. */
export async function waitForEnd(pid: number, milliseconds: number): Promise<boolean> {
  const deadline = Date.now() + milliseconds;
  while (isAlive(pid)) {
    if (Date.now() > deadline) return false;
    await sleep(POLL_MILLISECONDS);
  }
  return true;
}

/** Asks a process to end, and kills it when it has not done so in time. Its absence is fine. */
export async function endProcess(pid: number, signal: NodeJS.Signals, milliseconds: number): Promise<void> {
  sendSignal(pid, signal);
  if (await waitForEnd(pid, milliseconds)) return;
  sendSignal(pid, 'SIGKILL');
  await waitForEnd(pid, milliseconds);
}

/** Sends a signal; a process that has gone already is fine. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
