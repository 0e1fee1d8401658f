import type { PeriodRef, PeriodState } from '../contracts/engine.js';
import { durationMs } from '../contracts/ids.js';
import type { PeriodStatus } from '../contracts/period.js';
import type { Plan } from '../contracts/plan.js';
import type { Queryable } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { readTotals } from '../ledger/totals.js';

/** A period's row with the plan that its closing follows: the one assigned last within the period. */
export interface PeriodRow {
  period_id: number;
  customer_id: string;
  start_date: string;
  starts_at: Date;
  ends_at: Date;
  seals_at: Date;
  created_at: Date;
  sealed_at: Date | null;
  status: PeriodStatus;
  status_version: number;
  status_reason: string | null;
  resume_status: PeriodStatus | null;
  /** The end of a wait for held usage; null while nothing was put off. */
  held_until: Date | null;
  /** A person let it close without held usage. */
  held_accepted: boolean;
  /** Why the invoice waits for approval, or has waited. */
  approval_reason: string | null;
  approval_remind_at: Date | null;
  /** The start date of the period that it waits for while it is closing, and why it was closing then. */
  waits_for: string | null;
  close_reason: string | null;
  plan: Plan | null;
}

/** Reads a period by its name. Throws `unknown_period`. `forUpdate` locks the row until the transaction ends. */
export async function readPeriodRow(database: Queryable, ref: PeriodRef, forUpdate = false): Promise<PeriodRow> {
  const { rows } = await database.query<PeriodRow>(
    `SELECT p.period_id, p.customer_id, p.start_date, p.starts_at, p.ends_at, p.seals_at, p.created_at, p.sealed_at, p.status,
            p.status_version, p.status_reason, p.resume_status, p.held_until, p.held_accepted,
            p.approval_reason, p.approval_remind_at, p.waits_for, p.close_reason, (
       SELECT v.body FROM plan_assignments a
       JOIN plan_versions v ON v.plan_id = a.plan_id AND v.version = a.plan_version
       WHERE a.customer_id = p.customer_id AND a.effective_from < p.ends_at
       ORDER BY a.effective_from DESC, a.assignment_id DESC LIMIT 1
     ) AS plan
     FROM periods p WHERE p.customer_id = $1 AND p.start_date = $2 ${forUpdate ? 'FOR UPDATE OF p' : ''}`,
    [ref.customer_id, ref.start_date],
  );
  if (!rows[0]) {
    throw new CostplusError(
      'unknown_period',
      `Customer ${ref.customer_id} has no period that starts on ${ref.start_date}.`,
    );
  }
  return rows[0];
}

/** A period as its workflow sees it. */
export async function readPeriodState(database: Queryable, ref: PeriodRef): Promise<PeriodState> {
  const row = await readPeriodRow(database, ref);
  return {
    status: row.status,
    status_version: row.status_version,
    status_reason: row.status_reason,
    seals_at_ms: row.seals_at.getTime(),
    retry_for_ms: durationMs(row.plan?.retry_for ?? 'P7D'),
    remind_at_ms: row.approval_remind_at?.getTime() ?? null,
    ...(row.waits_for === null ? {} : { waits_for: row.waits_for }),
    totals: await readTotals(database, row.period_id),
  };
}

/** Marks a period as taken up by a workflow, so that the relay need not start one. */
export async function markOpened(database: Queryable, ref: PeriodRef): Promise<void> {
  await database.query(
    'UPDATE periods SET opened_at = now() WHERE customer_id = $1 AND start_date = $2 AND opened_at IS NULL',
    [ref.customer_id, ref.start_date],
  );
}
