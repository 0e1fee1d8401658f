import type { CustomerBody } from '../contracts/customer.js';
import { lockKey } from '../database/locks.js';
import type { Client } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { ensurePeriodAt } from './customer-periods.js';
import type { AssignmentRow, CustomerRecord } from './customer-rows.js';

/** A plan version that somebody assigns, and from when. */
export interface WantedPlan {
  plan_id: string;
  plan_version: number;
  plan_effective?: CustomerBody['plan_effective'];
  /** The end of billing that the same body asks for, ms. */
  ends_at_ms: number | null;
}

/**
 * Whether a body changes the plan: it names another one than the one assigned last, or says again when that one is to take
 * effect. A body that was read and sent back must not bring a change forward that is yet to come.
 */
export function changesPlan(known: CustomerRecord, wanted: WantedPlan): boolean {
  return !isPlan(known.assignments.at(-1)!, wanted) || wanted.plan_effective !== undefined;
}

/** Assigns the first plan of a customer, from the beginning. Throws `invalid_customer` where another instant is asked for. */
export async function assignFirstPlan(
  client: Client,
  customerId: string,
  wanted: WantedPlan,
  actor: string,
): Promise<void> {
  if (wanted.plan_effective !== undefined && wanted.plan_effective !== 'now') {
    throw invalid('the first plan of a customer holds from the beginning; leave it out');
  }
  await insert(client, customerId, null, wanted, actor);
}

/**
 * Assigns another plan version from the instant that the body asks for. Changes that were yet to come are replaced.
 * Returns the instant (ms), null for the beginning; or undefined where the plan holds from then on already.
 * Throws `invalid_customer` for an instant outside the open period.
 */
export async function changePlan(
  client: Client,
  known: CustomerRecord,
  wanted: WantedPlan,
  actor: string,
  nowMs: number,
): Promise<number | null | undefined> {
  const { customer_id: customerId, assignments } = known;
  const from = await effectiveFrom(client, known, wanted, nowMs);
  if (from === null) {
    await insert(client, customerId, null, wanted, actor);
    return null;
  }
  const inForce = assignments.findLast(({ effective_from }) => effective_from <= from);
  const later = assignments.filter(({ effective_from }) => effective_from > from);
  const holds = inForce !== undefined && isPlan(inForce, wanted);
  if (holds && later.every((assignment) => isPlan(assignment, wanted))) return undefined;
  if (!holds) await insert(client, customerId, from, wanted, actor);
  // Assignments are never taken back: of two at one instant the later one holds.
  for (const { effective_from } of later) await insert(client, customerId, effective_from, wanted, actor);
  return from;
}

/** From when (ms) the plan is asked for; null: from the beginning, since nothing is charged without a period. */
async function effectiveFrom(
  client: Client,
  { customer_id }: CustomerRecord,
  { plan_effective = 'now', ends_at_ms }: WantedPlan,
  nowMs: number,
): Promise<number | null> {
  const { rows } = await client.query<{ present: boolean }>(
    'SELECT EXISTS (SELECT FROM periods WHERE customer_id = $1) AS present',
    [customer_id],
  );
  if (!rows[0]!.present) {
    if (plan_effective === 'now') return null;
    throw invalid('billing has not begun; the plan holds from its beginning');
  }
  if (plan_effective === 'now') return nowMs;
  if (plan_effective === 'next_period') {
    const current = await ensurePeriodAt(client, customer_id, nowMs, nowMs);
    if (!current) throw invalid('there is no period now that another one could follow');
    const end = current.ends_at.getTime();
    if (ends_at_ms !== null && ends_at_ms <= end) throw invalid('billing ends with this period; there is no next one');
    return end;
  }
  const atMs = Date.parse(plan_effective);
  await expectOpen(client, customer_id, plan_effective);
  return atMs;
}

/** Throws unless the instant lies in a period that takes usage; it cannot be sealed until the transaction ends. */
async function expectOpen(client: Client, customerId: string, at: string): Promise<void> {
  const select = `SELECT period_id FROM periods
    WHERE customer_id = $1 AND starts_at <= $2 AND ends_at > $2 AND sealed_at IS NULL AND status IN ('open', 'on_hold')`;
  const { rows } = await client.query<{ period_id: number }>(select, [customerId, at]);
  if (rows[0]) {
    await client.query('SELECT pg_advisory_xact_lock($1::bigint)', [lockKey('period', rows[0].period_id)]);
    if ((await client.query(select, [customerId, at])).rowCount === 1) return;
  }
  throw invalid('must be "now", "next_period" or an instant inside the open period');
}

/** From when (ms) the plan that was assigned last holds without a break; -Infinity for the beginning. */
export function heldSince(assignments: readonly AssignmentRow[]): number {
  const last = assignments.at(-1)!;
  const other = assignments.findLastIndex(
    ({ plan_id, plan_version }) => plan_id !== last.plan_id || plan_version !== last.plan_version,
  );
  return assignments[other + 1]!.effective_from;
}

async function insert(
  client: Client,
  customerId: string,
  fromMs: number | null,
  { plan_id, plan_version }: WantedPlan,
  actor: string,
): Promise<void> {
  await client.query(
    `INSERT INTO plan_assignments (customer_id, effective_from, plan_id, plan_version, assigned_by)
     VALUES ($1, coalesce(to_timestamp($2 / 1000.0), '-infinity'), $3, $4, $5)`,
    [customerId, fromMs, plan_id, plan_version, actor],
  );
}

function isPlan(assignment: AssignmentRow, { plan_id, plan_version }: WantedPlan): boolean {
  return assignment.plan_id === plan_id && assignment.plan_version === plan_version;
}

function invalid(reason: string): CostplusError {
  return new CostplusError('invalid_customer', `plan_effective: ${reason}.`, { field: 'plan_effective' });
}
