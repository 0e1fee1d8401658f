import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readPeriodRow } from '../../src/closing/period-state.js';
import {
  BILLING_PERIOD_WORKFLOW,
  billingPeriodWorkflowId,
  type PeriodCommand,
  type PeriodRef,
  TASK_QUEUE,
  UPDATE_CLOSE,
  UPDATE_RELEASE,
} from '../../src/contracts/engine.js';
import { heldRequestSchema } from '../../src/contracts/held-request.js';
import type { PlanInput } from '../../src/contracts/plan.js';
import { readInvoice } from '../../src/invoicing/invoice-view.js';
import { resolveHeld } from '../../src/ledger/resolve-held.js';
import { publishPlan } from '../../src/plans/plan-store.js';
import { cloneDatabase } from '../support/database.js';
import { customer, publishBasics, settle, usageEvent } from '../support/ledger.js';
import { timeSkippingEnvironment } from '../support/temporal.js';
import { startTestWorker, type TestWorker } from '../support/worker.js';

/** The clock of the test server skips while nothing runs: the end of a month and a wait after it come within a second. */
describe('a billing period that ends with held usage', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  let environment: TestWorkflowEnvironment;
  let worker: TestWorker;

  beforeAll(async () => {
    database = await cloneDatabase();
    environment = await timeSkippingEnvironment();
    worker = await startTestWorker(environment, database.pool);
    await publishBasics(database.pool);
  });
  afterAll(async () => {
    await worker?.stop();
    await environment?.teardown();
    await database?.drop();
  });

  /** A customer with a call that is priced at $3.00 and one of a model that nobody knows. */
  async function heldPeriod(customerId: string, plan: Partial<PlanInput>): Promise<PeriodRef> {
    const { pool } = database;
    await publishPlan(pool, { plan_id: customerId, currency: 'usd', rules: [{ markup: '0' }], ...plan }, 'test');
    await customer(pool, customerId, { plan_id: customerId }, Date.now());
    const occurred_at = new Date().toISOString();
    const usage = { input_tokens: 1_000_000 };
    const events = [
      usageEvent({ customer_id: customerId, event_id: 'e1', occurred_at, usage }),
      usageEvent({ customer_id: customerId, event_id: 'e2', occurred_at, usage, model_id: 'mystery' }),
    ];
    await worker.appender.append(events, { may_backfill: false });
    await settle(pool);
    const { rows } = await pool.query<{ start_date: string }>(
      'SELECT start_date FROM periods WHERE customer_id = $1 ORDER BY starts_at LIMIT 1',
      [customerId],
    );
    return { customer_id: customerId, start_date: rows[0]!.start_date };
  }
  const start = (ref: PeriodRef) =>
    environment.client.workflow.start(BILLING_PERIOD_WORKFLOW, {
      taskQueue: TASK_QUEUE,
      workflowId: billingPeriodWorkflowId(ref.customer_id, ref.start_date),
      args: [ref],
    });
  const total = async ({ customer_id, start_date }: PeriodRef) =>
    (await readInvoice(database.pool, customer_id, start_date, 1)).total;

  it('waits for as long as the plan says, and closes without it then', async () => {
    const ref = await heldPeriod('wait', { on_held: 'wait', held_wait: 'P2D' });
    await (await start(ref)).result();
    expect(await total(ref)).toBe('3.00');
    const period = await readPeriodRow(database.pool, ref);
    expect(period.held_until!.getTime() - period.ends_at.getTime()).toBe(49 * 3_600_000);
  });

  it('stops until a person has resolved it and lets it go on', async () => {
    const ref = await heldPeriod('stop', { on_held: 'stop' });
    const handle = await start(ref);
    const command = (request_id: string) => ({
      args: [{ request_id, actor: 'finance-key', reason: null }] as [PeriodCommand],
    });
    await handle.executeUpdate(UPDATE_CLOSE, command('close'));
    const until = async (status: string) => {
      while ((await readPeriodRow(database.pool, ref)).status !== status) await new Promise((r) => setTimeout(r, 20));
    };
    await until('parked');
    const decision = { bill: { prices: { input_tokens: { price: '7', per: 1_000_000 } } } };
    const request = heldRequestSchema.parse({ customer_id: 'stop', model_id: 'mystery', decision, note: 'agreed' });
    await resolveHeld(database.pool, request, 'finance-key', Date.now());
    await handle.executeUpdate(UPDATE_RELEASE, command('go-on'));
    await handle.result();
    expect(await total(ref)).toBe('10.00');
  });
});
