import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmod, mkdtemp, open, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { EventResult } from '../../src/contracts/usage-event.js';
import { createPool, type Pool } from '../../src/database/pool.js';
import { sendSignal } from '../../src/dev/processes.js';
import { ensureSecrets } from '../../src/dev/secrets.js';
import { type Stack, type StackInfo, startStack } from '../../src/dev/stack.js';
import type { FaultOrder } from '../../src/dev/stripe-faults.js';
import type { StandInInvoice } from '../../src/dev/stripe-objects.js';
import { STAND_IN_SECRET_KEY } from '../../src/dev/stripe-stand-in.js';
import type { RecordedRequest, StandInState } from '../../src/dev/stripe-state.js';
import { signRequest } from '../../src/usage/request-signature.js';
import { temporalCli } from './temporal.js';

const PARTS_COUNT = 5;
export type PartName = 'postgres' | 'temporal' | 'stripe' | 'api' | 'worker';

/** An answer of the API that is no success; `status` and `problem` as they came. */
export class ApiProblem extends Error {
  readonly status: number;
  readonly problem: Record<string, unknown>;

  constructor(method: string, path: string, status: number, problem: Record<string, unknown>) {
    super(`${method} ${path} answered ${status}: ${JSON.stringify(problem)}`);
    this.status = status;
    this.problem = problem;
  }
}

/** Ports of a stack under test lie below the range that systems give to outgoing connections: none is lent meanwhile. */
const PORT_FIRST = 20_000;
const PORT_COUNT = 12_000;
const PROBE_PAUSE_MILLISECONDS = 100;
const WORKER_PROGRAM = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));

/**
 * The whole system in processes of its own, on a home and ports of its own, from the built package (`npm run build`
 * comes first). One for each test file: a start takes ten seconds.
 */
export class TestStack {
  readonly home: string;
  readonly lines: string[] = [];
  readonly #ports: Record<'postgres' | 'temporal' | 'temporalUi' | 'stripe' | 'api', number>;
  #stack: Stack | null = null;
  #pool: Pool | null = null;
  #workers: ChildProcess[] = [];
  #logsShown = false;

  private constructor(home: string) {
    this.home = home;
    const port = () => PORT_FIRST + Math.floor(Math.random() * PORT_COUNT);
    this.#ports = { postgres: port(), temporal: port(), temporalUi: port(), stripe: port(), api: port() };
  }

  static async start(): Promise<TestStack> {
    const home = await mkdtemp(join(tmpdir(), 'costplus-stack-'));
    // PostgreSQL runs as a user of its own where the tests run as root.
    await chmod(home, 0o755);
    const stack = new TestStack(home);
    await stack.#up();
    return stack;
  }

