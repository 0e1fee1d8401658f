import Stripe from 'stripe';
import type { PeriodRef } from '../../src/contracts/engine.js';
import { readPeriodView } from '../../src/invoicing/period-view.js';
import { pollStripe } from '../../src/invoicing/poll-stripe.js';
import { receiveWebhook } from '../../src/invoicing/stripe-changes.js';
import { publishPlan } from '../../src/plans/plan-store.js';
import { openBillingRun } from './billing-run.js';
import { customer, publishBasics } from './ledger.js';
import { subscribe } from './subscription.js';

const SECRET = 'whsec_test';

/** $3.75 an event. */
export const USAGE = { input_tokens: 1_000_000 };

/** Billing without the engine, of customers whose lines stand on subscriptions. */
export async function openSubscriptionRun() {
  const run = await openBillingRun();
  await publishBasics(run.pool);
  const plan = { currency: 'usd', rules: [{ markup: '0.25' }], lines: { group_by: ['feature' as const] } };
  await publishPlan(run.pool, { ...plan, plan_id: 'on-subscription', invoice_on: 'subscription' }, 'test');
  await publishPlan(run.pool, { ...plan, plan_id: 'own' }, 'test');

  const by = <T>(work: (sdk: Stripe) => Promise<T>) => run.stripe.call('by hand', {}, work);
  const october = (customer_id: string): PeriodRef => ({ customer_id, start_date: '2026-10-01' });
  const view = ({ customer_id, start_date }: PeriodRef) => readPeriodView(run.pool, customer_id, start_date);
  const use = (id: string, event_id: string, feature: string) =>
    run.append([{ customer_id: id, event_id, feature, occurred_at: '2026-10-10T00:00:00Z', usage: USAGE }]);
  /** A customer with a subscription and used features, not billed yet. */
  const subscribed = async (id: string, features: string[] = ['chat', 'report']) => {
    const { id: stripeCustomer } = await by((sdk) => sdk.customers.create({ name: id }));
    const subscription = await subscribe(by, stripeCustomer);
    await customer(run.pool, id, {
      plan_id: 'on-subscription',
      stripe_customer_id: stripeCustomer,
      stripe_subscription_id: subscription,
    });
    for (const [index, feature] of features.entries()) await use(id, `e${index}`, feature);
    return { ref: october(id), stripeCustomer, subscription };
  };
  let events = 0;
  return {
    ...run,
    by,
    october,
    view,
    use,
    subscribed,
    /** Such a customer with October billed: two lines of $3.75. */
    async billed(id: string) {
      const made = await subscribed(id);
      const status = await run.close(made.ref);
      if (status !== 'invoiced') throw new Error(`the period is ${status}`);
      return made;
    },
    poll: () => pollStripe(run, { ageMinutes: 0, perSecond: 1_000 }),
    /** Kinds of the period's standing alerts. */
    kinds: async (ref: PeriodRef) => (await view(ref)).stripe_alerts.map(({ kind }) => kind),
    /** A delivery of Stripe, signed as Stripe signs it. */
    deliver(type: string, object: object) {
      const payload = JSON.stringify({ id: `evt_${++events}`, object: 'event', type, data: { object } });
      const signature = Stripe.webhooks.generateTestHeaderString({ payload, secret: SECRET });
      return receiveWebhook({ ...run, webhookSecret: SECRET }, Buffer.from(payload), signature);
    },
    itemsOf: (stripeCustomer: string) =>
      run.standIn.state().invoice_items.filter((item) => item.customer === stripeCustomer),
  };
}
export type SubscriptionRun = Awaited<ReturnType<typeof openSubscriptionRun>>;
