import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findTemporalCli } from '../../../src/dev/temporal-binary.js';

const PROGRAM = '#!/bin/sh\necho temporal of the archive\n';

describe('the Temporal CLI', () => {
  let folder: string;
  let cache: string;
  let server: Server | undefined;
  let asked: string[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'costplus-cli-'));
    cache = join(folder, 'bin');
    asked = [];
  });
  afterEach(async () => {
    if (server) await new Promise((resolve) => server?.close(resolve));
    server = undefined;
    await rm(folder, { recursive: true, force: true });
  });

  async function executable(path: string): Promise<string> {
    await writeFile(path, PROGRAM);
    await chmod(path, 0o755);
    return path;
  }

  /** A host that answers like the one from which Temporal's SDKs download. */
  async function downloadHost(): Promise<string> {
    await executable(join(folder, 'temporal'));
    execFileSync('tar', ['-czf', join(folder, 'archive.tar.gz'), '-C', folder, 'temporal']);
    const archive = await readFile(join(folder, 'archive.tar.gz'));
    server = createServer((request, response) => {
      asked.push(request.url ?? '');
      if (request.url?.startsWith('/archive')) response.end(archive);
      else response.end(JSON.stringify({ archiveUrl: `${origin}/archive`, fileToExtract: 'temporal' }));
    });
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return origin;
  }
  const NO_PATH = { PATH: '' };

  it('is what TEMPORAL_CLI_PATH names, before anything else', async () => {
    const path = await executable(join(folder, 'mine'));
    expect(await findTemporalCli({ cache, environment: { TEMPORAL_CLI_PATH: path } })).toBe(path);
  });

  it('is refused where TEMPORAL_CLI_PATH names nothing that can be executed', async () => {
    const found = findTemporalCli({ cache, environment: { TEMPORAL_CLI_PATH: join(folder, 'absent') } });
    await expect(found).rejects.toMatchObject({ code: 'configuration' });
  });

  it('is "temporal" on PATH otherwise', async () => {
    await mkdir(join(folder, 'on-path'));
    const path = await executable(join(folder, 'on-path', 'temporal'));
    const environment = { PATH: `${join(folder, 'absent')}:${join(folder, 'on-path')}` };
    expect(await findTemporalCli({ cache, environment })).toBe(path);
  });

  it('is downloaded otherwise, for this platform, and kept with its checksum', async () => {
    const downloads = await downloadHost();
    const path = await findTemporalCli({ cache, environment: NO_PATH, downloads });
    expect(path).toBe(join(cache, 'temporal'));
    expect(asked[0]).toMatch(/^\/cli\/v[\d.]+\?arch=(amd64|arm64)&platform=(linux|darwin)&format=tar\.gz$/);
    expect(await readFile(path, 'utf8')).toBe(PROGRAM);
    expect((await stat(path)).mode & 0o111).toBe(0o111);
    const sum = createHash('sha256').update(PROGRAM).digest('hex');
    expect((await readFile(`${path}.sha256`, 'utf8')).trim()).toBe(sum);
  });

  it('is fetched once, and again only when it is no longer what was fetched', async () => {
    const options = {
      cache,
      environment: NO_PATH,
      downloads: await downloadHost(),
      say: (line: string) => said.push(line),
    };
    const said: string[] = [];
    const path = await findTemporalCli(options);
    const requests = asked.length;
    await findTemporalCli(options);
    expect(asked).toHaveLength(requests);
    await writeFile(path, '#!/bin/sh\necho changed\n');
    await findTemporalCli(options);
    expect(asked.length).toBeGreaterThan(requests);
    expect(await readFile(path, 'utf8')).toBe(PROGRAM);
    expect(said.some((line) => line.includes('checksum differs'))).toBe(true);
  });
});
