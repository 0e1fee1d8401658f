import { fastify } from 'fastify';
import type { Config } from '../config.js';
import type { Metrics } from '../observability/metrics.js';

/** Serves a worker's `/metrics` and `/healthz`: a worker has no API of its own. */
export async function startMetricsServer(
  config: Pick<Config, 'HOST' | 'WORKER_METRICS_PORT'>,
  metrics: Metrics,
  running: () => boolean,
): Promise<{ port: number; close: () => Promise<void> }> {
  const server = fastify();
  server.get('/metrics', async (_request, reply) => {
    reply.type(metrics.registry.contentType);
    return metrics.registry.metrics();
  });
  server.get('/healthz', async (_request, reply) => {
    const alive = running();
    reply.status(alive ? 200 : 503);
    return { status: alive ? 'alive' : 'stopping' };
  });
  await server.listen({ host: config.HOST, port: config.WORKER_METRICS_PORT });
  const address = server.server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : config.WORKER_METRICS_PORT,
    close: () => server.close(),
  };
}
