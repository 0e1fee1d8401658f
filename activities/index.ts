import { Context } from '@temporalio/activity';
import { CancelledFailure } from '@temporalio/common';
import type { BillingPeriodActivities, PriceActivities } from '../src/contracts/engine.js';
import { CostplusError } from '../src/errors/error.js';
import type { ActivityLine } from '../src/observability/logger.js';
import { type BudgetDeps, createBudgetActivities } from './budget-activities.js';
import { type ClosingDeps, createClosingActivities } from './closing-activities.js';
import { toFailure } from './failure.js';
import { createPriceActivities, type PriceDeps } from './price-activities.js';
import { createUsageActivities, type UsageDeps } from './usage-activities.js';

export interface ActivityDeps extends UsageDeps, BudgetDeps, ClosingDeps, PriceDeps {
  /** Hears of each attempt when it ends: one wide log line and metrics. */
  onAttempt: (line: ActivityLine) => void;
}

/** All activities, by name. Each parses nothing but names, calls one function of src, and maps its error. */
export function createActivities(deps: ActivityDeps): BillingPeriodActivities & PriceActivities {
  const groups = [
    createUsageActivities(deps),
    createBudgetActivities(deps),
    createClosingActivities(deps),
    createPriceActivities(deps),
  ];
  const names = groups.flatMap((group) => Object.keys(group));
  const repeated = names.find((name, index) => names.indexOf(name) !== index);
  if (repeated) throw new Error(`two groups of activities define ${repeated}`);
  const all: Record<string, (...args: never[]) => Promise<unknown>> = Object.assign({}, ...groups);
  return Object.fromEntries(
    Object.entries(all).map(([name, activity]) => [name, watched(name, activity, deps)]),
  ) as unknown as BillingPeriodActivities & PriceActivities;
}

function watched<Args extends never[]>(
  name: string,
  activity: (...args: Args) => Promise<unknown>,
  deps: Pick<ActivityDeps, 'onAttempt'>,
): (...args: Args) => Promise<unknown> {
  return async (...args) => {
    const started = performance.now();
    const info = Context.current().info;
    const report = (outcome: ActivityLine['outcome'], error?: unknown) =>
      deps.onAttempt({
        activity: name,
        workflow_id: info.workflowExecution?.workflowId ?? '',
        attempt: info.attempt,
        duration_ms: performance.now() - started,
        outcome,
        ...(error instanceof CostplusError ? { error_code: error.code } : {}),
        ...(error === undefined ? {} : { error }),
      });
    try {
      const result = await activity(...args);
      report('completed');
      return result;
    } catch (error) {
      report(error instanceof CancelledFailure ? 'cancelled' : 'failed', error);
      throw toFailure(error);
    }
  };
}
