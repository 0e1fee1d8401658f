import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { publishCatalogVersion } from '../../src/catalog/publish.js';
import { rebillLate } from '../../src/closing/rebill-late.js';
import { catalogVersionSchema } from '../../src/contracts/catalog.js';
import type { PeriodCommand, PeriodRef } from '../../src/contracts/engine.js';
import type { PlanInput } from '../../src/contracts/plan.js';
import { ensurePeriodAt } from '../../src/customers/customer-periods.js';
import { countWaiting, listWaitingLate, releaseLate, type WaitingLate } from '../../src/ledger/late-store.js';
import { LATE_AFTER_END_DAYS } from '../../src/limits.js';
import { createLogger } from '../../src/observability/logger.js';
import { createMetrics } from '../../src/observability/metrics.js';
import { findPeriod } from '../../src/periods/period-store.js';
import { publishPlan } from '../../src/plans/plan-store.js';
import { lateAlerts } from '../../src/worker/late-alerts.js';
import { type BillingRun, openBillingRun } from '../support/billing-run.js';
import { customer, NOW_MS, publishBasics } from '../support/ledger.js';

const [SEPTEMBER, OCTOBER] = ['2026-09-01', '2026-10-01'];
const HOURS = 3_600_000;

/** Customers whose billing has ended with October. */
describe('late usage where no period is to come', () => {
  let run: BillingRun;
  beforeAll(async () => {
    run = await openBillingRun();
    await publishBasics(run.pool);
    const plan = (plan_id: string, terms: Partial<PlanInput>) =>
      publishPlan(run.pool, { plan_id, currency: 'usd', rules: [{ markup: '0.25' }], ...terms }, 'test');
    await plan('asks', { late_usage: 'hold' });
    await plan('again', { late_usage: 'rebill', rebill_window: 'PT1S' });
  });
  afterAll(() => run.end());

  const ref = (customer_id: string, start_date: string): PeriodRef => ({ customer_id, start_date });
  /** $3.75 of usage a million. */
  const use = (customer_id: string, event_id: string, day: string, more = {}) =>
    run.append([
      { customer_id, event_id, occurred_at: `${day}T00:00:00Z`, usage: { input_tokens: 1_000_000 }, ...more },
    ]);
  async function ended(id: string, plan_id = 'pro') {
    const starts_at = `${SEPTEMBER}T00:00:00Z`;
    await customer(run.pool, id, { plan_id, starts_at }, Date.parse(starts_at));
    for (const at of [SEPTEMBER, OCTOBER]) await ensurePeriodAt(run.pool, id, Date.parse(at!), NOW_MS);
    await customer(run.pool, id, { plan_id, starts_at, ends_at: '2026-11-01T00:00:00Z' });
    await use(id, 'own', '2026-10-10');
    for (const at of [SEPTEMBER, OCTOBER]) await run.close(ref(id, at!));
  }
  const command = (of: PeriodRef, { rebill }: PeriodCommand) => run.command(of, 'rebill', rebill);
  const sweep = (later: number, looked?: Map<number, string>) =>
    rebillLate({ ...run, ...(looked === undefined ? {} : { looked }) }, command, NOW_MS + later);
  const waiting = (customer_id: string) => listWaitingLate(run.pool, { customer_id });
  const total = async (id: string, at: string) => (await run.newest(ref(id, at))).total;
  /** As if the period had been sealed that many days earlier: usage comes at NOW_MS, seals are made by the clock. */
  const sealedBefore = async (id: string, start_date: string, days: number) => {
    await run.pool.query('ALTER TABLE periods DISABLE TRIGGER periods_sealed');
    await run.pool.query(
      `UPDATE periods SET sealed_at = sealed_at - make_interval(days => $3) WHERE customer_id = $1 AND start_date = $2`,
      [id, start_date, days],
    );
    await run.pool.query('ALTER TABLE periods ENABLE TRIGGER periods_sealed');
  };

  it('is billed again in its own period, once the stragglers have stopped', async () => {
    await ended('over');
    expect(await use('over', 'a', '2026-10-20')).toEqual(['late']);
    expect(await use('over', 'b', '2026-09-20')).toEqual(['late']);
    expect(await waiting('over')).toMatchObject([
      { start_date: SEPTEMBER, policy: 'carry', becomes: 'rebilled' },
      { start_date: OCTOBER, policy: 'carry', becomes: 'rebilled' },
    ]);
    expect(await sweep(0)).toBe(0);
    expect(await sweep(2 * HOURS)).toBe(2);
    for (const at of [SEPTEMBER, OCTOBER]) await run.drive(ref('over', at!));
    expect([await total('over', SEPTEMBER!), await total('over', OCTOBER!)]).toEqual(['3.75', '7.50']);
    expect(run.books(ref('over', OCTOBER!))).toBe(750);
    expect(await waiting('over')).toEqual([]);
    expect(await sweep(2 * HOURS)).toBe(0);
  });

  it('is carried as before while a period is to come, or not sealed', async () => {
    const starts_at = `${SEPTEMBER}T00:00:00Z`;
    await customer(run.pool, 'goes-on', { starts_at }, Date.parse(starts_at));
    for (const at of [SEPTEMBER, OCTOBER]) await ensurePeriodAt(run.pool, 'goes-on', Date.parse(at!), NOW_MS);
    await customer(run.pool, 'goes-on', { starts_at, ends_at: '2026-11-01T00:00:00Z' });
    await run.close(ref('goes-on', SEPTEMBER!));
    await use('goes-on', 'a', '2026-09-20');
    expect(await waiting('goes-on')).toMatchObject([{ becomes: 'carried', rebill_until: null }]);
    expect(await sweep(2 * HOURS)).toBe(0);
    await run.close(ref('goes-on', OCTOBER!));
    expect(await total('goes-on', OCTOBER!)).toBe('3.75');
  });

  it('waits for a person where it comes too late, in sight; let go it is billed again all the same', async () => {
    await ended('too-late');
    await sealedBefore('too-late', OCTOBER!, LATE_AFTER_END_DAYS + 15);
    await use('too-late', 'a', '2026-10-20');
    await use('too-late', 'b', '2026-10-21');
    expect(await waiting('too-late')).toMatchObject([{ becomes: 'waits_for_person', events: 2 }]);
    expect(await sweep(2 * HOURS)).toBe(0);
    const period = (await findPeriod(run.pool, 'too-late', OCTOBER!))!;
    expect(await releaseLate(run.pool, period, { actor: 'finance', reason: 'agreed' }, ['a'])).toBe(1);
    expect(await waiting('too-late')).toMatchObject([{ becomes: 'waits_for_person', events: 2, released: 1 }]);
    expect(await sweep(2 * HOURS)).toBe(1);
    await run.drive(ref('too-late', OCTOBER!));
    // What nobody let go still waits.
    expect(await total('too-late', OCTOBER!)).toBe('7.50');
    expect(await waiting('too-late')).toMatchObject([{ becomes: 'waits_for_person', events: 1, released: 0 }]);
    await run.rebill(ref('too-late', OCTOBER!));
    expect(await total('too-late', OCTOBER!)).toBe('11.25');
  });

  it('waits for a person where the plan says so, and does not where the plan bills again within a window', async () => {
    await ended('asked', 'asks');
    await ended('again', 'again');
    await sealedBefore('again', OCTOBER!, 1);
    for (const id of ['asked', 'again']) await use(id, 'a', '2026-10-20');
    expect(await waiting('asked')).toMatchObject([{ policy: 'hold', becomes: 'waits_for_person', rebill_until: null }]);
    // Its window of a second is over; what would be carried then has nowhere to go.
    expect(await waiting('again')).toMatchObject([{ policy: 'rebill', becomes: 'rebilled' }]);
    expect(await sweep(2 * HOURS)).toBe(1);
    await run.drive(ref('again', OCTOBER!));
    expect(await total('again', OCTOBER!)).toBe('7.50');
  });

  it('takes in held usage when it is resolved, and prices what stays held once', async () => {
    const id = 'resolved';
    const starts_at = `${OCTOBER}T00:00:00Z`;
    await customer(run.pool, id, { starts_at }, Date.parse(starts_at));
    await ensurePeriodAt(run.pool, id, Date.parse(OCTOBER!), NOW_MS);
    await customer(run.pool, id, { starts_at, ends_at: '2026-11-01T00:00:00Z' });
    expect(await use(id, 'held', '2026-10-12', { model_id: 'priced-later' })).toEqual(['held']);
    await run.close(ref(id, OCTOBER!));
    const looked = new Map<number, string>();
    expect(await sweep(0, looked)).toBe(0);
    const { period_id } = (await findPeriod(run.pool, id, OCTOBER!))!;
    expect(looked.has(period_id)).toBe(true);
    const price = {
      provider: 'anthropic',
      model_id: 'priced-later',
      meter: 'input_tokens',
      price: '8.00',
      per: 1_000_000,
    };
    await publishCatalogVersion(
      run.pool,
      catalogVersionSchema.parse({
        note: 'test',
        prices: [{ ...price, currency: 'usd', effective_from: '2026-01-01T00:00:00Z' }],
      }),
      { actor: 'test', source: 'test' },
    );
    expect(await sweep(0, looked)).toBe(1);
    await run.drive(ref(id, OCTOBER!));
    expect(await total(id, OCTOBER!)).toBe('10.00');
    expect(await sweep(0, looked)).toBe(0);
  });

  it('is counted, and a person is told once of what waits for one', async () => {
    const metrics = createMetrics();
    const lines: unknown[] = [];
    const logger = createLogger('silent', 'worker');
    logger.warn = ((fields: unknown) => lines.push(fields)) as typeof logger.warn;
    const tell = lateAlerts(metrics, logger);
    const one = (await waiting('asked'))[0]!;
    const now: WaitingLate[] = [one, { ...one, period_id: -1, becomes: 'carried', events: 5 }];
    expect(countWaiting(now)).toEqual({ carried: 5, rebilled: 0, waits_for_person: 1 });
    tell(now);
    tell(now);
    tell([{ ...one, events: 3 }]);
    tell([]);
    tell(now);
    expect(lines).toMatchObject([{ events: 1 }, { events: 3 }, { events: 1 }]);
    expect(await metrics.registry.metrics()).toContain('costplus_late_usage_events{becomes="waits_for_person"} 1');
  });
});
