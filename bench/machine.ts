import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';

/** The machine and the commit that figures belong to: without them they say nothing. */
export function describeMachine(): string {
  const cores = cpus();
  let commit = 'unknown';
  try {
    commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8', stdio: 'pipe' }).trim();
    const changed = execFileSync('git', ['status', '--porcelain', '--untracked-files=no'], { encoding: 'utf8' });
    if (changed !== '') commit += ' with changes';
  } catch {
    // Not a checkout: the figures stand without a commit.
  }
  const memory = (totalmem() / 2 ** 30).toFixed(0);
  return `${cores.length} x ${cores[0]?.model.trim() ?? 'unknown processor'}, ${memory} GiB, Node ${process.version}, commit ${commit}`;
}

/** Clock ticks of /proc/<pid>/stat a second: 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** Processor seconds that a process and all that descend from it have used so far; 0 where there is no /proc. */
export function processTreeSeconds(rootPid: number): number {
  const stats = new Map<number, { parent: number; ticks: number }>();
  try {
    for (const name of readdirSync('/proc')) {
      if (!/^\d+$/.test(name)) continue;
      try {
        // The name of the program stands in brackets and may hold spaces; the fields after it do not.
        const text = readFileSync(`/proc/${name}/stat`, 'utf8');
        const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
        stats.set(Number(name), { parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) });
      } catch {
        // It ended while we looked.
      }
    }
  } catch {
    return 0;
  }
  let ticks = 0;
  for (const [pid, stat] of stats) {
    for (let at: number | undefined = pid; at !== undefined; at = stats.get(at)?.parent) {
      if (at !== rootPid) continue;
      ticks += stat.ticks;
      break;
    }
  }
  return ticks / TICKS_PER_SECOND;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
