import type { Catalog } from '../catalog/catalog.js';
import type { UsageCounts } from '../contracts/balances.js';
import type { Plan } from '../contracts/plan.js';
import { type Client, type Queryable, transaction } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { ACTIONS_SLICE_EVENTS_COUNT } from '../limits.js';
import { countsActions } from '../plans/plan-parts.js';
import type { UsageRow } from '../pricing/pricing-result.js';
import type { PeriodInputs } from './pricing-inputs.js';
import { cutSlice } from './pricing-slices.js';
import { RowCounters, splitKey } from './row-counters.js';
import { readUsage } from './usage-reader.js';

/** The actions of a period by the rules that count them. */
export type ActionCounts = UsageCounts['actions'];

/** How far a period's actions are counted, and at which inputs. */
interface CountHead {
  inputs_hash: string;
  counted_to: bigint;
  /** By counter (src/ledger/row-counters.ts). */
  actions: Record<string, number>;
}

/** Inputs that count as others did, but for events of these models, which were all held then. */
export interface KeptCounts {
  inputs_hash: string;
  model_ids: string[];
}

/** Whether a rule of these plans counts actions, so that a charge cannot be said without counting. */
export function chargesActions(plans: readonly Plan[]): boolean {
  return plans.some(({ rules }) => rules.some(countsActions));
}

/**
 * Counts the distinct actions of a period's rules up to a transaction, for its totals; the seal counts by itself
 * (src/ledger/count-usage.ts). Only what came since the last time is read: each event once, each new action and rule one
 * inserted row of about 100 bytes, found again by its key; nothing is counted anew for a nudge, however large the period
 * is. In slices, each committed with the point that it reached, so that memory is bounded and an attempt that ends early
 * loses one slice. When inputs change in a way that can move usage to another rule (a plan, a price of a model, a void), the
 * period is counted from its beginning, which reads it once as pricing it again does. `kept` says where they did not. Each
 * slice reads its events a second time, so that pricing takes about three times as long where actions are counted. An
 * attempt that ends between counting and pricing leaves the count ahead until the next one has priced as far.
 * Returns nothing where no rule counts actions. Throws `stale_inputs` for an attempt that was overtaken.
 */
export async function countActions(
  session: Client,
  catalog: Catalog,
  terms: PeriodInputs,
  { period_id, to_xid }: { period_id: number; to_xid: bigint },
  kept: KeptCounts | null = null,
  onProgress?: (events: number) => void,
): Promise<ActionCounts> {
  if (!chargesActions(terms.plans)) return [];
  const counters = new RowCounters({ ...terms, pricing: terms.inputs, catalog });
  const counter = new Counter(session, counters, terms, period_id, onProgress);
  let head = await readCountHead(session, period_id);
  if (head?.inputs_hash !== terms.inputs_hash) {
    head = head && kept?.inputs_hash === head.inputs_hash ? await counter.keep(head, kept) : await counter.begin(head);
  }
  while (head.counted_to < to_xid) head = await counter.advance(head, to_xid);
  return Object.entries(head.actions).map(([key, actions]) => ({ ...splitKey(key, 'of'), actions }));
}

/** Forgets what was counted of a period: its invoice is composed. */
export async function forgetActions(database: Queryable, periodId: number): Promise<void> {
  await database.query('DELETE FROM counted_actions WHERE period_id = $1', [periodId]);
  await database.query('DELETE FROM action_counts WHERE period_id = $1', [periodId]);
}

async function readCountHead(database: Queryable, periodId: number): Promise<CountHead | null> {
  const { rows } = await database.query<Omit<CountHead, 'counted_to'> & { counted_to: string }>(
    'SELECT inputs_hash, counted_to::text, actions FROM action_counts WHERE period_id = $1',
    [periodId],
  );
  return rows[0] ? { ...rows[0], counted_to: BigInt(rows[0].counted_to) } : null;
}

class Counter {
  readonly #session: Client;
  readonly #counters: RowCounters;
  readonly #terms: PeriodInputs;
  readonly #periodId: number;
  readonly #onProgress: ((events: number) => void) | undefined;

  constructor(
    session: Client,
    counters: RowCounters,
    terms: PeriodInputs,
    periodId: number,
    onProgress?: (events: number) => void,
  ) {
    this.#session = session;
    this.#counters = counters;
    this.#terms = terms;
    this.#periodId = periodId;
    this.#onProgress = onProgress;
  }

