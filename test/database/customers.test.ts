import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PERIOD_INTERVALS } from '../../src/contracts/customer.js';
import { ensurePeriodAt } from '../../src/customers/customer-periods.js';
import { listCustomers, readCustomer } from '../../src/customers/customer-store.js';
import { findPeriod, listPeriods, readTimeline, setPeriodStatus } from '../../src/periods/period-store.js';
import { publishPlan } from '../../src/plans/plan-store.js';
import { cloneDatabase } from '../support/database.js';
import { customer, markSealed, NOW_MS, publishBasics } from '../support/ledger.js';

const ms = (text: string) => Date.parse(text);

describe('customers', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  beforeAll(async () => {
    database = await cloneDatabase();
    await publishBasics(database.pool);
    await publishPlan(database.pool, { plan_id: 'euro', currency: 'eur', rules: [{ markup: '0.25' }] }, 'test');
    await publishPlan(
      database.pool,
      { plan_id: 'patient', currency: 'usd', rules: [{ margin: '0.3' }], grace: 'P1DT6H' },
      'test',
    );
  });
  afterAll(() => database.drop());

  const spans = async (id: string) => {
    const { data } = await listPeriods(database.pool, { customer_id: id, cursor: null, limit: 100 });
    return data.reverse().map((p) => [p.start_date, p.starts_at.toISOString(), p.ends_at.toISOString()]);
  };
  const actions = async (id: string) => {
    const { rows } = await database.pool.query<{ action: string; detail: Record<string, unknown> }>(
      'SELECT action, detail FROM audit_log WHERE customer_id = $1 ORDER BY audit_id',
      [id],
    );
    return rows;
  };

  describe('the first PUT', () => {
    it('makes the customer, its calendar and its plan from the beginning, and opens the current period', async () => {
      const { customer: made, created } = await customer(database.pool, 'first', {
        anchor_day: 15,
        time_zone: 'Asia/Kolkata',
      });
      expect(created).toBe(true);
      expect(made).toMatchObject({
        customer_id: 'first',
        plan_id: 'pro',
        plan_version: 1,
        revision: 1,
        anchor_day: 15,
      });
      expect(await readCustomer(database.pool, 'first')).toEqual(made);
      expect(await spans('first')).toEqual([['2026-11-15', '2026-11-14T18:30:00.000Z', '2026-12-14T18:30:00.000Z']]);
      const period = (await findPeriod(database.pool, 'first', '2026-11-15'))!;
      expect(period).toMatchObject({ status: 'open', sealed_at: null, seals_at: new Date('2026-12-14T19:30:00Z') });
      expect((await readTimeline(database.pool, period.period_id, 10)).map(({ kind }) => kind)).toEqual(['opened']);
      expect((await actions('first')).map(({ action }) => action)).toEqual(['customer.create']);
    });

    it('opens no period before billing starts or after it has ended', async () => {
      await customer(database.pool, 'later', { starts_at: '2027-01-10T00:00:00Z' });
      await customer(database.pool, 'gone', { ends_at: '2026-11-01T00:00:00Z' });
      expect([await spans('later'), await spans('gone')]).toEqual([[], []]);
    });

    it('is answered once when it is sent twice at the same time', async () => {
      const answers = await Promise.all([1, 2, 3, 4].map(() => customer(database.pool, 'twice')));
      expect(answers.filter(({ created }) => created)).toHaveLength(1);
      expect(answers.map(({ customer: { revision } }) => revision)).toEqual([1, 1, 1, 1]);
      expect(await spans('twice')).toHaveLength(1);
    });

    it('names the field at fault', async () => {
      const put = (body: object) => customer(database.pool, 'faulty', body);
      await expect(put({ time_zone: 'Mars/Olympus' })).rejects.toMatchObject({
        code: 'invalid_customer',
        field: 'time_zone',
      });
      await expect(put({ currency: 'eur' })).rejects.toMatchObject({ code: 'invalid_customer', field: 'currency' });
      await expect(put({ plan_id: 'none' })).rejects.toMatchObject({ code: 'unknown_plan' });
      await expect(put({ plan_version: 9 })).rejects.toMatchObject({ code: 'unknown_plan' });
      const bounds = { starts_at: '2026-11-02T00:00:00Z', ends_at: '2026-11-02T00:00:00Z' };
      await expect(put(bounds)).rejects.toMatchObject({ code: 'invalid_customer', field: 'ends_at' });
      await expect(readCustomer(database.pool, 'faulty')).rejects.toMatchObject({ code: 'unknown_customer' });
    });
  });

  describe('a later PUT', () => {
    it('changes nothing when it says the same, and keeps the Stripe customer that it leaves out', async () => {
      await customer(database.pool, 'same', { stripe_customer_id: 'cus_1', name: 'Same Ltd' });
      const { customer: again, created } = await customer(database.pool, 'same', { name: 'Same Ltd' }, NOW_MS + 1_000);
      expect(created).toBe(false);
      expect(again).toMatchObject({ revision: 1, stripe_customer_id: 'cus_1', updated_at: again.created_at });
      const { customer: renamed } = await customer(database.pool, 'same', { name: 'Other Ltd' }, NOW_MS + 2_000);
      expect(renamed).toMatchObject({ revision: 2, name: 'Other Ltd', stripe_customer_id: 'cus_1' });
      const [, change] = await actions('same');
      expect(change).toMatchObject({
        action: 'customer.change',
        detail: { revision: 2, name: { from: 'Same Ltd', to: 'Other Ltd' } },
      });
    });

    it('keeps the subscription that it leaves out, and takes it away where it says null', async () => {
      const { customer: made } = await customer(database.pool, 'subscribed', { stripe_subscription_id: 'sub_1' });
      expect(made).toMatchObject({ stripe_subscription_id: 'sub_1' });
      const { customer: again } = await customer(database.pool, 'subscribed', {});
      expect(again).toMatchObject({ revision: 1, stripe_subscription_id: 'sub_1' });
      const { customer: without } = await customer(database.pool, 'subscribed', { stripe_subscription_id: null });
      expect(without).not.toHaveProperty('stripe_subscription_id');
      expect((await actions('subscribed'))[1]).toMatchObject({
        detail: { revision: 2, stripe_subscription_id: { from: 'sub_1', to: null } },
      });
      await expect(customer(database.pool, 'subscribed', { stripe_subscription_id: 'cus_1' })).rejects.toThrow(
        'sub_...',
      );
    });

    it('lets another calendar take effect at the end of the period under way', async () => {
      await customer(database.pool, 'moves', { anchor_day: 1 });
      const { customer: moved } = await customer(database.pool, 'moves', {
        anchor_day: 20,
        time_zone: 'Europe/Berlin',
      });
      expect(moved).toMatchObject({ anchor_day: 20, time_zone: 'Europe/Berlin', revision: 2 });
      await ensurePeriodAt(database.pool, 'moves', ms('2026-12-01T00:00:00Z'), NOW_MS);
      await ensurePeriodAt(database.pool, 'moves', ms('2027-01-01T00:00:00Z'), NOW_MS);
      expect(await spans('moves')).toEqual([
        ['2026-11-01', '2026-11-01T00:00:00.000Z', '2026-12-01T00:00:00.000Z'],
        ['2026-12-01', '2026-12-01T00:00:00.000Z', '2026-12-19T23:00:00.000Z'],
        ['2026-12-20', '2026-12-19T23:00:00.000Z', '2027-01-19T23:00:00.000Z'],
      ]);
    });

    it('lets another interval take effect in the same way, and shows the anchors that it has', async () => {
      await customer(database.pool, 'weekly');
      const { customer: weekly } = await customer(database.pool, 'weekly', { interval: 'week', anchor_weekday: 5 });
      expect(weekly).toMatchObject({ interval: 'week', anchor_weekday: 5, revision: 2 });
      expect(weekly).not.toHaveProperty('anchor_month');
      for (const day of ['01', '04', '11']) {
        await ensurePeriodAt(database.pool, 'weekly', ms(`2026-12-${day}T00:00:00Z`), NOW_MS);
      }
      expect(await spans('weekly')).toEqual([
        ['2026-11-01', '2026-11-01T00:00:00.000Z', '2026-12-01T00:00:00.000Z'],
        ['2026-12-01', '2026-12-01T00:00:00.000Z', '2026-12-04T00:00:00.000Z'],
        ['2026-12-04', '2026-12-04T00:00:00.000Z', '2026-12-11T00:00:00.000Z'],
        ['2026-12-11', '2026-12-11T00:00:00.000Z', '2026-12-18T00:00:00.000Z'],
      ]);
    });

    it('bills quarters and years of the anchor month', async () => {
      await customer(database.pool, 'quarterly', { interval: 'quarter', anchor_month: 2, anchor_day: 31 });
      expect(await spans('quarterly')).toEqual([
        ['2026-08-31', '2026-08-31T00:00:00.000Z', '2026-11-30T00:00:00.000Z'],
      ]);
      const { customer: yearly } = await customer(database.pool, 'yearly', { interval: 'year', anchor_month: 7 });
      expect(yearly).toMatchObject({ interval: 'year', anchor_day: 1, anchor_month: 7 });
      expect(await spans('yearly')).toEqual([['2026-07-01', '2026-07-01T00:00:00.000Z', '2027-07-01T00:00:00.000Z']]);
    });

    it.each([
      ['anchor_day', { interval: 'week', anchor_day: 15 }],
      ['anchor_month', { anchor_month: 3 }],
      ['anchor_weekday', { interval: 'year', anchor_weekday: 3 }],
    ] as const)('refuses an %s that its interval does not have', async (field, body) => {
      const put = customer(database.pool, 'anchored', body);
      await expect(put).rejects.toMatchObject({ code: 'invalid_customer', field });
    });

    it('whatever calendars follow each other, periods have no gap and no overlap', async () => {
      const calendars = fc
        .record({
          time_zone: fc.constantFrom('UTC', 'Europe/Berlin', 'America/New_York', 'Pacific/Kiritimati', 'Pacific/Niue'),
          interval: fc.constantFrom(...PERIOD_INTERVALS),
          anchor: fc.integer({ min: 1, max: 31 }),
        })
        .map(({ anchor, ...calendar }) => ({
          ...calendar,
          ...(calendar.interval === 'week' ? { anchor_weekday: (anchor % 7) + 1 } : { anchor_day: anchor }),
          ...(['quarter', 'year'].includes(calendar.interval) ? { anchor_month: (anchor % 12) + 1 } : {}),
        }));
      let made = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(calendars, { minLength: 2, maxLength: 5 }), async (changes) => {
          const id = `chained-${++made}`;
          let now = NOW_MS;
          for (const change of changes) {
            await customer(database.pool, id, change, now).catch((error: { code?: string }) => {
              // Too short a period for another zone: the change is refused, the periods stay as they are.
              if (error.code !== 'conflict') throw error;
            });
            const period = await ensurePeriodAt(database.pool, id, now, now);
            now = (await ensurePeriodAt(database.pool, id, period!.ends_at.getTime(), now))!.starts_at.getTime() + 1;
          }
          const all = await spans(id);
          expect(all.slice(1).map(([, start]) => start)).toEqual(all.slice(0, -1).map(([, , end]) => end));
        }),
        { numRuns: 20 },
      );
    });

    it('takes back a change of calendar that has not taken effect', async () => {
      await customer(database.pool, 'wavers', { anchor_day: 1 });
      await customer(database.pool, 'wavers', { anchor_day: 20 });
      await customer(database.pool, 'wavers', { anchor_day: 1 });
      const { rows } = await database.pool.query('SELECT FROM customer_calendars WHERE customer_id = $1', ['wavers']);
      expect(rows).toHaveLength(1);
    });

    it('changes the calendar from the beginning while there is no period', async () => {
      await customer(database.pool, 'early', { starts_at: '2027-01-10T00:00:00Z' });
      await customer(database.pool, 'early', { starts_at: '2027-01-10T00:00:00Z', anchor_day: 5 });
      await ensurePeriodAt(database.pool, 'early', ms('2027-01-20T00:00:00Z'), NOW_MS);
      expect(await spans('early')).toEqual([['2027-01-10', '2027-01-10T00:00:00.000Z', '2027-02-05T00:00:00.000Z']]);
    });

    it('assigns another plan from now on, and moves the deadline by its grace', async () => {
      await customer(database.pool, 'upgrades');
      await customer(database.pool, 'upgrades', { plan_id: 'patient' }, NOW_MS + 5);
      const { rows } = await database.pool.query<{ plan_id: string; from: Date | number }>(
        'SELECT plan_id, effective_from AS from FROM plan_assignments WHERE customer_id = $1 ORDER BY assignment_id',
        ['upgrades'],
      );
      expect(rows.map(({ plan_id }) => plan_id)).toEqual(['pro', 'patient']);
      expect(new Date(rows[1]!.from).getTime()).toBe(NOW_MS + 5);
      const period = (await findPeriod(database.pool, 'upgrades', '2026-11-01'))!;
      expect(period.seals_at).toEqual(new Date('2026-12-02T06:00:00Z'));
      expect((await readTimeline(database.pool, period.period_id, 10)).map(({ kind }) => kind)).toEqual([
        'opened',
        'deadline',
      ]);
    });

    describe('says when another plan takes effect', () => {
      const assignments = async (id: string) => {
        const { rows } = await database.pool.query<{ plan_id: string; at: Date | number }>(
          'SELECT plan_id, effective_from AS at FROM plan_assignments WHERE customer_id = $1 ORDER BY assignment_id',
          [id],
        );
        return rows.map(({ plan_id, at }) => [
          plan_id,
          Number.isFinite(Number(at)) ? new Date(at).toISOString() : null,
        ]);
      };

      it('with the next period: at the end of the one under way', async () => {
        await customer(database.pool, 'waits');
        const { customer: put } = await customer(database.pool, 'waits', {
          plan_id: 'patient',
          plan_effective: 'next_period',
        });
        expect(put).toMatchObject({ plan_id: 'patient', plan_effective_from: '2026-12-01T00:00:00.000Z' });
        expect(await assignments('waits')).toEqual([
          ['pro', null],
          ['patient', '2026-12-01T00:00:00.000Z'],
        ]);
        // The period under way keeps the grace of its own plan.
        const period = (await findPeriod(database.pool, 'waits', '2026-11-01'))!;
        expect(period.seals_at).toEqual(new Date('2026-12-01T01:00:00Z'));
        const [, change] = await actions('waits');
        expect(change!.detail.plan).toEqual({
          from: { plan_id: 'pro', plan_version: 1 },
          to: { plan_id: 'patient', plan_version: 1 },
          effective_from: '2026-12-01T00:00:00.000Z',
        });
      });

      it('a body that was read and sent back does not bring it forward; one that says "now" does', async () => {
        await customer(database.pool, 'hurries');
        await customer(database.pool, 'hurries', { plan_id: 'patient', plan_effective: 'next_period' });
        const { customer: same } = await customer(database.pool, 'hurries', { plan_id: 'patient', name: 'Hurry Ltd' });
        expect(same.plan_effective_from).toBe('2026-12-01T00:00:00.000Z');
        await customer(database.pool, 'hurries', { plan_id: 'patient', plan_effective: 'now', name: 'Hurry Ltd' });
        expect(await assignments('hurries')).toEqual([
          ['pro', null],
          ['patient', '2026-12-01T00:00:00.000Z'],
          ['patient', '2026-11-16T12:00:00.000Z'],
          ['patient', '2026-12-01T00:00:00.000Z'],
        ]);
        const again = { plan_id: 'patient', plan_effective: 'now' as const, name: 'Hurry Ltd' };
        const { customer: unchanged } = await customer(database.pool, 'hurries', again, NOW_MS + 1);
        expect(unchanged.revision).toBe(4);
      });

      it('a change that is yet to come is taken back by the plan in force', async () => {
        await customer(database.pool, 'repents');
        await customer(database.pool, 'repents', { plan_id: 'patient', plan_effective: 'next_period' });
        const { customer: again } = await customer(database.pool, 'repents', { plan_id: 'pro' }, NOW_MS + 1);
        expect(again).toMatchObject({ plan_id: 'pro' });
        expect(again).not.toHaveProperty('plan_effective_from');
        expect(await assignments('repents')).toEqual([
          ['pro', null],
          ['patient', '2026-12-01T00:00:00.000Z'],
          ['pro', '2026-12-01T00:00:00.000Z'],
        ]);
      });

      it('at an instant inside the open period, also one that has passed', async () => {
        await customer(database.pool, 'since');
        await customer(database.pool, 'since', { plan_id: 'patient', plan_effective: '2026-11-10T08:00:00+01:00' });
        expect((await assignments('since'))[1]).toEqual(['patient', '2026-11-10T07:00:00.000Z']);
        const period = (await findPeriod(database.pool, 'since', '2026-11-01'))!;
        expect(period.seals_at).toEqual(new Date('2026-12-02T06:00:00Z'));
      });

      it.each([
        ['before the open period', {}, '2026-10-31T23:59:59Z'],
        ['after it', {}, '2026-12-01T00:00:00Z'],
        ['with a next period that there is not', { ends_at: '2026-11-30T00:00:00Z' }, 'next_period'],
      ])('but not %s', async (_name, body, plan_effective) => {
        await customer(database.pool, 'bounded', body);
        const put = customer(database.pool, 'bounded', { ...body, plan_id: 'patient', plan_effective });
        await expect(put).rejects.toMatchObject({ code: 'invalid_customer', field: 'plan_effective' });
      });

      it('but not in a sealed period, nor for a customer whose billing begins', async () => {
        await customer(database.pool, 'closed');
        await markSealed(database.pool, (await findPeriod(database.pool, 'closed', '2026-11-01'))!.period_id);
        const late = customer(database.pool, 'closed', {
          plan_id: 'patient',
          plan_effective: '2026-11-10T00:00:00Z',
        });
        await expect(late).rejects.toMatchObject({ code: 'invalid_customer', field: 'plan_effective' });
        const first = customer(database.pool, 'newcomer', { plan_effective: 'next_period' });
        await expect(first).rejects.toMatchObject({ code: 'invalid_customer', field: 'plan_effective' });
      });
    });

    it('keeps the version of the plan that it has, and takes the newest one of another plan or where it says null', async () => {
      const euro = { plan_id: 'euro', currency: 'eur' };
      await customer(database.pool, 'follows', euro);
      await publishPlan(database.pool, { ...euro, rules: [{ markup: '0.5' }] }, 'test');
      const { customer: kept } = await customer(database.pool, 'follows', euro);
      expect(kept).toMatchObject({ plan_version: 1, revision: 1 });
      const { customer: moved } = await customer(database.pool, 'follows', { ...euro, plan_version: null });
      expect(moved).toMatchObject({ plan_version: 2, revision: 2 });
      const { customer: late } = await customer(database.pool, 'joins-late', euro);
      expect(late.plan_version).toBe(2);
    });

    it('a plan in force is taken back to in the version that is in force', async () => {
      const twice = { plan_id: 'twice', currency: 'usd' };
      await publishPlan(database.pool, { ...twice, rules: [{ markup: '0.1' }] }, 'test');
      await customer(database.pool, 'back', twice);
      await publishPlan(database.pool, { ...twice, rules: [{ markup: '0.2' }] }, 'test');
      await customer(database.pool, 'back', { plan_id: 'patient', plan_effective: 'next_period' });
      const { customer: back } = await customer(database.pool, 'back', twice, NOW_MS + 1);
      expect(back).toMatchObject({ plan_id: 'twice', plan_version: 1 });
    });

    const full = {
      name: 'Full Ltd',
      time_zone: 'Europe/Berlin',
      interval: 'quarter',
      anchor_day: 15,
      anchor_month: 2,
      stripe_customer_id: 'cus_full',
      stripe_subscription_id: 'sub_full',
      budgets: [{ budget_id: 'monthly', amount: '250.00', thresholds: ['0.5', '1'] }],
      starts_at: '2026-11-10T00:00:00.000Z',
      ends_at: '2027-06-01T00:00:00.000Z',
    } as const;

    it('keeps all that it leaves out: an upgrade takes back no end of billing, calendar or budget', async () => {
      const body = { ...full, budgets: [...full.budgets] };
      const { customer: made } = await customer(database.pool, 'keeps', { ...body } as object);
      const { customer: same } = await customer(database.pool, 'keeps');
      expect(same).toEqual(made);
      const { customer: upgraded } = await customer(database.pool, 'keeps', { plan_id: 'patient' }, NOW_MS + 1);
      expect(upgraded).toMatchObject({ ...full, plan_id: 'patient', revision: 2 });
      const [, change] = await actions('keeps');
      expect(Object.keys(change!.detail).sort()).toEqual(['plan', 'revision']);
      const { rows } = await database.pool.query('SELECT FROM customer_calendars WHERE customer_id = $1', ['keeps']);
      expect(rows).toHaveLength(1);
    });

    it.each([
      ['name', null, 'name'],
      ['time_zone', 'UTC', 'calendar'],
      ['anchor_day', 1, 'calendar'],
      ['anchor_month', 1, 'calendar'],
      ['stripe_customer_id', null, 'stripe_customer_id'],
      ['stripe_subscription_id', null, 'stripe_subscription_id'],
      ['budgets', [], 'budgets'],
      ['starts_at', null, 'starts_at'],
      ['ends_at', null, 'ends_at'],
    ] as const)('clears %s alone where it says null, and audits that', async (field, standard, audited) => {
      const id = `clears-${field}`;
      const { customer: made } = await customer(database.pool, id, full as object);
      const { customer: cleared } = await customer(database.pool, id, { [field]: null });
      const { [field]: _gone, ...rest } = made;
      expect(cleared).toEqual({
        ...rest,
        ...(standard === null ? {} : { [field]: standard }),
        revision: 2,
        updated_at: cleared.updated_at,
      });
      const [, change] = await actions(id);
      expect(Object.keys(change!.detail).sort()).toEqual([audited, 'revision'].sort());
    });

    it('clears budgets by an empty list, and an interval with the anchors that only it has', async () => {
      await customer(database.pool, 'empties', full as object);
      expect((await customer(database.pool, 'empties', { budgets: [] })).customer.budgets).toEqual([]);
      const { customer: monthly } = await customer(database.pool, 'empties', { interval: null });
      expect(monthly).toMatchObject({ interval: 'month', anchor_day: 15, time_zone: 'Europe/Berlin' });
      const { customer: weekly } = await customer(database.pool, 'empties', { interval: 'week' });
      expect(weekly).toMatchObject({ interval: 'week', anchor_day: 1, anchor_weekday: 1 });
    });

    it('checks what it names against what it keeps', async () => {
      await customer(database.pool, 'checked', full as object);
      await expect(customer(database.pool, 'checked', { anchor_weekday: 2 })).rejects.toMatchObject({
        code: 'invalid_customer',
        field: 'anchor_weekday',
      });
      await expect(customer(database.pool, 'checked', { ends_at: '2026-11-09T00:00:00Z' })).rejects.toMatchObject({
        code: 'invalid_customer',
        field: 'ends_at',
      });
      await expect(customer(database.pool, 'checked', { starts_at: '2027-07-01T00:00:00Z' })).rejects.toMatchObject({
        code: 'invalid_customer',
        field: 'starts_at',
      });
    });

    it('changes what another one that made the customer at the same time said', async () => {
      await Promise.all([
        customer(database.pool, 'meets', { name: 'Meets Ltd' }),
        customer(database.pool, 'meets', { time_zone: 'Asia/Kolkata' }),
      ]);
      expect(await readCustomer(database.pool, 'meets')).toMatchObject({
        name: 'Meets Ltd',
        time_zone: 'Asia/Kolkata',
        revision: 2,
      });
    });

    it('refuses another currency once there is a period', async () => {
      await customer(database.pool, 'dollars');
      const change = customer(database.pool, 'dollars', { plan_id: 'euro', currency: 'eur' });
      await expect(change).rejects.toMatchObject({ code: 'conflict', field: 'currency' });
      await customer(database.pool, 'undecided', { starts_at: '2027-01-10T00:00:00Z' });
      const free = await customer(database.pool, 'undecided', {
        plan_id: 'euro',
        currency: 'eur',
        starts_at: '2027-01-10T00:00:00Z',
      });
      expect(free.customer).toMatchObject({ currency: 'eur', plan_id: 'euro' });
    });
  });

  describe('the end of billing', () => {
    it('cuts the unsealed period it falls into, and moves its deadline', async () => {
      await customer(database.pool, 'ends');
      await customer(database.pool, 'ends', { ends_at: '2026-11-20T00:00:00Z' });
      const period = (await findPeriod(database.pool, 'ends', '2026-11-01'))!;
      expect(period).toMatchObject({
        ends_at: new Date('2026-11-20T00:00:00Z'),
        calendar_to: new Date('2026-12-01T00:00:00Z'),
        seals_at: new Date('2026-11-20T01:00:00Z'),
      });
      const kinds = (await readTimeline(database.pool, period.period_id, 10)).map(({ kind }) => kind);
      expect(kinds).toEqual(['opened', 'end_moved', 'deadline']);
    });

    it('extends the period again while it is unsealed', async () => {
      await customer(database.pool, 'returns', { ends_at: '2026-11-20T00:00:00Z' });
      await customer(database.pool, 'returns', { ends_at: null });
      expect(await spans('returns')).toEqual([['2026-11-01', '2026-11-01T00:00:00.000Z', '2026-12-01T00:00:00.000Z']]);
    });

    it('makes the rest of the month a period of its own once the cut one is sealed', async () => {
      await customer(database.pool, 'resumes', { ends_at: '2026-11-10T00:00:00Z' }, ms('2026-11-09T00:00:00Z'));
      await markSealed(database.pool, (await findPeriod(database.pool, 'resumes', '2026-11-01'))!.period_id);
      await customer(database.pool, 'resumes', { ends_at: null });
      expect(await spans('resumes')).toEqual([
        ['2026-11-01', '2026-11-01T00:00:00.000Z', '2026-11-10T00:00:00.000Z'],
        ['2026-11-10', '2026-11-10T00:00:00.000Z', '2026-12-01T00:00:00.000Z'],
      ]);
    });

    it('cannot cut a sealed period, or lie before a period that exists', async () => {
      await customer(database.pool, 'sealed');
      await ensurePeriodAt(database.pool, 'sealed', ms('2026-12-05T00:00:00Z'), NOW_MS);
      const before = customer(database.pool, 'sealed', { ends_at: '2026-11-20T00:00:00Z' });
      await expect(before).rejects.toMatchObject({ code: 'conflict', field: 'ends_at' });
      await markSealed(database.pool, (await findPeriod(database.pool, 'sealed', '2026-12-01'))!.period_id);
      const into = customer(database.pool, 'sealed', { ends_at: '2026-12-20T00:00:00Z' });
      await expect(into).rejects.toMatchObject({ code: 'conflict', field: 'ends_at' });
    });
  });

  it('start billing earlier on request, but not after a period that has begun', async () => {
    await customer(database.pool, 'starts', { starts_at: '2026-11-10T06:00:00Z' });
    const later = customer(database.pool, 'starts', { starts_at: '2026-11-12T00:00:00Z' });
    await expect(later).rejects.toMatchObject({ code: 'conflict', field: 'starts_at' });
    const sameDay = customer(database.pool, 'starts', { starts_at: '2026-11-10T01:00:00Z' });
    await expect(sameDay).rejects.toMatchObject({ code: 'conflict', field: 'starts_at' });
    await customer(database.pool, 'starts', { starts_at: '2026-11-05T00:00:00Z' });
    await ensurePeriodAt(database.pool, 'starts', ms('2026-11-06T00:00:00Z'), NOW_MS);
    expect((await spans('starts')).sort()).toEqual([
      ['2026-11-05', '2026-11-05T00:00:00.000Z', '2026-11-10T06:00:00.000Z'],
      ['2026-11-10', '2026-11-10T06:00:00.000Z', '2026-12-01T00:00:00.000Z'],
    ]);
  });

  it('are listed page by page in the order of their ids', async () => {
    const ids: string[] = [];
    let cursor: string | null = null;
    do {
      const page = await listCustomers(database.pool, { cursor, limit: 4 });
      ids.push(...page.data.map(({ customer_id }) => customer_id));
      cursor = page.next_cursor;
    } while (cursor !== null);
    expect(ids).toEqual([...ids].sort());
    const { rows } = await database.pool.query('SELECT FROM customers');
    expect(ids).toHaveLength(rows.length);
    await expect(listCustomers(database.pool, { cursor: '!!', limit: 4 })).rejects.toMatchObject({
      code: 'invalid_request',
    });
  });

  describe('period rows', () => {
    it('are made once by many at a time, and late ones seal after a grace from now', async () => {
      await customer(database.pool, 'crowd', { starts_at: '2027-01-01T00:00:00Z' });
      const made = await Promise.all(
        Array.from({ length: 8 }, () =>
          ensurePeriodAt(database.pool, 'crowd', ms('2027-01-05T00:00:00Z'), ms('2027-03-01T00:00:00Z')),
        ),
      );
      expect(new Set(made.map((period) => period!.period_id)).size).toBe(1);
      expect(made[0]!.seals_at).toEqual(new Date('2027-03-01T01:00:00Z'));
    });

    it('never overlap, even where time zone data of two processes differ', async () => {
      await customer(database.pool, 'zones');
      await database.pool.query(
        `UPDATE periods SET ends_at = '2026-12-01T01:00:00Z', calendar_to = '2026-12-01T01:00:00Z' WHERE customer_id = 'zones'`,
      );
      await ensurePeriodAt(database.pool, 'zones', ms('2026-12-01T02:00:00Z'), NOW_MS);
      expect((await spans('zones'))[1]).toEqual(['2026-12-01', '2026-12-01T01:00:00.000Z', '2027-01-01T00:00:00.000Z']);
      const overlap = database.pool.query(
        `INSERT INTO periods (customer_id, start_date, starts_at, ends_at, calendar_from, calendar_to, seals_at)
         SELECT customer_id, '2026-11-30', '2026-11-30', ends_at, '2026-11-30', ends_at, seals_at FROM periods WHERE customer_id = 'zones' LIMIT 1`,
      );
      await expect(overlap).rejects.toThrow(/exclusion constraint/);
    });

    it('change status from an expected one only', async () => {
      await customer(database.pool, 'moody');
      const { period_id } = (await findPeriod(database.pool, 'moody', '2026-11-01'))!;
      const held = await setPeriodStatus(database.pool, period_id, ['open'], 'on_hold', 'a dispute');
      expect(held).toMatchObject({ status: 'on_hold', resume_status: 'open', status_reason: 'a dispute' });
      const wrong = setPeriodStatus(database.pool, period_id, ['open', 'closing'], 'sealed');
      await expect(wrong).rejects.toMatchObject({ code: 'wrong_status', extra: { period_status: 'on_hold' } });
      expect(await setPeriodStatus(database.pool, period_id, ['on_hold'], 'open')).toMatchObject({
        resume_status: null,
      });
      await expect(setPeriodStatus(database.pool, 999_999, ['open'], 'closing')).rejects.toMatchObject({
        code: 'unknown_period',
      });
      expect((await readTimeline(database.pool, period_id, 2)).map(({ detail }) => detail)).toEqual([
        { from: 'open', to: 'on_hold', reason: 'a dispute' },
        { from: 'on_hold', to: 'open' },
      ]);
    });

    it('are listed by customer and status, the newest first', async () => {
      const all = await listPeriods(database.pool, { cursor: null, limit: 500 });
      const first = await listPeriods(database.pool, { cursor: null, limit: 3 });
      const second = await listPeriods(database.pool, { cursor: first.next_cursor, limit: 3 });
      expect([...first.data, ...second.data]).toEqual(all.data.slice(0, 6));
      const sealed = await listPeriods(database.pool, { cursor: null, limit: 500, status: 'sealed' });
      expect(sealed.data.map(({ customer_id }) => customer_id).sort()).toEqual(['closed', 'resumes', 'sealed']);
      expect(await findPeriod(database.pool, 'first', '2026-99-99')).toBeNull();
    });
  });
});
