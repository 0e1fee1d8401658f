import { ActivityFailure, ApplicationFailure, RetryState } from '@temporalio/common';
import {
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  defineUpdate,
  isCancellation,
  patched,
  setHandler,
} from '@temporalio/workflow';
import {
  type BillingPeriodInput,
  type CommandAnswer,
  type CommandName,
  type PeriodCommand,
  type PeriodRef,
  QUERY_BATCH_RESULTS,
  QUERY_STATUS,
  QUERY_TIMELINE,
  SIGNAL_USAGE,
  type StatusAnswer,
  type SubmitAnswer,
  UPDATE_APPROVE,
  UPDATE_CLOSE,
  UPDATE_HOLD,
  UPDATE_REBILL,
  UPDATE_RELEASE,
  type UsageSignal,
} from '../src/contracts/engine.js';
import { FINISHED_STATUSES, type TimelineEntry } from '../src/contracts/period.js';
import type { EventResult } from '../src/contracts/usage-event.js';
import { WAITING_RECHECK_HOURS } from '../src/limits.js';
import {
  appendBatch,
  applyCommand,
  beginClosing,
  checkBudgets,
  composeInvoice,
  lookUpCatalog,
  openNextPeriod,
  openPeriod,
  parkPeriod,
  priceUsage,
  remindApproval,
  sealPeriod,
  sendAlerts,
  submitInvoiceFor,
} from './activity-proxies.js';
import { PeriodRun } from './period-run.js';

const usageSignal = defineSignal<[UsageSignal]>(SIGNAL_USAGE);
const statusQuery = defineQuery<StatusAnswer>(QUERY_STATUS);
const timelineQuery = defineQuery<TimelineEntry[]>(QUERY_TIMELINE);
const batchResultsQuery = defineQuery<EventResult[] | null, [string]>(QUERY_BATCH_RESULTS);
const commandUpdates = {
  close: defineUpdate<CommandAnswer, [PeriodCommand]>(UPDATE_CLOSE),
  approve: defineUpdate<CommandAnswer, [PeriodCommand]>(UPDATE_APPROVE),
  hold: defineUpdate<CommandAnswer, [PeriodCommand]>(UPDATE_HOLD),
  release: defineUpdate<CommandAnswer, [PeriodCommand]>(UPDATE_RELEASE),
  rebill: defineUpdate<CommandAnswer, [PeriodCommand]>(UPDATE_REBILL),
};

/**
 * Drives one customer's billing period: prices usage as nudges arrive, closes at its deadline or when finance says so,
 * and brings the invoice to Stripe. Each run first loads the period's row and goes on from the status it finds, so that
 * a run that was lost is replaced by a new one; it ends when nothing is left to do.
 */
export async function billingPeriod(input: BillingPeriodInput): Promise<void> {
  const ref: PeriodRef = { customer_id: input.customer_id, start_date: input.start_date };
  const run = new PeriodRun(input);

  setHandler(usageSignal, (signal) => run.take(signal));
  setHandler(statusQuery, () => run.answer);
  setHandler(timelineQuery, () => run.timeline);
  setHandler(batchResultsQuery, (batchId) => run.batchResults[batchId] ?? null);
  for (const name of Object.keys(commandUpdates) as CommandName[]) {
    setHandler(
      commandUpdates[name],
      async (command) => {
        const answer = await applyCommand(ref, name, command);
        run.setStatus(answer, command.reason);
        return answer;
      },
      { validator: validateCommand },
    );
  }

  try {
    run.update(await openPeriod(ref));
  } catch (error) {
    // There is no such period. What was signalled to it is for the ledger to judge all the same: held, or another period's.
    await appendBatches(ref, run);
    throw error;
  }
  run.catalogVersion = await lookUpCatalog(ref);

  do {
    while (!FINISHED_STATUSES.includes(run.status)) {
      await takeUsage(ref, run);
      if (run.shouldContinueAsNew && !run.waiting) {
        await condition(allHandlersFinished);
        if (!run.waiting) await continueAsNew<typeof billingPeriod>(run.continued);
        continue;
      }
      await step(ref, run);
    }
    // What came while the last step ran is appended (as late usage) and answered before the run ends.
    await takeUsage(ref, run);
    await condition(allHandlersFinished);
    await takeUsage(ref, run);
    // A command that was under way may have begun a re-bill.
  } while (!FINISHED_STATUSES.includes(run.status));
}

/** The next step of the period's way, or waiting for what makes one possible. */
async function step(ref: PeriodRef, run: PeriodRun): Promise<void> {
  const { status } = run;
  switch (status) {
    case 'open': {
      const wait = (run.sealsAtMs ?? 0) - Date.now();
      const woken = wait > 0 && (await condition(() => run.waiting || run.status !== status, wait));
      if (!woken && run.status === status) run.update(await beginClosing(ref, Date.now()));
      return;
    }
    case 'closing':
      if (run.waitsFor !== null) {
        // Whoever composes that one has the relay wake this run.
        const recheck = WAITING_RECHECK_HOURS * 3_600_000;
        if (await condition(() => run.waiting || run.status !== status, recheck)) return;
      }
      return attempt(ref, run, async () => run.update(await sealPeriod(ref)));
    case 'sealed':
      return attempt(ref, run, async () => {
        run.update(await composeInvoice(ref));
        const next = await openNextPeriod(ref);
        if (next !== null) run.note('next_period_opened', { start_date: next });
      });
    case 'submitting':
      return attempt(ref, run, async () => {
        const submitted = await submitOrContinue(ref, run);
        if (submitted === null) return;
        const { stripe_invoice_id, ...state } = submitted;
        run.update(state);
        if (stripe_invoice_id !== null) run.note('stripe_invoice', { stripe_invoice_id });
      });
    case 'awaiting_approval': {
      if (run.remindAtMs === null) break;
      const wait = run.remindAtMs - Date.now();
      const woken = wait > 0 && (await condition(() => run.waiting || run.status !== status, wait));
      if (!woken && run.status === status) {
        run.update(await remindApproval(ref, Date.now()));
        run.note('approval_reminder');
      }
      return;
    }
    default:
      break;
  }
  // on_hold, parked, awaiting_approval: a person goes on.
  await condition(() => run.waiting || run.status !== status);
}

