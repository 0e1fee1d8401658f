import { CatalogCache } from '../catalog/catalog-cache.js';
import type { ServerConfig } from '../config.js';
import { CustomerCache } from '../customers/customer-cache.js';
import { createPool, type Pool } from '../database/pool.js';
import { createEngineClient } from '../engine/connection.js';
import { Engine } from '../engine/engine.js';
import { CostplusError } from '../errors/error.js';
import { DetailsLinks } from '../invoicing/details-link.js';
import { receiveWebhook } from '../invoicing/stripe-changes.js';
import { createAppender } from '../ledger/append.js';
import { expectOrigin } from '../ledger/origin.js';
import { API_DATABASE_CONNECTIONS_COUNT, SHUTDOWN_GRACE_SECONDS } from '../limits.js';
import { createLogger } from '../observability/logger.js';
import { collectProcessMetrics, createMetrics, type Metrics, observeStripeCalls } from '../observability/metrics.js';
import { StripeClient } from '../stripe/client.js';
import type { HttpDeps } from './deps.js';
import { createServer } from './server.js';

/** An API server that listens. */
export interface RunningApi {
  /** `http://host:port`. */
  url: string;
  /** Refuses what comes, finishes what is under way, commits what waits, closes the connections. */
  close(): Promise<void>;
}

/** Makes everything that the API needs from the configuration and listens. The database is not changed. */
export async function startApi(config: ServerConfig): Promise<RunningApi> {
  const logger = createLogger(config.LOG_LEVEL, 'api');
  const metrics = createMetrics();
  collectProcessMetrics(metrics);
  const pool = createPool(config.DATABASE_URL, {
    max: API_DATABASE_CONNECTIONS_COUNT,
    applicationName: 'costplus-api',
    onError: (error) => logger.warn({ error }, 'an idle database connection broke'),
  });
  const catalogs = new CatalogCache(pool);
  const appender = createAppender({
    pool,
    catalogs,
    customers: new CustomerCache(),
    eventAgeDays: config.EVENT_AGE_DAYS,
    onChunk: (events) => metrics.chunkEvents.observe(events),
  });
  const engine = createEngineClient(config);
  const server = createServer({
    pool,
    appender,
    catalogs,
    engine: new Engine(engine.client),
    receiveStripeWebhook: webhookReceiver(config, pool, metrics),
    reportedCostTolerance: config.REPORTED_COST_TOLERANCE,
    encryptionKey: Buffer.from(config.COSTPLUS_ENCRYPTION_KEY, 'base64'),
    detailsLinks: DetailsLinks.of(config),
    logger,
    metrics,
    now: Date.now,
  });

  const close = async () => {
    // Connections that are still busy after the grace are cut: their clients send again, and nothing counts twice.
    const cut = setTimeout(() => server.server.closeAllConnections(), SHUTDOWN_GRACE_SECONDS * 1_000);
    try {
      await server.close();
    } finally {
      clearTimeout(cut);
    }
    await appender.close();
    await pool.end();
    await engine.close();
    logger.info('stopped');
  };
  try {
    await refuseRestored(pool);
    const url = await server.listen({ host: config.HOST, port: config.PORT });
    logger.info({ url }, 'listening');
    return { url, close };
  } catch (error) {
    await close();
    throw listenError(error, config);
  }
}

/** Runs the API until SIGTERM or SIGINT. */
export async function runApi(config: ServerConfig): Promise<void> {
  const api = await startApi(config);
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
  });
  await api.close();
}

/** Takes Stripe's deliveries; where no Stripe account is configured there is no such route. */
function webhookReceiver(config: ServerConfig, pool: Pool, metrics: Metrics): HttpDeps['receiveStripeWebhook'] {
  const secretKey = config.STRIPE_SECRET_KEY;
  if (secretKey === undefined) {
    return async () => {
      throw new CostplusError('not_found', 'This server has no Stripe account: STRIPE_SECRET_KEY is not set.');
    };
  }
  const stripe = new StripeClient({
    secretKey,
    apiBase: config.STRIPE_API_BASE,
    pool,
    callsPerSecond: config.STRIPE_CALLS_PER_SECOND,
    onCall: observeStripeCalls(metrics),
  });
  const deps = {
    pool,
    stripe,
    webhookSecret: config.STRIPE_WEBHOOK_SECRET,
    destinationSecret: config.STRIPE_EVENT_DESTINATION_SECRET,
  };
  return (body, signature) => receiveWebhook(deps, body, signature);
}

function listenError(error: unknown, config: ServerConfig): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== 'EADDRINUSE' && code !== 'EACCES' && code !== 'EADDRNOTAVAIL') return error;
  return new CostplusError('configuration', `HOST and PORT cannot be used (${config.HOST}:${config.PORT}, ${code}).`);
}

/** A database that is away is waited for; one that must not be written to is not. */
async function refuseRestored(pool: Pool): Promise<void> {
  try {
    await expectOrigin(pool);
  } catch (error) {
    if (error instanceof CostplusError) throw error;
  }
}
