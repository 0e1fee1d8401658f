import { CatalogCache } from '../src/catalog/catalog-cache.js';
import type { ReceivedUsageEvent } from '../src/contracts/usage-event.js';
import { CustomerCache } from '../src/customers/customer-cache.js';
import { createPool } from '../src/database/pool.js';
import { createAppender } from '../src/ledger/append.js';
import {
  CHUNK_EVENTS_COUNT,
  CHUNK_GATHER_MILLISECONDS,
  CHUNKS_IN_FLIGHT_COUNT,
  EVENT_AGE_DEFAULT_DAYS,
} from '../src/limits.js';
import { toUsageEvent } from '../src/usage/usage-event.js';
import { CASES, CONNECTIONS, type Figures, measure, printFigures, ROUNDS } from './append-figures.js';
import { runHttp } from './append-http.js';
import { CUSTOMERS_COUNT, makeBatches, openScene, POSTGRES_SETTINGS, type Scene } from './append-scene.js';
import { type BareRow, bareInsert } from './bare-insert.js';
import { describeMachine } from './machine.js';

const NO_SOURCE = { source_id: null, default_provider: null };

/** The append against a plain insert of the same columns into the same tables, alone and behind HTTP. */
export async function run(): Promise<void> {
  console.log(`append: ${describeMachine()}`);
  const settings = Object.entries(POSTGRES_SETTINGS).map(([name, value]) => `${name}=${value}`);
  console.log(
    `  PostgreSQL ${settings.join(' ')}, fsync on; ${CUSTOMERS_COUNT} customers mixed in every batch; bare insert on ` +
      `${CONNECTIONS} connections; chunks of ${CHUNK_EVENTS_COUNT} events, ${CHUNKS_IN_FLIGHT_COUNT} in flight, ` +
      `${CHUNK_GATHER_MILLISECONDS} ms gathering; medians of ${ROUNDS} rounds`,
  );
  const scene = await openScene();
  try {
    console.log('  alone, in one process:');
    for (const { batch, events, callers } of CASES) {
      const bare: Figures[] = [];
      const append: Figures[] = [];
      // In turns, so that whatever else the machine does meets both.
      for (let round = 0; round < ROUNDS; round++) {
        bare.push(await measureBare(scene, makeBatches(events, batch), callers));
        append.push(await measureAppend(scene, makeBatches(events, batch), callers));
      }
      printFigures(`batches of ${batch}`, bare, append);
    }
    console.log('  behind HTTP, each server in a process of its own:');
    await runHttp(scene);
  } finally {
    await scene.close();
  }
}

async function measureBare(scene: Scene, batches: ReceivedUsageEvent[][], callers: number): Promise<Figures> {
  const pool = createPool(scene.url, { max: CONNECTIONS });
  const rows = batches.map((batch) => batch.map((event) => toBareRow(event, scene.periodIds)));
  const figures = await measure(scene, rows, rows.flat().length, callers, (batch) => bareInsert(pool, batch));
  await pool.end();
  return figures;
}

async function measureAppend(scene: Scene, batches: ReceivedUsageEvent[][], callers: number): Promise<Figures> {
  const pool = createPool(scene.url, { max: CONNECTIONS + 2 });
  const appender = createAppender({
    pool,
    catalogs: new CatalogCache(pool),
    customers: new CustomerCache(),
    eventAgeDays: EVENT_AGE_DEFAULT_DAYS,
  });
  const events = batches.map((batch) => batch.map((event) => toUsageEvent(event, NO_SOURCE)));
  const figures = await measure(scene, events, events.flat().length, callers, async (batch) => {
    const results = await appender.append(batch, { may_backfill: false });
    const odd = results.find(({ status }) => status !== 'accepted');
    if (odd) throw new Error(`an event was ${odd.status}: ${odd.reason}`);
  });
  await appender.close();
  await pool.end();
  return figures;
}

function toBareRow(event: ReceivedUsageEvent, periodIds: ReadonlyMap<string, number>): BareRow {
  const { payload, payload_hash } = toUsageEvent(event, NO_SOURCE);
  return {
    customer_id: event.customer_id,
    event_id: event.event_id,
    payload_hash,
    period_id: periodIds.get(event.customer_id)!,
    occurred_at: event.occurred_at,
    provider: event.provider!,
    model_id: event.model_id,
    usage: JSON.stringify(event.usage),
    feature: event.feature ?? null,
    action_id: event.action_id ?? null,
    dimensions: JSON.stringify(event.dimensions),
    payload,
    request_id: event.request_id ?? null,
  };
}
