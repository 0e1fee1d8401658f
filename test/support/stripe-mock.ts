import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../../src/dev/ports.js';

const MODULE = 'github.com/stripe/stripe-mock@v0.203.0';
const CACHE = join(process.cwd(), 'node_modules', '.cache', 'stripe-mock');

/**
 * stripe-mock, which checks parameters against Stripe's own OpenAPI description: STRIPE_MOCK_PATH, else on the PATH or
 * where Go installs, else installed once by a Go toolchain that is there. Null where there is neither.
 */
export async function findStripeMock(): Promise<string | null> {
  const { STRIPE_MOCK_PATH, GOBIN, GOPATH, PATH } = process.env;
  if (STRIPE_MOCK_PATH) return STRIPE_MOCK_PATH;
  const directories = [
    ...(PATH ?? '').split(delimiter),
    GOBIN,
    GOPATH === undefined ? join(homedir(), 'go', 'bin') : join(GOPATH, 'bin'),
    CACHE,
  ];
  const found = directories.find((directory) => directory && existsSync(join(directory, 'stripe-mock')));
  if (found) return join(found, 'stripe-mock');
  const execute = promisify(execFile);
  try {
    await execute('go', ['version']);
    console.log(`installing ${MODULE} into node_modules/.cache, once`);
    await mkdir(CACHE, { recursive: true });
    await execute('go', ['install', MODULE], { env: { ...process.env, GOBIN: CACHE }, timeout: 300_000 });
    return join(CACHE, 'stripe-mock');
  } catch {
    return null;
  }
}

/** A running stripe-mock. Both addresses are named: with one alone it opens a default port on all interfaces. */
export async function startStripeMock(binary: string): Promise<{ url: string; stop: () => Promise<void> }> {
  const [http, https] = [await freePort(), await freePort()];
  const process_: ChildProcess = spawn(
    binary,
    ['-http-addr', `127.0.0.1:${http}`, '-https-addr', `127.0.0.1:${https}`],
    { stdio: 'ignore' },
  );
  const ended = new Promise<void>((resolve) => process_.once('exit', () => resolve()));
  const url = `http://127.0.0.1:${http}`;
  while (process_.exitCode === null) {
    try {
      await fetch(url);
      break;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  return {
    url,
    stop: async () => {
      process_.kill();
      await ended;
    },
  };
}
