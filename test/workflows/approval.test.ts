import { setTimeout as sleep } from 'node:timers/promises';
import { type WorkflowHandle, WorkflowUpdateFailedError } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  BILLING_PERIOD_WORKFLOW,
  billingPeriodWorkflowId,
  type CommandAnswer,
  type CommandName,
  type ExpectedRevision,
  type PeriodCommand,
  TASK_QUEUE,
} from '../../src/contracts/engine.js';
import type { PeriodView } from '../../src/contracts/period.js';
import { readPeriodView } from '../../src/invoicing/period-view.js';
import { cloneDatabase } from '../support/database.js';
import { saveHistory } from '../support/histories.js';
import { customer, publishBasics } from '../support/ledger.js';
import { timeSkippingEnvironment } from '../support/temporal.js';
import { startTestWorker, type TestWorker } from '../support/worker.js';

const CUSTOMER = 'careful';

/** The clock of the test server skips on request: hours of waiting pass at once. */
describe('an invoice that waits for approval', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  let environment: TestWorkflowEnvironment;
  let worker: TestWorker;
  let handle: WorkflowHandle;
  let startDate: string;

  beforeAll(async () => {
    database = await cloneDatabase();
    environment = await timeSkippingEnvironment();
    worker = await startTestWorker(environment, database.pool);
    await publishBasics(database.pool, { base_fee: '10.00', approval: { above: '5.00', remind_after: 'PT8H' } });
    await customer(database.pool, CUSTOMER, {}, Date.now());
    const { rows } = await database.pool.query<{ start_date: string }>('SELECT start_date FROM periods');
    startDate = rows[0]!.start_date;
    handle = await environment.client.workflow.start(BILLING_PERIOD_WORKFLOW, {
      taskQueue: TASK_QUEUE,
      workflowId: billingPeriodWorkflowId(CUSTOMER, startDate),
      args: [{ customer_id: CUSTOMER, start_date: startDate }],
    });
  });
  afterAll(async () => {
    await worker?.stop();
    await environment?.teardown();
    await database?.drop();
  });

  const view = () => readPeriodView(database.pool, CUSTOMER, startDate);
  async function until(holds: (view: PeriodView) => boolean): Promise<PeriodView> {
    for (const deadline = Date.now() + 20_000; ; await sleep(50)) {
      const now = await view();
      if (holds(now)) return now;
      if (Date.now() > deadline) throw new Error(`still ${now.status}: ${JSON.stringify(now.timeline)}`);
    }
  }
  const command = (name: CommandName, reason: string, expected?: ExpectedRevision) =>
    handle.executeUpdate<CommandAnswer, [PeriodCommand]>(name, {
      args: [
        { request_id: `${name}-${reason}`, actor: 'test', reason, ...(expected === undefined ? {} : { expected }) },
      ],
    });
  const reminders = ({ timeline }: PeriodView) => timeline.filter(({ kind }) => kind === 'approval_reminder').length;

  it('is composed and does not go to Stripe, and somebody is reminded of it after the set time, again and again', async () => {
    await command('close', 'contract ended');
    const waiting = await until(({ status }) => status === 'awaiting_approval');
    expect(waiting.status_reason).toBe('the total of 10.00 usd is above 5.00');
    expect(reminders(waiting)).toBe(0);
    await environment.sleep('9 hours');
    await until((now) => reminders(now) === 1);
    await environment.sleep('8 hours');
    const reminded = await until((now) => reminders(now) === 2);
    expect(reminded.status).toBe('awaiting_approval');
    expect(worker.standIn.state().invoices).toEqual([]);
  });

  it('reminds nobody while it is on hold, and waits again once it is released', async () => {
    expect(await command('hold', 'a question')).toMatchObject({ status: 'on_hold' });
    const held = reminders(await view());
    await environment.sleep('24 hours');
    expect(reminders(await view())).toBe(held);
    expect(await command('release', 'answered')).toMatchObject({ status: 'awaiting_approval' });
    // One was due meanwhile.
    await until((now) => reminders(now) === held + 1);
  });

  it('is not approved as another one than was looked at, and goes on waiting', async () => {
    const refused = await command('approve', 'another', { revision: 1, total: '12.00' }).catch((error) => error);
    expect(refused).toBeInstanceOf(WorkflowUpdateFailedError);
    const reason = 'Revision 1 of 10.00 usd waits for approval, not one of 12.00. Look at it before you approve it.';
    expect(refused.cause.cause).toMatchObject({ type: 'conflict', nonRetryable: true, message: reason });
    expect((await view()).status).toBe('awaiting_approval');
  });

  it('goes to Stripe when finance approves, and the run completes', async () => {
    expect(await command('approve', 'agreed', { revision: 1, total: '10.00' })).toMatchObject({
      status: 'submitting',
      applied: true,
    });
    const { invoices } = await until(({ status }) => status === 'invoiced');
    expect(invoices).toMatchObject([{ total: '10.00', stripe_invoice_id: expect.stringMatching(/^in_/) }]);
    await handle.result();
    await saveHistory(handle, 'approved');
  });
});
