import { setTimeout as sleep } from 'node:timers/promises';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { composePeriod } from '../../src/closing/compose-period.js';
import { readPeriodRow } from '../../src/closing/period-state.js';
import { sealClosing } from '../../src/closing/steps.js';
import {
  BILLING_PERIOD_WORKFLOW,
  billingPeriodWorkflowId,
  type PeriodRef,
  TASK_QUEUE,
} from '../../src/contracts/engine.js';
import { ensurePeriodAt } from '../../src/customers/customer-periods.js';
import { readInvoice } from '../../src/invoicing/invoice-view.js';
import { readPeriodView } from '../../src/invoicing/period-view.js';
import { publishPlan } from '../../src/plans/plan-store.js';
import { cloneDatabase } from '../support/database.js';
import { customer, NOW_MS, publishBasics, usageEvent } from '../support/ledger.js';
import { timeSkippingEnvironment } from '../support/temporal.js';
import { startTestWorker, type TestWorker } from '../support/worker.js';

/** The clock of the test server skips while nothing runs: the end of a month comes within a second. */
describe('the end of a billing period', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  let environment: TestWorkflowEnvironment;
  let worker: TestWorker;

  beforeAll(async () => {
    database = await cloneDatabase();
    environment = await timeSkippingEnvironment();
    worker = await startTestWorker(environment, database.pool);
    await publishBasics(database.pool, { base_fee: '10.00' });
  });
  afterAll(async () => {
    await worker?.stop();
    await environment?.teardown();
    await database?.drop();
  });

  async function runToItsEnd(customerId: string): Promise<string> {
    const { rows } = await database.pool.query<{ start_date: string }>(
      'SELECT start_date FROM periods WHERE customer_id = $1 ORDER BY starts_at LIMIT 1',
      [customerId],
    );
    const startDate = rows[0]!.start_date;
    await environment.client.workflow.execute(BILLING_PERIOD_WORKFLOW, {
      taskQueue: TASK_QUEUE,
      workflowId: billingPeriodWorkflowId(customerId, startDate),
      args: [{ customer_id: customerId, start_date: startDate }],
    });
    return startDate;
  }

  it('closes by its timer after end and grace, and brings one invoice to Stripe', async () => {
    await customer(database.pool, 'timer', {}, Date.now());
    const now = new Date().toISOString();
    const events = Array.from({ length: 20 }, (_, i) =>
      usageEvent({ customer_id: 'timer', event_id: `e${i}`, occurred_at: now, usage: { input_tokens: 1_000_000 } }),
    );
    const results = await worker.appender.append(events, { may_backfill: false });
    expect(results.map(({ status }) => status)).toEqual(events.map(() => 'accepted'));

    const startDate = await runToItsEnd('timer');
    // 20 x 1,000,000 x $3.00 per million = $60.00; plus 25% = $75.00; plus the base fee of $10.00.
    const invoice = await readInvoice(database.pool, 'timer', startDate, 1);
    expect(invoice.total).toBe('85.00');
    expect(invoice.status).toBe('invoiced');
    const issued = worker.standIn
      .state()
      .invoices.filter(({ metadata }) => metadata?.costplus_invoice?.includes('timer'));
    expect(issued.map(({ status, total }) => ({ status, total }))).toEqual([{ status: 'open', total: 8_500 }]);
  });

  it('opens the next period, since a base fee is due even without usage', async () => {
    await customer(database.pool, 'quiet', {}, Date.now());
    const startDate = await runToItsEnd('quiet');
    expect((await readInvoice(database.pool, 'quiet', startDate, 1)).total).toBe('10.00');
    const { rows } = await database.pool.query<{ start_date: string; status: string; opened_at: Date | null }>(
      'SELECT start_date, status, opened_at FROM periods WHERE customer_id = $1 ORDER BY starts_at',
      ['quiet'],
    );
    expect(rows).toHaveLength(2);
    // The relay finds the new one, since no workflow has opened it.
    expect(rows[1]).toMatchObject({ status: 'open', opened_at: null });
  });

  it('ends without an invoice at Stripe where nothing is to bill', async () => {
    await publishBasicsFree();
    await customer(database.pool, 'nothing', { plan_id: 'free' }, Date.now());
    const startDate = await runToItsEnd('nothing');
    const view = await readPeriodView(database.pool, 'nothing', startDate);
    expect(view.status).toBe('nothing_to_bill');
    expect(view.invoices.map(({ total, stripe_invoice_id }) => ({ total, stripe_invoice_id }))).toEqual([
      { total: '0.00', stripe_invoice_id: null },
    ]);
  });

  it('looks by itself after hours whether the period that it waits for is composed', async () => {
    const deps = { pool: database.pool, catalogs: worker.catalogs };
    await publishPlan(
      database.pool,
      { plan_id: 'rolls', currency: 'usd', rules: [{ markup: '0' }], allowance: { charge: '5', rollover: true } },
      'test',
    );
    const [september, october] = ['2026-09-01', '2026-10-01'].map((start_date) => ({
      customer_id: 'waits',
      start_date,
    })) as [PeriodRef, PeriodRef];
    const starts_at = '2026-09-01T00:00:00Z';
    await customer(database.pool, 'waits', { plan_id: 'rolls', starts_at }, Date.parse(starts_at));
    for (const { start_date } of [september, october]) {
      await ensurePeriodAt(database.pool, 'waits', Date.parse(start_date), NOW_MS);
    }
    await database.pool.query(`UPDATE periods SET status = 'closing' WHERE customer_id = 'waits'`);
    const run = await environment.client.workflow.start(BILLING_PERIOD_WORKFLOW, {
      taskQueue: TASK_QUEUE,
      workflowId: billingPeriodWorkflowId('waits', october.start_date),
      args: [october],
    });
    while ((await readPeriodRow(database.pool, october)).waits_for === null) await sleep(20);
    // Composed, and nobody tells: there is no relay here.
    await sealClosing(deps, september);
    await composePeriod(deps, september);
    await run.result();
    expect((await readPeriodRow(database.pool, october)).status).toBe('nothing_to_bill');
  });

  async function publishBasicsFree(): Promise<void> {
    await publishPlan(database.pool, { plan_id: 'free', currency: 'usd', rules: [{ markup: '0' }] }, 'test');
  }
});
