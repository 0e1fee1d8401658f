import type { BudgetState, Totals } from '../contracts/period.js';
import type { Budget } from '../contracts/plan.js';
import { inTransaction, type Pool, type Queryable } from '../database/pool.js';
import { addTimeline } from '../periods/period-store.js';
import { alertKey, budgetStates, type ReachedThreshold, reachedThresholds, spentOf } from './evaluate-budgets.js';

const NOTHING_SPENT = { cost: '0', charge: '0', late_charge: '0', without_rate: [] };

/** The customer's own budgets, or where there are none those of the plan that is assigned last in the period. */
export async function readBudgets(database: Queryable, periodId: number): Promise<Budget[]> {
  const { rows } = await database.query<{ own: Budget[]; plan: Budget[] | null }>(
    `SELECT c.budgets AS own, (
       SELECT v.body->'budgets' FROM plan_assignments a
       JOIN plan_versions v ON v.plan_id = a.plan_id AND v.version = a.plan_version
       WHERE a.customer_id = p.customer_id AND a.effective_from < p.ends_at
       ORDER BY a.effective_from DESC, a.assignment_id DESC LIMIT 1
     ) AS plan
     FROM periods p JOIN customers c USING (customer_id) WHERE p.period_id = $1`,
    [periodId],
  );
  const row = rows[0];
  if (!row) return [];
  return row.own.length > 0 ? row.own : (row.plan ?? []);
}

async function readRaised(database: Queryable, periodId: number): Promise<Map<string, Date>> {
  const { rows } = await database.query<{ budget_id: string; threshold: string; raised_at: Date }>(
    'SELECT budget_id, threshold, raised_at FROM budget_alerts WHERE period_id = $1',
    [periodId],
  );
  return new Map(rows.map((row) => [alertKey(row.budget_id, row.threshold), row.raised_at]));
}

async function readNew(database: Queryable, periodId: number, totals: Totals): Promise<ReachedThreshold[]> {
  const budgets = await readBudgets(database, periodId);
  if (budgets.length === 0) return [];
  const raised = await readRaised(database, periodId);
  return reachedThresholds(budgets, spentOf(totals)).filter(
    ({ budget, threshold }) => !raised.has(alertKey(budget.budget_id, threshold)),
  );
}

/** Whether budgets have something to do: a threshold is reached that no alert was raised for, or an alert was not sent. */
export async function mayCrossBudget(database: Queryable, periodId: number, totals: Totals): Promise<boolean> {
  return (
    (await readNew(database, periodId, totals)).length > 0 || (await readUnsentAlerts(database, periodId)).length > 0
  );
}

/**
 * Raises an alert for each newly reached threshold, once per period and threshold. Returns how many alerts wait to be
 * sent, those of an earlier try whose answer was lost included.
 */
export async function checkBudgets(pool: Pool, periodId: number, totals: Totals): Promise<number> {
  return inTransaction(pool, async (client) => {
    for (const { budget, threshold, spent } of await readNew(client, periodId, totals)) {
      const inserted = await client.query(
        `INSERT INTO budget_alerts (period_id, budget_id, threshold, measure, spent, limit_amount, currency)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
        [periodId, budget.budget_id, threshold, budget.measure, spent, budget.amount, totals.currency],
      );
      if (inserted.rowCount === 0) continue;
      await addTimeline(client, periodId, 'budget_alert', {
        budget_id: budget.budget_id,
        threshold,
        measure: budget.measure,
        spent,
        amount: budget.amount,
        currency: totals.currency,
      });
    }
    return (await readUnsentAlerts(client, periodId)).length;
  });
}

/** An alert as it is told. */
export interface BudgetAlert {
  budget_id: string;
  threshold: string;
  spent: string;
  limit_amount: string;
  currency: string;
}

async function readUnsentAlerts(database: Queryable, periodId: number): Promise<BudgetAlert[]> {
  const { rows } = await database.query<BudgetAlert>(
    `SELECT budget_id, threshold, spent, limit_amount, currency FROM budget_alerts
     WHERE period_id = $1 AND sent_at IS NULL ORDER BY budget_id, threshold`,
    [periodId],
  );
  return rows;
}

/** Sends the period's unsent alerts and marks each when it went out: one may go out twice, none is lost. */
export async function sendUnsentAlerts(
  database: Queryable,
  periodId: number,
  send: (alert: BudgetAlert) => void | Promise<void>,
): Promise<void> {
  for (const alert of await readUnsentAlerts(database, periodId)) {
    await send(alert);
    await database.query(
      'UPDATE budget_alerts SET sent_at = now() WHERE period_id = $1 AND budget_id = $2 AND threshold = $3',
      [periodId, alert.budget_id, alert.threshold],
    );
  }
}

async function readCurrency(database: Queryable, periodId: number): Promise<string> {
  const { rows } = await database.query<{ currency: string }>(
    'SELECT currency FROM periods JOIN customers USING (customer_id) WHERE period_id = $1',
    [periodId],
  );
  return rows[0]!.currency;
}

/** Each budget of a period with what is spent of it. */
export async function readBudgetStates(
  database: Queryable,
  periodId: number,
  totals: Totals | null,
): Promise<BudgetState[]> {
  const budgets = await readBudgets(database, periodId);
  if (budgets.length === 0) return [];
  const known = totals ?? { ...NOTHING_SPENT, currency: await readCurrency(database, periodId) };
  return budgetStates(budgets, spentOf(known), known, await readRaised(database, periodId));
}
