import {
  type Client,
  WithStartWorkflowOperation,
  WorkflowExecutionAlreadyStartedError,
  type WorkflowStartOptions,
  WorkflowUpdateFailedError,
} from '@temporalio/client';
import {
  ApplicationFailure,
  defineSearchAttributeKey,
  SearchAttributeType,
  TypedSearchAttributes,
} from '@temporalio/common';
import {
  BILLING_PERIOD_WORKFLOW,
  type BillingPeriodInput,
  billingPeriodWorkflowId,
  type CommandAnswer,
  type CommandName,
  type PeriodCommand,
  type PeriodRef,
  SEARCH_CUSTOMER,
  SEARCH_PERIOD,
  SEARCH_STATUS,
  SIGNAL_USAGE,
  TASK_QUEUE,
  type UsageNudge,
  type UsageSignal,
} from '../contracts/engine.js';
import { ERROR_CATALOG, type ErrorCode } from '../errors/catalog.js';
import { CostplusError } from '../errors/error.js';

type BillingPeriodWorkflow = (input: BillingPeriodInput) => Promise<void>;

const CUSTOMER_KEY = defineSearchAttributeKey(SEARCH_CUSTOMER, SearchAttributeType.KEYWORD);
const PERIOD_KEY = defineSearchAttributeKey(SEARCH_PERIOD, SearchAttributeType.KEYWORD);
const STATUS_KEY = defineSearchAttributeKey(SEARCH_STATUS, SearchAttributeType.KEYWORD);

/** How long a command waits for the workflow's answer before the caller is told to ask again. */
const COMMAND_DEADLINE_MILLISECONDS = 30_000;

/** What the rest of costplus says to the workflow engine. */
export class Engine {
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  /**
   * Nudges a period's workflow, starting it where none runs. A finished one starts nothing: the reuse policy lets a new
   * run begin only where the last one failed or was terminated (or where the engine has lost it), so that a nudge
   * repairs a broken run, and the new run ends at once if Postgres says that nothing is left to do.
   */
  async nudge(period: PeriodRef, nudge: Omit<UsageNudge, 'kind'>): Promise<void> {
    await this.signalUsage(period, { kind: 'nudge', ...nudge });
  }

  /** Signals usage (a nudge or a small signed batch) with start. */
  async signalUsage(period: PeriodRef, signal: UsageSignal): Promise<void> {
    try {
      await this.#client.workflow.signalWithStart<BillingPeriodWorkflow, [UsageSignal]>(BILLING_PERIOD_WORKFLOW, {
        ...startOptions(period),
        workflowIdReusePolicy: 'ALLOW_DUPLICATE_FAILED_ONLY',
        signal: SIGNAL_USAGE,
        signalArgs: [signal],
      });
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) return;
      throw engineError(error);
    }
  }

  /**
   * Sends a command of finance by update-with-start and returns the workflow's answer. Postgres dedupes by request id,
   * so that sending it again after an unknown outcome is safe. Throws what the workflow refused with (`wrong_status`,
   * `unknown_period`), or `engine_unavailable`.
   */
  async command(period: PeriodRef, name: CommandName, command: PeriodCommand): Promise<CommandAnswer> {
    const startWorkflowOperation = new WithStartWorkflowOperation<BillingPeriodWorkflow>(BILLING_PERIOD_WORKFLOW, {
      ...startOptions(period),
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      workflowIdConflictPolicy: 'USE_EXISTING',
    });
    try {
      return await this.#client.withDeadline(Date.now() + COMMAND_DEADLINE_MILLISECONDS, () =>
        this.#client.workflow.executeUpdateWithStart<BillingPeriodWorkflow, CommandAnswer, [PeriodCommand]>(name, {
          args: [command],
          startWorkflowOperation,
        }),
      );
    } catch (error) {
      throw commandError(error);
    }
  }

  /** Whether the engine answers. */
  async healthy(): Promise<boolean> {
    try {
      await this.#client.withDeadline(Date.now() + 2_000, () =>
        this.#client.connection.workflowService.getSystemInfo({}),
      );
      return true;
    } catch {
      return false;
    }
  }
}

function startOptions(period: PeriodRef): WorkflowStartOptions<BillingPeriodWorkflow> {
  return {
    taskQueue: TASK_QUEUE,
    workflowId: billingPeriodWorkflowId(period.customer_id, period.start_date),
    args: [{ customer_id: period.customer_id, start_date: period.start_date }],
    staticSummary: `billing period from ${period.start_date}`,
    // One customer's burst must not hold up the others where the server has fairness switched on.
    priority: { fairnessKey: period.customer_id.slice(0, 64) },
    typedSearchAttributes: new TypedSearchAttributes([
      { key: CUSTOMER_KEY, value: period.customer_id },
      { key: PERIOD_KEY, value: period.start_date },
      { key: STATUS_KEY, value: 'open' },
    ]),
  };
}

function engineError(error: unknown): CostplusError {
  return new CostplusError('engine_unavailable', 'The workflow engine did not take the message; try again.', {
    retryAfterSeconds: 5,
    cause: error,
  });
}

function commandError(error: unknown): CostplusError {
  if (error instanceof WorkflowUpdateFailedError) {
    let cause: unknown = error.cause;
    while (cause instanceof Error && !(cause instanceof ApplicationFailure) && cause.cause) cause = cause.cause;
    if (cause instanceof ApplicationFailure && cause.type && cause.type in ERROR_CATALOG) {
      return new CostplusError(cause.type as ErrorCode, cause.message);
    }
    return new CostplusError('internal', 'The workflow refused the command.', { cause: error });
  }
  return engineError(error);
}