  /** Nothing is counted at these inputs yet. */
  async begin(known: CountHead | null): Promise<CountHead> {
    const actions = Object.fromEntries(this.#ruleCounters().map((key) => [key, 0]));
    const head = { inputs_hash: this.#terms.inputs_hash, counted_to: 0n, actions };
    await transaction(this.#session, async () => {
      if (known) await this.#lock(known);
      await this.#write(head);
      await this.#session.query('DELETE FROM counted_actions WHERE period_id = $1', [this.#periodId]);
    });
    return head;
  }

  /** The next slice. */
  async advance(known: CountHead, toXid: bigint): Promise<CountHead> {
    const end = await this.#endOfSlice(known.counted_to, toXid);
    const slice = await this.#read(known.counted_to, end);
    return transaction(this.#session, async () => {
      await this.#lock(known);
      const head = {
        ...known,
        counted_to: end,
        actions: added(known.actions, await this.#insert(slice), slice.single),
      };
      await this.#write(head);
      return head;
    });
  }

  /** What was held, and is not any more, is added; the rest counts as it did. */
  async keep(known: CountHead, { model_ids }: KeptCounts): Promise<CountHead> {
    let head = known;
    const single = new Map<string, number>();
    for (let from = 0n; model_ids.length > 0 && from < known.counted_to; ) {
      const end = await this.#endOfSlice(from, known.counted_to);
      const slice = await this.#read(from, end, model_ids);
      // Actions are found again after an attempt that ended here; events without one are added with the last step alone.
      for (const [key, events] of slice.single) single.set(key, (single.get(key) ?? 0) + events);
      const before = head;
      head = await transaction(this.#session, async () => {
        await this.#lock(before);
        const next = { ...before, actions: added(before.actions, await this.#insert(slice), new Map()) };
        await this.#write(next);
        return next;
      });
      from = end;
    }
    const kept = { ...head, inputs_hash: this.#terms.inputs_hash, actions: added(head.actions, new Map(), single) };
    await transaction(this.#session, async () => {
      await this.#lock(head);
      await this.#write(kept);
    });
    return kept;
  }

  #ruleCounters(): string[] {
    return this.#counters.counters.filter(isRule);
  }

  async #endOfSlice(from: bigint, to: bigint): Promise<bigint> {
    const range = { period_id: this.#periodId, from_xid: from, to_xid: to };
    return (await cutSlice(this.#session, range, ACTIONS_SLICE_EVENTS_COUNT)).to_xid;
  }

  async #read(from: bigint, to: bigint, modelIds?: string[]): Promise<Slice> {
    const slice: Slice = { actions: new Map(), single: new Map() };
    await readUsage(
      this.#session,
      {
        period_id: this.#periodId,
        from_xid: from,
        to_xid: to,
        voided_to: this.#terms.inputs.voided_to,
        ...(modelIds === undefined ? {} : { model_ids: modelIds }),
      },
      (rows) => {
        for (const row of rows) this.#take(slice, row);
      },
      this.#onProgress,
    );
    return slice;
  }

  #take({ actions, single }: Slice, row: UsageRow): void {
    for (const key of this.#counters.read(row, false).counters) {
      if (!isRule(key)) continue;
      if (row.action_id == null) {
        single.set(key, (single.get(key) ?? 0) + 1);
        continue;
      }
      const known = actions.get(key);
      if (known) known.add(row.action_id);
      else actions.set(key, new Set([row.action_id]));
    }
  }

  /** How many actions of each counter were not there yet. */
  async #insert({ actions }: Slice): Promise<Map<string, number>> {
    const inserted = new Map<string, number>();
    for (const [counter, ids] of actions) {
      const { rowCount } = await this.#session.query(
        `INSERT INTO counted_actions (period_id, counter, action_id)
         SELECT $1, $2, action_id FROM unnest($3::text[]) AS action_id ON CONFLICT DO NOTHING`,
        [this.#periodId, counter, [...ids].sort()],
      );
      inserted.set(counter, rowCount ?? 0);
    }
    return inserted;
  }

  /** Takes the head's row until the transaction ends: attempts that meet go one after the other. */
  async #lock(known: CountHead): Promise<void> {
    const { rowCount } = await this.#session.query(
      `SELECT FROM action_counts WHERE period_id = $1 AND inputs_hash = $2 AND counted_to = $3::text::xid8
         AND actions = $4::jsonb FOR UPDATE`,
      this.#valuesOf(known),
    );
    if (rowCount === 0) throw this.#overtaken();
  }

  async #write(head: CountHead): Promise<void> {
    await this.#session.query(
      `INSERT INTO action_counts (period_id, inputs_hash, counted_to, actions) VALUES ($1, $2, $3::text::xid8, $4)
       ON CONFLICT (period_id) DO UPDATE SET inputs_hash = excluded.inputs_hash, counted_to = excluded.counted_to,
         actions = excluded.actions`,
      this.#valuesOf(head),
    );
  }

  #valuesOf({ inputs_hash, counted_to, actions }: CountHead): unknown[] {
    return [this.#periodId, inputs_hash, counted_to.toString(), JSON.stringify(actions)];
  }

  #overtaken(): CostplusError {
    return new CostplusError('stale_inputs', `The actions of period ${this.#periodId} were counted meanwhile.`);
  }
}

/** What a slice counts: distinct actions by counter, and events that are an action of their own. */
interface Slice {
  actions: Map<string, Set<string>>;
  single: Map<string, number>;
}

function added(
  actions: Record<string, number>,
  ...more: [ReadonlyMap<string, number>, ReadonlyMap<string, number>]
): Record<string, number> {
  const sums = { ...actions };
  for (const [key, count] of more.flatMap((counts) => [...counts])) sums[key] = (sums[key] ?? 0) + count;
  return sums;
}

/** Counters of allowances are the invoice's business: a charge is before them. */
function isRule(counter: string): boolean {
  return splitKey(counter, 'of').of.startsWith('rule ');
}
