import { fileURLToPath } from 'node:url';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { bundleWorkflowCode, DefaultLogger, Worker, type WorkflowBundle } from '@temporalio/worker';
import { createActivities } from '../../activities/index.js';
import type { PriceDeps } from '../../activities/price-activities.js';
import { CatalogCache } from '../../src/catalog/catalog-cache.js';
import { TASK_QUEUE } from '../../src/contracts/engine.js';
import { CustomerCache } from '../../src/customers/customer-cache.js';
import type { Pool } from '../../src/database/pool.js';
import { type StripeStandIn, startStripeStandIn } from '../../src/dev/stripe-stand-in.js';
import { type Appender, createAppender } from '../../src/ledger/append.js';
import { createLogger } from '../../src/observability/logger.js';
import { Sources } from '../../src/sources/sources.js';
import { StripeClient } from '../../src/stripe/client.js';

const WORKFLOWS = fileURLToPath(new URL('../../workflows/index.ts', import.meta.url));
let bundle: Promise<WorkflowBundle> | undefined;

/** The workflow code as it stands in the tree, bundled once a test file. */
export function workflowBundle(): Promise<WorkflowBundle> {
  bundle ??= bundleWorkflowCode({ workflowsPath: WORKFLOWS, logger: new DefaultLogger('ERROR') });
  return bundle;
}

export const ENCRYPTION_KEY = Buffer.alloc(32, 7);

export interface TestWorker {
  appender: Appender;
  catalogs: CatalogCache;
  standIn: StripeStandIn;
  /** Ends the worker as a deployment does: running activities may finish. */
  stop: () => Promise<void>;
}

/** A worker with the real activities on a real database, and a Stripe stand-in in memory. */
export async function startTestWorker(
  environment: TestWorkflowEnvironment,
  pool: Pool,
  prices: PriceDeps['prices'] = { sources: [], policy: 'propose' },
): Promise<TestWorker> {
  const standIn = await startStripeStandIn({ directory: null });
  const catalogs = new CatalogCache(pool);
  const appender = createAppender({ pool, catalogs, customers: new CustomerCache(), eventAgeDays: 35 });
  const worker = await Worker.create({
    connection: environment.nativeConnection,
    taskQueue: TASK_QUEUE,
    workflowBundle: await workflowBundle(),
    activities: createActivities({
      pool,
      catalogs,
      appender,
      sources: new Sources(pool, ENCRYPTION_KEY, Date.now),
      stripe: new StripeClient({ secretKey: standIn.secretKey, apiBase: standIn.url, pool, callsPerSecond: 100 }),
      prices,
      logger: createLogger('silent', 'worker'),
      onAttempt: () => {},
    }),
    shutdownGraceTime: '5 seconds',
  });
  const running = worker.run();
  return {
    appender,
    catalogs,
    standIn,
    stop: async () => {
      worker.shutdown();
      await running;
      await appender.close();
      await standIn.close();
    },
  };
}
