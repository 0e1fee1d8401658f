// The server that the API is measured against: Fastify, its own JSON parser, and the bare insert. It checks nothing.
import { fastify } from 'fastify';
import type { ReceivedUsageEvent } from '../src/contracts/usage-event.js';
import { createPool } from '../src/database/pool.js';
import { REQUEST_BODY_BYTES } from '../src/limits.js';
import { CONNECTIONS } from './append-figures.js';
import { bareInsert } from './bare-insert.js';

const pool = createPool(process.env.DATABASE_URL!, { max: CONNECTIONS });
const { rows } = await pool.query<{ customer_id: string; period_id: number }>(
  'SELECT customer_id, period_id FROM periods',
);
const periodIds = new Map(rows.map((row) => [row.customer_id, row.period_id]));
const noHash = Buffer.alloc(32);

const server = fastify({ bodyLimit: REQUEST_BODY_BYTES });
server.get('/healthz', () => ({}));
server.post<{ Body: { events: ReceivedUsageEvent[] } }>('/v1/usage', async ({ body: { events } }) => {
  await bareInsert(
    pool,
    events.map((event) => ({
      customer_id: event.customer_id,
      event_id: event.event_id,
      payload_hash: noHash,
      period_id: periodIds.get(event.customer_id)!,
      occurred_at: event.occurred_at,
      provider: event.provider!,
      model_id: event.model_id,
      usage: JSON.stringify(event.usage),
      feature: event.feature ?? null,
      action_id: event.action_id ?? null,
      dimensions: JSON.stringify(event.dimensions),
      payload: JSON.stringify(event),
      request_id: event.request_id ?? null,
    })),
  );
  return { results: events.map(({ event_id }) => ({ event_id, status: 'accepted' })) };
});
await server.listen({ host: '127.0.0.1', port: Number(process.env.PORT) });
process.once('SIGTERM', () => void server.close().then(() => pool.end()));
