import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { clearLeftovers, findLeftovers, type Places, processTitle } from '../../../src/dev/leftovers.js';
import { isAlive } from '../../../src/dev/processes.js';

describe('what a killed run leaves behind', () => {
  let places: Places;
  const children: ChildProcess[] = [];

  beforeEach(async () => {
    const home = await mkdtemp(join(tmpdir(), 'costplus-leftovers-'));
    places = { home, cluster: join(home, 'postgres'), engine: join(home, 'temporal') };
    await mkdir(places.cluster);
  });
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    await rm(places.home, { recursive: true, force: true });
  });

  /** A process that lives until it is told to end; `args` stand in its command line. */
  async function startProcess(nodeOptions: string[], ...args: string[]): Promise<number> {
    const child = spawn(
      process.execPath,
      [...nodeOptions, '-e', 'setInterval(() => {}, 1000); console.log("up")', '--', ...args],
      { stdio: ['ignore', 'pipe', 'ignore'] },
    );
    children.push(child);
    await once(child.stdout!, 'data');
    return child.pid!;
  }
  const startPart = (part: string, home: string) => startProcess([`--title=${processTitle(part, home)}`]);
  const notePids = (pids: Record<string, number>) => writeFile(join(places.home, 'pids.json'), JSON.stringify(pids));

  it('is recognised by process id and command line together', async () => {
    const api = await startPart('api', places.home);
    const postgres = await startProcess([], '-D', places.cluster, '-p', '1');
    const temporal = await startProcess([], '--db-filename', join(places.engine, 'temporal.db'));
    await notePids({ worker: process.pid, api, temporal, postgres });
    expect(await findLeftovers(places)).toEqual([
      { part: 'postgres', pid: postgres },
      { part: 'temporal', pid: temporal },
      { part: 'api', pid: api },
    ]);
  });

  it('does not include the parts of another home', async () => {
    await notePids({ api: await startPart('api', '/another/home') });
    expect(await findLeftovers(places)).toEqual([]);
  });

  it('includes a PostgreSQL that only its own data directory names', async () => {
    const pid = await startProcess([], '-D', places.cluster, '-p', '1');
    await writeFile(join(places.cluster, 'postmaster.pid'), `${pid}\n${places.cluster}\n`);
    expect(await findLeftovers(places)).toEqual([{ part: 'postgres', pid }]);
  });

  it('is ended, last started first; the notes go, everything else stays', async () => {
    const [api, worker] = [await startPart('api', places.home), await startPart('worker', places.home)];
    await notePids({ api, worker });
    await writeFile(join(places.home, 'dev.json'), '{}');
    await writeFile(join(places.home, 'secrets.json'), '{}');
    const said: string[] = [];
    await clearLeftovers(places, (line) => said.push(line));
    expect([isAlive(api), isAlive(worker)]).toEqual([false, false]);
    expect(said.map((line) => line.split(' ')[0])).toEqual(['worker', 'api']);
    expect((await readdir(places.home)).sort()).toEqual(['postgres', 'secrets.json']);
  });

  it('leaves a stranger alone that has inherited a process id, also one that PostgreSQL noted', async () => {
    const stranger = await startProcess([]);
    await notePids({ api: stranger, postgres: stranger });
    await writeFile(join(places.cluster, 'postmaster.pid'), `${stranger}\n`);
    await clearLeftovers(places, () => undefined);
    expect(isAlive(stranger)).toBe(true);
    // PostgreSQL would refuse to start beside this note while the stranger lives.
    expect(await readdir(places.cluster)).toEqual([]);
  });

  it("keeps PostgreSQL's note while a server of this cluster runs that we did not start", async () => {
    const foreign = await startProcess([], `--pgdata=${places.cluster}`);
    await writeFile(join(places.cluster, 'postmaster.pid'), `${foreign}\n`);
    await clearLeftovers(places, () => undefined);
    expect(isAlive(foreign)).toBe(true);
    expect(await readFile(join(places.cluster, 'postmaster.pid'), 'utf8')).toBe(`${foreign}\n`);
  });
});
