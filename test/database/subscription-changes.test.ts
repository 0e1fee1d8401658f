import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PeriodRef } from '../../src/contracts/engine.js';
import { previewRebill } from '../../src/invoicing/rebill-preview.js';
import { refreshInvoiceLines } from '../../src/invoicing/subscription-changes.js';
import { voidUsage } from '../../src/ledger/void-usage.js';
import { StripeClient } from '../../src/stripe/client.js';
import { customer } from '../support/ledger.js';
import { subscribe } from '../support/subscription.js';
import { openSubscriptionRun, type SubscriptionRun } from '../support/subscription-run.js';

describe('what happens to lines on a subscription afterwards', () => {
  let run: SubscriptionRun;
  beforeAll(async () => {
    run = await openSubscriptionRun();
  });
  afterAll(() => run.end());

  it('lines deleted at Stripe raise an alert, and a re-bill places them again', async () => {
    const { ref, stripeCustomer } = await run.billed('deleted');
    const [item] = run.itemsOf(stripeCustomer);
    await run.by((sdk) => sdk.invoiceItems.del(item!.id));
    expect(await run.deliver('invoiceitem.deleted', { id: item!.id, object: 'invoiceitem' })).toBe('recorded');
    expect((await run.view(ref)).stripe_alerts).toMatchObject([
      {
        kind: 'books_differ',
        detail:
          "The period's lines on invoices of the subscription come to 3.75 usd, the period to 7.50 usd " +
          '(1 were deleted there). Bill the period again, or undo it at Stripe.',
      },
    ]);
    expect((await run.newest(ref)).subscription).toMatchObject({ pending_lines: 1, deleted_lines: 1 });
    expect(await run.rebill(ref)).toBe('invoiced');
    expect(await run.kinds(ref)).toEqual([]);
    expect(run.itemsOf(stripeCustomer).map(({ amount }) => amount)).toEqual([375, 375]);
  });

  it('lines edited at Stripe raise alerts that go when it is undone', async () => {
    const { ref, stripeCustomer } = await run.billed('edited');
    const [one, two] = run.itemsOf(stripeCustomer);
    await run.by((sdk) => sdk.invoiceItems.update(one!.id, { amount: 1 }));
    await run.poll();
    expect((await run.kinds(ref)).sort()).toEqual(['books_differ', 'not_as_composed']);
    // Moved from one line to the other: the sum is right, the lines are not.
    await run.by((sdk) => sdk.invoiceItems.update(two!.id, { amount: 749 }));
    await run.poll();
    expect(await run.kinds(ref)).toEqual(['not_as_composed']);
    await run.by((sdk) => sdk.invoiceItems.update(one!.id, { amount: 375 }));
    await run.by((sdk) => sdk.invoiceItems.update(two!.id, { amount: 375 }));
    await run.poll();
    expect(await run.kinds(ref)).toEqual([]);
  });

  it('an invoice with its lines that is voided raises an alert; a re-bill places them whole', async () => {
    const { ref, subscription, stripeCustomer } = await run.billed('voided');
    const invoice = run.standIn.renew(subscription);
    run.standIn.issueDrafts();
    await run.by((sdk) => sdk.invoices.voidInvoice(invoice));
    await run.deliver('invoice.voided', { id: invoice, object: 'invoice', customer: stripeCustomer });
    expect(await run.view(ref)).toMatchObject({ payment_status: 'voided', stripe_alerts: [{ kind: 'books_differ' }] });
    expect(await run.rebill(ref)).toBe('invoiced');
    expect(await run.view(ref)).toMatchObject({ payment_status: 'pending', stripe_alerts: [] });
    expect((await run.newest(ref)).subscription).toMatchObject({ pending_lines: 2 });
  });

  it('lines that wait on a subscription that ends raise an alert', async () => {
    const { ref, subscription, stripeCustomer } = await run.billed('ending');
    await run.by((sdk) => sdk.subscriptions.cancel(subscription));
    await run.deliver('customer.subscription.deleted', {
      id: subscription,
      object: 'subscription',
      customer: stripeCustomer,
    });
    const [alert] = (await run.view(ref)).stripe_alerts;
    expect(alert).toMatchObject({ kind: 'subscription_ended' });
    expect(alert!.detail).toContain(`2 lines wait for an invoice of ${subscription}, which is canceled.`);
    // The remedy: another subscription, and the period billed again.
    const another = await subscribe(run.by, stripeCustomer);
    await customer(run.pool, 'ending', { plan_id: 'on-subscription', stripe_subscription_id: another });
    expect(await run.rebill(ref)).toBe('invoiced');
    expect(await run.kinds(ref)).toEqual([]);
    expect(run.itemsOf(stripeCustomer).map(({ parent }) => parent!.subscription_details.subscription)).toEqual([
      another,
      another,
    ]);
  });

  it('lines on a draft of a subscription that ends raise the alert too: nothing issues it any more', async () => {
    const { ref, subscription } = await run.subscribed('ending-draft');
    run.standIn.renew(subscription);
    expect(await run.close(ref)).toBe('invoiced');
    await run.by((sdk) => sdk.subscriptions.cancel(subscription));
    await run.deliver('customer.subscription.deleted', { id: subscription, object: 'subscription' });
    expect(await run.kinds(ref)).toEqual(['subscription_ended']);
  });

  it('a re-bill is shown before it is done, and the credit of what was billed too much rides on the next invoice', async () => {
    const { ref, subscription, stripeCustomer } = await run.billed('again');
    const preview = () =>
      previewRebill(run, ref.customer_id, ref.start_date, { catalog: 'pinned', plans: 'pinned', refund: 'balance' });
    await run.use('again', 'late', 'chat');
    expect(await preview()).toMatchObject({
      subscription: { deleted_lines: 2, standing: '0.00' },
      follows: { kind: 'subscription_lines', amount: '11.25' },
    });
    const first = run.standIn.renew(subscription);
    run.standIn.issueDrafts();
    await run.poll();
    expect(await preview()).toMatchObject({
      subscription: { deleted_lines: 0, standing: '7.50' },
      stripe: [{ stripe_invoice_id: first, stripe_status: 'open', action: 'keep' }],
      follows: { kind: 'subscription_lines', amount: '3.75' },
    });
    expect(await run.rebill(ref)).toBe('invoiced');
    expect(await run.view(ref)).toMatchObject({ payment_status: 'pending', stripe_alerts: [] });
    expect((await run.view(ref)).invoices[1]).toMatchObject({
      correction: { status: 'completed', difference: '3.75', invoice: 'supplement' },
      subscription: { pending_lines: 1 },
    });
    expect(run.itemsOf(stripeCustomer).at(-1)).toMatchObject({
      amount: 375,
      description: expect.stringMatching(/^Correction · chat/),
    });
    expect(await run.rebill(ref)).toBe('invoiced');
    expect((await run.view(ref)).stripe_alerts).toEqual([]);
  });

  it('of two that read at once, none brings an older state back', async () => {
    const { ref, subscription, stripeCustomer } = await run.billed('racing');
    const invoice = run.standIn.renew(subscription);
    run.standIn.issueDrafts();
    let wake: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      wake = resolve;
    });
    let readings = 0;
    /** Reads the invoice while it is open, and thinks about it until it is woken up. */
    class Slow extends StripeClient {
      override async call<T>(...[name, caller, send]: Parameters<typeof StripeClient.prototype.call<T>>): Promise<T> {
        const answer = await super.call(name, caller, send);
        if (name === 'retrieve subscription invoice' && readings++ === 0) await gate;
        return answer;
      }
    }
    const { url: apiBase, secretKey } = run.standIn;
    const slow = refreshInvoiceLines(
      { pool: run.pool, stripe: new Slow({ secretKey, apiBase, pool: run.pool }) },
      invoice,
      stripeCustomer,
    );
    while (readings === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await run.by((sdk) => sdk.invoices.pay(invoice));
    await run.deliver('invoice.paid', { id: invoice, object: 'invoice', customer: stripeCustomer });
    wake();
    await slow;
    expect(readings).toBe(2);
    expect((await run.view(ref)).payment_status).toBe('paid');
  });

  it('a re-bill to nothing takes the lines that wait away, and nothing is left to pay', async () => {
    const { ref, stripeCustomer } = await run.billed('to-nothing');
    for (const event of ['e0', 'e1']) {
      await voidUsage(run.pool, 'to-nothing', event, { reason: 'a test run', actor: 'test' });
    }
    expect(await run.rebill(ref)).toBe('invoiced');
    expect(run.itemsOf(stripeCustomer)).toEqual([]);
    const { payment_status, invoices, stripe_alerts } = await run.view(ref);
    expect([payment_status, stripe_alerts]).toEqual([null, []]);
    expect(invoices.map((one) => [one.total, one.payment_status, one.subscription!.pending_lines])).toEqual([
      ['7.50', 'deleted', 0],
      ['0.00', null, 0],
    ]);
  });

  describe('a re-bill under a plan that bills in the other way', () => {
    /** Finance says that another plan was meant from the beginning. */
    const assign = (id: string, plan_id: string) =>
      run.pool.query(
        `INSERT INTO plan_assignments (customer_id, effective_from, plan_id, plan_version, assigned_by)
         VALUES ($1, '-infinity', $2, 1, 'test')`,
        [id, plan_id],
      );
    const again = (ref: PeriodRef) => run.rebill(ref, { plans: 'assigned' });

    it('takes lines that wait off the subscription, and makes an invoice', async () => {
      const { ref, stripeCustomer } = await run.billed('to-own');
      await assign('to-own', 'own');
      expect(await again(ref)).toBe('invoiced');
      expect(run.itemsOf(stripeCustomer)).toEqual([]);
      expect(await run.view(ref)).toMatchObject({ payment_status: 'open', stripe_alerts: [] });
      expect(run.books(ref)).toBe(750);
      // And back: the invoice of its own is there, so that the period parks until it is voided.
      await assign('to-own', 'on-subscription');
      await expect(again(ref)).rejects.toThrow('Revision 2 has an invoice of its own at Stripe');
    });

    it('parks where an issued invoice holds its lines', async () => {
      const { ref, subscription } = await run.billed('stays');
      run.standIn.renew(subscription);
      run.standIn.issueDrafts();
      await assign('stays', 'own');
      await expect(again(ref)).rejects.toThrow('Lines of earlier revisions stand on the invoice');
    });
  });
});
