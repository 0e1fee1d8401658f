import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type PartSpec, startPart } from '../../../src/dev/part.js';
import { freePort } from '../../../src/dev/ports.js';
import { isAlive, sendSignal } from '../../../src/dev/processes.js';

const SERVER = `
  const server = require('node:http').createServer((request, response) => response.end(String(process.pid)));
  server.listen(Number(process.argv[1]), '127.0.0.1');
`;

describe('a part of the stack', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'costplus-part-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  /** Who answers on the port: its process id. */
  const ask = async (port: number) => Number(await (await fetch(`http://127.0.0.1:${port}`)).text());

  function spec(port: number, program: string): PartSpec {
    return {
      name: 'sample',
      command: process.execPath,
      args: ['-e', program, String(port)],
      logFile: join(folder, 'sample.log'),
      stopSignal: 'SIGTERM',
      isReady: async () => (await ask(port)) > 0,
    };
  }

  it('is ready when it answers, and gone when it was stopped', async () => {
    const port = await freePort();
    const part = await startPart(spec(port, SERVER));
    const pid = await ask(port);
    expect(part.pid()).toBe(pid);
    await part.stop();
    expect(part.pid()).toBeNull();
    expect(isAlive(pid)).toBe(false);
  });

  it('is started again when it ends by itself, and tells each process id', async () => {
    const port = await freePort();
    const told: (number | null)[] = [];
    const said: string[] = [];
    const part = await startPart(spec(port, SERVER), {
      onPid: (_name, pid) => told.push(pid),
      say: (line) => said.push(line),
    });
    const first = await ask(port);
    sendSignal(first, 'SIGKILL');
    const second = await vi.waitFor(
      async () => {
        const pid = await ask(port);
        expect(pid).not.toBe(first);
        return pid;
      },
      { timeout: 20_000 },
    );
    await vi.waitFor(() => expect(said).toHaveLength(2), { timeout: 20_000 });
    await part.stop();
    expect(said[0]).toMatch(/^sample was ended by SIGKILL: starting it again in \d+ ms$/);
    expect(said[1]).toBe('sample is back');
    expect(told).toEqual([first, null, second, null]);
    expect(isAlive(second)).toBe(false);
  });

  it('fails with its exit and the end of its log when it never becomes ready', async () => {
    const failing = startPart(spec(await freePort(), 'console.error("no disk"); process.exit(7)'));
    await expect(failing).rejects.toThrow(/sample ended with code 7 before it was ready[\s\S]*no disk/);
  });

  it('fails where there is no such program', async () => {
    const failing = startPart({ ...spec(await freePort(), ''), command: join(folder, 'absent') });
    await expect(failing).rejects.toMatchObject({ code: 'internal', message: 'sample could not be started.' });
  });

  it('is stopped when its start is given up', async () => {
    const giveUp = new AbortController();
    let pid = 0;
    const starting = startPart(spec(await freePort(), 'setInterval(() => {}, 1000)'), {
      signal: giveUp.signal,
      onPid: (_name, id) => {
        pid = id ?? pid;
        giveUp.abort(new Error('enough'));
      },
    });
    await expect(starting).rejects.toThrow('enough');
    expect(isAlive(pid)).toBe(false);
  });

  it('keeps what it prints in its log, each start marked', async () => {
    const port = await freePort();
    const part = await startPart(spec(port, `console.log('hello from within'); ${SERVER}`));
    await part.stop();
    const log = await readFile(join(folder, 'sample.log'), 'utf8');
    expect(log).toMatch(/^--- sample starts at .*Z\nhello from within\n$/);
  });
});
