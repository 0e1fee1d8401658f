import type { PeriodCommand, PeriodRef, RebillOptions } from '../contracts/engine.js';
import { FINISHED_STATUSES } from '../contracts/period.js';
import { inTransaction } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { hasPeriodToCome } from '../ledger/late-outcome.js';
import { listWaitingLate, type WaitingLate } from '../ledger/late-store.js';
import { prepareRevision } from '../ledger/next-revision.js';
import { LATE_PERIODS_COUNT, LATE_REBILL_GATHER_MINUTES } from '../limits.js';
import { type CommandDeps, REBILL_DEFAULTS } from './commands.js';
import { readPeriodRow } from './period-state.js';

export interface LateSweepDeps extends CommandDeps {
  signal?: AbortSignal;
  /**
   * At which catalog version and after how many decisions held usage of a period was looked at without finding any to
   * bill: one process's memory, so that usage that stays held is not priced at every run.
   */
  looked?: Map<number, string>;
  /** Hears of all late usage that waits, before anything is done about it. */
  onWaiting?: (waiting: readonly WaitingLate[]) => void;
}

type Command = (ref: PeriodRef, command: PeriodCommand) => Promise<unknown>;

/**
 * Bills periods again by themselves: where the plan says so of late usage, and where no later period is to come that could
 * carry it, once the stragglers have stopped for LATE_REBILL_GATHER_MINUTES; there also what was held at the seal and can
 * be billed by now. The request id is of the revision that it makes, so that a run that is repeated, or runs twice at
 * once, makes one. Returns how many commands were sent.
 */
export async function rebillLate(deps: LateSweepDeps, command: Command, nowMs: number = Date.now()): Promise<number> {
  const waiting = await listWaitingLate(deps.pool);
  deps.onWaiting?.(waiting);
  let sent = 0;
  for (const late of waiting) {
    if (deps.signal?.aborted) return sent;
    const gathered = Date.parse(late.last_received_at) + LATE_REBILL_GATHER_MINUTES * 60_000;
    const released = !late.to_come && late.released > 0;
    const isDue = late.rebill_all || released;
    if (!isDue || gathered > nowMs) continue;
    if (await rebill(deps, command, late, late.rebill_all ? 'all' : 'released')) sent++;
  }
  for (const period of await listHeldAfterEnd(deps)) {
    if (deps.signal?.aborted) return sent;
    if (await rebill(deps, command, period, 'all')) sent++;
    else deps.looked?.set(period.period_id, period.known);
  }
  return sent;
}

/** Returns whether the command was sent: only where there is something to take in, and the period is at rest. */
async function rebill(
  { pool, catalogs }: CommandDeps,
  command: Command,
  { customer_id, start_date, period_id }: PeriodRef & { period_id: number },
  late_usage: 'all' | 'released',
): Promise<boolean> {
  const ref = { customer_id, start_date };
  const { status } = await readPeriodRow(pool, ref);
  if (!FINISHED_STATUSES.includes(status)) return false;
  const options: RebillOptions = { ...REBILL_DEFAULTS, ...(late_usage === 'all' ? {} : { late_usage }) };
  try {
    // What cannot be priced yet waits on: billing it again would take in nothing.
    const next = await inTransaction(pool, (client) => prepareRevision(client, catalogs, period_id, options));
    if (next.events.length === 0) return false;
    await command(ref, {
      request_id: `late-usage-${period_id}-${next.revision}`,
      actor: 'costplus',
      reason: 'late usage, as the plan says',
      rebill: options,
    });
    return true;
  } catch (error) {
    // Somebody was first; the next run looks again.
    if (error instanceof CostplusError) return false;
    throw error;
  }
}

interface HeldAfterEnd extends PeriodRef {
  period_id: number;
  /** What it would be priced by. */
  known: string;
}

/** Sealed periods with usage that was held, of customers who have no period to come; what was looked at is left out. */
async function listHeldAfterEnd({ pool, looked }: LateSweepDeps): Promise<HeldAfterEnd[]> {
  const { rows } = await pool.query<HeldAfterEnd & { ends_at: Date }>(
    `SELECT p.period_id, p.customer_id, p.start_date, p.ends_at,
            (SELECT max(version) FROM catalog_versions) || '/' ||
            (SELECT count(*) FROM held_decisions d WHERE d.period_id = p.period_id) AS known
     FROM period_totals t JOIN periods p USING (period_id)
     WHERE t.held_events > 0 AND p.status = ANY($1::text[])
       AND NOT EXISTS (SELECT FROM periods n WHERE n.customer_id = p.customer_id AND n.sealed_at IS NULL)
     ORDER BY p.period_id`,
    [FINISHED_STATUSES],
  );
  const fresh = rows.filter(({ period_id, known }) => looked?.get(period_id) !== known);
  const found = [];
  for (const { ends_at, ...period } of fresh.slice(0, LATE_PERIODS_COUNT)) {
    if (await hasPeriodToCome(pool, period.customer_id, ends_at)) looked?.set(period.period_id, period.known);
    else found.push(period);
  }
  return found;
}
