import { INVOICE_LINES_COUNT } from '../limits.js';
import { type EndpointContext, findInvoice, keep, seconds } from './stripe-endpoint.js';
import { compute, createInvoice, finalizeInvoice } from './stripe-invoice-endpoints.js';
import { attachItems } from './stripe-item-endpoints.js';
import { newId, type StandInInvoice } from './stripe-objects.js';
import type { StandInSubscription } from './stripe-subscription-objects.js';

/** How long a renewal's invoice stays a draft at Stripe, unless the account's settings say otherwise. */
const DRAFT_SECONDS = 3_600;

/**
 * A draft of a subscription: its prices, and as many of the customer's pending items as there is room for, those of other
 * subscriptions left out. `finalizesAt` null: nothing issues it by itself.
 */
export function makeSubscriptionInvoice(
  context: EndpointContext,
  subscription: StandInSubscription,
  reason: 'subscription_create' | 'subscription_cycle',
  finalizesAt: number | null,
): StandInInvoice {
  const made = createInvoice(context, '', {
    customer: subscription.customer,
    currency: subscription.currency,
    auto_advance: 'true',
    collection_method: subscription.collection_method,
    ...(subscription.days_until_due === null ? {} : { days_until_due: String(subscription.days_until_due) }),
  }) as { id: string };
  const invoice = findInvoice(context, made.id);
  invoice.billing_reason = reason;
  invoice.automatically_finalizes_at = finalizesAt;
  invoice.parent = { type: 'subscription_details', subscription_details: { subscription: subscription.id } };
  const now = seconds(context);
  for (const { unit_amount, product, quantity } of subscription.items.data) {
    const amount = unit_amount * quantity;
    invoice.lines.push({
      id: newId('il'),
      object: 'line_item',
      amount,
      subtotal: amount,
      currency: subscription.currency,
      description: `${quantity} × ${product}`,
      discountable: true,
      discounts: [],
      discount_amounts: [],
      invoice: invoice.id,
      livemode: false,
      metadata: {},
      period: { start: now, end: now },
      quantity,
      taxes: [],
      tax_code: null,
    });
  }
  compute(invoice);
  const pending = context.store
    .values('invoice_items')
    .filter(
      (item) =>
        item.invoice === null &&
        item.customer === subscription.customer &&
        item.currency === subscription.currency &&
        (item.parent?.subscription_details.subscription ?? subscription.id) === subscription.id,
    );
  attachItems(context, invoice, pending.slice(0, INVOICE_LINES_COUNT - invoice.lines.length));
  keep(context, invoice, 'invoice.created');
  context.store.put('subscriptions', subscription.id, { ...subscription, latest_invoice: invoice.id });
  return invoice;
}

export function issueSubscriptionInvoice(context: EndpointContext, { id }: Pick<StandInInvoice, 'id'>): void {
  finalizeInvoice(context, id, { auto_advance: 'true' });
  context.store.put('invoices', id, { ...findInvoice(context, id), automatically_finalizes_at: null });
}

/** A subscription's period ends: the draft of its renewal is made. Answers its id. Throws where it has ended. */
export function renewSubscription(context: EndpointContext, id: string, draftSeconds: number = DRAFT_SECONDS): string {
  const subscription = context.store.get('subscriptions', id);
  if (!subscription || subscription.status === 'canceled') throw new Error(`the subscription ${id} does not renew`);
  return makeSubscriptionInvoice(context, subscription, 'subscription_cycle', seconds(context) + draftSeconds).id;
}

/** Stripe issues the drafts of renewals whose time has come; all of them where `until` says so. */
export function issueRenewals(context: EndpointContext, until: number = seconds(context)): void {
  for (const { id, status, auto_advance, automatically_finalizes_at: at } of context.store.values('invoices')) {
    if (status === 'draft' && auto_advance && at !== null && at <= until) issueSubscriptionInvoice(context, { id });
  }
}
