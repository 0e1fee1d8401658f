import { ActivityCancellationType, type ActivityOptions, proxyActivities } from '@temporalio/workflow';
import type { BillingPeriodActivities, PriceActivities } from '../src/contracts/engine.js';

/** Short reads and writes of Postgres: tried again until it is there. */
const DATABASE: ActivityOptions = {
  startToCloseTimeout: '30 seconds',
  retry: { initialInterval: '500 milliseconds', backoffCoefficient: 2, maximumInterval: '30 seconds' },
};
/** Reads all unpriced usage of a period: long for a large one, so that it heartbeats. */
const PRICING: ActivityOptions = {
  startToCloseTimeout: '30 minutes',
  heartbeatTimeout: '30 seconds',
  retry: { initialInterval: '500 milliseconds', backoffCoefficient: 2, maximumInterval: '1 minute' },
};
/** Finance waits for the answer of a command: a database that is down is reported soon, and the command sent again. */
const COMMAND: ActivityOptions = {
  startToCloseTimeout: '10 seconds',
  scheduleToCloseTimeout: '60 seconds',
  retry: { initialInterval: '200 milliseconds', backoffCoefficient: 2, maximumInterval: '5 seconds' },
};
/**
 * One attempt of a submission makes a handful of calls to Stripe and heartbeats before and during each: a slow Stripe
 * does not look like a dead worker, and a dead one is noticed in 20 s. Should a living attempt be taken for dead after
 * all, two attempts meet, and the election sees to it that one invoice comes of them. A run that continues as new waits
 * for the end of the attempt under way.
 */
const SUBMISSION: ActivityOptions = {
  startToCloseTimeout: '10 minutes',
  heartbeatTimeout: '20 seconds',
  retry: { initialInterval: '2 seconds', backoffCoefficient: 2, maximumInterval: '30 minutes' },
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
};

/** A price source is somebody else's server: a few tries, then the schedule's next run. */
const PRICE_SOURCE: ActivityOptions = {
  startToCloseTimeout: '3 minutes',
  retry: { initialInterval: '10 seconds', backoffCoefficient: 3, maximumInterval: '5 minutes', maximumAttempts: 5 },
};

/** An activity with its policy and the line that Temporal's UI shows for it. */
function proxy<Name extends keyof BillingPeriodActivities>(
  name: Name,
  options: ActivityOptions,
  summary: string,
): BillingPeriodActivities[Name] {
  return proxyActivities<BillingPeriodActivities>({ ...options, summary })[name];
}

export const openPeriod = proxy('openPeriod', DATABASE, 'read the period');
export const lookUpCatalog = proxy('lookUpCatalog', DATABASE, 'look up the newest catalog version');
export const priceUsage = proxy('priceUsage', PRICING, 'price settled usage');
export const checkBudgets = proxy('checkBudgets', DATABASE, 'compare totals with budgets');
export const sendAlerts = proxy('sendAlerts', DATABASE, 'send budget alerts');
export const appendBatch = proxy('appendBatch', DATABASE, 'append a signalled batch');
export const applyCommand = proxy('applyCommand', COMMAND, 'apply a command of finance');
export const beginClosing = proxy('beginClosing', PRICING, 'end of period and grace reached');
export const sealPeriod = proxy('sealPeriod', PRICING, 'seal the inputs of the invoice');
export const composeInvoice = proxy('composeInvoice', PRICING, 'price the remainder and compose the invoice');
export const remindApproval = proxy('remindApproval', DATABASE, 'remind finance of an invoice that waits');
export const parkPeriod = proxy('parkPeriod', DATABASE, 'park for a person');
export const openNextPeriod = proxy('openNextPeriod', DATABASE, 'open the next period');

/** Submission is tried again for as long as the plan allows; then the period is parked. */
export function submitInvoiceFor(retryForMs: number): BillingPeriodActivities['submitInvoice'] {
  return proxy('submitInvoice', { ...SUBMISSION, scheduleToCloseTimeout: retryForMs }, 'submit the invoice to Stripe');
}

export const { importPriceSource } = proxyActivities<PriceActivities>({
  ...PRICE_SOURCE,
  summary: 'fetch a price source and propose what it changes',
});
