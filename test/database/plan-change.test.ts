import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CustomerInput } from '../../src/contracts/customer.js';
import type { PeriodRef } from '../../src/contracts/engine.js';
import { publishPlan } from '../../src/plans/plan-store.js';
import { type BillingRun, openBillingRun } from '../support/billing-run.js';
import { customer, publishBasics } from '../support/ledger.js';

/** November 2026 in UTC: 30 days, 2,592,000 seconds. */
const NOVEMBER = '2026-11-01';

describe('a change of plan', () => {
  let run: BillingRun;
  beforeAll(async () => {
    run = await openBillingRun();
    await publishBasics(run.pool);
    const plan = { currency: 'usd' };
    await publishPlan(run.pool, { ...plan, plan_id: 'small', rules: [{ markup: '0.5' }], base_fee: '30.00' }, 'test');
    await publishPlan(run.pool, { ...plan, plan_id: 'large', rules: [{ markup: '0.1' }], base_fee: '300.00' }, 'test');
  });
  afterAll(() => run.end());

  const period = (customer_id: string, start_date = NOVEMBER): PeriodRef => ({ customer_id, start_date });
  /** A million input tokens ($3.00 of cost) on the 2nd and on the 12th. */
  async function use(id: string): Promise<void> {
    const events = ['2026-11-02', '2026-11-12'].map((day) => ({
      customer_id: id,
      event_id: day,
      occurred_at: `${day}T00:00:00Z`,
      usage: { input_tokens: 1_000_000 },
    }));
    expect(await run.append(events)).toEqual(events.map(() => 'accepted'));
  }
  async function change(id: string, from: string, to: string, plan_effective: CustomerInput['plan_effective']) {
    await customer(run.pool, id, { plan_id: from });
    await use(id);
    await customer(run.pool, id, { plan_id: to, plan_effective });
  }
  async function linesOf(ref: PeriodRef): Promise<string[]> {
    expect(await run.close(ref)).toBe('invoiced');
    const { lines } = await run.newest(ref);
    return lines.map(({ kind, plan, amount }) => `${kind} ${plan?.plan_id} ${amount}`);
  }

  it('shows both parts of an upgrade, each by its own rules and its own share of the fee', async () => {
    await change('upgrade', 'small', 'large', '2026-11-11T00:00:00Z');
    // 10 of 30 days of $30, 20 of 30 days of $300; $3 x 1.5 before, $3 x 1.1 after.
    expect(await linesOf(period('upgrade'))).toEqual([
      'usage small 4.50',
      'usage large 3.30',
      'base_fee small 10.00',
      'base_fee large 200.00',
    ]);
  });

  it('shows both parts of a downgrade', async () => {
    await change('downgrade', 'large', 'small', '2026-11-11T00:00:00Z');
    expect(await linesOf(period('downgrade'))).toEqual([
      'usage large 3.30',
      'usage small 4.50',
      'base_fee large 100.00',
      'base_fee small 20.00',
    ]);
  });

  it('prorates by seconds, not by days', async () => {
    // 12 hours and 1 second into the month: 43,201 of 2,592,000 seconds.
    await change('seconds', 'large', 'small', '2026-11-01T12:00:01Z');
    // 300 x 43,201 / 2,592,000 = 5.000115...; 30 x 2,548,799 / 2,592,000 = 29.499988...
    expect((await linesOf(period('seconds'))).slice(-2)).toEqual(['base_fee large 5.00', 'base_fee small 29.50']);
    const { lines } = await run.newest(period('seconds'));
    const fee = lines.find(({ kind, plan }) => kind === 'base_fee' && plan?.plan_id === 'large');
    expect(fee!.charge).toBe('5.000115740740740741');
  });

  it('takes effect now where nothing is said', async () => {
    // The tests' now is noon of the 16th: 15.5 of 30 days.
    await change('now', 'small', 'large', undefined);
    expect((await linesOf(period('now'))).slice(-2)).toEqual(['base_fee small 15.50', 'base_fee large 145.00']);
  });

  describe('in October', () => {
    const OCTOBER_MS = Date.parse('2026-10-16T12:00:00Z');
    const october = (id: string) => period(id, '2026-10-01');
    const put = (id: string, body: Partial<CustomerInput>) => customer(run.pool, id, body, OCTOBER_MS);

    it('takes effect with the next period, and leaves this one whole', async () => {
      await put('next', { plan_id: 'small' });
      await put('next', { plan_id: 'large', plan_effective: 'next_period' });
      await use('next');
      expect(await linesOf(october('next'))).toEqual(['base_fee small 30.00']);
      expect(await linesOf(period('next'))).toEqual(['usage large 6.60', 'base_fee large 300.00']);
    });

    it('of the calendar makes one short period, whose seconds are a share of the new interval', async () => {
      await put('short', { plan_id: 'small' });
      await put('short', { plan_id: 'small', interval: 'year', anchor_month: 12 });
      // November is what is left until the year begins: 30 of 365 days of the fee of a whole one.
      await use('short');
      expect(await linesOf(period('short'))).toEqual(['usage small 9.00', 'base_fee small 2.47']);
    });
  });
});
