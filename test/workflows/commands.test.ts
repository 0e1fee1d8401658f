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
  QUERY_BATCH_RESULTS,
  QUERY_STATUS,
  QUERY_TIMELINE,
  type StatusAnswer,
  TASK_QUEUE,
} from '../../src/contracts/engine.js';
import type { PeriodView } from '../../src/contracts/period.js';
import { Engine } from '../../src/engine/engine.js';
import { readInvoice } from '../../src/invoicing/invoice-view.js';
import { readPeriodView } from '../../src/invoicing/period-view.js';
import { readHorizon } from '../../src/ledger/horizon.js';
import { createSource } from '../../src/sources/sources.js';
import { signRequest } from '../../src/usage/request-signature.js';
import { cloneDatabase } from '../support/database.js';
import { saveHistory } from '../support/histories.js';
import { customer, publishBasics, usageEvent } from '../support/ledger.js';
import { startDevServer } from '../support/temporal.js';
import { ENCRYPTION_KEY, startTestWorker, type TestWorker } from '../support/worker.js';

const SECRET = `whsec_${Buffer.alloc(32, 3).toString('base64')}`;
describe('a billing period under way', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  let environment: TestWorkflowEnvironment;
  let worker: TestWorker;
  let engine: Engine;

  beforeAll(async () => {
    database = await cloneDatabase();
    environment = await startDevServer();
    worker = await startTestWorker(environment, database.pool);
    engine = new Engine(environment.client);
    await publishBasics(database.pool);
    await createSource(database.pool, ENCRYPTION_KEY, { source_id: 'svc', secret: SECRET });
  });
  afterAll(async () => {
    await worker?.stop();
    await environment?.teardown();
    await database?.drop();
  });

  async function open(customerId: string): Promise<PeriodRef> {
    await customer(database.pool, customerId, {}, Date.now());
    const { rows } = await database.pool.query<{ start_date: string }>(
      'SELECT start_date FROM periods WHERE customer_id = $1',
      [customerId],
    );
    return { customer_id: customerId, start_date: rows[0]!.start_date };
  }

  async function append(ref: PeriodRef, count: number, prefix = 'e'): Promise<void> {
    const occurredAt = new Date().toISOString();
    const events = Array.from({ length: count }, (_, i) =>
      usageEvent({ ...ref, ...{ start_date: undefined }, event_id: `${prefix}${i}`, occurred_at: occurredAt } as never),
    );
    const results = await worker.appender.append(events, { may_backfill: false });
    expect(results.every(({ status }) => status === 'accepted')).toBe(true);
  }

  async function nudge(ref: PeriodRef): Promise<void> {
    await engine.nudge(ref, { horizon: (await readHorizon(database.pool)).toString(), catalog_version: 1 });
  }

  const handleOf = (ref: PeriodRef): WorkflowHandle =>
    environment.client.workflow.getHandle(billingPeriodWorkflowId(ref.customer_id, ref.start_date));
  const view = (ref: PeriodRef) => readPeriodView(database.pool, ref.customer_id, ref.start_date);
  const command = (reason: string | null = null): PeriodCommand => ({
    request_id: randomUUID(),
    actor: 'test',
    reason,
  });

  async function until<T>(read: () => Promise<T>, holds: (value: T) => boolean): Promise<T> {
    for (const deadline = Date.now() + 20_000; ; await sleep(50)) {
      const value = await read();
      if (holds(value)) return value;
      if (Date.now() > deadline) throw new Error(`still ${JSON.stringify(value)}`);
    }
  }

  /** Nudges until pricing has come as far as that: the horizon waits for transactions of other databases too. */
  async function priced(ref: PeriodRef, events: number): Promise<PeriodView> {
    return until(
      async () => {
        const now = await view(ref);
        if (now.totals?.events !== events) await nudge(ref);
        return now;
      },
      ({ totals }) => totals?.events === events,
    );
  }

  const save = (ref: PeriodRef, name: string) => saveHistory(handleOf(ref), name);

  it('prices what a nudge points at, and answers queries with what Postgres says', async () => {
    const ref = await open('nudged');
    await append(ref, 10);
    // 10 x (1,000 x $3 + 200 x $15) per million = $0.06 of cost, plus 25%.
    const { totals } = await priced(ref, 10);
    expect(totals).toMatchObject({ cost: '0.06', charge: '0.075', held_events: 0 });
    const answer = await until(
      () => handleOf(ref).query<StatusAnswer>(QUERY_STATUS),
      (status) => status.totals !== null,
    );
    expect(answer).toMatchObject({ ...ref, status: 'open', totals });
    await save(ref, 'nudged-open');
  });

  it('folds many nudges into few pricing runs', async () => {
    const ref = await open('folded');
    await append(ref, 100);
    await Promise.all(Array.from({ length: 40 }, () => nudge(ref)));
    await priced(ref, 100);
    const events = (await handleOf(ref).fetchHistory()).events!;
    const signals = events.filter((event) => event.workflowExecutionSignaledEventAttributes);
    const runs = events.filter(
      (event) => event.activityTaskScheduledEventAttributes?.activityType?.name === 'priceUsage',
    );
    expect(signals.length).toBeGreaterThanOrEqual(40);
    expect(runs.length).toBeLessThan(signals.length / 2);
    await save(ref, 'folded-open');
  });

  it('closes when finance says so, once for each request id, and completes', async () => {
    const ref = await open('closed');
    await append(ref, 10);
    const close = command('end of contract');
    const first = await engine.command(ref, 'close', close);
    expect(first).toEqual({ status: 'closing', status_version: 1, applied: true });
    await until(
      () => view(ref),
      ({ status }) => status === 'invoiced',
    );
    await handleOf(ref).result();
    await save(ref, 'closed');
    // The run has ended: the engine still knows this update's answer, or a new run finds it in Postgres.
    expect(await engine.command(ref, 'close', close)).toMatchObject({ status: 'closing', status_version: 1 });
    await expect(engine.command(ref, 'close', command())).rejects.toMatchObject({ code: 'wrong_status' });
    expect((await readInvoice(database.pool, 'closed', ref.start_date, 1)).total).toBe('0.08');
    expect(
      worker.standIn.state().invoices.filter(({ metadata }) => metadata?.costplus_invoice?.includes('closed')),
    ).toHaveLength(1);
  });

  it('starts nothing for a nudge of a finished period', async () => {
    const ref: PeriodRef = {
      customer_id: 'closed',
      start_date: (await view({ customer_id: 'closed', start_date: startOfMonth() })).start_date,
    };
    // The refused command of the last test started a run, which ends by itself.
    await handleOf(ref).result();
    const before = await handleOf(ref).describe();
    await nudge(ref);
    const after = await handleOf(ref).describe();
    expect(after.runId).toBe(before.runId);
    expect(after.status.name).toBe('COMPLETED');
  });

  it('holds before it is submitted, and goes on when released', async () => {
    const ref = await open('held');
    await append(ref, 10);
    await nudge(ref);
    expect(await engine.command(ref, 'hold', command('dispute'))).toMatchObject({ status: 'on_hold', applied: true });
    // On hold an open period still takes and prices usage, and does not close.
    await append(ref, 5, 'meanwhile');
    await priced(ref, 15);
    await expect(engine.command(ref, 'close', command())).rejects.toMatchObject({ code: 'wrong_status' });
    expect(await engine.command(ref, 'release', command())).toMatchObject({ status: 'open', applied: true });
    await engine.command(ref, 'close', command());
    await until(
      () => view(ref),
      ({ status }) => status === 'invoiced',
    );
    await handleOf(ref).result();
    await save(ref, 'held-released-closed');
  });

  it('parks what retrying cannot fix with the reason, and release tries again', async () => {
    const ref = await open('parked');
    await database.pool.query(`UPDATE customers SET stripe_customer_id = 'cus_missing' WHERE customer_id = 'parked'`);
    await append(ref, 10);
    await engine.command(ref, 'close', command());
    const parked = await until(
      () => view(ref),
      ({ status }) => status === 'parked',
    );
    expect(parked.status_reason).toMatch(/customer/i);
    await database.pool.query(`UPDATE customers SET stripe_customer_id = NULL WHERE customer_id = 'parked'`);
    expect(await engine.command(ref, 'release', command('fixed'))).toMatchObject({ status: 'submitting' });
    await until(
      () => view(ref),
      ({ status }) => status === 'invoiced',
    );
    await handleOf(ref).result();
    await save(ref, 'parked-released');
  });

  it('goes on from Postgres when its run is lost', async () => {
    const ref = await open('lost');
    await append(ref, 10);
    await priced(ref, 10);
    await handleOf(ref).terminate('the engine lost it');
    await append(ref, 10, 'after');
    await priced(ref, 20);
  });

  it('continues as new without losing a signal or an answer', async () => {
    const ref = await open('long');
    const workflowId = billingPeriodWorkflowId(ref.customer_id, ref.start_date);
    const first = await environment.client.workflow.start(BILLING_PERIOD_WORKFLOW, {
      taskQueue: TASK_QUEUE,
      workflowId,
      args: [{ ...ref, continue_after_events: 40 }],
    });
    for (let i = 0; i < 15; i++) {
      await append(ref, 2, `c${i}-`);
      await nudge(ref);
      await sleep(60);
    }
    await priced(ref, 30);
    const now = await handleOf(ref).describe();
    expect(now.runId).not.toBe(first.firstExecutionRunId);
    expect(now.status.name).toBe('RUNNING');
    await engine.command(ref, 'close', command());
    await until(
      () => view(ref),
      ({ status }) => status === 'invoiced',
    );
    const firstRun = environment.client.workflow.getHandle(workflowId, first.firstExecutionRunId);
    await saveHistory(firstRun, 'continued-as-new');
  });

  it('appends signalled batches of signed events through the same checks', async () => {
    const ref = await open('signalled');
    const occurredAt = new Date().toISOString();
    const body = JSON.stringify({
      events: [
        {
          event_id: 's1',
          customer_id: 'signalled',
          provider: 'anthropic',
          model_id: 'claude-x',
          occurred_at: occurredAt,
          usage: { input_tokens: 1_000 },
        },
        {
          event_id: 's1',
          customer_id: 'signalled',
          provider: 'anthropic',
          model_id: 'claude-x',
          occurred_at: occurredAt,
          usage: { input_tokens: 2_000 },
        },
        { event_id: 's2', customer_id: 'signalled', model_id: 'claude-x', occurred_at: occurredAt, prompt: 'hello' },
      ],
    });
    const headers = signRequest({ secret: SECRET, id: 'msg_1', timestamp: Math.floor(Date.now() / 1_000), body });
    await engine.signalUsage(ref, { kind: 'batch', batch_id: 'b1', source: 'svc', headers, body });
    await engine.signalUsage(ref, { kind: 'batch', batch_id: 'b2', source: 'svc', headers, body: `${body} ` });
    const results = await until(
      () => handleOf(ref).query<{ status: string; reason?: string }[] | null, [string]>(QUERY_BATCH_RESULTS, 'b1'),
      (value) => value !== null,
    );
    expect(results!.map(({ status }) => status)).toEqual(['accepted', 'conflict', 'rejected']);
    const forged = await until(
      () => handleOf(ref).query<{ status: string }[] | null, [string]>(QUERY_BATCH_RESULTS, 'b2'),
      (value) => value !== null,
    );
    expect(forged).toMatchObject([{ status: 'rejected', reason: 'invalid_signature' }]);
    const { rows } = await database.pool.query('SELECT event_id FROM usage_events WHERE customer_id = $1', [
      'signalled',
    ]);
    expect(rows).toEqual([{ event_id: 's1' }]);
    await save(ref, 'signalled-batches');
  });

  it('refuses signals that are no batches, and goes on', async () => {
    const ref = await open('poisoned');
    await append(ref, 1);
    await priced(ref, 1);
    for (const signal of [undefined, null, 'text', {}, { kind: 'batch' }, { kind: 'other', batch_id: 'x' }]) {
      await handleOf(ref).signal('usage', signal);
    }
    await handleOf(ref).signal('usage', { kind: 'batch', batch_id: 'headless', source: 'svc', body: '{}' });
    const results = await until(
      () => handleOf(ref).query<{ status: string }[] | null, [string]>(QUERY_BATCH_RESULTS, 'headless'),
      (value) => value !== null,
    );
    expect(results).toMatchObject([{ status: 'rejected', reason: 'invalid_request' }]);
    const timeline = await handleOf(ref).query<{ kind: string }[]>(QUERY_TIMELINE);
    expect(timeline.filter(({ kind }) => kind === 'signal_refused')).toHaveLength(6);
    await append(ref, 1, 'after');
    await priced(ref, 2);
  });

  it('appends what is signalled to a period that does not exist, before the run fails', async () => {
    const ref: PeriodRef = { customer_id: 'nobody-yet', start_date: '2026-11-01' };
    const event = { customer_id: 'nobody-yet', provider: 'anthropic', model_id: 'claude-x' };
    const body = JSON.stringify({
      events: [{ ...event, event_id: 'early', occurred_at: new Date().toISOString(), usage: { input_tokens: 1 } }],
    });
    const headers = signRequest({ secret: SECRET, id: 'msg_2', timestamp: Math.floor(Date.now() / 1_000), body });
    await engine.signalUsage(ref, { kind: 'batch', batch_id: 'b3', source: 'svc', headers, body });
    await expect(handleOf(ref).result()).rejects.toThrow();
    expect(await handleOf(ref).query(QUERY_BATCH_RESULTS, 'b3')).toEqual([
      { event_id: 'early', status: 'held', reason: 'unknown_customer' },
    ]);
  });

  it('raises a budget alert once for each threshold', async () => {
    await customer(
      database.pool,
      'budgeted',
      { budgets: [{ budget_id: 'b', amount: '0.10', thresholds: ['0.5', '1'] }] },
      Date.now(),
    );
    const ref: PeriodRef = { customer_id: 'budgeted', start_date: startOfMonth() };
    await append(ref, 10);
    await priced(ref, 10);
    const half = await until(
      () => view(ref),
      ({ budgets }) => budgets[0]?.thresholds[0]?.raised_at != null,
    );
    expect(half.budgets[0]).toMatchObject({ spent: '0.075', amount: '0.10' });
    expect(half.budgets[0]!.thresholds.map(({ reached }) => reached)).toEqual([true, false]);
    await append(ref, 10, 'more');
    await priced(ref, 20);
    const whole = await until(
      () => view(ref),
      ({ budgets }) => budgets[0]?.thresholds[1]?.raised_at != null,
    );
    expect(whole.timeline.filter(({ kind }) => kind === 'budget_alert')).toHaveLength(2);
    const timeline = await handleOf(ref).query<{ kind: string }[]>(QUERY_TIMELINE);
    expect(timeline.filter(({ kind }) => kind === 'budget_alert')).toHaveLength(2);
    await save(ref, 'budget-alerts');
  });

  function startOfMonth(): string {
    return `${new Date().toISOString().slice(0, 7)}-01`;
  }
});
