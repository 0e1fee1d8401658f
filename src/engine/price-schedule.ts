import { type Client, ScheduleAlreadyRunning, ScheduleNotFoundError, ScheduleOverlapPolicy } from '@temporalio/client';
import {
  IMPORT_PRICES_SCHEDULE,
  IMPORT_PRICES_WORKFLOW,
  type ImportPricesInput,
  TASK_QUEUE,
} from '../contracts/engine.js';

type ImportPricesWorkflow = (input: ImportPricesInput) => Promise<unknown>;

/**
 * Makes the schedule of `importPrices` what the configuration says: made where there is none, changed where it says
 * otherwise, removed where no source is configured. Idempotent; several workers may do it at once. A person's pause of
 * the schedule stays.
 */
export async function ensurePriceSchedule(
  client: Pick<Client, 'schedule'>,
  wanted: { sources: string[]; everyHours: number },
): Promise<void> {
  const handle = client.schedule.getHandle(IMPORT_PRICES_SCHEDULE);
  if (wanted.sources.length === 0) {
    await handle.delete().catch(ignoreMissing);
    return;
  }
  const spec = { intervals: [{ every: wanted.everyHours * 3_600_000 }] };
  const action = {
    type: 'startWorkflow' as const,
    workflowType: IMPORT_PRICES_WORKFLOW as unknown as ImportPricesWorkflow,
    workflowId: IMPORT_PRICES_SCHEDULE,
    taskQueue: TASK_QUEUE,
    args: [{ sources: wanted.sources }] as [ImportPricesInput],
    staticSummary: 'look at the price sources',
  };
  // A run that still waits for a slow source is not joined by another one.
  const policies = { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '1 hour' as const };
  try {
    await client.schedule.create<ImportPricesWorkflow>({
      scheduleId: IMPORT_PRICES_SCHEDULE,
      spec,
      action,
      policies,
      state: { triggerImmediately: true, note: 'PRICE_SOURCES of the worker' },
    });
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
    await handle.update<ImportPricesWorkflow>(({ state }) => ({ spec, action, policies, state }));
  }
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof ScheduleNotFoundError)) throw error;
}
