import type Stripe from 'stripe';
import type { PeriodRef } from '../../src/contracts/engine.js';
import type { PlanInput } from '../../src/contracts/plan.js';
import { type FlushOptions, flushMeterEvents } from '../../src/invoicing/meter-flush.js';
import { readPeriodView } from '../../src/invoicing/period-view.js';
import { pricePeriod } from '../../src/ledger/price-period.js';
import { findPeriod } from '../../src/periods/period-store.js';
import { publishPlan } from '../../src/plans/plan-store.js';
import type { BillingRun } from './billing-run.js';
import { customer, NOW_MS, settle } from './ledger.js';

/** Periods of November 2026 whose usage goes to Stripe as meter events. */
export function openMetered(run: BillingRun) {
  // Meters take events of the last 35 days: Stripe's clock stands where the usage is.
  run.setClock(NOW_MS);
  const november = (customer_id: string): PeriodRef => ({ customer_id, start_date: '2026-11-01' });
  const at = <T>(work: (sdk: Stripe) => Promise<T>) => run.stripe.call('by hand', {}, work);
  return {
    november,
    at,
    /** Stripe looks an hour after the last event was sent, unless a test says otherwise. */
    flush: (options: FlushOptions = {}) =>
      flushMeterEvents({ ...run, heartbeat: () => undefined }, { minutes: 0, now: new Date(NOW_MS), ...options }),
    whole: (ref: PeriodRef) => readPeriodView(run.pool, ref.customer_id, ref.start_date),
    view: async (ref: PeriodRef) => (await readPeriodView(run.pool, ref.customer_id, ref.start_date)).meter_events,
    /** What Stripe counts. */
    events: (stripeCustomer: string) =>
      run.standIn.state().meter_events.filter(({ payload }) => payload.stripe_customer_id === stripeCustomer),
    /** A customer on a metered plan with a meter of its own at Stripe. */
    async metered(id: string, plan: Partial<PlanInput> = {}) {
      const event_name = `usage-${id}`;
      await at((sdk) =>
        sdk.billing.meters.create({ display_name: id, event_name, default_aggregation: { formula: 'sum' } }),
      );
      const made = await at((sdk) => sdk.customers.create({ name: id }));
      const defaults = {
        plan_id: id,
        currency: 'usd',
        rules: [{ markup: '0.25' }],
        submission: 'meter_events' as const,
      };
      await publishPlan(run.pool, { ...defaults, meter_events: { event_name }, ...plan }, 'test');
      await customer(run.pool, id, { plan_id: id, currency: plan.currency ?? 'usd', stripe_customer_id: made.id });
      return { ref: november(id), stripe_customer: made.id };
    },
    /** Usage of input tokens (3 dollars a million), priced. */
    async use(id: string, event_id: string, tokens: number) {
      await run.append([{ customer_id: id, event_id, usage: { input_tokens: tokens } }]);
      await settle(run.pool);
      await pricePeriod(run, (await findPeriod(run.pool, id, '2026-11-01'))!.period_id);
    },
    /** As if the events of a customer had gone to Stripe so many hours before. */
    async sentHoursAgo(id: string, hours: number) {
      await run.pool.query(
        `UPDATE stripe_meter_events SET tried_at = $2
         WHERE period_id IN (SELECT period_id FROM periods WHERE customer_id = $1)`,
        [id, new Date(NOW_MS - hours * 3_600_000)],
      );
    },
  };
}
