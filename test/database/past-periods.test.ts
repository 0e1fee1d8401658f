import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openStartedPeriods } from '../../src/customers/past-periods.js';
import { findPeriod, listPeriods, readTimeline } from '../../src/periods/period-store.js';
import { publishPlan } from '../../src/plans/plan-store.js';
import { openBillingRun } from '../support/billing-run.js';
import { cloneDatabase } from '../support/database.js';
import { customer, markSealed, NOW_MS, publishBasics } from '../support/ledger.js';

it('each month of a contract that is written down late is billed, with its fee and its minimum', async () => {
  const run = await openBillingRun();
  try {
    await publishBasics(run.pool, { base_fee: '31.00', minimum_spend: '40.00' });
    await customer(run.pool, 'fee30', { starts_at: '2026-08-11T00:00:00Z' });
    // The usage of August is backfilled: 3.00 with the markup of 25%.
    const usage = { input_tokens: 1_000_000 };
    await run.append([{ customer_id: 'fee30', event_id: 'a', occurred_at: '2026-08-20T00:00:00Z', usage }]);
    const totals = [];
    for (const start_date of ['2026-08-11', '2026-09-01', '2026-10-01']) {
      expect(await run.close({ customer_id: 'fee30', start_date })).toBe('invoiced');
      const { lines, total } = await run.newest({ customer_id: 'fee30', start_date });
      totals.push([total, ...lines.map(({ kind, amount }) => `${kind} ${amount}`)]);
    }
    // 21 of the 31 days of August: 21.00 of the fee, 27.10 of the minimum.
    expect(totals).toEqual([
      ['27.10', 'usage 3.75', 'base_fee 21.00', 'minimum_spend 2.35'],
      ['40.00', 'base_fee 31.00', 'minimum_spend 9.00'],
      ['40.00', 'base_fee 31.00', 'minimum_spend 9.00'],
    ]);
  } finally {
    await run.end();
  }
});

