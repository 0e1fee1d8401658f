import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BudgetAlert, checkBudgets, mayCrossBudget, sendUnsentAlerts } from '../../src/budgets/budget-alerts.js';
import type { Totals } from '../../src/contracts/period.js';
import { cloneDatabase } from '../support/database.js';
import { customer, NOW_MS, publishBasics } from '../support/ledger.js';

describe('budget alerts', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;

  beforeAll(async () => {
    database = await cloneDatabase();
    await publishBasics(database.pool);
  });
  afterAll(async () => {
    await database?.drop();
  });

  async function budgeted(customerId: string): Promise<number> {
    const budget = { budget_id: 'b', amount: '10', thresholds: ['0.5', '1'] };
    await customer(database.pool, customerId, { budgets: [budget] });
    const { rows } = await database.pool.query<{ period_id: number }>(
      'SELECT period_id FROM periods WHERE customer_id = $1',
      [customerId],
    );
    return rows[0]!.period_id;
  }

  const spent = (charge: string): Totals => ({
    events: 1,
    held_events: 0,
    cost: charge,
    charge,
    currency: 'usd',
    without_rate: [],
    late_events: 0,
    late_charge: '0',
    catalog_version: 1,
    priced_at: new Date(NOW_MS).toISOString(),
  });

  it('counts what waits to be sent, so that a check whose answer was lost is followed by its alerts', async () => {
    const period = await budgeted('answer-lost');
    expect(await mayCrossBudget(database.pool, period, spent('4'))).toBe(false);
    expect(await checkBudgets(database.pool, period, spent('6'))).toBe(1);
    // The worker died before the engine heard of it: the activity runs again, or pricing asks again later.
    expect(await checkBudgets(database.pool, period, spent('6'))).toBe(1);
    expect(await mayCrossBudget(database.pool, period, spent('6'))).toBe(true);
    const { rows } = await database.pool.query(
      `SELECT FROM period_timeline WHERE period_id = $1 AND kind = 'budget_alert'`,
      [period],
    );
    expect(rows).toHaveLength(1);
  });

  it('sends an alert again that may not have gone out, and none that has', async () => {
    const period = await budgeted('sender-died');
    await checkBudgets(database.pool, period, spent('12'));
    const sent: BudgetAlert[] = [];
    const dying = sendUnsentAlerts(database.pool, period, (alert) => {
      if (sent.length === 1) throw new Error('the process ends');
      sent.push(alert);
    });
    await expect(dying).rejects.toThrow('the process ends');
    await sendUnsentAlerts(database.pool, period, (alert) => {
      sent.push(alert);
    });
    await sendUnsentAlerts(database.pool, period, (alert) => {
      sent.push(alert);
    });
    expect(sent.map(({ threshold }) => threshold)).toEqual(['0.5', '1']);
    expect(await mayCrossBudget(database.pool, period, spent('12'))).toBe(false);
  });
});