/** Hands every batch that was signalled to the ledger, and keeps the results for whoever asks. */
async function appendBatches(ref: PeriodRef, run: PeriodRun): Promise<void> {
  for (let batch = run.nextBatch(); batch; batch = run.nextBatch()) {
    try {
      run.keepResults(batch.batch_id, await appendBatch(ref, batch));
    } catch (error) {
      run.keepResults(batch.batch_id, [
        { event_id: null, status: 'rejected', reason: failureCode(error), detail: failureText(error) },
      ]);
    }
  }
}

/** Appends signalled batches, then prices once for all nudges that came, then looks at budgets if pricing says so. */
async function takeUsage(ref: PeriodRef, run: PeriodRun): Promise<void> {
  if (run.hasBatches) await appendBatches(ref, run);
  const nudge = run.takeNudge();
  if (!nudge) return;
  try {
    if (nudge.catalogMoved) run.catalogVersion = await lookUpCatalog(ref);
    const { budgets_may_be_crossed, ...state } = await priceUsage(ref);
    run.update(state);
    if (budgets_may_be_crossed && (await checkBudgets(ref)) > 0) {
      run.note('budget_alert');
      await sendAlerts(ref);
    }
  } catch (error) {
    // Pricing that cannot succeed now (no plan assigned) must not end the period: the relay asks again.
    run.note('pricing_failed', { reason: failureText(error) });
  }
}

/**
 * Submits for as long as the plan tries, and takes in what is signalled meanwhile: it is late usage. That may fill history
 * before Stripe is back: the submission then ends between two attempts, or with the one under way, and the next run goes
 * on with the time that is left. Null: it ended for that.
 */
async function submitOrContinue(ref: PeriodRef, run: PeriodRun): Promise<SubmitAnswer | null> {
  // What waits is taken in first; then the run ends before it submits.
  if (run.waiting && continuesWhileSubmitting(run)) return null;
  const scope = new CancellationScope();
  const work = scope.run(() => submitInvoiceFor(run.submissionTimeMs(Date.now()))(ref));
  let settled = false;
  let ended = false;
  const settle = () => {
    settled = true;
  };
  work.then(settle, settle);
  for (;;) {
    await condition(() => settled || run.waiting);
    if (settled) break;
    await takeUsage(ref, run);
    if (!ended && continuesWhileSubmitting(run)) {
      ended = true;
      scope.cancel();
    }
  }
  try {
    return await work;
  } catch (error) {
    if (ended && wasCancelled(error)) return null;
    throw error;
  }
}

function continuesWhileSubmitting(run: PeriodRun): boolean {
  return run.shouldContinueAsNew && patched('continue-while-submitting');
}

function wasCancelled(error: unknown): boolean {
  if (isCancellation(error)) return true;
  // An attempt that failed while it was asked to end is not tried again.
  return error instanceof ActivityFailure && error.retryState === RetryState.CANCEL_REQUESTED;
}

/** Runs a step of closing; an error that retrying cannot fix parks the period with the reason. */
async function attempt(ref: PeriodRef, run: PeriodRun, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (isCancellation(error)) throw error;
    await CancellationScope.nonCancellable(async () => run.update(await parkPeriod(ref, failureText(error))));
  }
}

/** Updates are refused before they reach history when they cannot be meant (validators must be synchronous). */
function validateCommand(command: PeriodCommand): void {
  if (typeof command?.request_id !== 'string' || command.request_id === '' || command.request_id.length > 256) {
    throw ApplicationFailure.nonRetryable('A command needs a request_id of 1 to 256 characters.', 'invalid_request');
  }
  validatePlan(command.rebill);
}

/** A re-bill names a plan by its id, and a version by its number; not beside plans that are to be looked up. */
function validatePlan(rebill: PeriodCommand['rebill']): void {
  const plan = rebill?.plan;
  if (plan === undefined) return;
  const { plan_id, version } = plan ?? {};
  const isNamed =
    typeof plan_id === 'string' && (version === undefined || (Number.isSafeInteger(version) && version > 0));
  if (isNamed && rebill?.plans !== 'assigned') return;
  throw ApplicationFailure.nonRetryable(
    'The plan of a re-bill is a plan_id with the number of a version or none, and stands beside plans "pinned".',
    'invalid_request',
  );
}

/** The code of src/errors that an activity failed with. */
function failureCode(error: unknown): string {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  return cause instanceof ApplicationFailure ? (cause.type ?? 'internal') : 'internal';
}

function failureText(error: unknown): string {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  return cause instanceof Error ? cause.message : String(cause);
}
