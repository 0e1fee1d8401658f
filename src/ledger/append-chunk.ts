import type { Catalog } from '../catalog/catalog.js';
import type { CatalogCache } from '../catalog/catalog-cache.js';
import type { EventResult, UsageEvent } from '../contracts/usage-event.js';
import type { CustomerCache } from '../customers/customer-cache.js';
import type { Client } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { CHUNK_STALE_RETRIES_COUNT, EVENT_FUTURE_SECONDS } from '../limits.js';
import { heldReason } from '../pricing/find-prices.js';
import { beginChunk, type ChunkState } from './chunk-state.js';
import type { PlacedEvent } from './event-columns.js';
import { auditConflicts, type Conflict, insertEvents, readHashes } from './insert-events.js';
import { locatePeriods } from './locate-periods.js';

/** One event of one request. */
export interface AppendItem {
  event: UsageEvent;
  may_backfill: boolean;
}

export interface AppendDeps {
  catalogs: CatalogCache;
  customers: CustomerCache;
  /** Usage older than this is refused unless its period takes usage or its source may backfill. */
  eventAgeDays: number;
  now: () => number;
}

const DAY_MS = 86_400_000;

/**
 * Appends the events in one transaction and answers one result each, in order. READ COMMITTED, on a client of its own:
 * dedupe by key and payload hash first, then age and lateness, both under the shared locks of the periods. Throws what
 * the database throws, after a rollback.
 */
export async function appendChunk(
  deps: AppendDeps,
  client: Client,
  items: readonly AppendItem[],
): Promise<EventResult[]> {
  const nowMs = deps.now();
  const customerIds = new Set(items.map(({ event }) => event.customer_id));
  for (let attempt = 0; attempt <= CHUNK_STALE_RETRIES_COUNT; attempt++) {
    const customers = await deps.customers.load(client, customerIds);
    let periods: (number | null)[];
    try {
      const wanted = items.map((item) => ({
        customer: customers.get(item.event.customer_id) ?? null,
        at_ms: item.event.occurred_at_ms,
        create: refusal(deps, item, nowMs) === null,
      }));
      periods = await locatePeriods(client, wanted, nowMs);
    } catch (error) {
      if (!(error instanceof CostplusError) || error.code !== 'stale_inputs') throw error;
      deps.customers.forget(customerIds);
      continue;
    }
    const chunk = new Chunk(deps, client, items, periods, nowMs);
    try {
      const periodIds = new Set(periods.filter((id) => id !== null));
      const state = await beginChunk(client, [...periodIds], customers);
      if (state.stale.length > 0) {
        await client.query('ROLLBACK');
        deps.customers.forget(state.stale);
        continue;
      }
      await chunk.write(state);
      await client.query('COMMIT');
    } catch (error) {
      // A client that cannot roll back is broken; whoever lent it finds out at its next use.
      await client.query('ROLLBACK').catch(() => undefined);
      throw error;
    }
    return chunk.results(
      await deps.catalogs.at(chunk.catalogVersion, client),
      (event) => customers.get(event.customer_id) === null,
    );
  }
  throw new CostplusError('stale_inputs', 'Customers of these events keep changing; send them again.');
}

/** Why an event is not taken if it is new and its period takes no usage: a wrong clock, or too old. */
function refusal(deps: AppendDeps, { event, may_backfill }: AppendItem, nowMs: number): 'in_future' | 'too_old' | null {
  if (event.occurred_at_ms > nowMs + EVENT_FUTURE_SECONDS * 1_000) return 'in_future';
  const old = event.occurred_at_ms < nowMs - deps.eventAgeDays * DAY_MS;
  return old && !may_backfill ? 'too_old' : null;
}

/** What becomes of the events that share one key. */
interface Group {
  /** The event that is inserted: the first one that may be. */
  item: number;
  refused: 'in_future' | 'too_old' | null;
  inserted: boolean;
  /** The payload hash that stands in the ledger. */
  hash: Buffer | null;
}

/** One chunk between its plan and its results. */
class Chunk {
  readonly #deps: AppendDeps;
  readonly #client: Client;
  readonly #items: readonly AppendItem[];
  readonly #periods: readonly (number | null)[];
  readonly #nowMs: number;
  readonly #groupOf: Group[] = [];
  #sealed = new Set<number>();
  catalogVersion = 0;

