import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  type BudgetAlert,
  checkBudgets,
  mayCrossBudget,
  readBudgetStates,
  sendUnsentAlerts,
} from '../../src/budgets/budget-alerts.js';
import { publishCatalogVersion } from '../../src/catalog/publish.js';
import { nudgeLate } from '../../src/closing/nudge-late.js';
import { readPeriodRow } from '../../src/closing/period-state.js';
import { catalogVersionSchema } from '../../src/contracts/catalog.js';
import type { PeriodRef } from '../../src/contracts/engine.js';
import { exchangeRatesSchema } from '../../src/contracts/exchange-rate.js';
import type { PlanInput } from '../../src/contracts/plan.js';
import { ensurePeriodAt } from '../../src/customers/customer-periods.js';
import { noteLateUsage } from '../../src/invoicing/late-so-far.js';
import { readPeriodView } from '../../src/invoicing/period-view.js';
import { previewInvoice } from '../../src/invoicing/preview.js';
import { publishExchangeRates } from '../../src/ledger/exchange-rates.js';
import { pricePeriod } from '../../src/ledger/price-period.js';
import { readUnpriced } from '../../src/ledger/relay-reads.js';
import { readTotals } from '../../src/ledger/totals.js';
import { voidUsage } from '../../src/ledger/void-usage.js';
import { publishPlan } from '../../src/plans/plan-store.js';
import { type BillingRun, openBillingRun } from '../support/billing-run.js';
import { customer, NOW_MS, publishBasics, settle } from '../support/ledger.js';

const [OCTOBER, NOVEMBER] = ['2026-10-01', '2026-11-01'];

