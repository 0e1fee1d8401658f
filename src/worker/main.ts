import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { createActivities } from '../../activities/index.js';
import { CatalogCache } from '../catalog/catalog-cache.js';
import { currentCatalogVersion } from '../catalog/catalog-store.js';
import { parsePriceSources } from '../catalog/price-sources.js';
import { nudgeLate } from '../closing/nudge-late.js';
import { rebillLate } from '../closing/rebill-late.js';
import type { ServerConfig } from '../config.js';
import { TASK_QUEUE } from '../contracts/engine.js';
import { CustomerCache } from '../customers/customer-cache.js';
import { openStartedPeriods } from '../customers/past-periods.js';
import { createPool, type Pool } from '../database/pool.js';
import { connectionOptions, createEngineClient } from '../engine/connection.js';
import { Engine } from '../engine/engine.js';
import { ensurePriceSchedule } from '../engine/price-schedule.js';
import { registerSearchAttributes } from '../engine/search-attributes.js';
import { CostplusError } from '../errors/error.js';
import { DetailsLinks } from '../invoicing/details-link.js';
import { flushMeterEvents } from '../invoicing/meter-flush.js';
import { pollStripe } from '../invoicing/poll-stripe.js';
import { sweepDrafts } from '../invoicing/sweep-drafts.js';
import { createAppender } from '../ledger/append.js';
import { expectOrigin } from '../ledger/origin.js';
import { ensurePayloadPartitions } from '../ledger/payload-partitions.js';
import { Relay } from '../ledger/relay.js';
import {
  DRAFT_SWEEP_MINUTES,
  LATE_REBILL_SWEEP_MINUTES,
  LATE_TOTALS_SWEEP_MINUTES,
  METER_SWEEP_MINUTES,
  PAYLOAD_PARTITION_HOURS,
  SHUTDOWN_GRACE_SECONDS,
  STARTED_PERIODS_MINUTES,
  STRIPE_POLL_MINUTES,
  WORKER_ACTIVITIES_COUNT,
  WORKER_CACHED_WORKFLOWS_COUNT,
  WORKER_DATABASE_CONNECTIONS_COUNT,
  WORKER_POLLERS_COUNT,
  WORKER_WORKFLOW_TASKS_COUNT,
} from '../limits.js';
import { createLogger, type Logger, logActivity } from '../observability/logger.js';
import { collectProcessMetrics, createMetrics, type Metrics, observeStripeCalls } from '../observability/metrics.js';
import { Sources } from '../sources/sources.js';
import { StripeClient } from '../stripe/client.js';
import { every } from './every.js';
import { lateAlerts } from './late-alerts.js';
import { startMetricsServer } from './metrics-server.js';
import { sdkLogger } from './sdk-logger.js';

/** The workflow code bundled at build time: nothing is compiled when a worker starts. */
const WORKFLOW_BUNDLE = fileURLToPath(new URL('../../workflow-bundle.js', import.meta.url));

/**
 * Runs a worker until it is told to stop: polls Temporal, runs activities, relays nudges and sweeps lost drafts. Any
 * number may run; the relay and the sweeper work in one of them at a time.
 */
export async function runWorker(config: ServerConfig): Promise<void> {
  if (!existsSync(WORKFLOW_BUNDLE)) {
    throw new CostplusError('configuration', 'The workflow bundle is missing; run "npm run build" first.');
  }
  const priceSources = parsePriceSources(config.PRICE_SOURCES);
  const logger = createLogger(config.LOG_LEVEL, 'worker');
  const metrics = createMetrics();
  collectProcessMetrics(metrics);
  let worker: Worker | undefined;
  // First of all: a process that cannot listen ends, instead of relaying without ever working.
  const metricsServer = await startMetricsServer(config, metrics, () => worker?.getState() === 'RUNNING');
  try {
    await work(config, {
      priceSources,
      logger,
      metrics,
      onCreated: (created) => {
        worker = created;
        logger.info({ metrics_port: metricsServer.port, task_queue: TASK_QUEUE }, 'worker runs');
      },
    });
  } finally {
    await metricsServer.close();
  }
}

interface WorkDeps {
  priceSources: ReturnType<typeof parsePriceSources>;
  logger: Logger;
  metrics: Metrics;
  /** Hears of the worker before it runs. */
  onCreated: (worker: Worker) => void;
}

