import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from '../src/dev/ports.js';
import { createApiKey } from '../src/http/api-keys.js';
import { CASES, type Figures, measure, printFigures, ROUNDS } from './append-figures.js';
import { makeBatches, type Scene } from './append-scene.js';

interface Server {
  port: number;
  process: ChildProcess;
  agent: Agent;
}

/** `POST /v1/usage` of the real API against the bare server: same load, same database, each in a process of its own. */
export async function runHttp(scene: Scene): Promise<void> {
  const key = await createApiKey(scene.pool, { role: 'service', name: 'bench' });
  const bareServer = await start('bare-server.js', [], scene.url);
  const apiServer = await start('../src/cli/main.js', ['api'], scene.url);
  try {
    for (const { batch, events, callers } of CASES) {
      const bare: Figures[] = [];
      const api: Figures[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        for (const [server, figures] of [
          [bareServer, bare],
          [apiServer, api],
        ] as const) {
          const bodies = makeBatches(events, batch).map((made) => Buffer.from(JSON.stringify({ events: made })));
          figures.push(await measure(scene, bodies, events, callers, (body) => post(server, key, body)));
        }
      }
      printFigures(`batches of ${batch}`, bare, api);
    }
  } finally {
    for (const server of [bareServer, apiServer]) {
      server.agent.destroy();
      server.process.kill('SIGTERM');
      if (server.process.exitCode === null) await once(server.process, 'exit');
    }
  }
}

async function start(program: string, parameters: string[], databaseUrl: string): Promise<Server> {
  const port = await freePort();
  const child = spawn(process.execPath, [fileURLToPath(new URL(program, import.meta.url)), ...parameters], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      PATH: process.env.PATH,
      NODE_ENV: 'production',
      LOG_LEVEL: 'warn',
      DATABASE_URL: databaseUrl,
      PORT: String(port),
      // Appending needs no engine; nothing listens there.
      TEMPORAL_ADDRESS: '127.0.0.1:1',
      COSTPLUS_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    },
  });
  const server = { port, process: child, agent: new Agent({ keepAlive: true }) };
  while (child.exitCode === null) {
    const healthy = await fetch(`http://127.0.0.1:${port}/healthz`).then(
      (response) => response.ok,
      () => false,
    );
    if (healthy) return server;
    await sleep(50);
  }
  throw new Error(`${program} ended with ${child.exitCode}`);
}

/** Sends one batch and reads the answer; throws unless every event was accepted. */
function post(server: Server, key: string, body: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: '127.0.0.1',
        port: server.port,
        path: '/v1/usage',
        method: 'POST',
        agent: server.agent,
        headers: {
          'content-type': 'application/json',
          'content-length': body.length,
          authorization: `Bearer ${key}`,
        },
      },
      (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(parts).toString();
          if (response.statusCode !== 200) return reject(new Error(`${response.statusCode}: ${text}`));
          const { results } = JSON.parse(text) as { results: { status: string }[] };
          const odd = results.find(({ status }) => status !== 'accepted');
          return odd ? reject(new Error(`an event was ${odd.status}`)) : resolve();
        });
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}
