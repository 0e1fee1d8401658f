import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createPool, type Pool } from '../src/database/pool.js';
import { type Stack, startStack } from '../src/dev/stack.js';
import type { LoadOrder } from './end-to-end-load.js';
import { describeMachine, processTreeSeconds } from './machine.js';

const CUSTOMERS = 200;
const EVENTS = Number(process.env.BENCH_EVENTS ?? 400_000);
const BATCH = 100;
const SENDERS = 8;
const PATIENCE_MS = 600_000;
const LOAD = fileURLToPath(new URL('./end-to-end-load.js', import.meta.url));

/** From HTTP to priced, all parts on this machine: events a second, and what the engine did for them. */
export async function run(): Promise<void> {
  console.log(`end to end: ${describeMachine()}`);
  const home = await mkdtemp(join(tmpdir(), 'costplus-bench-'));
  await chmod(home, 0o755);
  const stack = await startStack({ environment: { ...process.env, COSTPLUS_HOME: home, LOG_LEVEL: 'warn' } });
  const pool = createPool(stack.info.database_url, { max: 2 });
  try {
    await prepare(stack);
    await measure(stack, pool);
  } finally {
    await pool.end();
    await stack.stop();
    await rm(home, { recursive: true, force: true });
  }
}

async function call(stack: Stack, method: string, path: string, body: unknown): Promise<void> {
  const response = await fetch(stack.info.api_url + path, {
    method,
    headers: { authorization: `Bearer ${stack.info.keys.finance}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  await response.arrayBuffer();
}

async function prepare(stack: Stack): Promise<void> {
  await call(stack, 'POST', '/v1/plans', { plan_id: 'bench', currency: 'usd', rules: [{ markup: '0.30' }] });
  for (let i = 0; i < CUSTOMERS; i++) {
    await call(stack, 'PUT', `/v1/customers/bench-${i}`, { currency: 'usd', plan_id: 'bench' });
  }
  // Every workflow has taken its period up: what is measured is the life of running periods.
  await sleep(20_000);
}

async function priced(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ events: string }>(
    'SELECT coalesce(sum(events), 0)::text AS events FROM period_totals',
  );
  return Number(rows[0]!.events);
}

async function measure(stack: Stack, pool: Pool): Promise<void> {
  const order: LoadOrder = {
    api_url: stack.info.api_url,
    key: stack.info.keys.service,
    secret: stack.info.signing.secret,
    customers: CUSTOMERS,
    events: EVENTS,
    batch: BATCH,
    senders: SENDERS,
  };
  const before = await counters(pool);
  const cpu = Object.entries(stack.pids()).map(([name, pid]) => ({ name, pid, seconds: processTreeSeconds(pid) }));
  const started = performance.now();
  const load = promisify(execFile)(process.execPath, [LOAD, JSON.stringify(order)]);
  let done = 0;
  for (; done < EVENTS; done = await priced(pool)) {
    await sleep(500);
    if (performance.now() - started > PATIENCE_MS) throw new Error(`only ${done} of ${EVENTS} events were priced`);
  }
  const seconds = (performance.now() - started) / 1_000;
  const { sent_ms } = JSON.parse((await load).stdout) as { sent_ms: number };
  const after = await counters(pool);
  const sentSeconds = sent_ms / 1_000;
  console.log(
    `  ${EVENTS} events in batches of ${BATCH} that mix ${CUSTOMERS} active periods, ${SENDERS} requests under way; the load generator shares the cores`,
  );
  console.log(`  accepted: ${Math.round(EVENTS / sentSeconds)} events/s (${sentSeconds.toFixed(1)} s)`);
  console.log(
    `  accepted and priced: ${Math.round(EVENTS / seconds)} events/s (${seconds.toFixed(1)} s; the last ${(seconds - sentSeconds).toFixed(1)} s are the rest of a window)`,
  );
  const runs = after.runs - before.runs;
  console.log(
    `  pricing runs (signal-activity cycles): ${runs}, ${((runs * 1_000) / EVENTS).toFixed(2)} for 1,000 events`,
  );
  const used = cpu.map(
    ({ name, pid, seconds: earlier }) => `${name} ${(processTreeSeconds(pid) - earlier).toFixed(1)}`,
  );
  console.log(`  processor seconds: ${used.join(', ')}`);
}

/** Pricing runs ever written: each is one cycle of the engine (their ids are never reused). */
async function counters(pool: Pool): Promise<{ runs: number }> {
  const { rows } = await pool.query<{ runs: number }>(
    'SELECT coalesce(max(pricing_run_id), 0) AS runs FROM pricing_runs',
  );
  return { runs: rows[0]!.runs };
}
