import Stripe from 'stripe';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type StripeStandIn, startStripeStandIn } from '../../../src/dev/stripe-stand-in.js';

describe('subscriptions and invoice items of the Stripe stand-in', () => {
  let standIn: StripeStandIn;
  let sdk: Stripe;
  let customer: string;
  let subscription: string;
  beforeEach(async () => {
    standIn = await startStripeStandIn({ directory: null, environment: {} });
    const { hostname: host, port } = new URL(standIn.url);
    sdk = new Stripe(standIn.secretKey, { host, port: Number(port), protocol: 'http', maxNetworkRetries: 0 });
    customer = (await sdk.customers.create({ name: 'Acme' })).id;
    subscription = (await subscribe()).id;
  });
  afterEach(() => standIn.close());

  const subscribe = (currency = 'usd') =>
    sdk.subscriptions.create({
      customer,
      items: [
        {
          price_data: { currency, product: 'prod_1', recurring: { interval: 'month' }, unit_amount: 900 },
          quantity: 2,
        },
      ],
    });
  const item = (given: Partial<Stripe.InvoiceItemCreateParams> = {}) =>
    sdk.invoiceItems.create({ customer, subscription, amount: 100, currency: 'usd', ...given });
  const invoiceOf = (id: string) => sdk.invoices.retrieve(id);

  it('a subscription bills its first period at once, and each renewal by a draft that is issued an hour later', async () => {
    const made = await sdk.subscriptions.retrieve(subscription);
    expect(made).toMatchObject({ status: 'active', currency: 'usd', customer });
    expect(await invoiceOf(String(made.latest_invoice))).toMatchObject({
      billing_reason: 'subscription_create',
      status: 'open',
    });
    const draft = standIn.renew(subscription);
    expect(await invoiceOf(draft)).toMatchObject({
      status: 'draft',
      billing_reason: 'subscription_cycle',
      subtotal: 1_800,
      automatically_finalizes_at: expect.any(Number),
      parent: { subscription_details: { subscription } },
    });
    standIn.advance(3_500_000);
    expect((await invoiceOf(draft)).status).toBe('draft');
    standIn.advance(101_000);
    expect(await invoiceOf(draft)).toMatchObject({ status: 'open', automatically_finalizes_at: null });
    await expect(sdk.invoices.del(draft)).rejects.toMatchObject({ statusCode: 400 });
    const { data } = await sdk.invoices.list({ subscription, status: 'open' });
    expect(data.map(({ id }) => id)).toEqual([draft, made.latest_invoice]);
  });

  it('pending items ride on the next renewal of their subscription, at most what an invoice holds', async () => {
    const other = await subscribe();
    const ours = await item();
    const theirs = await item({ subscription: other.id });
    const draft = standIn.renew(subscription);
    expect((await sdk.invoiceItems.retrieve(ours.id)).invoice).toBe(draft);
    expect((await sdk.invoiceItems.retrieve(theirs.id)).invoice).toBeNull();
    expect(await invoiceOf(draft)).toMatchObject({ subtotal: 1_900 });
    const { data } = await sdk.invoices.listLineItems(draft);
    expect(data.at(-1)).toMatchObject({ amount: 100, parent: { invoice_item_details: { invoice_item: ours.id } } });
    expect((await sdk.invoiceItems.list({ customer, pending: true })).data.map(({ id }) => id)).toEqual([theirs.id]);
    expect((await sdk.invoiceItems.list({ invoice: draft })).data.map(({ id }) => id)).toEqual([ours.id]);
    for (let n = 0; n < 251; n++) await item();
    const full = standIn.renew(subscription);
    expect((await sdk.invoiceItems.list({ customer, pending: true, limit: 100 })).data).toHaveLength(3);
    await expect(item({ invoice: full })).rejects.toMatchObject({ code: 'invoice_too_many_line_items' });
  });

  it('an item on a draft can be changed and deleted; on an issued invoice nothing can', async () => {
    const draft = standIn.renew(subscription);
    const added = await item({ invoice: draft });
    expect((await invoiceOf(draft)).subtotal).toBe(1_900);
    await sdk.invoiceItems.update(added.id, { amount: 150 });
    expect((await invoiceOf(draft)).subtotal).toBe(1_950);
    const removed = await item({ invoice: draft });
    expect(await sdk.invoiceItems.del(removed.id)).toMatchObject({ deleted: true });
    expect((await invoiceOf(draft)).subtotal).toBe(1_950);
    standIn.issueDrafts();
    for (const refused of [
      () => item({ invoice: draft }),
      () => sdk.invoiceItems.del(added.id),
      () => sdk.invoiceItems.update(added.id, { amount: 1 }),
    ]) {
      await expect(refused()).rejects.toMatchObject({ statusCode: 400, code: 'invoice_not_editable' });
    }
    await expect(sdk.invoiceItems.del(removed.id)).rejects.toMatchObject({ statusCode: 404 });
  });

  it('refuses what does not belong together', async () => {
    const stranger = (await sdk.customers.create({ name: 'Other' })).id;
    const inEuro = await subscribe('eur');
    const draft = standIn.renew(inEuro.id);
    for (const [given, message] of [
      [{ customer: stranger }, 'does not have a subscription'],
      [{ subscription: inEuro.id }, 'in eur'],
      [{ invoice: draft }, 'does not belong'],
      [{ subscription: 'sub_none' }, 'No such subscription'],
      [{ currency: undefined }, 'currency'],
      [{ price_data: { currency: 'usd', product: 'p', unit_amount: 1 } }, 'one of amount and price_data'],
    ] as [Partial<Stripe.InvoiceItemCreateParams>, string][]) {
      await expect(item(given)).rejects.toThrow(message);
    }
  });

  it('a canceled subscription renews no more, takes no items, and its drafts are not issued', async () => {
    const pending = await item();
    const draft = standIn.renew(subscription);
    const later = await item();
    expect(await sdk.subscriptions.cancel(subscription)).toMatchObject({ status: 'canceled' });
    await expect(item()).rejects.toThrow('does not have a subscription');
    standIn.issueDrafts();
    expect((await invoiceOf(draft)).status).toBe('draft');
    expect((await sdk.invoiceItems.retrieve(pending.id)).invoice).toBe(draft);
    expect((await sdk.invoiceItems.retrieve(later.id)).invoice).toBeNull();
    expect(() => standIn.renew(subscription)).toThrow('does not renew');
    expect((await sdk.subscriptions.list({ customer })).data).toEqual([]);
    expect((await sdk.subscriptions.list({ customer, status: 'all' })).data).toHaveLength(1);
  });

  it('the controls renew and issue from outside', async () => {
    const control = async (path: string, body: object) =>
      (await fetch(`${standIn.url}${path}`, { method: 'POST', body: JSON.stringify(body) })).json() as Promise<{
        invoice: string;
      }>;
    const { invoice } = await control('/_renew', { subscription, draft_seconds: 60 });
    expect((await invoiceOf(invoice)).status).toBe('draft');
    await control('/_issue', {});
    expect((await invoiceOf(invoice)).status).toBe('open');
  });
});
