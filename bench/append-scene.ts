import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureBundledCatalog } from '../src/catalog/publish.js';
import { customerSchema } from '../src/contracts/customer.js';
import type { ReceivedUsageEvent } from '../src/contracts/usage-event.js';
import { putCustomer } from '../src/customers/customer-store.js';
import { migrate } from '../src/database/migrate.js';
import { createPool, type Pool } from '../src/database/pool.js';
import { postmasterPid, startEmbeddedPostgres } from '../src/dev/embedded-postgres.js';
import { ensurePayloadPartitions } from '../src/ledger/payload-partitions.js';
import { publishPlan } from '../src/plans/plan-store.js';
import { processTreeSeconds } from './machine.js';

export const CUSTOMERS_COUNT = 200;
/** Of the server that is measured; everything else is as PostgreSQL ships it, fsync and synchronous_commit on. */
export const POSTGRES_SETTINGS = { shared_buffers: '256MB', max_wal_size: '4GB', max_connections: '100' };

/** A PostgreSQL of its own with 200 customers in their current period. */
export interface Scene {
  url: string;
  pool: Pool;
  periodIds: Map<string, number>;
  /** Empties the ledger and lets the server settle, so that each measurement starts alike. */
  reset(): Promise<void>;
  /** What PostgreSQL has used so far. */
  usage(): Promise<{ cpuSeconds: number; walBytes: number }>;
  close(): Promise<void>;
}

export async function openScene(): Promise<Scene> {
  const home = await mkdtemp(join(tmpdir(), 'costplus-bench-'));
  await chmod(home, 0o755);
  const directory = join(home, 'postgres');
  const server = await startEmbeddedPostgres({ directory, settings: POSTGRES_SETTINGS });
  const url = server.url('postgres');
  const pool = createPool(url, { max: 8 });
  await migrate(pool);
  await ensureBundledCatalog(pool);
  await ensurePayloadPartitions(pool);
  await publishPlan(pool, { plan_id: 'pro', currency: 'usd', rules: [{ markup: '0.25' }] }, 'bench');
  for (let i = 0; i < CUSTOMERS_COUNT; i++) {
    await putCustomer(pool, customerName(i), customerSchema.parse({ currency: 'usd', plan_id: 'pro' }), 'bench');
  }
  const periods = await pool.query<{ customer_id: string; period_id: number }>(
    'SELECT customer_id, period_id FROM periods',
  );
  return {
    url,
    pool,
    periodIds: new Map(periods.rows.map((row) => [row.customer_id, row.period_id])),
    async reset() {
      await pool.query('TRUNCATE usage_events, usage_payloads, usage_chunks');
      await pool.query('CHECKPOINT');
    },
    async usage() {
      const pid = await postmasterPid(directory);
      const { rows } = await pool.query<{ bytes: string }>(`SELECT pg_current_wal_lsn() - '0/0'::pg_lsn AS bytes`);
      return { cpuSeconds: pid === null ? 0 : processTreeSeconds(pid), walBytes: Number(rows[0]!.bytes) };
    },
    async close() {
      await pool.end();
      await server.stop();
      await rm(home, { recursive: true, force: true });
    },
  };
}

function customerName(i: number): string {
  return `customer-${i}`;
}

let made = 0;

/** Batches as a gateway sends them: each mixes all customers at random, ids are new. */
export function makeBatches(events: number, batch: number): ReceivedUsageEvent[][] {
  const occurred = new Date(Date.now() - 60_000).toISOString();
  return Array.from({ length: Math.ceil(events / batch) }, () =>
    Array.from({ length: batch }, (): ReceivedUsageEvent => {
      const id = (++made).toString(36).padStart(8, '0');
      return {
        event_id: `evt_${Math.random().toString(36).slice(2, 14)}${id}`,
        customer_id: customerName(Math.floor(Math.random() * CUSTOMERS_COUNT)),
        provider: 'anthropic',
        model_id: 'claude-sonnet-4-5',
        occurred_at: occurred,
        usage: { input_tokens: 1_200, cache_read_tokens: 800, output_tokens: 310 },
        feature: 'report',
        action_id: `run_${id}`,
        dimensions: { team: 'search' },
        request_id: `req_${id}`,
      };
    }),
  );
}

/** Runs `work` over all items, `callers` at a time; answers the seconds it took. */
export async function timeAll<T>(
  items: readonly T[],
  callers: number,
  work: (item: T) => Promise<unknown>,
): Promise<number> {
  const started = process.hrtime.bigint();
  let next = 0;
  const caller = async () => {
    while (next < items.length) await work(items[next++]!);
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return Number(process.hrtime.bigint() - started) / 1e9;
}
