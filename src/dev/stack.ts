import { mkdir, realpath, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Config, readConfig } from '../config.js';
import { setUpDatabase } from './database-setup.js';
import { clusterDirectory, embeddedUrl, ensureDatabase, preparePostgres } from './embedded-postgres.js';
import { clearLeftovers, type Places } from './leftovers.js';
import { takeLock } from './lock.js';
import { type Part, type PartHooks, startPart } from './part.js';
import { writePrivateJson } from './private-json.js';
import { ensureSecrets, type Secrets } from './secrets.js';
import { type Service, serviceSpec } from './services.js';
import {
  chooseMetricsPort,
  chooseStackPorts,
  hasOwnStripe,
  PREFERRED_PORTS,
  type PreferredPorts,
  type StackPorts,
} from './stack-ports.js';
import { STAND_IN_SECRET_KEY } from './stripe-stand-in.js';
import { findTemporalCli } from './temporal-binary.js';
import { DEV_NAMESPACE, startTemporalServer } from './temporal-server.js';

const DATABASE = 'costplus';
const STRIPE_API = 'https://api.stripe.com';

/** What `dev.json` says: everything that a person or a program needs to use the running stack. */
export interface StackInfo {
  api_url: string;
  console_url: string;
  temporal_address: string;
  /** Null for a Temporal server of the user's own. */
  temporal_ui_url: string | null;
  /** Metrics of the worker; the API's own are at `api_url`/metrics. */
  worker_metrics_url: string;
  database_url: string;
  stripe_api_base: string;
  keys: Secrets['keys'];
  signing: Secrets['signing'];
}

export interface StackOptions {
  /** Read like `process.env`; what it names is used instead of the embedded part. */
  environment?: NodeJS.ProcessEnv;
  /** Hears one line for each part that comes up, and of what goes wrong later. */
  say?: (line: string) => void;
  /** Gives up the start; what has started is stopped. */
  signal?: AbortSignal;
  /** Where embedded parts listen instead of on the usual ports; a taken one still gives way to a free one. */
  ports?: Partial<PreferredPorts>;
  /** Runs while the home is locked and nothing of it runs: the demo empties its books here. */
  prepare?: () => Promise<void>;
}

export interface Stack {
  /** The folder that keeps the state. */
  home: string;
  info: StackInfo;
  /** Process ids of the embedded parts that run now, by name: postgres, temporal, stripe, api, worker. */
  pids: () => Record<string, number>;
  /** Stops all of it, last started first. The data stays. */
  stop: () => Promise<void>;
}

/** Everything that a start hands from step to step. */
interface Start {
  config: Config;
  environment: NodeJS.ProcessEnv;
  preferred: PreferredPorts;
  places: Places;
  secrets: Secrets;
  say: (line: string) => void;
  hooks: PartHooks;
  logFile: (name: string) => string;
  /** In the order in which they started. */
  parts: Part[];
}

