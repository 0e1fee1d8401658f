import { refused } from './stripe-answer.js';
import { type Endpoint, findCustomer, findInvoice, findSubscription, pageOf, seconds } from './stripe-endpoint.js';
import { listOf, newId } from './stripe-objects.js';
import { readParameters, schemas } from './stripe-parameters.js';
import { issueSubscriptionInvoice, makeSubscriptionInvoice } from './stripe-renewal.js';
import type { StandInSubscription } from './stripe-subscription-objects.js';
import { subscriptionSchemas } from './stripe-subscription-parameters.js';

/** Makes a subscription and issues its first invoice at once, as Stripe does where it charges automatically. */
export const createSubscription: Endpoint = (context, _id, params) => {
  const asked = readParameters(subscriptionSchemas.create, params);
  const customer = findCustomer(context, asked.customer, 400);
  const currency = asked.items[0]!.price_data.currency;
  if (asked.items.some(({ price_data }) => price_data.currency !== currency)) {
    throw refused('All prices of a subscription must be in one currency.', undefined, 'items');
  }
  const now = seconds(context);
  const id = newId('sub');
  const subscription: StandInSubscription = {
    id,
    object: 'subscription',
    created: now,
    customer: customer.id,
    currency,
    status: 'active',
    billing_cycle_anchor: now,
    cancel_at_period_end: false,
    canceled_at: null,
    collection_method: asked.collection_method,
    days_until_due: asked.days_until_due ?? null,
    latest_invoice: null,
    livemode: false,
    metadata: asked.metadata ?? {},
    test_clock: customer.test_clock,
    items: {
      object: 'list',
      data: asked.items.map(({ price_data, quantity }) => ({
        id: newId('si'),
        object: 'subscription_item',
        unit_amount: price_data.unit_amount,
        product: price_data.product,
        quantity,
      })),
      has_more: false,
      url: `/v1/subscription_items?subscription=${id}`,
    },
  };
  context.store.put('subscriptions', id, subscription);
  issueSubscriptionInvoice(context, makeSubscriptionInvoice(context, subscription, 'subscription_create', null));
  context.emit('customer.subscription.created', findSubscription(context, id));
  return findSubscription(context, id);
};

export const retrieveSubscription: Endpoint = (context, id, params) => {
  readParameters(schemas.none, params);
  return findSubscription(context, id);
};

/** Cancels at once: drafts stop advancing, and pending items stay with the customer. */
export const cancelSubscription: Endpoint = (context, id, params) => {
  readParameters(subscriptionSchemas.cancel, params);
  const subscription = findSubscription(context, id);
  if (subscription.status === 'canceled') {
    throw refused(`No such subscription: '${id}'`, 'resource_missing', 'subscription', 404);
  }
  subscription.status = 'canceled';
  subscription.canceled_at = seconds(context);
  context.store.put('subscriptions', id, subscription);
  for (const { id: invoiceId, status, parent } of context.store.invoicesOf(subscription.customer)) {
    if (status !== 'draft' || parent?.subscription_details.subscription !== id) continue;
    const draft = findInvoice(context, invoiceId);
    context.store.put('invoices', invoiceId, { ...draft, auto_advance: false, automatically_finalizes_at: null });
  }
  context.emit('customer.subscription.deleted', subscription);
  return subscription;
};

export const listSubscriptions: Endpoint = (context, _id, params) => {
  const asked = readParameters(subscriptionSchemas.list, params);
  const found = context.store
    .values('subscriptions')
    .reverse()
    .filter(
      (it) =>
        (asked.customer ?? it.customer) === it.customer &&
        (asked.status === 'all' ||
          (asked.status === undefined ? it.status !== 'canceled' : it.status === asked.status)),
    );
  return listOf('/v1/subscriptions', pageOf(found, asked.starting_after, asked.limit), asked.limit);
};
