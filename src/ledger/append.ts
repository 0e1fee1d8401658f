import { setTimeout as sleep } from 'node:timers/promises';
import type { CatalogCache } from '../catalog/catalog-cache.js';
import type { EventResult, UsageEvent } from '../contracts/usage-event.js';
import type { CustomerCache } from '../customers/customer-cache.js';
import { isCollision, isDatabaseAway } from '../database/failures.js';
import type { Client, Pool } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { CHUNK_COLLISION_RETRIES_COUNT, CHUNK_EVENTS_COUNT } from '../limits.js';
import { type AppendDeps, type AppendItem, appendChunk } from './append-chunk.js';
import { Gatherer } from './gather.js';
import { asRestored } from './origin.js';

export interface Appender {
  /**
   * Appends events once and answers a result for each, in order, after their commit: what is answered is durable.
   * Sending the same events again is always safe. Throws `database_unavailable` when it is not known whether the commit
   * happened, `too_busy` or `shutting_down` when nothing was tried.
   */
  append(events: readonly UsageEvent[], options: { may_backfill: boolean }): Promise<EventResult[]>;
  /** Refuses what comes, and waits for what is under way. */
  close(): Promise<void>;
}

/** The one door into the ledger. `eventAgeDays` is how old usage of a sealed period may be; `now` is ms since the epoch. */
export function createAppender(deps: {
  pool: Pool;
  catalogs: CatalogCache;
  customers: CustomerCache;
  eventAgeDays: number;
  now?: () => number;
  /** Hears how many events each commit had. */
  onChunk?: (events: number) => void;
}): Appender {
  const appendDeps: AppendDeps = { ...deps, now: deps.now ?? Date.now };
  const gatherer = new Gatherer(async (items) => {
    const results = await commitChunk(deps.pool, appendDeps, items);
    deps.onChunk?.(items.length);
    return results;
  });
  return {
    async append(events, { may_backfill }) {
      const requests: Promise<EventResult[]>[] = [];
      for (let from = 0; from < events.length; from += CHUNK_EVENTS_COUNT) {
        const part = events.slice(from, from + CHUNK_EVENTS_COUNT);
        requests.push(gatherer.submit(part.map((event) => ({ event, may_backfill }))));
      }
      return (await Promise.all(requests)).flat();
    },
    close: () => gatherer.close(),
  };
}

/** Appends a chunk on a connection of its own; what collided with another transaction is run again. */
async function commitChunk(pool: Pool, deps: AppendDeps, items: readonly AppendItem[]): Promise<EventResult[]> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await onClient(pool, (client) => appendChunk(deps, client, items));
    } catch (error) {
      if (isCollision(error) && attempt <= CHUNK_COLLISION_RETRIES_COUNT) {
        await sleep(Math.random() * 10 * attempt);
        continue;
      }
      if (!isDatabaseAway(error)) throw asRestored(error) ?? error;
      throw new CostplusError('database_unavailable', 'The database does not answer; send the events again.', {
        cause: error,
      });
    }
  }
}

async function onClient<T>(pool: Pool, work: (client: Client) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken = false;
  try {
    return await work(client);
  } catch (error) {
    broken = isDatabaseAway(error);
    throw error;
  } finally {
    client.release(broken);
  }
}
