import {
  type Adjustment,
  type ClosingBalances,
  type HeldElsewhere,
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
import { readHeldElsewhere, readRollover } from './handed-on.js';
import type { SealablePeriod } from './seal.js';

/** What a seal takes over beside usage, plans and prices. */
export interface Opening {
  opening: OpeningBalances;
  next: NextPeriod | null;
  adjustments: Adjustment[];
  /** What of the period's allowances other sealed invoices have; left out where they have nothing. */
  held?: HeldElsewhere;
  /** The plan in force at the period's end, where it was in force before, left and taken up again. */
  plan_at_end?: string;
}

/** What a period opens with now, and what it has to wait for. */
export interface ReadOpening extends Opening {
  /** The period before, where it leaves something to this one and was never composed. */
  waits_for: string | null;
  /** Another sealed period of which an invoice is being composed that may take something of what this one is made of. */
  busy: string | null;
  before: PeriodBefore | null;
}

/** What stands now of the balances that a period opens with. */
export async function readOpening(database: Queryable, period: SealablePeriod, plans: Plan[]): Promise<ReadOpening> {
  const { before, opening } = await readBalances(database, period);
  const leaves = before !== null && before.closing === null && before.sealable;
  const near = [...plans, ...(before?.plan ? [before.plan] : [])];
  const hasCredits = opening.credits.length > 0;
  const held = await readHeldElsewhere(database, period);
  return {
    opening,
    next: await readNext(database, period),
    adjustments: await readAdjustments(database, period.period_id),
    ...(held === null ? {} : { held }),
    ...takenUpAgain(plans),
    waits_for: leaves && (hasCredits || near.some(leavesSomething)) ? before.start_date : null,
    busy: await readUncomposed(database, period, (sealed) => hasCredits || [...near, ...sealed].some(hasBalances)),
    before,
  };
}

/** The balances of a period as they stand now, its own taking of credits left aside, and the period before. */
export async function readBalances(
  database: Queryable,
  period: SealablePeriod,
): Promise<{ opening: OpeningBalances; before: PeriodBefore | null }> {
  const before = await readPeriodBefore(database, period);
  const { advance, commitment } = before?.closing ?? NO_OPENING;
  const rollover = before === null ? [] : ((await readRollover(database, before.period_id)) ?? []);
  return { opening: { rollover, advance, commitment, credits: await readOpenCredits(database, period) }, before };
}

/** Whether the last of a period's plans was in force before another one. */
export function takenUpAgain(plans: Plan[]): Pick<Opening, 'plan_at_end'> {
  const last = plans.at(-1)?.plan_id;
  return last !== undefined && plans.slice(0, -2).some(({ plan_id }) => plan_id === last) ? { plan_at_end: last } : {};
}

/** Whether periods of a plan leave something to the next one. */
function leavesSomething(plan: Plan): boolean {
  return (
    plan.commitment !== undefined ||
    baseFeeOf(plan)?.timing === 'advance' ||
    allowancesOf(plan).some(({ rollover }) => rollover === true)
  );
}

/** Whether invoices of a plan take something that another invoice can take too. */
function hasBalances(plan: Plan): boolean {
  return leavesSomething(plan) || allowancesOf(plan).length > 0;
}

export interface PeriodBefore {
  period_id: number;
  start_date: string;
  closing: ClosingBalances | null;
  plan: Plan | null;
  /** Whether a composed invoice of it is still to come. */
  sealable: boolean;
}

async function readPeriodBefore(database: Queryable, period: SealablePeriod): Promise<PeriodBefore | null> {
  const { rows } = await database.query<PeriodBefore>(
    `SELECT p.period_id, p.start_date, b.closing, (
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

/** Another period of the customer whose newest seal is not composed yet, and carries late usage or has plans that are `concerned`. */
async function readUncomposed(
  database: Queryable,
  period: SealablePeriod,
  concerned: (plans: Plan[]) => boolean,
): Promise<string | null> {
  const { rows } = await database.query<{ start_date: string; plans: Plan[]; carries: boolean }>(
    `SELECT p.start_date, s.plans, s.carries FROM periods p JOIN LATERAL (
       SELECT revision, inputs->'plans' AS plans, coalesce(inputs #> '{late,origins}', '[]') <> '[]' AS carries
       FROM seals WHERE period_id = p.period_id ORDER BY revision DESC LIMIT 1
     ) s ON true
     WHERE p.customer_id = $1 AND p.period_id <> $2 AND (p.status = 'sealed' OR p.resume_status = 'sealed')
       AND NOT EXISTS (SELECT FROM invoices i WHERE i.period_id = p.period_id AND i.revision = s.revision)
     ORDER BY p.starts_at`,
    [period.customer_id, period.period_id],
  );
  return rows.find(({ plans, carries }) => carries || concerned(plans))?.start_date ?? null;
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
    `SELECT adjustment_id, kind, amount, description FROM adjustments LEFT JOIN adjustment_withdrawals w USING (adjustment_id)
     WHERE period_id = $1 AND w.adjustment_id IS NULL ORDER BY adjustment_id`,
    [periodId],
  );
  return rows;
}
