import { checkBudgets, sendUnsentAlerts } from '../src/budgets/budget-alerts.js';
import { readPeriodRow } from '../src/closing/period-state.js';
import type { BillingPeriodActivities } from '../src/contracts/engine.js';
import type { Pool } from '../src/database/pool.js';
import { readTotals } from '../src/ledger/totals.js';
import type { Logger } from '../src/observability/logger.js';

export interface BudgetDeps {
  pool: Pool;
  logger: Logger;
}

export function createBudgetActivities(deps: BudgetDeps): Pick<BillingPeriodActivities, 'checkBudgets' | 'sendAlerts'> {
  return {
    async checkBudgets(ref) {
      const { period_id } = await readPeriodRow(deps.pool, ref);
      const totals = await readTotals(deps.pool, period_id);
      return totals === null ? 0 : checkBudgets(deps.pool, period_id, totals);
    },

    async sendAlerts(ref) {
      const { period_id } = await readPeriodRow(deps.pool, ref);
      await sendUnsentAlerts(deps.pool, period_id, (alert) => deps.logger.warn({ ...ref, alert }, 'budget alert'));
    },
  };
}