describe('billing that starts in the past', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  beforeAll(async () => {
    database = await cloneDatabase();
    await publishBasics(database.pool);
    await publishPlan(
      database.pool,
      { plan_id: 'patient', currency: 'usd', rules: [{ margin: '0.3' }], grace: 'P30D' },
      'test',
    );
  });
  afterAll(() => database.drop());

  const periods = async (id: string) => {
    const { data } = await listPeriods(database.pool, { customer_id: id, cursor: null, limit: 600 });
    return data.sort((a, b) => a.starts_at.getTime() - b.starts_at.getTime());
  };
  const starts = async (id: string) => (await periods(id)).map(({ start_date }) => start_date);
  const MONTHS = ['2026-07-01', '2026-08-01', '2026-09-01', '2026-10-01', '2026-11-01'];

  it('has every period from then until now, without any usage', async () => {
    await customer(database.pool, 'fees', { starts_at: '2026-07-01T00:00:00Z' });
    expect(await starts('fees')).toEqual(MONTHS);
  });

  it('has the part of the first period that is billed, in the time zone and the interval of the customer', async () => {
    await customer(database.pool, 'part', {
      starts_at: '2026-10-30T09:00:00+01:00',
      time_zone: 'Europe/Berlin',
      interval: 'week',
    });
    const [first, ...rest] = await periods('part');
    expect(first).toMatchObject({
      start_date: '2026-10-30',
      starts_at: new Date('2026-10-30T08:00:00Z'),
      calendar_from: new Date('2026-10-25T23:00:00Z'),
      ends_at: new Date('2026-11-01T23:00:00Z'),
    });
    expect(rest.map(({ start_date }) => start_date)).toEqual(['2026-11-02', '2026-11-09', '2026-11-16']);
  });

  it.each([
    ['pro', '2026-11-16T13:00:00Z', '2026-12-01T01:00:00Z'],
    ['patient', '2026-12-16T12:00:00Z', '2026-12-31T00:00:00Z'],
  ])('leaves the grace of plan %s, counted from now, for usage of past periods', async (plan_id, past, current) => {
    const id = `grace-${plan_id}`;
    await customer(database.pool, id, { plan_id, starts_at: '2026-09-01T00:00:00Z' });
    expect((await periods(id)).map(({ seals_at }) => seals_at)).toEqual(
      [past, past, current].map((at) => new Date(at)),
    );
  });

  it('ends where billing has ended', async () => {
    await customer(database.pool, 'over', { starts_at: '2026-07-01T00:00:00Z', ends_at: '2026-09-10T00:00:00Z' });
    const all = await periods('over');
    expect(all.map(({ start_date }) => start_date)).toEqual(MONTHS.slice(0, 3));
    expect(all.at(-1)).toMatchObject({
      ends_at: new Date('2026-09-10T00:00:00Z'),
      seals_at: new Date('2026-11-16T13:00:00Z'),
    });
  });

  it('is moved to an earlier day: what is missing before the first period is made, which stays as it is', async () => {
    await customer(database.pool, 'moved', { starts_at: '2026-10-20T00:00:00Z' });
    const first = (await findPeriod(database.pool, 'moved', '2026-10-20'))!;
    await markSealed(database.pool, first.period_id);
    await customer(database.pool, 'moved', { starts_at: '2026-09-15T00:00:00Z' });
    const all = await periods('moved');
    expect(all.map(({ start_date }) => start_date)).toEqual(['2026-09-15', '2026-10-01', '2026-10-20', '2026-11-01']);
    expect(all[1]).toMatchObject({ ends_at: first.starts_at, calendar_to: new Date('2026-11-01T00:00:00Z') });
    expect(all[2]).toMatchObject({ period_id: first.period_id, starts_at: first.starts_at, ends_at: first.ends_at });
  });

  it('is moved to before a first period that begins in the middle of its first day, which then has the whole day', async () => {
    // Midnight of UTC is one o'clock in Berlin.
    const berlin = { time_zone: 'Europe/Berlin', starts_at: '2026-11-01T00:00:00Z' };
    await customer(database.pool, 'clock', berlin);
    const { period_id } = (await periods('clock'))[0]!;
    await customer(database.pool, 'clock', { starts_at: '2026-10-10T00:00:00Z' });
    expect((await periods('clock')).map(({ start_date, starts_at }) => [start_date, starts_at.toISOString()])).toEqual([
      ['2026-10-10', '2026-10-10T00:00:00.000Z'],
      ['2026-11-01', '2026-10-31T23:00:00.000Z'],
    ]);
    expect((await readTimeline(database.pool, period_id, 10)).at(-1)).toMatchObject({
      kind: 'start_moved',
      detail: { from: '2026-11-01T00:00:00.000Z', to: '2026-10-31T23:00:00.000Z' },
    });
    await customer(database.pool, 'clock-sealed', berlin);
    await markSealed(database.pool, (await periods('clock-sealed'))[0]!.period_id);
    const earlier = customer(database.pool, 'clock-sealed', { starts_at: '2026-10-10T00:00:00Z' });
    await expect(earlier).rejects.toMatchObject({ code: 'conflict', field: 'starts_at' });
  });

  it('is moved for a customer whose start was not known', async () => {
    await customer(database.pool, 'unbounded');
    expect(await starts('unbounded')).toEqual(['2026-11-01']);
    await customer(database.pool, 'unbounded', { starts_at: '2026-09-01T00:00:00Z' });
    expect(await starts('unbounded')).toEqual(MONTHS.slice(2));
  });

  it('makes no period twice, and none where the body does not name it', async () => {
    await customer(database.pool, 'again', { starts_at: '2026-07-01T00:00:00Z' });
    await Promise.all([1, 2, 3].map(() => customer(database.pool, 'again', { starts_at: '2026-07-01T00:00:00Z' })));
    expect(await starts('again')).toEqual(MONTHS);
    const ended = { starts_at: '2026-07-01T00:00:00Z', ends_at: '2026-09-01T00:00:00Z' };
    await customer(database.pool, 'resumed', ended);
    await customer(database.pool, 'resumed', { ends_at: null });
    expect(await starts('resumed')).toEqual(['2026-07-01', '2026-08-01', '2026-11-01']);
    await customer(database.pool, 'resumed', { starts_at: '2026-07-01T00:00:00Z' });
    expect(await starts('resumed')).toEqual(MONTHS);
  });

  it('is refused where it would open more periods than one change may', async () => {
    const put = (starts_at: string) => customer(database.pool, 'ancient', { interval: 'week', starts_at });
    await expect(put('1026-07-01T00:00:00Z')).rejects.toMatchObject({ code: 'invalid_customer', field: 'starts_at' });
    expect(await starts('ancient')).toEqual([]);
    await put('2016-11-17T00:00:00Z');
    expect(await starts('ancient')).toHaveLength(523);
  });

  it('leaves no gap and no overlap, whatever is moved', async () => {
    const days = fc.uniqueArray(fc.integer({ min: 0, max: 400 }), { minLength: 1, maxLength: 4 });
    const interval = fc.constantFrom('month' as const, 'week' as const, 'quarter' as const);
    let made = 0;
    await fc.assert(
      fc.asyncProperty(days, interval, async (back, interval) => {
        const id = `back-${++made}`;
        for (const day of [...back].sort((a, b) => a - b)) {
          const starts_at = new Date(NOW_MS - day * 86_400_000).toISOString();
          await customer(database.pool, id, { interval, starts_at });
        }
        const all = await periods(id);
        expect(all[0]!.starts_at.getTime()).toBe(NOW_MS - Math.max(...back) * 86_400_000);
        expect(all.slice(1).map(({ starts_at }) => starts_at)).toEqual(all.slice(0, -1).map(({ ends_at }) => ends_at));
        expect(all.at(-1)!.ends_at.getTime()).toBeGreaterThan(NOW_MS);
      }),
      { numRuns: 15 },
    );
  });

  describe('billing that starts by itself', () => {
    it('opens its first period, also one that nobody looked at for a while', async () => {
      await customer(database.pool, 'future', { starts_at: '2026-12-10T00:00:00Z' });
      await customer(database.pool, 'further', { starts_at: '2027-05-01T00:00:00Z' });
      expect(await openStartedPeriods(database.pool, NOW_MS)).toBe(0);
      expect(await openStartedPeriods(database.pool, Date.parse('2027-01-05T00:00:00Z'))).toBe(1);
      expect([await starts('future'), await starts('further')]).toEqual([['2026-12-10', '2027-01-01'], []]);
      expect(await openStartedPeriods(database.pool, Date.parse('2027-01-05T00:00:00Z'))).toBe(0);
    });
  });
});
