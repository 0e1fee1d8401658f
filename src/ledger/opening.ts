import {
  type Adjustment,
  type ClosingBalances,
  type NextPeriod,
  NO_OPENING,
  type OpeningBalances,
} from '../contracts/balances.js';
import type { Plan } from '../contracts/plan.js';
import { CachedCustomer } from '../customers/customer-cache.js';
import { readCustomerRecords } from '../customers/customer-rows.js';
import type { Queryable } from '../database/pool.js';
import { allowancesOf, baseFeeOf } from '../plans/plan-parts.js';
import { readOpenCredits } from './credits.js';
import type { SealablePeriod } from './seal.js';

/** What a seal takes over beside usage, plans and prices. */
export interface Opening {
  opening: OpeningBalances;
  next: NextPeriod | null;
  adjustments: Adjustment[];
  /** The period before, where it leaves something to this one and is not composed yet. */
  waits_for: string | null;
}

/** What stands now of the balances that a period opens with. */
export async function readOpening(database: Queryable, period: SealablePeriod, plans: Plan[]): Promise<Opening> {
  const before = await readPeriodBefore(database, period);
  const credits = await readOpenCredits(database, period);
  const leaves = before !== null && before.closing === null && before.sealable;
  const matters = credits.length > 0 || [...plans, ...(before?.plan ? [before.plan] : [])].some(leavesSomething);
  const { rollover, advance, commitment } = before?.closing ?? NO_OPENING;
  return {
    opening: { rollover, advance, commitment, credits },
    next: await readNext(database, period),
    adjustments: await readAdjustments(database, period.period_id),
    waits_for: leaves && matters ? before.start_date : null,
  };
}

/** Whether periods of a plan leave something to the next one. */
function leavesSomething(plan: Plan): boolean {
  return (
    plan.commitment !== undefined ||
    baseFeeOf(plan)?.timing === 'advance' ||
    allowancesOf(plan).some(({ rollover }) => rollover === true)
  );
}

interface PeriodBefore {
  start_date: string;
  closing: ClosingBalances | null;
  plan: Plan | null;
  /** Whether a composed invoice of it is still to come. */
  sealable: boolean;
}

async function readPeriodBefore(database: Queryable, period: SealablePeriod): Promise<PeriodBefore | null> {
  const { rows } = await database.query<PeriodBefore>(
    `SELECT p.start_date, b.closing, (
       SELECT v.body FROM plan_assignments a
       JOIN plan_versions v ON v.plan_id = a.plan_id AND v.version = a.plan_version
       WHERE a.customer_id = p.customer_id AND a.effective_from < p.ends_at
       ORDER BY a.effective_from DESC, a.assignment_id DESC LIMIT 1
     ) AS plan, NOT EXISTS (SELECT FROM invoices i WHERE i.period_id = p.period_id) AS sealable
     FROM periods p LEFT JOIN LATERAL (
       SELECT closing FROM period_balances WHERE period_id = p.period_id ORDER BY revision DESC LIMIT 1
     ) b ON true
     WHERE p.customer_id = $1 AND p.ends_at <= $2 ORDER BY p.ends_at DESC LIMIT 1`,
    [period.customer_id, period.starts_at],
  );
  return rows[0] ?? null;
}

/** The period that follows, by its row or else by the calendar, and the plan in force at its start. */
async function readNext(database: Queryable, period: SealablePeriod): Promise<NextPeriod | null> {
  const record = (await readCustomerRecords(database, [period.customer_id])).get(period.customer_id);
  const atMs = period.ends_at.getTime();
  const span = record ? new CachedCustomer(record).spanAt(atMs) : null;
  const assigned = record?.assignments.findLast(({ effective_from }) => effective_from <= atMs);
  if (!span || !assigned) return null;
  const { rows } = await database.query<{ body: Plan; sealed: boolean }>(
    `SELECT body, EXISTS (SELECT FROM periods WHERE customer_id = $3 AND starts_at = $4 AND sealed_at IS NOT NULL) AS sealed
     FROM plan_versions WHERE plan_id = $1 AND version = $2`,
    [assigned.plan_id, assigned.plan_version, period.customer_id, period.ends_at],
  );
  const { body: plan, sealed } = rows[0]!;
  const fee = baseFeeOf(plan);
  const text = (ms: number) => new Date(ms).toISOString();
  return {
    start_date: span.start_date,
    start: text(span.starts_at),
    end: text(span.ends_at),
    calendar_from: text(span.calendar_from),
    calendar_to: text(span.calendar_to),
    plan_id: assigned.plan_id,
    version: assigned.plan_version,
    plan_name: plan.name ?? null,
    // A period that was sealed before this one (usage came for an earlier month) has charged its own fee.
    advance_fee: fee?.timing === 'advance' && !sealed ? fee.amount : null,
  };
}

async function readAdjustments(database: Queryable, periodId: number): Promise<Adjustment[]> {
  const { rows } = await database.query<Adjustment>(
    'SELECT adjustment_id, kind, amount, description FROM adjustments WHERE period_id = $1 ORDER BY adjustment_id',
    [periodId],
  );
  return rows;
}
