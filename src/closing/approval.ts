import { APPROVAL_REMINDER_DEFAULT, type Approval } from '../contracts/approval-options.js';
import type { ExpectedRevision, PeriodCommand, PeriodRef } from '../contracts/engine.js';
import { durationMs } from '../contracts/ids.js';
import type { PeriodStatus } from '../contracts/period.js';
import type { Plan } from '../contracts/plan.js';
import { type Client, inTransaction, type Pool, type Queryable } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { hasSubmissions } from '../invoicing/correction-store.js';
import { readSeal } from '../ledger/seal.js';
import { APPROVAL_HISTORY_COUNT } from '../limits.js';
import { formatMinor, fromMinor } from '../money/currency.js';
import { compare, equals, isDecimal, multiply, parseDecimal } from '../money/fraction.js';
import { addTimeline, setPeriodStatus } from '../periods/period-store.js';
import { type PeriodRow, readPeriodRow } from './period-state.js';

/** A composed revision: `total` in minor units of its currency. */
export interface ComposedRevision {
  period_id: number;
  revision: number;
  customer_id: string;
  currency: string;
  total: bigint;
  plan: Pick<Plan, 'submission' | 'approval'>;
}

/**
 * Sends a composed revision on its way: to Stripe (`submitting`), to a person first (`awaiting_approval`, with the reason)
 * where its plan asks for one, or to its end (`nothing_to_bill` where the total is zero, `invoiced` where the plan submits
 * nothing). Runs in the transaction that holds the period's row, which is `sealed`.
 */
export async function sendOn(client: Client, revision: ComposedRevision, now: Date = new Date()): Promise<void> {
  const { period_id, plan } = revision;
  const next = await issuedStatus(client, revision);
  const reason = next === 'nothing_to_bill' ? null : await approvalReason(client, revision);
  if (reason === null) {
    await setPeriodStatus(client, period_id, ['sealed'], next);
    return;
  }
  await client.query('UPDATE periods SET approval_reason = $2, approval_remind_at = $3 WHERE period_id = $1', [
    period_id,
    reason,
    new Date(now.getTime() + reminderMs(plan.approval)),
  ]);
  await setPeriodStatus(client, period_id, ['sealed'], 'awaiting_approval', reason);
}

/** Where a revision goes that nobody has to approve (any more). */
async function issuedStatus(client: Client, revision: ComposedRevision): Promise<PeriodStatus> {
  // What earlier revisions have at Stripe has to follow, whatever the new one comes to.
  if (await hasSubmissions(client, revision)) return 'submitting';
  // Its meter follows the ledger, also to zero.
  if (revision.plan.submission === 'meter_events') return 'submitting';
  // Stripe collects nothing for a total of zero; the composed revision still shows what was used.
  if (revision.total === 0n) return 'nothing_to_bill';
  return revision.plan.submission === 'none' ? 'invoiced' : 'submitting';
}

/**
 * Lets the newest revision of a period that waits go on. Returns the status it has now. Throws `conflict` where it is not
 * the one that the approver saw. Not checked: that it waits.
 */
export async function approveNewest(
  client: Client,
  period: PeriodRow,
  { reason, expected }: Pick<PeriodCommand, 'reason' | 'expected'>,
): Promise<PeriodStatus> {
  const seal = (await readSeal(client, period.period_id))!;
  const { rows } = await client.query<{ subtotal_minor: number; content_hash: string }>(
    'SELECT subtotal_minor, content_hash FROM invoices WHERE period_id = $1 AND revision = $2',
    [period.period_id, seal.revision],
  );
  const { customer_id, currency } = seal.inputs.customer;
  const total = formatMinor(BigInt(rows[0]!.subtotal_minor), currency);
  expectSeen({ revision: seal.revision, total, content_hash: rows[0]!.content_hash, currency }, expected ?? {});
  const next = await issuedStatus(client, {
    period_id: period.period_id,
    revision: seal.revision,
    customer_id,
    currency,
    total: BigInt(rows[0]!.subtotal_minor),
    plan: seal.inputs.plans.at(-1)!,
  });
  const detail = { revision: seal.revision, ...(reason === null ? {} : { reason }) };
  await addTimeline(client, period.period_id, 'approved', detail);
  await setPeriodStatus(client, period.period_id, ['awaiting_approval'], next);
  return next;
}

/** Refuses to approve another invoice than the one that was looked at. */
function expectSeen(
  waits: Required<ExpectedRevision> & { currency: string },
  { revision, total, content_hash }: ExpectedRevision,
): void {
  const refuse = (field: string, seen: string) => {
    const what = `Revision ${waits.revision} of ${waits.total} ${waits.currency} waits for approval`;
    return new CostplusError('conflict', `${what}, not ${seen}. Look at it before you approve it.`, { field });
  };
  if (revision !== undefined && revision !== waits.revision) throw refuse('revision', `revision ${revision}`);
  // Whoever speaks to the engine itself may send anything.
  if (total !== undefined && !(isDecimal(total) && equals(parseDecimal(total), parseDecimal(waits.total)))) {
    throw refuse('total', `one of ${total}`);
  }
  if (content_hash !== undefined && content_hash !== waits.content_hash) {
    throw refuse('content_hash', `one with the content hash ${content_hash}`);
  }
}