/**
 * Brings up the whole system on this machine: PostgreSQL, a Temporal dev server and the Stripe stand-in where the
 * environment names no other, schema and catalog, the API and the worker. Answers when all of it works and `dev.json`
 * is written. A part that ends by itself is started again. Throws `conflict` while another run uses the same home,
 * `configuration` for what the user has to change, `internal` for a part that does not start.
 */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const environment = options.environment ?? process.env;
  const say = options.say ?? (() => undefined);
  const config = readConfig(environment);
  await mkdir(resolve(config.COSTPLUS_HOME), { recursive: true, mode: process.getuid?.() === 0 ? 0o711 : 0o700 });
  const home = await realpath(config.COSTPLUS_HOME);
  const lock = await takeLock(home);
  const pids: Record<string, number> = {};
  let written = Promise.resolve();
  const writePids = () => {
    // One after the other: the file must end with the newest.
    written = written.then(() => writePrivateJson(join(home, 'pids.json'), pids)).catch(() => undefined);
    return written;
  };
  const parts: Part[] = [];
  const stop = async () => {
    await rm(join(home, 'dev.json'), { force: true });
    for (const part of parts.splice(0).reverse()) {
      await part.stop().catch((error: Error) => say(`${part.name} could not be stopped: ${error.message}`));
    }
    await written;
    await rm(join(home, 'pids.json'), { force: true });
    await lock.release();
  };
  try {
    await mkdir(join(home, 'logs'), { recursive: true, mode: 0o700 });
    const places = { home, cluster: await clusterDirectory(home), engine: join(home, 'temporal') };
    await clearLeftovers(places, say);
    await options.prepare?.();
    const info = await bringUp({
      config,
      environment,
      preferred: { ...PREFERRED_PORTS, ...options.ports },
      places,
      secrets: await ensureSecrets(home),
      say,
      parts,
      logFile: (name) => join(home, 'logs', `${name}.log`),
      hooks: {
        say,
        signal: options.signal,
        onPid: (name, pid) => {
          if (pid === null) delete pids[name];
          else pids[name] = pid;
          void writePids();
        },
      },
    });
    await written;
    await writePrivateJson(join(home, 'dev.json'), info);
    let stopped: Promise<void> | undefined;
    return {
      home,
      info,
      pids: () => ({ ...pids }),
      stop: () => {
        stopped ??= stop();
        return stopped;
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Waits for all of them; then throws what the first in order threw. Nothing is left half started behind an error. */
async function together<A, B>(first: Promise<A>, second: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([first, second]);
  return [await first, await second];
}

async function bringUp(start: Start): Promise<StackInfo> {
  const { config, secrets, say, hooks } = start;
  const ports = await chooseStackPorts(start);
  const [databaseUrl, temporal] = await together(database(start, ports.postgres), engine(start, ports));

  const encryptionKey = config.COSTPLUS_ENCRYPTION_KEY ?? secrets.encryption_key;
  const migrations = await setUpDatabase(databaseUrl, secrets, Buffer.from(encryptionKey, 'base64'));
  say(`database  ready, ${migrations} new migrations`);
  hooks.signal?.throwIfAborted();

  // Where the API listens on every address, this machine reaches it by the loopback.
  const host = ['0.0.0.0', '::'].includes(config.HOST) ? '127.0.0.1' : config.HOST;
  const apiUrl = `http://${host.includes(':') ? `[${host}]` : host}:${ports.api}`;
  const stripe = await payments(start, ports.stripe, apiUrl);

  const shared = {
    DATABASE_URL: databaseUrl,
    ...temporal.environment,
    ...stripe.environment,
    COSTPLUS_ENCRYPTION_KEY: encryptionKey,
    COSTPLUS_HOME: start.places.home,
  };
  const metricsPort = await chooseMetricsPort(config, start.environment);
  const services: Service[] = [
    {
      name: 'api',
      program: ['src/cli/main.js', 'api'],
      environment: { ...shared, PORT: String(ports.api) },
      readyUrl: `${apiUrl}/readyz`,
    },
    {
      name: 'worker',
      program: ['src/cli/main.js', 'worker'],
      environment: { ...shared, WORKER_METRICS_PORT: String(metricsPort) },
      readyUrl: `http://${host}:${metricsPort}/healthz`,
    },
  ];
  const [api, worker] = services as [Service, Service];
  await together(startService(start, api), startService(start, worker));
  // Whichever was faster, a reader finds them in one order.
  sayReady(start, api, apiUrl);
  sayReady(start, worker, worker.readyUrl.replace('/healthz', ''));
  return {
    api_url: apiUrl,
    console_url: `${apiUrl}/docs`,
    temporal_address: temporal.address,
    temporal_ui_url: temporal.uiUrl,
    worker_metrics_url: worker.readyUrl.replace('/healthz', '/metrics'),
    database_url: databaseUrl,
    stripe_api_base: stripe.apiBase,
    keys: secrets.keys,
    signing: secrets.signing,
  };
}

/** Starts a part and enters it into the list of what a stop must end. */
async function enter(start: Start, starting: Promise<Part>): Promise<void> {
  start.parts.push(await starting);
}

async function startService(start: Start, service: Service): Promise<void> {
  const { places, environment, logFile, hooks } = start;
  const spec = serviceSpec(service, { home: places.home, logFile: logFile(service.name), environment });
  await enter(start, startPart(spec, hooks));
}

function sayReady(start: Start, service: Service, where: string): void {
  start.say(`${service.name.padEnd(9)} ready, ${where}`);
}

async function database(start: Start, port: number): Promise<string> {
  const { config, places, secrets, say } = start;
  if (config.DATABASE_URL) {
    say('postgres  yours, DATABASE_URL');
    return config.DATABASE_URL;
  }
  const password = secrets.postgres_password;
  const spec = await preparePostgres({ directory: places.cluster, port, password, logFile: start.logFile('postgres') });
  await enter(start, startPart(spec, start.hooks));
  await ensureDatabase(embeddedUrl(port, password, 'postgres'), DATABASE);
  say(`postgres  ready, 127.0.0.1:${port}, data in ${places.cluster}`);
  return embeddedUrl(port, password, DATABASE);
}

interface EngineAddress {
  address: string;
  uiUrl: string | null;
  environment: Record<string, string>;
}

async function engine(start: Start, ports: StackPorts): Promise<EngineAddress> {
  const { config, environment, places, say, hooks } = start;
  if (config.TEMPORAL_ADDRESS) {
    say(`temporal  yours, ${config.TEMPORAL_ADDRESS}`);
    return { address: config.TEMPORAL_ADDRESS, uiUrl: null, environment: {} };
  }
  const binary = await findTemporalCli({ cache: join(places.home, 'bin'), environment, say, signal: hooks.signal });
  const where = { port: ports.temporal, uiPort: ports.temporalUi };
  const server = { binary, directory: places.engine, ...where, logFile: start.logFile('temporal') };
  await enter(start, startTemporalServer(server, hooks));
  const address = `127.0.0.1:${ports.temporal}`;
  const uiUrl = `http://127.0.0.1:${ports.temporalUi}`;
  say(`temporal  ready, ${address}, UI ${uiUrl}`);
  // The dev server speaks neither TLS nor API keys, whatever else the environment says.
  const own = { TEMPORAL_NAMESPACE: DEV_NAMESPACE, TEMPORAL_TLS: 'false', TEMPORAL_API_KEY: '' };
  return { address, uiUrl, environment: { TEMPORAL_ADDRESS: address, ...own } };
}

async function payments(
  start: Start,
  port: number,
  apiUrl: string,
): Promise<{ apiBase: string; environment: Record<string, string> }> {
  const { config, secrets, places, say } = start;
  if (hasOwnStripe(config)) {
    const apiBase = config.STRIPE_API_BASE ?? STRIPE_API;
    say(`stripe    yours, ${apiBase}`);
    // A server that stands in for Stripe takes any key; webhooks are signed with a secret that its owner sets.
    return { apiBase, environment: config.STRIPE_SECRET_KEY ? {} : { STRIPE_SECRET_KEY: STAND_IN_SECRET_KEY } };
  }
  const apiBase = `http://127.0.0.1:${port}`;
  const directory = join(places.home, 'stripe');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const service: Service = {
    name: 'stripe',
    program: ['src/dev/stripe-stand-in-main.js'],
    environment: {
      STAND_IN_PORT: String(port),
      STAND_IN_DIRECTORY: directory,
      STAND_IN_WEBHOOK_URL: `${apiUrl}/v1/stripe/webhook`,
      STAND_IN_WEBHOOK_SECRET: secrets.webhook_secret,
    },
    readyUrl: `${apiBase}/_state`,
  };
  await startService(start, service);
  sayReady(start, service, `${apiBase}, a local stand-in: no money moves`);
  return {
    apiBase,
    environment: {
      STRIPE_API_BASE: apiBase,
      STRIPE_SECRET_KEY: STAND_IN_SECRET_KEY,
      STRIPE_WEBHOOK_SECRET: secrets.webhook_secret,
    },
  };
}