describe('totals of a period', () => {
  let run: BillingRun;
  let customers = 0;
  let id: string;
  beforeAll(async () => {
    run = await openBillingRun();
    await publishBasics(run.pool);
  });
  afterAll(() => run.end());
  beforeEach(() => {
    id = `customer-${++customers}`;
  });

  const ref = (start_date: string): PeriodRef => ({ customer_id: id, start_date });
  const periodId = async (start_date: string) => (await readPeriodRow(run.pool, ref(start_date))).period_id;
  async function open(plan: Partial<PlanInput>, more = {}) {
    await publishPlan(run.pool, { plan_id: id, currency: 'usd', rules: [{ markup: '0.25' }], ...plan }, 'test');
    await customer(run.pool, id, { plan_id: id, ...more });
  }
  /** A million input tokens cost 3.00 and are charged 3.75. */
  const million = (event_id: string, day = '2026-11-10', more = {}) => ({
    customer_id: id,
    event_id,
    occurred_at: `${day}T12:00:00Z`,
    usage: { input_tokens: 1_000_000 },
    ...more,
  });
  /** What the activity of a nudge does. */
  async function price(start_date = NOVEMBER!, more = {}) {
    await settle(run.pool);
    const period = await periodId(start_date);
    await pricePeriod({ ...run, ...more }, period);
    await noteLateUsage(run, period, 0);
    return readTotals(run.pool, period);
  }
  /** What the invoice would come to before rounding, fees and allowances, if the period were sealed now. */
  async function exchanged(start_date = NOVEMBER!) {
    const { steps, lines } = await previewInvoice(run, id, start_date);
    const late = lines.filter(({ kind }) => kind === 'late_usage').map(({ charge }) => charge);
    return { charge: steps.find(({ step }) => step === 'exchange')!.amount, late };
  }
  const counted = async () => {
    const { rows } = await run.pool.query<{ action_id: string }>(
      `SELECT action_id FROM counted_actions WHERE period_id = $1 ORDER BY action_id`,
      [await periodId(NOVEMBER!)],
    );
    return rows.map(({ action_id }) => action_id);
  };
  const publishPrice = (price: object) =>
    publishCatalogVersion(
      run.pool,
      catalogVersionSchema.parse({
        note: 'more',
        prices: [
          {
            provider: 'anthropic',
            meter: 'input_tokens',
            per: 1_000_000,
            currency: 'usd',
            effective_from: '2020-01-01T00:00:00Z',
            ...price,
          },
        ],
      }),
      { actor: 'test', source: 'test' },
    );

  describe('with prices for actions', () => {
    const reports: Partial<PlanInput> = {
      rules: [
        { match: { feature: 'report' }, unit_price: '0.40', count: 'actions', unit: 'reports' },
        { markup: '0.25', fee_per_action: '0.05' },
      ],
    };
    const report = (event_id: string, action_id: string | null, more = {}) =>
      million(event_id, '2026-11-10', { feature: 'report', ...(action_id === null ? {} : { action_id }), ...more });

    it('count each action once, whatever run brought its events', async () => {
      await open(reports);
      await run.append([report('1', 'a'), report('2', 'b'), million('3', '2026-11-10', { action_id: 'a' })]);
      // Two reports, and 3.75 and a fee for one action of the second rule.
      expect(await price()).toMatchObject({ events: 3, charge: '4.6' });
      expect(await counted()).toEqual(['a', 'a', 'b']);
      await run.append([report('4', 'a'), report('5', null), report('6', 'c'), million('7')]);
      // Reports a, b, c and one event without an action; two calls for 3.75, each an action.
      expect(await price()).toMatchObject({ events: 7, charge: '9.2' });
      expect((await exchanged()).charge).toBe('9.2');
      // Nothing came: nothing is read, nothing is counted.
      expect(await price()).toMatchObject({ events: 7, charge: '9.2' });
    });

    it('are those of the invoice after any way that the period went', async () => {
      await open(reports);
      const check = async (charge: string) => {
        expect((await price())?.charge).toBe(charge);
        expect((await exchanged()).charge).toBe(charge);
      };
      await run.append([report('1', 'a'), report('2', 'b'), report('3', 'b', { model_id: `unknown-${id}` })]);
      await check('0.8');

      // A model that was held is known now: its action is added to what is counted.
      await run.append([
        report('4', 'c', { model_id: `unknown-${id}` }),
        report('5', null, { model_id: `unknown-${id}` }),
      ]);
      await check('0.8');
      await publishPrice({ model_id: `unknown-${id}`, price: '1' });
      await check('1.6');

      // A price of a model changes: all is counted anew, and comes to the same.
      await publishPrice({ model_id: 'claude-x', price: '3.00', effective_from: '2026-11-09T00:00:00Z' });
      await check('1.6');

      // An event is voided: its action goes, b stays.
      for (const event of ['1', '2']) await voidUsage(run.pool, id, event, { reason: 'a test', actor: 'test' });
      await check('1.2');

      // Another plan from an instant on: each part counts its own actions.
      await publishPlan(
        run.pool,
        { plan_id: id, currency: 'usd', rules: [{ unit_price: '1', count: 'actions' }] },
        'test',
      );
      await customer(run.pool, id, { plan_id: id, plan_version: 2, plan_effective: '2026-11-05T00:00:00Z' });
      await check('3');
      await run.append([report('8', 'd', { occurred_at: '2026-11-02T00:00:00Z' })]);
      await check('3.4');
      expect(await run.close(ref(NOVEMBER!))).toBe('invoiced');
      expect(await readTotals(run.pool, await periodId(NOVEMBER!))).toMatchObject({ charge: '3.4' });
      expect((await run.newest(ref(NOVEMBER!))).total).toBe('3.40');
      // The invoice counted by itself; what was kept for totals is gone.
      expect(await counted()).toEqual([]);
    });

    it('are counted in slices of which none is lost or counted twice, by attempts that meet', async () => {
      await open(reports);
      const events = Array.from({ length: 60 }, (_, i) => report(`e${i}`, i % 3 === 0 ? null : `run-${i % 7}`));
      for (let at = 0; at < events.length; at += 12) await run.append(events.slice(at, at + 12));
      await settle(run.pool);
      const period = await periodId(NOVEMBER!);
      const attempts = () =>
        Promise.allSettled([1, 2, 3, 4].map(() => pricePeriod({ ...run, sliceEvents: 9 }, period)));
      for (const attempt of await attempts()) {
        if (attempt.status === 'rejected') expect(attempt.reason).toMatchObject({ code: 'stale_inputs' });
      }
      // 20 events without an action, seven runs.
      expect(await price()).toMatchObject({ events: 60, charge: '10.8' });
      await publishPrice({ model_id: 'claude-x', price: '3.00', effective_from: '2026-11-09T12:00:00Z' });
      await attempts();
      expect(await price(NOVEMBER!, { sliceEvents: 9 })).toMatchObject({ events: 60, charge: '10.8' });
      expect((await exchanged()).charge).toBe('10.8');
    });

    it('are counted for a period that was priced before anything counted them', async () => {
      await open(reports);
      await run.append([report('1', 'a'), report('2', 'a')]);
      await price();
      const period = await periodId(NOVEMBER!);
      await run.pool.query('DELETE FROM counted_actions WHERE period_id = $1', [period]);
      await run.pool.query('DELETE FROM action_counts WHERE period_id = $1', [period]);
      await run.pool.query(`UPDATE period_totals SET actions = NULL, charge = '0' WHERE period_id = $1`, [period]);
      expect(await price()).toMatchObject({ charge: '0.4' });
    });

    it('reach budgets', async () => {
      await open({ ...reports, budgets: [{ budget_id: 'b', amount: '1.00', thresholds: ['0.8'] }] });
      await run.append([report('1', 'a')]);
      const period = await periodId(NOVEMBER!);
      expect(await mayCrossBudget(run.pool, period, (await price())!)).toBe(false);
      await run.append([report('2', 'b')]);
      const totals = (await price())!;
      expect(await mayCrossBudget(run.pool, period, totals)).toBe(true);
      expect(await checkBudgets(run.pool, period, totals)).toBe(1);
      const sent: BudgetAlert[] = [];
      await sendUnsentAlerts(run.pool, period, (alert) => {
        sent.push(alert);
      });
      expect(sent).toEqual([{ budget_id: 'b', threshold: '0.8', spent: '0.8', limit_amount: '1.00', currency: 'usd' }]);
      // The same report again is no other report: nothing is crossed anew.
      await run.append([report('3', 'b')]);
      expect(await mayCrossBudget(run.pool, period, (await price())!)).toBe(false);
    });
  });

  describe('beside late usage', () => {
    it('show what the period would carry, and budgets count it', async () => {
      await open({
        allowance: { charge: '1.00' },
        budgets: [{ budget_id: 'b', amount: '12.00', thresholds: ['0.9'] }],
      });
      await run.append([million('o', '2026-10-10'), million('n')]);
      await run.close(ref(OCTOBER!));
      expect(await price()).toMatchObject({ charge: '3.75', late_events: 0, late_charge: '0' });
      expect(await run.append([million('late-1', '2026-10-20'), million('late-2', '2026-10-21')])).toEqual([
        'late',
        'late',
      ]);

      // No chunk names the open period: it is looked for, and nudged once.
      const nudged: PeriodRef[] = [];
      const nudge = async (period: PeriodRef) => {
        nudged.push(period);
      };
      expect(await nudgeLate(run, nudge)).toBe(1);
      expect(nudged).toEqual([ref(NOVEMBER!)]);
      expect(await price()).toMatchObject({ events: 1, charge: '3.75', late_events: 2, late_charge: '7.5' });
      expect(await exchanged()).toEqual({ charge: '3.75', late: ['7.5'] });
      expect(await nudgeLate(run, nudge)).toBe(0);
      // Nudges that come one after the other look once.
      await run.append([million('late-3', '2026-10-22')]);
      await noteLateUsage(run, await periodId(NOVEMBER!));
      expect(await readTotals(run.pool, await periodId(NOVEMBER!))).toMatchObject({ late_events: 2 });
      expect(await price()).toMatchObject({ late_events: 3, late_charge: '11.25' });
      const period = await periodId(NOVEMBER!);
      const totals = (await readTotals(run.pool, period))!;
      expect(await readBudgetStates(run.pool, period, totals)).toMatchObject([
        { spent: '15', thresholds: [{ threshold: '0.9', reached: true }] },
      ]);
      expect(await mayCrossBudget(run.pool, period, totals)).toBe(true);

      // The seal decides; the totals keep what it carried.
      await run.close(ref(NOVEMBER!));
      expect(await readTotals(run.pool, period)).toMatchObject({ late_events: 3, late_charge: '11.25' });
    });

    it('are there for a period that has no usage of its own', async () => {
      await open({});
      await run.append([million('o', '2026-10-10')]);
      await run.close(ref(OCTOBER!));
      await run.append([million('late', '2026-10-20')]);
      await ensurePeriodAt(run.pool, id, NOW_MS, NOW_MS);
      await noteLateUsage(run, await periodId(NOVEMBER!), 0);
      expect((await readPeriodView(run.pool, id, NOVEMBER!)).totals).toMatchObject({
        events: 0,
        charge: '0',
        currency: 'usd',
        late_events: 1,
        late_charge: '3.75',
      });
    });

    it('are counted in the earliest open period alone', async () => {
      await open({});
      await run.append([million('s', '2026-09-10'), million('o', '2026-10-10'), million('n')]);
      await run.close(ref('2026-09-01'));
      await run.append([million('late', '2026-09-20')]);
      expect(await price(OCTOBER!)).toMatchObject({ late_charge: '3.75' });
      expect(await price(NOVEMBER!)).toMatchObject({ late_charge: '0' });
      await run.close(ref(OCTOBER!));
      expect(await price(NOVEMBER!)).toMatchObject({ late_charge: '0' });
    });
  });

  describe('without an exchange rate', () => {
    const publish = (to: string, rate: string, effective_from: string) =>
      publishExchangeRates(
        run.pool,
        exchangeRatesSchema.parse({ rates: [{ from: 'usd', to, rate, effective_from }] }).rates,
        'test',
      );

    it('say so, and are evaluated when the rate appears', async () => {
      const budgets = [{ budget_id: 'b', amount: '40', thresholds: ['1'] }];
      await open({ currency: 'dkk', rules: [{ markup: '0.25', fee_per_event: '2' }], budgets }, { currency: 'dkk' });
      await run.append([million('1')]);
      const period = await periodId(NOVEMBER!);
      expect(await price()).toMatchObject({
        currency: 'dkk',
        cost: '0',
        charge: '2',
        without_rate: [{ currency: 'usd', cost: '3', charge: '3.75' }],
      });
      expect((await readPeriodView(run.pool, id, NOVEMBER!)).budgets).toMatchObject([
        { spent: '2', currency: 'dkk', without_rate: ['usd'], thresholds: [{ reached: false }] },
      ]);
      const waiting = async () => (await readUnpriced(run.pool, 0n, 3600)).map(({ period_id }) => period_id);
      await run.pool.query('UPDATE periods SET opened_at = now()');
      expect(await waiting()).not.toContain(period);

      // Published: the relay asks for the period although nothing came, and pricing takes the rate in force at its end.
      await publish('dkk', '7', '2026-01-01T00:00:00Z');
      await publish('dkk', '10.6', '2026-11-20T00:00:00Z');
      expect(await waiting()).toContain(period);
      const totals = (await price())!;
      // 3.75 x 10.6 + 2.
      expect(totals).toMatchObject({ cost: '31.8', charge: '41.75', without_rate: [] });
      expect((await exchanged()).charge).toBe('41.75');
      expect(await mayCrossBudget(run.pool, period, totals)).toBe(true);
      expect(await waiting()).not.toContain(period);
    });

    it('take a newer rate with the next nudge, and keep the pinned one after the seal', async () => {
      await publish('nok', '10', '2026-01-01T00:00:00Z');
      await open({ currency: 'nok' }, { currency: 'nok' });
      await run.append([million('1')]);
      expect(await price()).toMatchObject({ charge: '37.5' });
      await publish('nok', '11', '2026-11-01T00:00:00Z');
      expect(await price()).toMatchObject({ charge: '41.25' });
      await run.close(ref(NOVEMBER!));
      await publish('nok', '12', '2026-11-02T00:00:00Z');
      expect(await price()).toMatchObject({ charge: '41.25' });
    });
  });
});
