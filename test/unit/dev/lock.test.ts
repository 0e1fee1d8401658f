import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { takeLock } from '../../../src/dev/lock.js';
import { processIdentity } from '../../../src/dev/processes.js';

describe('the lock of a home', () => {
  let home: string;
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'costplus-lock-'));
  });
  afterEach(() => rm(home, { recursive: true, force: true }));

  it('is held by one at a time, names its holder and the API, and is free again after its release', async () => {
    const lock = await takeLock(home);
    await writeFile(join(home, 'dev.json'), JSON.stringify({ api_url: 'http://127.0.0.1:8080' }));
    await expect(takeLock(home)).rejects.toMatchObject({
      code: 'conflict',
      extra: { pid: process.pid, api_url: 'http://127.0.0.1:8080' },
      message: expect.stringContaining('http://127.0.0.1:8080'),
    });
    await lock.release();
    const again = await takeLock(home);
    await again.release();
    expect(await readdir(home)).toEqual(['dev.json']);
  });

  it('says that the holder is still starting while there is no address yet', async () => {
    const lock = await takeLock(home);
    await expect(takeLock(home)).rejects.toThrow('still starting');
    await lock.release();
  });

  it('goes to exactly one of many that ask at once', async () => {
    const answers = await Promise.allSettled(Array.from({ length: 8 }, () => takeLock(home)));
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  const stale: [string, () => Promise<string> | string][] = [
    ['whose process is gone', () => JSON.stringify({ pid: 2 ** 22 + 1, identity: 'another run 1' })],
    ['whose process id belongs to another process now', () => JSON.stringify({ pid: process.pid, identity: 'old 1' })],
    ['that cannot be read', () => 'not a lock'],
  ];
  for (const [what, text] of stale) {
    it(`is taken over from a holder ${what}`, async () => {
      await writeFile(join(home, 'lock'), await text());
      const lock = await takeLock(home);
      expect(JSON.parse(await readFile(join(home, 'lock'), 'utf8'))).toEqual({
        pid: process.pid,
        identity: await processIdentity(process.pid),
      });
      await lock.release();
      expect(await readdir(home)).toEqual([]);
    });
  }

  it('is not taken away by the release of a holder that has lost it', async () => {
    const lost = await takeLock(home);
    await rm(join(home, 'lock'));
    const other = JSON.stringify({ pid: 1, identity: 'another' });
    await writeFile(join(home, 'lock'), other);
    await lost.release();
    expect(await readFile(join(home, 'lock'), 'utf8')).toBe(other);
  });
});
