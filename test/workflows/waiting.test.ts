import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  BILLING_PERIOD_WORKFLOW,
  billingPeriodWorkflowId,
  type PeriodCommand,
  type PeriodRef,
  TASK_QUEUE,
} from '../../src/contracts/engine.js';
import { ensurePeriodAt } from '../../src/customers/customer-periods.js';
import { Engine } from '../../src/engine/engine.js';
import { readPeriodView } from '../../src/invoicing/period-view.js';
import { Relay } from '../../src/ledger/relay.js';
import { cloneDatabase } from '../support/database.js';
import { saveHistory } from '../support/histories.js';
import { customer, NOW_MS, publishBasics } from '../support/ledger.js';
import { startDevServer } from '../support/temporal.js';
import { startTestWorker, type TestWorker } from '../support/worker.js';

const [SEPTEMBER, OCTOBER] = ['2026-09-01', '2026-10-01'];

describe('a period that cannot go on by itself', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  let environment: TestWorkflowEnvironment;
  let worker: TestWorker;
  let engine: Engine;
  let relay: Relay;

  beforeAll(async () => {
    database = await cloneDatabase();
    environment = await startDevServer();
    worker = await startTestWorker(environment, database.pool);
    engine = new Engine(environment.client);
    await publishBasics(database.pool, { base_fee: '10.00', allowance: { charge: '20', rollover: true } });
    relay = new Relay({
      pool: database.pool,
      signalsPerSecond: 100,
      nudge: (period, horizon, catalog_version) =>
        engine.nudge(period, { horizon: horizon.toString(), catalog_version }),
      log: { info: () => undefined, warn: () => undefined },
    });
  });
  afterAll(async () => {
    await relay?.stop();
    await worker?.stop();
    await environment?.teardown();
    await database?.drop();
  });

  const command = (): PeriodCommand => ({ request_id: randomUUID(), actor: 'test', reason: 'test' });
  const handleOf = (ref: PeriodRef): WorkflowHandle =>
    environment.client.workflow.getHandle(billingPeriodWorkflowId(ref.customer_id, ref.start_date));
  const view = (ref: PeriodRef) => readPeriodView(database.pool, ref.customer_id, ref.start_date);
  const activities = async (ref: PeriodRef, name: string) =>
    ((await handleOf(ref).fetchHistory()).events ?? []).filter(
      (event) => event.activityTaskScheduledEventAttributes?.activityType?.name === name,
    );

  async function until<T>(read: () => Promise<T>, holds: (value: T) => boolean): Promise<T> {
    for (const deadline = Date.now() + 20_000; ; await sleep(50)) {
      const value = await read();
      if (holds(value)) return value;
      if (Date.now() > deadline) throw new Error(`still ${JSON.stringify(value)}`);
    }
  }

  it('waits for an earlier one that leaves it something, says how that stands, and goes on when it is composed', async () => {
    const [september, october] = [SEPTEMBER, OCTOBER].map((start_date) => ({
      customer_id: 'waits',
      start_date: start_date!,
    })) as [PeriodRef, PeriodRef];
    const starts = `${SEPTEMBER}T00:00:00Z`;
    await customer(database.pool, 'waits', { starts_at: starts }, Date.parse(starts));
    for (const at of [SEPTEMBER, OCTOBER]) await ensurePeriodAt(database.pool, 'waits', Date.parse(at!), NOW_MS);

    expect(await engine.command(october, 'close', command())).toMatchObject({
      status: 'closing',
      waits_for: SEPTEMBER,
    });
    const waiting = await until(
      () => view(october),
      ({ waits_for }) => waits_for !== null,
    );
    expect(waiting).toMatchObject({
      status: 'closing',
      status_reason: `waits for ${SEPTEMBER}, which is open`,
      waits_for: { start_date: SEPTEMBER, status: 'open' },
    });
    await engine.command(september, 'hold', command());
    await until(
      () => view(october),
      ({ status_reason }) => status_reason === `waits for ${SEPTEMBER}, which is on hold`,
    );
    // Usage of its own is still taken and priced; that makes it try nothing.
    await engine.nudge(october, { horizon: '1', catalog_version: 1 });
    await until(
      () => activities(october, 'priceUsage'),
      (priced) => priced.length === 1,
    );
    expect(await activities(october, 'sealPeriod')).toHaveLength(1);
    // Its own time is over: released, it closes.
    await engine.command(september, 'release', command());
    await until(
      () => view(september),
      ({ status }) => status === 'invoiced',
    );
    // The relay finds it as one that nobody has taken up.
    relay.start();
    await until(
      () => view(october),
      ({ status }) => status === 'invoiced',
    );
    await handleOf(october).result();
    expect(await activities(october, 'sealPeriod')).toHaveLength(2);
    const { rows } = await database.pool.query<{ reason: string }>(
      'SELECT reason FROM seals JOIN periods USING (period_id) WHERE customer_id = $1 AND start_date = $2',
      ['waits', OCTOBER],
    );
    expect(rows).toEqual([{ reason: 'test' }]);
    await saveHistory(handleOf(october), 'waited-for-earlier');
    await relay.stop();
  });

  it('continues as new while a submission is tried again, and keeps the time in which it is', async () => {
    const ref: PeriodRef = { customer_id: 'retried', start_date: OCTOBER! };
    const starts = `${OCTOBER}T00:00:00Z`;
    await customer(database.pool, 'retried', { starts_at: starts }, Date.parse(starts));
    worker.standIn.faults.order({ kind: '500_unsaved', count: 1_000_000 });
    const first = await environment.client.workflow.start(BILLING_PERIOD_WORKFLOW, {
      taskQueue: TASK_QUEUE,
      workflowId: billingPeriodWorkflowId(ref.customer_id, ref.start_date),
      args: [{ ...ref, continue_after_events: 90 }],
    });
    await engine.command(ref, 'close', command());
    await until(
      () => activities(ref, 'submitInvoice'),
      (scheduled) => scheduled.length === 1,
    );
    const now = await until(
      async () => {
        await engine.nudge(ref, { horizon: '1', catalog_version: 1 });
        await sleep(200);
        return handleOf(ref).describe();
      },
      ({ runId }) => runId !== first.firstExecutionRunId,
    );
    expect(now.status.name).toBe('RUNNING');
    const [again] = await until(
      () => activities(ref, 'submitInvoice'),
      (scheduled) => scheduled.length === 1,
    );
    // Seven days from the first attempt on, less what is over of them.
    const left = Number(again!.activityTaskScheduledEventAttributes!.scheduleToCloseTimeout!.seconds);
    expect(left).toBeLessThan(7 * 86_400);
    expect(left).toBeGreaterThan(6 * 86_400);
    worker.standIn.faults.clear();
    await until(
      () => view(ref),
      ({ status }) => status === 'invoiced',
    );
    const issued = worker.standIn
      .state()
      .invoices.filter(
        ({ status, metadata }) => status === 'open' && metadata.costplus_invoice?.startsWith('retried/'),
      );
    expect(issued).toHaveLength(1);
    const firstRun = environment.client.workflow.getHandle(
      billingPeriodWorkflowId(ref.customer_id, ref.start_date),
      first.firstExecutionRunId,
    );
    await saveHistory(firstRun, 'continued-while-submitting');
  });
});