  constructor(
    deps: AppendDeps,
    client: Client,
    items: readonly AppendItem[],
    periods: readonly (number | null)[],
    nowMs: number,
  ) {
    this.#deps = deps;
    this.#client = client;
    this.#items = items;
    this.#periods = periods;
    this.#nowMs = nowMs;
  }

  /** Inserts, and reads what stands in the ledger where an event was not inserted. */
  async write(state: ChunkState): Promise<void> {
    this.#sealed = state.sealed;
    this.catalogVersion = state.catalog_version;
    const groups = this.#group();
    const fresh = groups.filter(({ refused }) => refused === null);
    const existing = await insertEvents(
      this.#client,
      fresh.map(({ item }) => this.#placed(item)),
      this.#nowMs,
    );
    for (const [i, group] of fresh.entries()) group.inserted = !existing.has(i);
    const others = groups.filter(({ inserted }) => !inserted);
    const hashes = await readHashes(
      this.#client,
      others.map(({ item }) => this.#items[item]!.event),
    );
    for (const [i, group] of others.entries()) {
      group.hash = hashes[i]!;
      if (group.hash === null && group.refused === null) throw new Error('an event is neither inserted nor there');
    }
    for (const group of groups) if (group.inserted) group.hash = this.#items[group.item]!.event.payload_hash;
    await auditConflicts(this.#client, this.#conflicts());
  }

  /** Results in the order of the events, once the transaction has committed. */
  results(catalog: Catalog, isUnknown: (event: UsageEvent) => boolean): EventResult[] {
    return this.#items.map(({ event }, i): EventResult => {
      const { event_id } = event;
      const group = this.#groupOf[i]!;
      if (group.hash === null) return { event_id, status: 'rejected', ...(group.refused && { reason: group.refused }) };
      if (!group.hash.equals(event.payload_hash)) return { event_id, status: 'conflict', reason: 'other_payload' };
      if (!group.inserted || group.item !== i) return { event_id, status: 'duplicate' };
      if (this.#periods[i] === null) {
        return { event_id, status: 'held', reason: isUnknown(event) ? 'unknown_customer' : 'outside_billing' };
      }
      const held = heldReason(catalog, event);
      const reason = held ? { reason: held.reason, ...(held.meter ? { detail: held.meter } : {}) } : {};
      if (this.#isLate(i)) return { event_id, status: 'late', ...reason };
      return { event_id, status: held ? 'held' : 'accepted', ...reason };
    });
  }

  /** Events by key, in key order (code units, as `COLLATE "C"` has it for ids). */
  #group(): Group[] {
    const groups = new Map<string, Group>();
    for (let i = 0; i < this.#items.length; i++) {
      const { customer_id, event_id } = this.#items[i]!.event;
      const key = `${customer_id}\n${event_id}`;
      let group = groups.get(key);
      const refused = group?.refused === null ? null : this.#refused(i);
      if (!group) {
        group = { item: i, refused, inserted: false, hash: null };
        groups.set(key, group);
      } else if (group.refused !== null && refused === null) {
        group.item = i;
        group.refused = null;
      }
      this.#groupOf[i] = group;
    }
    const keyed = [...groups].sort(([a], [b]) => (a < b ? -1 : 1));
    return keyed.map(([, group]) => group);
  }

  /** Age counts only where no unsealed period takes the event. */
  #refused(i: number): Group['refused'] {
    const refused = refusal(this.#deps, this.#items[i]!, this.#nowMs);
    const takesUsage = this.#periods[i] !== null && !this.#isLate(i);
    return refused === 'too_old' && takesUsage ? null : refused;
  }

  #isLate(i: number): boolean {
    const period = this.#periods[i];
    return period !== null && period !== undefined && this.#sealed.has(period);
  }

  #placed(i: number): PlacedEvent {
    return { event: this.#items[i]!.event, period_id: this.#periods[i] ?? null, late: this.#isLate(i) };
  }

  #conflicts(): Conflict[] {
    const conflicts: Conflict[] = [];
    for (const [i, { event }] of this.#items.entries()) {
      const stored = this.#groupOf[i]!.hash;
      if (stored === null || stored.equals(event.payload_hash)) continue;
      const { customer_id, event_id, source_id } = event;
      conflicts.push({ customer_id, event_id, source_id, stored, received: event.payload_hash });
    }
    return conflicts;
  }
}
