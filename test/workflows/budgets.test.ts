import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nudgeLate } from '../../src/closing/nudge-late.js';
import type { PeriodRef } from '../../src/contracts/engine.js';
import { exchangeRatesSchema } from '../../src/contracts/exchange-rate.js';
import type { PlanInput } from '../../src/contracts/plan.js';
import { Engine } from '../../src/engine/engine.js';
import { readPeriodView } from '../../src/invoicing/period-view.js';
import { publishExchangeRates } from '../../src/ledger/exchange-rates.js';
import { publishPlan } from '../../src/plans/plan-store.js';
import { cloneDatabase } from '../support/database.js';
import { customer, publishBasics, settle, usageEvent } from '../support/ledger.js';
import { timeSkippingEnvironment } from '../support/temporal.js';
import { startTestWorker, type TestWorker } from '../support/worker.js';

/** Alerts of budgets that need more than sums: actions, a rate that comes later, late usage. */
describe('budgets of a running period', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  let environment: TestWorkflowEnvironment;
  let worker: TestWorker;
  let engine: Engine;

  beforeAll(async () => {
    database = await cloneDatabase();
    environment = await timeSkippingEnvironment();
    worker = await startTestWorker(environment, database.pool);
    engine = new Engine(environment.client);
    await publishBasics(database.pool);
  });
  afterAll(async () => {
    await worker?.stop();
    await environment?.teardown();
    await database?.drop();
  });

  async function open(id: string, plan: Partial<PlanInput>, limit: string): Promise<PeriodRef> {
    const budgets = [{ budget_id: 'b', amount: limit, thresholds: ['1'] }];
    const rules: PlanInput['rules'] = [{ markup: '0' }];
    await publishPlan(database.pool, { plan_id: id, currency: 'usd', rules, budgets, ...plan }, 'test');
    await customer(database.pool, id, { plan_id: id, currency: plan.currency ?? 'usd' }, Date.now());
    const { rows } = await database.pool.query<{ start_date: string }>(
      'SELECT start_date FROM periods WHERE customer_id = $1',
      [id],
    );
    return { customer_id: id, start_date: rows[0]!.start_date };
  }
  async function append(id: string, eventIds: string[], more: object): Promise<void> {
    const occurred_at = new Date().toISOString();
    const usage = { input_tokens: 1_000_000 };
    const events = eventIds.map((event_id) => usageEvent({ customer_id: id, event_id, occurred_at, usage, ...more }));
    await worker.appender.append(events, { may_backfill: true });
    await settle(database.pool);
  }
  const nudge = (ref: PeriodRef) => engine.nudge(ref, { horizon: '0', catalog_version: 1 });
  /** The alerts once the nudge is worked off: `events` are priced by then. */
  async function alerts(ref: PeriodRef, isDone: (view: Awaited<ReturnType<typeof readPeriodView>>) => boolean) {
    for (;;) {
      const view = await readPeriodView(database.pool, ref.customer_id, ref.start_date);
      if (isDone(view)) return view.timeline.filter(({ kind }) => kind === 'budget_alert').map(({ detail }) => detail);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  const isRaised = (view: Awaited<ReturnType<typeof readPeriodView>>) =>
    view.budgets[0]!.thresholds[0]!.raised_at !== null;

  it('are reached by the price of actions', async () => {
    const rules: PlanInput['rules'] = [{ unit_price: '0.40', count: 'actions' }];
    const ref = await open('actions', { rules }, '1.00');
    await append('actions', ['1', '2', '3'], { action_id: 'one' });
    await nudge(ref);
    expect(await alerts(ref, ({ totals }) => totals?.events === 3)).toEqual([]);
    await append('actions', ['4'], { action_id: 'two' });
    await append('actions', ['5'], { action_id: 'three' });
    await nudge(ref);
    expect(await alerts(ref, isRaised)).toMatchObject([{ spent: '1.2', amount: '1.00', currency: 'usd' }]);
  });

  it('are evaluated when the exchange rate is published', async () => {
    const ref = await open('krona', { currency: 'sek' }, '30');
    await append('krona', ['1'], {});
    await nudge(ref);
    expect(await alerts(ref, ({ totals }) => totals?.without_rate.length === 1)).toEqual([]);
    const rates = [{ from: 'usd', to: 'sek', rate: '10.5', effective_from: '2026-01-01T00:00:00Z' }];
    await publishExchangeRates(database.pool, exchangeRatesSchema.parse({ rates }).rates, 'test');
    await nudge(ref);
    expect(await alerts(ref, isRaised)).toMatchObject([{ spent: '31.5', currency: 'sek' }]);
  });

  it('count late usage of the period before', async () => {
    const now = new Date();
    const before = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - 1, 20)).toISOString();
    const ref = await open('late', {}, '5.00');
    await append('late', ['own'], {});
    await append('late', ['o'], { occurred_at: before });
    const start_date = `${before.slice(0, 7)}-01`;
    await engine.command({ ...ref, start_date }, 'close', { request_id: 'close', actor: 'test', reason: null });
    const { pool } = database;
    for (;;) {
      if (['invoiced', 'nothing_to_bill'].includes((await readPeriodView(pool, 'late', start_date)).status)) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await nudge(ref);
    expect(await alerts(ref, ({ totals }) => totals?.events === 1)).toEqual([]);
    await append('late', ['l'], { occurred_at: before });
    expect(await nudgeLate(database, nudge)).toBe(1);
    expect(await alerts(ref, isRaised)).toMatchObject([{ spent: '6', amount: '5.00' }]);
  });
});
