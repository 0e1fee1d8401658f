import type { CatalogCache } from '../catalog/catalog-cache.js';
import type { CommandAnswer, CommandName, PeriodCommand, PeriodRef, RebillOptions } from '../contracts/engine.js';
import { FINISHED_STATUSES, type PeriodStatus } from '../contracts/period.js';
import { lockKey } from '../database/locks.js';
import { type Client, inTransaction, type Pool } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { beginCorrection, hasCreditNotesUnderWay } from '../invoicing/correction-store.js';
import { allowNewGenerations } from '../invoicing/submission-store.js';
import { allowNewPlacing } from '../invoicing/subscription-store.js';
import { lockBilling, lockPeriod } from '../ledger/billing-lock.js';
import { sealRevision } from '../ledger/next-revision.js';
import { findWait } from '../ledger/seal.js';
import { addTimeline, setPeriodStatus } from '../periods/period-store.js';
import { readPlan } from '../plans/plan-store.js';
import { approveNewest } from './approval.js';
import { acceptHeld } from './held-at-close.js';
import { type PeriodRow, readPeriodRow } from './period-state.js';

/** Statuses that a hold can stop; once money is on its way (`submitting`) it is too late. */
const HOLDABLE: readonly PeriodStatus[] = ['open', 'closing', 'sealed', 'awaiting_approval'];

export interface CommandDeps {
  pool: Pool;
  /** Prices late usage that a re-bill takes in. */
  catalogs: CatalogCache;
}

/**
 * Applies a command of finance to a period, once for each request id: the same id again answers what it answered, and
 * does nothing. `close` seals at once, or when the period is composed that it has to wait for (the answer names it), and
 * does not move the period's end; `approve` lets an invoice go that waits for finance; `hold` stops at the next step;
 * `release` goes on from a hold, or tries a parked period again; `rebill` seals the next revision from the ledger as it
 * stands. Throws `unknown_period`, `wrong_status`, or `conflict` when the request id was used for something else. Audited.
 */
export async function applyCommand(
  { pool, catalogs }: CommandDeps,
  ref: PeriodRef,
  name: CommandName,
  asked: PeriodCommand,
): Promise<CommandAnswer> {
  const subject = `${ref.customer_id}/${ref.start_date}`;
  return inTransaction(pool, async (client) => {
    // Locks before rows: a re-bill makes a seal.
    if (name === 'rebill') await lockForSeal(client, ref);
    const period = await readPeriodRow(client, ref, true);
    const known = await client.query<{ command: string; subject: string; outcome: Omit<CommandAnswer, 'applied'> }>(
      'SELECT command, subject, outcome FROM commands WHERE request_id = $1',
      [asked.request_id],
    );
    const earlier = known.rows[0];
    if (earlier) {
      if (earlier.command !== name || earlier.subject !== subject) {
        throw new CostplusError('conflict', 'This request id was used for another command; send a new one.', {
          field: 'request_id',
        });
      }
      return { ...earlier.outcome, applied: false };
    }
    const command = await withPlanVersion(client, asked);
    const status = await APPLY[name](client, period, command, catalogs);
    const { status_version } = await readPeriodRow(client, ref);
    const waitsFor = name === 'close' ? await findWait(client, period.period_id) : null;
    const outcome = { status, status_version, ...(waitsFor === null ? {} : { waits_for: waitsFor }) };
    await client.query(
      `INSERT INTO commands (request_id, command, subject, actor, outcome) VALUES ($1, $2, $3, $4, $5)`,
      [command.request_id, name, subject, command.actor, JSON.stringify(outcome)],
    );
    await client.query(
      `INSERT INTO audit_log (actor, action, customer_id, subject, detail) VALUES ($1, $2, $3, $4, $5)`,
      [
        command.actor,
        `period.${name}`,
        ref.customer_id,
        subject,
        JSON.stringify({
          request_id: command.request_id,
          reason: command.reason,
          from: period.status,
          to: status,
          ...(command.rebill === undefined ? {} : { rebill: command.rebill }),
          ...(command.expected === undefined ? {} : { expected: command.expected }),
        }),
      ],
    );
    return { ...outcome, applied: true };
  });
}

/** A command whose plan has the number of its version: what is newest now is what was meant. Throws `unknown_plan`. */
async function withPlanVersion(client: Client, command: PeriodCommand): Promise<PeriodCommand> {
  const plan = command.rebill?.plan;
  if (plan === undefined) return command;
  const { plan_id, version } = await readPlan(client, plan.plan_id, plan.version);
  return { ...command, rebill: { ...command.rebill!, plan: { plan_id, version } } };
}

