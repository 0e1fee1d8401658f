import { PERIOD_STATUSES } from '../../contracts/period.js';
import { STRIPE_ALERT_KINDS } from '../../contracts/stripe-alert.js';
import { databaseVersion, listMigrations } from '../../database/migrate.js';
import { CostplusError } from '../../errors/error.js';
import { OriginCheck } from '../../ledger/origin.js';
import { PERIOD_COUNT_CACHE_SECONDS, READY_CHECK_TIMEOUT_SECONDS } from '../../limits.js';
import { listAlerts } from '../../stripe/alerts.js';
import type { HttpDeps } from '../deps.js';
import { aliveView, readyView } from '../health-views.js';
import { problemResponses } from '../problem-view.js';
import { asCostplusError } from '../problems.js';
import type { HttpServer } from '../server.js';

const tags = ['operations'];

/** `/healthz`, `/readyz`, `/metrics`: for load balancers and Prometheus, without a key. */
export function healthRoutes(server: HttpServer, deps: HttpDeps): void {
  server.get(
    '/healthz',
    { config: { access: 'public' }, schema: { summary: 'The process answers', tags, response: { 200: aliveView } } },
    () => ({ status: 'alive' }) as const,
  );

  // One check at a time, however many ask: nobody can make load of an open route.
  let underWay: Promise<void> | undefined;
  const origin = new OriginCheck();
  server.get(
    '/readyz',
    {
      config: { access: 'public' },
      schema: {
        summary: 'Database, migrations and engine are ready',
        tags,
        response: { 200: readyView, ...problemResponses },
      },
    },
    async () => {
      underWay ??= checkReady(deps, origin).finally(() => {
        underWay = undefined;
      });
      await underWay;
      return { status: 'ready', database: 'ready', migrations: 'ready', engine: 'ready' } as const;
    },
  );

  let counted = Number.NEGATIVE_INFINITY;
  server.get(
    '/metrics',
    { config: { access: 'public' }, schema: { summary: 'Prometheus metrics', tags } },
    async (_request, reply) => {
      const { pool, metrics } = deps;
      metrics.poolConnections.set({ state: 'busy' }, pool.totalCount - pool.idleCount);
      metrics.poolConnections.set({ state: 'idle' }, pool.idleCount);
      metrics.poolConnections.set({ state: 'waiting_requests' }, pool.waitingCount);
      if (deps.now() - counted >= PERIOD_COUNT_CACHE_SECONDS * 1_000) {
        counted = deps.now();
        await countPeriods(deps);
      }
      return reply.type(metrics.registry.contentType).send(await metrics.registry.metrics());
    },
  );
}

/** Throws the problem of the first part that is not ready. */
async function checkReady(deps: HttpDeps, origin: OriginCheck): Promise<void> {
  const late = (part: string, code: 'database_unavailable' | 'engine_unavailable') =>
    new CostplusError(code, `The ${part} did not answer within ${READY_CHECK_TIMEOUT_SECONDS} s.`);
  const [version, migrations] = await within(
    Promise.all([databaseVersion(deps.pool), listMigrations()]),
    late('database', 'database_unavailable'),
  );
  if (version < migrations.length) {
    throw new CostplusError(
      'database_unavailable',
      `The database is at migration ${version}, this code needs ${migrations.length}: run "costplus migrate".`,
    );
  }
  if (version > migrations.length) {
    throw new CostplusError(
      'database_newer',
      `The database is at migration ${version}, this code knows ${migrations.length}: deploy the newer code.`,
    );
  }
  await within(origin.expect(deps.pool), late('database', 'database_unavailable'));
  if (!(await within(deps.engine.healthy(), late('workflow engine', 'engine_unavailable')))) {
    throw new CostplusError('engine_unavailable', 'The workflow engine does not answer.');
  }
}

/** `work`, or `late` when it takes too long. */
async function within<T>(work: Promise<T>, late: CostplusError): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(late), READY_CHECK_TIMEOUT_SECONDS * 1_000);
  });
  try {
    return await Promise.race([work, timeout]);
  } catch (error) {
    // A check that failed for whatever reason means not ready, not a fault of the caller.
    const known = asCostplusError(error);
    throw known.code === 'internal' ? new CostplusError(late.code, late.message, { cause: error }) : known;
  } finally {
    clearTimeout(timer);
  }
}

/** Sets the gauges of periods by status and of standing alerts. A database that is away leaves the gauge without values, not the scrape. */
async function countPeriods(deps: HttpDeps): Promise<void> {
  deps.metrics.periods.reset();
  deps.metrics.stripeAlerts.reset();
  try {
    const counts = await deps.pool.query<{ status: string; periods: number }>(
      'SELECT status, count(*) AS periods FROM periods GROUP BY status',
    );
    for (const status of PERIOD_STATUSES) deps.metrics.periods.set({ status }, 0);
    for (const { status, periods } of counts.rows) deps.metrics.periods.set({ status }, periods);
    for (const kind of STRIPE_ALERT_KINDS) deps.metrics.stripeAlerts.set({ kind }, 0);
    for (const { kind } of await listAlerts(deps.pool, null)) deps.metrics.stripeAlerts.inc({ kind });
  } catch (error) {
    deps.logger.warn({ error }, 'periods could not be counted');
  }
}
