import type Stripe from 'stripe';
import { INVOICE_LINES_COUNT, SUBSCRIPTION_DRAFT_MINUTES } from '../limits.js';
import { isMissing } from '../stripe/stripe-errors.js';
import { type InvoiceToSubmit, keepStripeCustomer } from './submission-store.js';
import { call, readAll, type SubmitDeps, step } from './submit-attempt.js';
import { Parked } from './submit-draft.js';
import type { PinnedTarget } from './subscription-store.js';

/** Statuses after which a subscription makes no invoice any more. */
const ENDED: readonly Stripe.Subscription.Status[] = ['canceled', 'incomplete_expired'];

export function hasEnded(subscription: Pick<Stripe.Subscription, 'status'> | null): boolean {
  return subscription === null || ENDED.includes(subscription.status);
}

/** A subscription, or null where Stripe has none. */
export async function readSubscription(deps: SubmitDeps, id: string): Promise<Stripe.Subscription | null> {
  try {
    return await call(deps, 'retrieve subscription', (sdk) => sdk.subscriptions.retrieve(id));
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

/**
 * Where the lines of our customer go now: a draft of the subscription's renewal that stays one long enough and has room,
 * else its next invoice. A customer without a Stripe customer takes that of the subscription. Parks where the subscription
 * cannot bill them.
 */
export async function findTarget(deps: SubmitDeps, invoice: InvoiceToSubmit): Promise<PinnedTarget> {
  const { rows } = await deps.pool.query<{ customer: string | null; subscription: string | null }>(
    `SELECT stripe_customer_id AS customer, stripe_subscription_id AS subscription FROM customers
     WHERE customer_id = $1`,
    [invoice.customer_id],
  );
  const { customer, subscription: id } = rows[0]!;
  if (id === null) {
    throw new Parked(`${invoice.customer_id} has no stripe_subscription_id for its lines; ${REMEDY}.`);
  }
  const subscription = await readSubscription(deps, id);
  if (subscription === null) throw new Parked(`Stripe has no subscription ${id}; ${REMEDY}.`);
  if (hasEnded(subscription)) throw new Parked(endedReason(id, subscription.status));
  if (subscription.currency !== invoice.currency) {
    throw new Parked(`The subscription ${id} is in ${subscription.currency}, not ${invoice.currency}; ${REMEDY}.`);
  }
  const of = typeof subscription.customer === 'string' ? subscription.customer : subscription.customer.id;
  const ours =
    customer ?? (await step(deps, 'keep customer', () => keepStripeCustomer(deps.pool, invoice.customer_id, of)));
  if (ours !== of) throw new Parked(`The subscription ${id} is of another Stripe customer than ${ours}; ${REMEDY}.`);
  return {
    stripe_customer_id: ours,
    stripe_subscription_id: id,
    target_invoice_id: await findDraft(deps, subscription, invoice),
  };
}

function endedReason(id: string, status: string): string {
  return `The subscription ${id} is ${status} and makes no invoice any more; ${REMEDY}.`;
}

const REMEDY = 'give the customer another one, and release the period';

async function findDraft(
  deps: SubmitDeps,
  subscription: Stripe.Subscription,
  invoice: InvoiceToSubmit,
): Promise<string | null> {
  // A test clock's time says nothing about how long a draft lasts by ours.
  if (subscription.test_clock) return null;
  const drafts = await readAll(deps, 'list subscription drafts', (sdk, page) =>
    sdk.invoices.list({ subscription: subscription.id, status: 'draft', ...page }),
  );
  const until = Date.now() / 1_000 + SUBSCRIPTION_DRAFT_MINUTES * 60;
  for (const draft of drafts) {
    const { automatically_finalizes_at: finalizes, billing_reason, currency } = draft;
    if (billing_reason !== 'subscription_cycle' || currency !== invoice.currency) continue;
    if (finalizes === null || finalizes < until) continue;
    if ((await countLines(deps, draft)) + invoice.lines.length <= INVOICE_LINES_COUNT) return draft.id;
  }
  return null;
}

async function countLines(deps: SubmitDeps, draft: Stripe.Invoice): Promise<number> {
  if (!draft.lines.has_more) return draft.lines.data.length;
  return (await readAll(deps, 'list lines', (sdk, page) => sdk.invoices.listLineItems(draft.id, page))).length;
}
