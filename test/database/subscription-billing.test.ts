import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PeriodRef } from '../../src/contracts/engine.js';
import { customer } from '../support/ledger.js';
import { subscribe } from '../support/subscription.js';
import { openSubscriptionRun, type SubscriptionRun, USAGE } from '../support/subscription-run.js';

describe("a period whose lines stand on the customer's subscription", () => {
  let run: SubscriptionRun;
  beforeAll(async () => {
    run = await openSubscriptionRun();
  });
  afterAll(() => run.end());

  it('is invoiced with its lines pending, then linked to the invoice that they ride on, and paid', async () => {
    const { ref, subscription, stripeCustomer } = await run.billed('happy');
    expect(await run.view(ref)).toMatchObject({
      status: 'invoiced',
      payment_status: 'pending',
      stripe_alerts: [],
      invoices: [
        {
          total: '7.50',
          stripe_invoice_id: null,
          payment_status: 'pending',
          subscription: { stripe_subscription_id: subscription, pending_lines: 2, deleted_lines: 0, invoices: [] },
        },
      ],
    });
    expect(run.itemsOf(stripeCustomer)).toMatchObject([
      { amount: 375, invoice: null, discountable: false, metadata: { costplus_invoice: 'happy/2026-10-01/1' } },
      { amount: 375, invoice: null, discountable: false },
    ]);
    const invoice = run.standIn.renew(subscription);
    const object = { id: invoice, object: 'invoice', customer: stripeCustomer };
    expect(await run.deliver('invoice.created', object)).toBe('recorded');
    expect((await run.newest(ref)).stripe_status).toBe('draft');
    expect((await run.view(ref)).payment_status).toBe('pending');
    run.standIn.issueDrafts();
    expect(await run.deliver('invoice.finalized', object)).toBe('recorded');
    expect((await run.view(ref)).payment_status).toBe('open');
    await run.by((sdk) => sdk.invoices.pay(invoice));
    await run.deliver('invoice.paid', object);
    expect(await run.view(ref)).toMatchObject({ payment_status: 'paid', stripe_alerts: [] });
    // The invoice has the subscription's own price beside our lines: its subtotal is never compared with ours.
    expect(await run.newest(ref)).toMatchObject({
      total: '7.50',
      stripe_invoice_id: invoice,
      stripe_status: 'paid',
      stripe_number: expect.any(String),
      hosted_invoice_url: expect.any(String),
      stripe_total: null,
      payment_status: 'paid',
      subscription: {
        pending_lines: 0,
        invoices: [{ stripe_invoice_id: invoice, payment_status: 'paid', lines: 2, amount: '7.50' }],
      },
    });
    expect((await run.view(ref)).timeline.map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(['placed', 'payment']),
    );
    expect(await run.deliver('invoice.paid', { ...object, customer: 'cus_other', id: 'in_other' })).toBe('ignored');
  });

  it('goes on the renewal that is a draft, and is seen by polling where no webhook comes', async () => {
    const { ref, subscription } = await run.subscribed('on-draft');
    const draft = run.standIn.renew(subscription);
    expect(await run.close(ref)).toBe('invoiced');
    expect(await run.newest(ref)).toMatchObject({
      stripe_invoice_id: draft,
      stripe_status: 'draft',
      payment_status: 'pending',
    });
    run.standIn.issueDrafts();
    run.standIn.collect();
    await run.poll();
    expect((await run.view(ref)).payment_status).toBe('failed');
    await run.by((sdk) => sdk.invoices.pay(draft));
    await run.poll();
    expect((await run.view(ref)).payment_status).toBe('paid');
    // Final: it is not asked for again.
    const before = run.standIn.state().requests.length;
    await run.poll();
    const asked = run.standIn
      .state()
      .requests.slice(before)
      .map(({ path }) => path);
    expect(asked).not.toContain(`/v1/invoices/${draft}`);
  });

  it('does not go on a draft that is about to be issued', async () => {
    const { ref, subscription, stripeCustomer } = await run.subscribed('late-draft');
    run.standIn.renew(subscription, 600);
    expect(await run.close(ref)).toBe('invoiced');
    expect(run.itemsOf(stripeCustomer).map(({ invoice }) => invoice)).toEqual([null, null]);
  });

  it('does not go on a draft that has no room for all of its lines', async () => {
    const { ref, subscription, stripeCustomer } = await run.subscribed('full-draft');
    const draft = run.standIn.renew(subscription);
    const lines = Array.from({ length: 248 }, () => ({ amount: 1 }));
    await run.by((sdk) => sdk.invoices.addLines(draft, { lines }));
    expect(await run.close(ref)).toBe('invoiced');
    expect(run.itemsOf(stripeCustomer).map(({ invoice }) => invoice)).toEqual([null, null]);
  });

  it('two periods and a second customer may stand on one invoice of one subscription', async () => {
    const { ref, subscription, stripeCustomer } = await run.subscribed('shared');
    await customer(run.pool, 'shared-too', {
      plan_id: 'on-subscription',
      stripe_customer_id: stripeCustomer,
      stripe_subscription_id: subscription,
    });
    await run.use('shared-too', 'a', 'chat');
    await run.append([{ customer_id: 'shared', event_id: 'n', feature: 'chat', usage: USAGE }]);
    const november = { customer_id: 'shared', start_date: '2026-11-01' };
    for (const each of [ref, november, run.october('shared-too')]) expect(await run.close(each)).toBe('invoiced');
    const invoice = run.standIn.renew(subscription);
    run.standIn.issueDrafts();
    await run.by((sdk) => sdk.invoices.pay(invoice));
    await run.deliver('invoice.paid', { id: invoice, object: 'invoice', customer: stripeCustomer });
    for (const each of [ref, november, run.october('shared-too')]) {
      expect(await run.view(each)).toMatchObject({ payment_status: 'paid', stripe_alerts: [] });
    }
    expect((await run.newest(november)).subscription).toMatchObject({ invoices: [{ lines: 1, amount: '3.75' }] });
  });

  describe('parks, and goes on when it is released', () => {
    const parks = async (ref: PeriodRef, reason: string) => {
      await expect(run.close(ref)).rejects.toThrow(`the period is parked: ${reason}`);
    };
    const goesOn = async (ref: PeriodRef) => {
      await run.command(ref, 'release');
      expect(await run.drive(ref)).toBe('invoiced');
    };

    it('a customer without a subscription', async () => {
      const { ref, subscription } = await run.subscribed('none');
      await customer(run.pool, 'none', { plan_id: 'on-subscription', stripe_subscription_id: null });
      await parks(ref, 'none has no stripe_subscription_id for its lines; give the customer another one');
      await customer(run.pool, 'none', { plan_id: 'on-subscription', stripe_subscription_id: subscription });
      await goesOn(ref);
    });

    it('a subscription that is canceled, or that there is not', async () => {
      const { ref, subscription, stripeCustomer } = await run.subscribed('canceled');
      await run.by((sdk) => sdk.subscriptions.cancel(subscription));
      await parks(ref, `The subscription ${subscription} is canceled and makes no invoice any more`);
      await customer(run.pool, 'canceled', { plan_id: 'on-subscription', stripe_subscription_id: 'sub_unknown' });
      await run.command(ref, 'release');
      await expect(run.drive(ref)).rejects.toThrow('Stripe has no subscription sub_unknown');
      const another = await subscribe(run.by, stripeCustomer);
      await customer(run.pool, 'canceled', { plan_id: 'on-subscription', stripe_subscription_id: another });
      await goesOn(ref);
    });

    it('a subscription of another customer, or in another currency', async () => {
      const other = await run.subscribed('other-owner', []);
      const { ref, stripeCustomer } = await run.subscribed('foreign');
      await customer(run.pool, 'foreign', { plan_id: 'on-subscription', stripe_subscription_id: other.subscription });
      await parks(ref, `The subscription ${other.subscription} is of another Stripe customer than ${stripeCustomer}`);
      const inEuro = await subscribe(run.by, stripeCustomer, { currency: 'eur' });
      await customer(run.pool, 'foreign', { plan_id: 'on-subscription', stripe_subscription_id: inEuro });
      await run.command(ref, 'release');
      await expect(run.drive(ref)).rejects.toThrow(`The subscription ${inEuro} is in eur, not usd`);
      const right = await subscribe(run.by, stripeCustomer);
      await customer(run.pool, 'foreign', { plan_id: 'on-subscription', stripe_subscription_id: right });
      await goesOn(ref);
    });
  });

  it('a customer without a Stripe customer takes that of its subscription', async () => {
    const { stripeCustomer, subscription } = await run.subscribed('owner', []);
    await customer(run.pool, 'adopting', { plan_id: 'on-subscription', stripe_subscription_id: subscription });
    await run.use('adopting', 'a', 'chat');
    expect(await run.close(run.october('adopting'))).toBe('invoiced');
    expect(run.itemsOf(stripeCustomer)).toHaveLength(1);
  });
});