  async #up(): Promise<void> {
    this.#stack = await startStack({
      environment: {
        ...ownEnvironment(),
        COSTPLUS_HOME: this.home,
        TEMPORAL_CLI_PATH: await temporalCli(),
        STRIPE_CALLS_PER_SECOND: '100',
      },
      ports: this.#ports,
      say: (line) => this.lines.push(`${new Date().toISOString()} ${line}`),
    });
    this.#pool = createPool(this.info.database_url, { max: 8, applicationName: 'costplus-test' });
  }

  async #down(): Promise<void> {
    for (const worker of this.#workers.splice(0)) worker.kill('SIGKILL');
    await this.#pool?.end();
    await this.#stack?.stop();
    this.#stack = null;
  }

  /** Stops all of it and starts it again on the same data; `between` runs while it is down. */
  async restart(between: () => Promise<void> = async () => undefined): Promise<void> {
    await this.#down();
    await between();
    await this.#up();
  }

  /** Stops all of it and removes its data. */
  async stop(): Promise<void> {
    await this.#down();
    await rm(this.home, { recursive: true, force: true });
  }

  get info(): StackInfo {
    return this.#stack!.info;
  }

  /** The stack's database, to hold a lock or to look at a row that no route shows. */
  get pool(): Pool {
    return this.#pool!;
  }

  get pids(): Record<string, number> {
    return this.#stack!.pids();
  }

  // ---- the API -----------------------------------------------------------------------------------------------------

  get<T>(path: string): Promise<T> {
    return this.#request('GET', path, this.info.keys.finance);
  }

  put<T>(path: string, body: unknown): Promise<T> {
    return this.#request('PUT', path, this.info.keys.finance, JSON.stringify(body));
  }

  post<T>(path: string, body: unknown): Promise<T> {
    return this.#request('POST', path, this.info.keys.finance, JSON.stringify(body));
  }

  /** Sends one signed batch, once. `messageId` sends the same request again. */
  async sendUsage(events: unknown[], messageId: string = randomUUID()): Promise<EventResult[]> {
    const body = JSON.stringify({ events });
    const signed = signRequest({
      secret: this.info.signing.secret,
      id: messageId,
      timestamp: Math.floor(Date.now() / 1_000),
      body,
    });
    const { results } = await this.#request<{ results: EventResult[] }>(
      'POST',
      '/v1/usage',
      this.info.keys.service,
      body,
      { ...signed },
    );
    return results;
  }

  async #request<T>(
    method: string,
    path: string,
    key: string,
    body?: string,
    headers: Record<string, string> = {},
  ): Promise<T> {
    const response = await fetch(this.info.api_url + path, {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body }),
    });
    const answer = (await response.json()) as T;
    if (!response.ok) throw new ApiProblem(method, path, response.status, answer as Record<string, unknown>);
    return answer;
  }

  // ---- the Stripe stand-in -----------------------------------------------------------------------------------------

  standInState(): Promise<StandInState> {
    return this.#standIn('GET', '/_state');
  }

  /** Requests that the stand-in has heard since its start. */
  async standInRequests(): Promise<RecordedRequest[]> {
    return (await this.standInState()).requests;
  }

  /** What the stand-in holds under the invoice keys of a customer's period, drafts included. */
  async standInInvoices(customerId: string, startDate: string): Promise<StandInInvoice[]> {
    const { invoices } = await this.standInState();
    return invoices.filter(({ metadata }) => metadata.costplus_invoice?.startsWith(`${customerId}/${startDate}/`));
  }

  fault(order: FaultOrder): Promise<unknown> {
    return this.#standIn('POST', '/_faults', order);
  }

  clearFaults(): Promise<unknown> {
    return this.#standIn('DELETE', '/_faults');
  }

  async #standIn<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(this.info.stripe_api_base + path, {
      method,
      headers: { authorization: `Bearer ${STAND_IN_SECRET_KEY}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`the stand-in answered ${response.status} to ${method} ${path}`);
    return (await response.json()) as T;
  }

  // ---- processes ---------------------------------------------------------------------------------------------------

  /**
   * Ends a part's process without warning, of PostgreSQL every process. The stack starts it again by itself; answers once
   * a new process runs.
   */
  async kill(name: PartName): Promise<void> {
    const pid = this.pids[name];
    if (pid === undefined) throw new Error(`${name} does not run`);
    const backends = name === 'postgres' ? await childrenOf(pid) : [];
    for (const victim of [pid, ...backends]) sendSignal(victim, 'SIGKILL');
    await waitFor(`${name} runs again`, async () => (this.pids[name] ?? pid) !== pid || null);
  }

  /** Waits until every part runs and answers. */
  ready(): Promise<unknown> {
    return waitFor('all parts answer', async () => {
      const answer = await fetch(`${this.info.api_url}/readyz`);
      await answer.body?.cancel();
      await this.standInState();
      return (answer.status === 200 && Object.keys(this.pids).length === PARTS_COUNT) || null;
    });
  }

  /** Stops (SIGSTOP) or continues (SIGCONT) a part's process. */
  signal(name: PartName, signal: 'SIGSTOP' | 'SIGCONT'): void {
    const pid = this.pids[name];
    if (pid === undefined) throw new Error(`${name} does not run`);
    sendSignal(pid, signal);
  }

  /** A further worker beside the stack's own; it is ended with the stack. */
  async startWorker(environment: Record<string, string> = {}): Promise<ChildProcess> {
    const log = await open(join(this.home, 'logs', 'second-worker.log'), 'a');
    const worker = spawn(process.execPath, ['--enable-source-maps', WORKER_PROGRAM, 'worker'], {
      env: {
        ...ownEnvironment(),
        COSTPLUS_HOME: this.home,
        DATABASE_URL: this.info.database_url,
        TEMPORAL_ADDRESS: this.info.temporal_address,
        COSTPLUS_ENCRYPTION_KEY: (await ensureSecrets(this.home)).encryption_key,
        STRIPE_API_BASE: this.info.stripe_api_base,
        STRIPE_SECRET_KEY: STAND_IN_SECRET_KEY,
        STRIPE_CALLS_PER_SECOND: '100',
        ...environment,
      },
      stdio: ['ignore', log.fd, log.fd],
    });
    await log.close();
    this.#workers.push(worker);
    return worker;
  }

  /** What a part of Node.js has logged, line by line. */
  async log(name: 'api' | 'worker'): Promise<Record<string, unknown>[]> {
    const text = await readFile(join(this.home, 'logs', `${name}.log`), 'utf8');
    return text
      .split('\n')
      .flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as Record<string, unknown>] : []));
  }

  /** Shows the ends of all logs beside the first test that fails; later ones mostly follow from it. */
  async showLogsOnce(): Promise<void> {
    if (this.#logsShown) return;
    this.#logsShown = true;
    console.error(await this.#logs(12));
  }

  async #logs(lines: number): Promise<string> {
    const folder = join(this.home, 'logs');
    const parts = await Promise.all(
      (await readdir(folder)).map(async (file) => {
        const text = await readFile(join(folder, file), 'utf8');
        return `== ${file}\n${text.trimEnd().split('\n').slice(-lines).join('\n')}`;
      }),
    );
    return [...this.lines.slice(-lines), ...parts].join('\n');
  }
}

/** The environment without what would be used instead of the stack's own parts. */
function ownEnvironment(): NodeJS.ProcessEnv {
  const foreign = /^(DATABASE_URL|TEMPORAL_|STRIPE_|PORT$|HOST$|WORKER_METRICS_PORT|COSTPLUS_|NODE_ENV$|VITEST)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name)));
}

async function childrenOf(parent: number): Promise<number[]> {
  const children: number[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = await readFile(`/proc/${entry}/stat`, 'utf8').catch(() => '');
    // The name in parentheses may hold spaces; state and parent follow it.
    if (
      Number(
        stat
          .slice(stat.lastIndexOf(')') + 1)
          .trim()
          .split(' ')[1],
      ) === parent
    )
      children.push(Number(entry));
  }
  return children;
}

/** Whether an error says that something is down for the moment: no connection, or an answer that says to try again. */
export function isOutage(error: unknown): boolean {
  if (error instanceof ApiProblem) return error.status === 503;
  // What fetch throws without an answer.
  return error instanceof TypeError || (error instanceof SyntaxError && /JSON/.test(error.message));
}

/** Does it again until it is answered, as a client does whose batch found no answer. Refusals are thrown. */
export async function untilAnswered<T>(work: () => Promise<T>, seconds = 60): Promise<T> {
  for (const deadline = Date.now() + seconds * 1_000; ; await sleep(PROBE_PAUSE_MILLISECONDS)) {
    try {
      return await work();
    } catch (error) {
      if (!isOutage(error) || Date.now() > deadline) throw error;
    }
  }
}

/**
 * Waits until the probe answers something else than null, and answers that. What is down for the moment counts as null.
 * `note` keeps how far it came, for the message after the deadline.
 */
export async function waitFor<T>(
  what: string,
  probe: (note: (text: string) => void) => Promise<T | null>,
  seconds = 60,
): Promise<T> {
  let last = 'nothing yet';
  for (const deadline = Date.now() + seconds * 1_000; ; await sleep(PROBE_PAUSE_MILLISECONDS)) {
    try {
      const found = await probe((text) => {
        last = text;
      });
      if (found !== null) return found;
    } catch (error) {
      if (!isOutage(error)) throw error;
      last = String(error);
    }
    if (Date.now() > deadline) throw new Error(`waited ${seconds} s until ${what}; last: ${last}`);
  }
}