async function lockForSeal(client: Client, ref: PeriodRef): Promise<void> {
  await lockBilling(client, ref.customer_id);
  await lockPeriod(client, (await readPeriodRow(client, ref)).period_id);
  await client.query('SELECT pg_advisory_xact_lock_shared($1::bigint)', [lockKey('catalog')]);
}

type Apply = (
  client: Client,
  period: PeriodRow,
  command: PeriodCommand,
  catalogs: CatalogCache,
) => Promise<PeriodStatus>;

const APPLY: Record<CommandName, Apply> = {
  async close(client, period, command) {
    if (period.status !== 'open')
      throw wrongStatus(period, 'closed', period.status === 'on_hold' ? 'Release it first.' : '');
    // Closing early means to bill what was used so far; of a period to come that is nothing but its fee.
    if (period.starts_at.getTime() > Date.now()) throw wrongStatus(period, 'closed', 'It has not begun yet.');
    await setPeriodStatus(client, period.period_id, ['open'], 'closing', command.reason ?? 'closed by finance');
    return 'closing';
  },

  async approve(client, period, command) {
    if (period.status !== 'awaiting_approval') {
      throw wrongStatus(period, 'approved', 'Only a period that awaits approval is.');
    }
    return approveNewest(client, period, command);
  },

  async hold(client, period, command) {
    if (!HOLDABLE.includes(period.status)) throw wrongStatus(period, 'held', '');
    await setPeriodStatus(client, period.period_id, HOLDABLE, 'on_hold', command.reason);
    return 'on_hold';
  },

  async release(client, period, command) {
    if ((period.status !== 'on_hold' && period.status !== 'parked') || !period.resume_status) {
      throw wrongStatus(period, 'released', 'Only a period on hold or a parked one is released.');
    }
    if (period.status === 'parked') {
      await allowNewGenerations(client, period.period_id);
      await allowNewPlacing(client, period.period_id);
    }
    await acceptHeld(client, period);
    const waits = period.resume_status === 'awaiting_approval' ? period.approval_reason : null;
    await setPeriodStatus(client, period.period_id, [period.status], period.resume_status, waits);
    await addTimeline(client, period.period_id, 'released', command.reason === null ? {} : { reason: command.reason });
    return period.resume_status;
  },

  async rebill(client, period, command, catalogs) {
    if (command.reason === null) {
      throw new CostplusError('invalid_request', 'A re-bill needs a reason.', { field: 'reason' });
    }
    await expectRebillable(client, period);
    const options = { ...REBILL_DEFAULTS, ...command.rebill };
    const sealed = await sealRevision(client, catalogs, period, options, command.reason);
    await beginCorrection(client, { period_id: period.period_id, revision: sealed.revision }, options.refund, {
      reason: command.reason,
      actor: command.actor,
    });
    await addTimeline(client, period.period_id, 'rebill', { ...sealed, ...options, reason: command.reason });
    await setPeriodStatus(client, period.period_id, REBILLABLE, 'sealed', command.reason);
    return 'sealed';
  },
};

/** What a re-bill does where finance does not say: the same prices and plans, money to the customer's balance. */
export const REBILL_DEFAULTS: RebillOptions = { catalog: 'pinned', plans: 'pinned', refund: 'balance' };

/** A revision that is on its way to Stripe ends first; one that could not get there is replaced by the next. */
const REBILLABLE: readonly PeriodStatus[] = [...FINISHED_STATUSES, 'parked', 'awaiting_approval'];

async function expectRebillable(client: Client, period: PeriodRow): Promise<void> {
  if (!REBILLABLE.includes(period.status) || period.sealed_at === null) {
    throw wrongStatus(
      period,
      'billed again',
      'Only a period that is billed, awaits approval, or is parked after its seal, is.',
    );
  }
  if (await hasCreditNotesUnderWay(client, period.period_id)) {
    throw wrongStatus(period, 'billed again', 'Credit notes of its last revision are under way; release it first.');
  }
}

function wrongStatus(period: PeriodRow, verb: string, hint: string): CostplusError {
  const detail = `Period ${period.start_date} of ${period.customer_id} is ${period.status} and cannot be ${verb}. ${hint}`;
  return new CostplusError('wrong_status', detail.trim(), { extra: { period_status: period.status } });
}
