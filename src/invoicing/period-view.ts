import { readBudgetStates } from '../budgets/budget-alerts.js';
import type { HeldSummary, PeriodView } from '../contracts/period.js';
import type { Queryable } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { listWaitingLate, toWaitingView } from '../ledger/late-store.js';
import { readHead, readResult } from '../ledger/pricing-runs.js';
import { readSeal } from '../ledger/seal.js';
import { readTotals } from '../ledger/totals.js';
import { TIMELINE_PAGE_COUNT } from '../limits.js';
import { findPeriod, readTimeline } from '../periods/period-store.js';
import { listAlerts } from '../stripe/alerts.js';
import { listRevisions } from './invoice-list.js';
import { readMeterEvents } from './meter-view.js';

/** A period as operations see it, from Postgres alone. Throws `unknown_period`. */
export async function readPeriodView(database: Queryable, customerId: string, startDate: string): Promise<PeriodView> {
  const period = await findPeriod(database, customerId, startDate);
  if (!period)
    throw new CostplusError('unknown_period', `Customer ${customerId} has no period that starts on ${startDate}.`);
  const { period_id } = period;
  const totals = await readTotals(database, period_id);
  return {
    customer_id: period.customer_id,
    period: { start: period.starts_at.toISOString(), end: period.ends_at.toISOString() },
    start_date: period.start_date,
    seals_at: period.seals_at.toISOString(),
    status: period.status,
    status_reason: period.status_reason,
    payment_status: period.payment_status,
    waits_for: period.waits_for === null ? null : await readWaitsFor(database, customerId, period.waits_for),
    opening_changed: period.opening_changes !== null,
    opening_changes: period.opening_changes ?? [],
    plan: await readPlanOf(database, period_id),
    totals,
    late_events: await countLate(database, period_id),
    budgets: await readBudgetStates(database, period_id, totals),
    held: await readHeld(database, period_id),
    late_usage: await readLate(database, period_id),
    voided_since: await countVoidedSince(database, period_id),
    invoices: await listRevisions(database, period_id),
    meter_events: await readMeterEvents(database, period_id),
    stripe_alerts: await listAlerts(database, period_id),
    timeline: await readTimeline(database, period_id, TIMELINE_PAGE_COUNT),
  };
}

/** What its newest revision is of, which may be a corrected plan; before the seal what is assigned. */
async function readPlanOf(database: Queryable, periodId: number): Promise<PeriodView['plan']> {
  const sealed = (await readSeal(database, periodId))?.inputs.pricing.assignments.at(-1);
  if (sealed !== undefined) return { plan_id: sealed.plan_id, version: sealed.version };
  const { rows } = await database.query<{ plan_id: string; version: number }>(
    `SELECT a.plan_id, a.plan_version AS version FROM periods p JOIN plan_assignments a USING (customer_id)
     WHERE p.period_id = $1 AND a.effective_from < p.ends_at
     ORDER BY a.effective_from DESC, a.assignment_id DESC LIMIT 1`,
    [periodId],
  );
  return rows[0] ?? null;
}

async function countLate(database: Queryable, periodId: number): Promise<number> {
  const { rows } = await database.query<{ late: number }>(
    'SELECT count(*) AS late FROM usage_events WHERE period_id = $1 AND late',
    [periodId],
  );
  return rows[0]!.late;
}

async function readLate(database: Queryable, periodId: number): Promise<PeriodView['late_usage']> {
  const [waiting] = await listWaitingLate(database, { period_id: periodId });
  return waiting ? toWaitingView(waiting) : null;
}

async function readWaitsFor(
  database: Queryable,
  customerId: string,
  startDate: string,
): Promise<PeriodView['waits_for']> {
  const earlier = await findPeriod(database, customerId, startDate);
  return earlier && { start_date: startDate, status: earlier.status, status_reason: earlier.status_reason };
}

/** Usage that the newest revision bills and that was taken back since. */
async function countVoidedSince(database: Queryable, periodId: number): Promise<number> {
  const { rows } = await database.query<{ voided: number }>(
    `SELECT count(*) AS voided
     FROM (SELECT coalesce((inputs->'pricing'->>'voided_to')::bigint, 0) AS voided_to FROM seals
           WHERE period_id = $1 ORDER BY revision DESC LIMIT 1) s
     JOIN usage_voids v ON v.void_id > s.voided_to AND v.customer_id = (SELECT customer_id FROM periods WHERE period_id = $1)
     JOIN usage_events e ON e.customer_id = v.customer_id AND e.event_id = v.event_id
     LEFT JOIN late_billings b ON b.customer_id = v.customer_id AND b.event_id = v.event_id
     WHERE CASE WHEN b.decision_id IS NULL THEN e.period_id = $1 AND NOT e.late ELSE b.billed_in = $1 END`,
    [periodId],
  );
  return rows[0]!.voided;
}

/** Held usage as the last pricing run found it, by reason and model. */
async function readHeld(database: Queryable, periodId: number): Promise<HeldSummary[]> {
  const head = await readHead(database, periodId);
  if (!head) return [];
  const { held } = await readResult(database, periodId, head.inputs_hash);
  return held.map(({ reason, provider, model_id, events }) => ({ reason, provider, model_id, events }));
}