async function work(config: ServerConfig, { priceSources, logger, metrics, onCreated }: WorkDeps): Promise<void> {
  Runtime.install({ logger: sdkLogger(logger), shutdownSignals: [] });

  const pool = createPool(config.DATABASE_URL, {
    max: WORKER_DATABASE_CONNECTIONS_COUNT,
    applicationName: 'costplus-worker',
    onError: (error) => logger.warn({ err: error }, 'a database connection broke'),
  });
  await expectOrigin(pool);
  const catalogs = new CatalogCache(pool);
  const sources = new Sources(pool, Buffer.from(config.COSTPLUS_ENCRYPTION_KEY, 'base64'), Date.now);
  const appender = createAppender({
    pool,
    catalogs,
    customers: new CustomerCache(),
    eventAgeDays: config.EVENT_AGE_DAYS,
    onChunk: (events) => metrics.chunkEvents.observe(events),
  });
  const stripe =
    config.STRIPE_SECRET_KEY === undefined ? null : stripeClient(config, config.STRIPE_SECRET_KEY, pool, metrics);
  const connection = await NativeConnection.connect(connectionOptions(config));
  const { client, close: closeEngine } = createEngineClient(config);
  await registerSearchAttributes(client.connection, config.TEMPORAL_NAMESPACE);
  await ensurePayloadPartitions(pool);
  const engine = new Engine(client);
  await ensurePriceSchedule(client, {
    sources: priceSources.map(({ source }) => source),
    everyHours: config.PRICE_IMPORT_HOURS,
  });

  const worker = await Worker.create({
    connection,
    namespace: config.TEMPORAL_NAMESPACE,
    taskQueue: TASK_QUEUE,
    workflowBundle: { codePath: WORKFLOW_BUNDLE },
    activities: createActivities({
      pool,
      catalogs,
      sources,
      appender,
      stripe,
      detailsLinks: DetailsLinks.of(config),
      prices: { sources: priceSources, policy: config.PRICE_POLICY },
      logger,
      onPriced: (events) => metrics.pricingEvents.inc(events),
      reportedCostTolerance: config.REPORTED_COST_TOLERANCE,
      onDrift: ({ provider, model_id, source, events }) => {
        metrics.reportedCostDrifts.inc();
        logger.warn({ provider, model_id, source, events }, 'reported costs drift from the catalog');
      },
      onApprovalReminder: (reminder) => {
        metrics.approvalReminders.inc();
        logger.warn({ reminder }, 'an invoice waits for approval');
      },
      onAttempt: (line) => {
        metrics.activityAttempts.inc({ activity: line.activity, outcome: line.outcome });
        metrics.activityDuration.observe({ activity: line.activity }, line.duration_ms / 1_000);
        logActivity(logger, line);
      },
    }),
    maxConcurrentWorkflowTaskExecutions: WORKER_WORKFLOW_TASKS_COUNT,
    maxConcurrentWorkflowTaskPolls: WORKER_POLLERS_COUNT,
    maxConcurrentActivityTaskExecutions: WORKER_ACTIVITIES_COUNT,
    maxConcurrentActivityTaskPolls: WORKER_POLLERS_COUNT,
    maxCachedWorkflows: WORKER_CACHED_WORKFLOWS_COUNT,
    shutdownGraceTime: `${SHUTDOWN_GRACE_SECONDS} seconds`,
  });
  const relay = new Relay({
    pool,
    signalsPerSecond: config.RELAY_SIGNALS_PER_SECOND,
    nudge: async (period, horizon, catalogVersion) => {
      try {
        await engine.nudge(period, { horizon: horizon.toString(), catalog_version: catalogVersion });
        metrics.relaySignals.inc({ outcome: 'sent' });
      } catch (error) {
        metrics.relaySignals.inc({ outcome: 'failed' });
        // An engine that was lost and replaced knows nothing of our search attributes and refuses the start.
        await registerSearchAttributes(client.connection, config.TEMPORAL_NAMESPACE).catch(() => undefined);
        throw error;
      }
    },
    log: logger,
    onPlaced: (events) => metrics.placedEvents.inc(events),
    onTick: ({ lag_ms }) => metrics.relayLag.set(lag_ms / 1_000),
  });
  relay.start();
  const late = { pool, catalogs, looked: new Map<number, string>(), onWaiting: lateAlerts(metrics, logger) };
  const jobs = [
    every(PAYLOAD_PARTITION_HOURS * 3_600_000, () => ensurePayloadPartitions(pool), logger),
    every(STARTED_PERIODS_MINUTES * 60_000, (signal) => openStartedPeriods(pool, Date.now(), signal), logger),
    every(
      LATE_REBILL_SWEEP_MINUTES * 60_000,
      (signal) => rebillLate({ ...late, signal }, (ref, command) => engine.command(ref, 'rebill', command)),
      logger,
    ),
    every(
      LATE_TOTALS_SWEEP_MINUTES * 60_000,
      async () => {
        const catalogVersion = await currentCatalogVersion(pool);
        await nudgeLate({ pool }, (ref) => engine.nudge(ref, { horizon: '0', catalog_version: catalogVersion }));
      },
      logger,
    ),
  ];
  if (stripe) {
    jobs.push(
      every(
        DRAFT_SWEEP_MINUTES * 60_000,
        (signal) => sweepDrafts({ pool, stripe, signal, heartbeat: () => {} }),
        logger,
      ),
      every(
        METER_SWEEP_MINUTES * 60_000,
        (signal) => flushMeterEvents({ pool, stripe, signal, heartbeat: () => {} }),
        logger,
      ),
      every(STRIPE_POLL_MINUTES * 60_000, (signal) => pollStripe({ pool, stripe, signal }), logger),
    );
  }

  let ended: Promise<unknown> | undefined;
  // Beside the activities under way: both have the same grace.
  const endJobs = () => {
    ended ??= Promise.all([...jobs.map((job) => job.stop()), relay.stop()]);
    return ended;
  };
  const stop = (signal: NodeJS.Signals) => {
    logger.info({ signal }, 'worker stops');
    void endJobs();
    if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  onCreated(worker);
  try {
    await worker.run();
  } finally {
    await endJobs();
    await appender.close();
    await connection.close();
    await closeEngine();
    await pool.end();
  }
}

function stripeClient(config: ServerConfig, secretKey: string, pool: Pool, metrics: Metrics): StripeClient {
  return new StripeClient({
    secretKey,
    apiBase: config.STRIPE_API_BASE,
    pool,
    callsPerSecond: config.STRIPE_CALLS_PER_SECOND,
    onCall: observeStripeCalls(metrics),
  });
}
