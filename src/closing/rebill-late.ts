import type { PeriodCommand, PeriodRef } from '../contracts/engine.js';
import { FINISHED_STATUSES } from '../contracts/period.js';
import { inTransaction } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { listWaitingLate } from '../ledger/late-store.js';
import { prepareRevision } from '../ledger/next-revision.js';
import { LATE_REBILL_GATHER_MINUTES } from '../limits.js';
import { type CommandDeps, REBILL_DEFAULTS } from './commands.js';
import { readPeriodRow } from './period-state.js';

/**
 * Bills periods again whose plan says so of late usage: for what arrived within the window, once the stragglers have
 * stopped for LATE_REBILL_GATHER_MINUTES. The request id is of the revision that it makes, so that a run that is repeated,
 * or runs twice at once, makes one. Returns how many commands were sent.
 */
export async function rebillLate(
  { pool, catalogs }: CommandDeps,
  command: (ref: PeriodRef, command: PeriodCommand) => Promise<unknown>,
  nowMs: number = Date.now(),
): Promise<number> {
  let sent = 0;
  for (const late of await listWaitingLate(pool)) {
    const gathered = Date.parse(late.last_received_at) + LATE_REBILL_GATHER_MINUTES * 60_000;
    const isDue = late.rebill_until !== null && late.first_received_at <= late.rebill_until && gathered <= nowMs;
    if (!isDue || late.released === late.events) continue;
    const { customer_id, start_date } = late;
    const { status } = await readPeriodRow(pool, { customer_id, start_date });
    if (!FINISHED_STATUSES.includes(status)) continue;
    // What cannot be priced yet waits on: billing it again would take in nothing.
    const next = await inTransaction(pool, (client) =>
      prepareRevision(client, catalogs, late.period_id, REBILL_DEFAULTS),
    );
    if (next.events.length === 0) continue;
    const { revision } = next;
    try {
      await command(
        { customer_id, start_date },
        {
          request_id: `late-usage-${late.period_id}-${revision}`,
          actor: 'costplus',
          reason: 'late usage, as the plan says',
          rebill: REBILL_DEFAULTS,
        },
      );
      sent++;
    } catch (error) {
      // Somebody was first; the next run looks again.
      if (!(error instanceof CostplusError)) throw error;
    }
  }
  return sent;
}