/** The conditions of the plan that a revision meets, in words; null where it meets none. */
export async function approvalReason(database: Queryable, revision: ComposedRevision): Promise<string | null> {
  const { approval } = revision.plan;
  if (approval === undefined) return null;
  const { currency } = revision;
  const total = fromMinor(revision.total, currency);
  const named = `the total of ${formatMinor(revision.total, currency)} ${currency}`;
  const reasons: string[] = [];
  if (approval.above !== undefined && compare(total, parseDecimal(approval.above)) > 0) {
    reasons.push(`${named} is above ${approval.above}`);
  }
  if (approval.first_invoice === true && (await isFirstInvoice(database, revision))) {
    reasons.push("it is the customer's first invoice");
  }
  if (approval.deviates_by_factor !== undefined) {
    const from = await deviatesFrom(database, revision, approval.deviates_by_factor);
    if (from) reasons.push(`${named} deviates from ${from} by more than a factor of ${approval.deviates_by_factor}`);
  }
  return reasons.length === 0 ? null : reasons.join('; ');
}

/** What of the customer's history a total deviates from by more than the factor, in words; null: from nothing. */
async function deviatesFrom(database: Queryable, revision: ComposedRevision, factor: string): Promise<string | null> {
  const { currency, total } = revision;
  const history = await readIssuedTotals(database, revision);
  const twice = twiceTheMedian(history);
  if (twice === null) return null;
  const [median, doubled, by] = [fromMinor(twice, currency), fromMinor(total * 2n, currency), parseDecimal(factor)];
  if (compare(doubled, multiply(median, by)) <= 0 && compare(multiply(doubled, by), median) >= 0) return null;
  const shown = `${formatMinor(twice / 2n, currency)} ${currency}`;
  return history.length === 1
    ? `the last invoice, ${shown},`
    : `the median of the last ${history.length} invoices, ${shown},`;
}

/** Whether no invoice of the customer is issued yet, this period's earlier revisions included. */
async function isFirstInvoice(
  database: Queryable,
  { customer_id, period_id, revision }: ComposedRevision,
): Promise<boolean> {
  const { rows } = await database.query<{ first: boolean }>(
    `SELECT NOT EXISTS (SELECT FROM periods p WHERE p.customer_id = $1 AND p.period_id <> $2 AND p.status = 'invoiced')
        AND NOT EXISTS (SELECT FROM invoice_submissions s JOIN periods p USING (period_id)
                        WHERE p.customer_id = $1 AND s.confirmed_at IS NOT NULL
                          AND NOT (s.period_id = $2 AND s.revision >= $3))
        AND NOT EXISTS (SELECT FROM subscription_submissions s
                        WHERE s.period_id = $2 AND s.revision < $3 AND s.confirmed_at IS NOT NULL) AS first`,
    [customer_id, period_id, revision],
  );
  return rows[0]!.first;
}

/** Totals (minor units) of the newest revisions of the customer's last issued invoices of other periods. */
async function readIssuedTotals(database: Queryable, { customer_id, period_id }: ComposedRevision): Promise<bigint[]> {
  const { rows } = await database.query<{ total: string }>(
    `SELECT i.subtotal_minor::text AS total FROM periods p JOIN LATERAL (
       SELECT subtotal_minor FROM invoices WHERE period_id = p.period_id ORDER BY revision DESC LIMIT 1) i ON true
     WHERE p.customer_id = $1 AND p.period_id <> $2 AND p.status = 'invoiced'
     ORDER BY p.starts_at DESC LIMIT $3`,
    [customer_id, period_id, APPROVAL_HISTORY_COUNT],
  );
  return rows.map(({ total }) => BigInt(total));
}

/** Twice the median: whole where there is an even number of amounts too. Null for none. */
export function twiceTheMedian(amounts: readonly bigint[]): bigint | null {
  if (amounts.length === 0) return null;
  const sorted = [...amounts].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! * 2n : sorted[middle - 1]! + sorted[middle]!;
}

/** An invoice that still waits for a person. */
export interface ApprovalReminder extends PeriodRef {
  reason: string | null;
}

/**
 * Notes that somebody is reminded of an invoice that waits for approval, once each time it is due, and sets when the next
 * reminder is. Null where nothing is due: it was approved, held or reminded of meanwhile.
 */
export async function remindApproval(pool: Pool, ref: PeriodRef, now: Date): Promise<ApprovalReminder | null> {
  return inTransaction(pool, async (client) => {
    const period = await readPeriodRow(client, ref, true);
    if (period.status !== 'awaiting_approval') return null;
    if (period.approval_remind_at && period.approval_remind_at > now) return null;
    const { plans } = (await readSeal(client, period.period_id))!.inputs;
    const next = new Date(now.getTime() + reminderMs(plans.at(-1)!.approval));
    await client.query('UPDATE periods SET approval_remind_at = $2 WHERE period_id = $1', [period.period_id, next]);
    const { customer_id, start_date, approval_reason: reason } = period;
    await addTimeline(client, period.period_id, 'approval_reminder', { next: next.toISOString() });
    return { customer_id, start_date, reason };
  });
}

function reminderMs(approval: Approval | undefined): number {
  return durationMs(approval?.remind_after ?? APPROVAL_REMINDER_DEFAULT);
}
