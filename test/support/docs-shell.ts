import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ROOT } from './docs.js';

const BLOCK_SECONDS = 120;

/** A reader's two terminals: one that runs `npm start`, one for everything else, which keeps its variables. */
export class DocsShell {
  readonly #environment: NodeJS.ProcessEnv;
  readonly #home: string;
  readonly #folder: string;
  readonly #shell: ChildProcess;
  #heard = '';
  #blocks = 0;
  #system: ChildProcess | null = null;
  #systemSaid = '';

  private constructor(environment: NodeJS.ProcessEnv, home: string, folder: string) {
    this.#environment = environment;
    this.#home = home;
    this.#folder = folder;
    this.#shell = spawn('bash', ['-eu'], { cwd: ROOT, env: environment, stdio: ['pipe', 'pipe', 'pipe'] });
    const hear = (part: Buffer) => {
      this.#heard += part.toString();
    };
    this.#shell.stdout!.on('data', hear);
    this.#shell.stderr!.on('data', hear);
  }

  /** `home` is the reader's COSTPLUS_HOME. */
  static async open(home: string, environment: NodeJS.ProcessEnv): Promise<DocsShell> {
    const folder = await mkdtemp(join(tmpdir(), 'costplus-docs-'));
    return new DocsShell({ ...environment, COSTPLUS_HOME: home }, home, folder);
  }

  /** Runs commands as if they were typed and returns what they print. Throws where one fails. */
  async type(commands: string): Promise<string> {
    // In a file of their own: commands that read standard input must not read the commands that follow.
    const file = join(this.#folder, `${++this.#blocks}.sh`);
    const end = `docs-block-${this.#blocks}-ends`;
    await writeFile(file, commands);
    this.#heard = '';
    this.#shell.stdin!.write(`. ${file} < /dev/null 2>&1\necho; echo ${end}\n`);
    for (const deadline = Date.now() + BLOCK_SECONDS * 1_000; ; await sleep(20)) {
      const at = this.#heard.indexOf(`\n${end}\n`);
      if (at >= 0) return this.#heard.slice(0, at);
      if (this.#shell.exitCode !== null) throw new Error(`a command failed:\n${commands}\n\nit said:\n${this.#heard}`);
      if (Date.now() > deadline) throw new Error(`does not end:\n${commands}\n\nit said:\n${this.#heard}`);
    }
  }

  /** `npm start` in the first terminal; returns what it says until it is ready. */
  async start(): Promise<string> {
    const child = spawn('npm', ['start'], { cwd: ROOT, env: this.#environment, detached: true, stdio: 'pipe' });
    this.#system = child;
    this.#systemSaid = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (part: Buffer) => {
        this.#systemSaid += part.toString();
      });
    }
    for (const deadline = Date.now() + BLOCK_SECONDS * 1_000; ; await sleep(100)) {
      if (child.exitCode !== null || Date.now() > deadline) throw new Error(`npm start: ${this.#systemSaid}`);
      const written = await access(join(this.#home, 'dev.json')).then(
        () => true,
        () => false,
      );
      if (written && this.#systemSaid.includes('Ctrl-C')) return this.#systemSaid;
    }
  }

  /** Ctrl-C in the first terminal, which reaches npm and what it runs. */
  async stop(): Promise<void> {
    const child = this.#system;
    if (child === null) return;
    this.#system = null;
    const ended = once(child, 'exit');
    process.kill(-child.pid!, 'SIGINT');
    await ended;
    if (!this.#systemSaid.includes('stopped')) throw new Error(`did not stop in order: ${this.#systemSaid}`);
  }

  async close(): Promise<void> {
    this.#shell.stdin!.end();
    await this.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/**
 * Compares what was printed with a block that shows it: its lines must appear in this order (others may stand between),
 * `…` stands for anything, and the width of gaps does not count. Returns the first line that does not appear, or null.
 */
export function missingLine(printed: string, shown: string): string | null {
  const linesOf = (text: string) => text.split('\n').map((line) => line.trim().replaceAll(/\s+/g, ' '));
  const lines = linesOf(printed);
  let at = 0;
  for (const line of linesOf(shown)) {
    if (line === '') continue;
    const parts = line.split('…').map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    const pattern = new RegExp(`^${parts.join('.*')}$`);
    const found = lines.findIndex((candidate, index) => index >= at && pattern.test(candidate));
    if (found < 0) return line;
    at = found + 1;
  }
  return null;
}
