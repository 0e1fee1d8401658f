import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { REBILL_DEFAULTS } from '../../src/closing/commands.js';
import {
  billingPeriodWorkflowId,
  type PeriodCommand,
  type PeriodRef,
  type RebillOptions,
} from '../../src/contracts/engine.js';
import type { PeriodView } from '../../src/contracts/period.js';
import { Engine } from '../../src/engine/engine.js';
import { readPeriodView } from '../../src/invoicing/period-view.js';
import { voidUsage } from '../../src/ledger/void-usage.js';
import { publishPlan } from '../../src/plans/plan-store.js';
import { booksOf } from '../support/correction.js';
import { cloneDatabase } from '../support/database.js';
import { saveHistory } from '../support/histories.js';
import { customer, publishBasics, usageEvent } from '../support/ledger.js';
import { startDevServer } from '../support/temporal.js';
import { startTestWorker, type TestWorker } from '../support/worker.js';

describe('a re-bill by the workflow', () => {
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
  });
  afterAll(async () => {
    await worker?.stop();
    await environment?.teardown();
    await database?.drop();
  });

  const view = (ref: PeriodRef) => readPeriodView(database.pool, ref.customer_id, ref.start_date);
  const handleOf = (ref: PeriodRef) =>
    environment.client.workflow.getHandle(billingPeriodWorkflowId(ref.customer_id, ref.start_date));
  const rebill = (): PeriodCommand => ({
    request_id: randomUUID(),
    actor: 'test',
    reason: 'it was wrong',
    rebill: REBILL_DEFAULTS,
  });

  async function until(ref: PeriodRef, holds: (value: PeriodView) => boolean): Promise<PeriodView> {
    for (const deadline = Date.now() + 30_000; ; await sleep(50)) {
      const value = await view(ref);
      if (holds(value)) return value;
      if (Date.now() > deadline) throw new Error(`still ${JSON.stringify(value)}`);
    }
  }

  /** A customer with a billed period of two events of $3.75. */
  async function billed(customerId: string): Promise<PeriodRef> {
    await customer(database.pool, customerId, {}, Date.now());
    const { rows } = await database.pool.query<{ start_date: string }>(
      'SELECT start_date FROM periods WHERE customer_id = $1',
      [customerId],
    );
    const ref = { customer_id: customerId, start_date: rows[0]!.start_date };
    const event = (event_id: string) =>
      usageEvent({
        customer_id: customerId,
        event_id,
        occurred_at: new Date().toISOString(),
        usage: { input_tokens: 1_000_000 },
      });
    await worker.appender.append([event('a'), event('b')], { may_backfill: false });
    await engine.command(ref, 'close', { request_id: randomUUID(), actor: 'test', reason: null });
    await until(ref, ({ status }) => status === 'invoiced');
    await handleOf(ref).result();
    return ref;
  }

  it('starts a run for a finished period, moves Stripe to the next revision, and completes', async () => {
    const ref = await billed('wrong');
    await voidUsage(database.pool, 'wrong', 'a', { reason: 'sent twice', actor: 'test' });
    const command = rebill();
    expect(await engine.command(ref, 'rebill', command)).toMatchObject({ status: 'sealed', applied: true });
    const done = await until(ref, ({ status, invoices }) => status === 'invoiced' && invoices.length === 2);
    expect(done.invoices.map(({ total, payment_status }) => [total, payment_status])).toEqual([
      ['7.50', 'voided'],
      ['3.75', 'open'],
    ]);
    await handleOf(ref).result();
    await saveHistory(handleOf(ref), 'rebilled');
    expect(booksOf(worker.standIn.state())).toBe(375);
    // The same request id does nothing more, in a run of its own.
    await engine.command(ref, 'rebill', command);
    expect((await view(ref)).invoices).toHaveLength(2);
  });

  it('takes the plan that should have been in force, and refuses what names none', async () => {
    const ref = await billed('planned');
    await publishPlan(database.pool, { plan_id: 'dear', currency: 'usd', rules: [{ markup: '1.00' }] }, 'test');
    const under = (plan: object, more: object = {}) =>
      engine.command(ref, 'rebill', { ...rebill(), rebill: { ...REBILL_DEFAULTS, ...more, plan } as RebillOptions });
    for (const plan of [{}, { plan_id: 'dear', version: 0.5 }, { plan_id: 'dear', version: '1' }]) {
      await expect(under(plan)).rejects.toMatchObject({ code: 'invalid_request' });
    }
    await expect(under({ plan_id: 'dear' }, { plans: 'assigned' })).rejects.toMatchObject({ code: 'invalid_request' });
    await expect(under({ plan_id: 'nobody' })).rejects.toMatchObject({ code: 'unknown_plan' });
    expect(await under({ plan_id: 'dear' })).toMatchObject({ status: 'sealed', applied: true });
    const done = await until(ref, ({ status, invoices }) => status === 'invoiced' && invoices.length === 2);
    expect(done.invoices.map(({ total, payment_status }) => [total, payment_status])).toEqual([
      ['7.50', 'voided'],
      ['12.00', 'open'],
    ]);
    expect(done.plan).toEqual({ plan_id: 'dear', version: 1 });
    await handleOf(ref).result();
    await saveHistory(handleOf(ref), 'rebilled-plan');
  });

  it('answers one of two that come at once, and refuses the other', async () => {
    const ref = await billed('twice');
    const answers = await Promise.allSettled([
      engine.command(ref, 'rebill', rebill()),
      engine.command(ref, 'rebill', rebill()),
    ]);
    expect(answers.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(answers.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'wrong_status' } });
    await until(ref, ({ status, invoices }) => status === 'invoiced' && invoices.length === 2);
  });
});
