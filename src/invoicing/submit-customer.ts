import { STRIPE_CLOCK_SKEW_SECONDS, STRIPE_IDEMPOTENCY_HOURS } from '../limits.js';
import { customerKey } from '../stripe/idempotency-key.js';
import { isOutcomeUnknown } from '../stripe/stripe-errors.js';
import { META_CUSTOMER } from './draft-check.js';
import { type Claim, type InvoiceToSubmit, keepStripeCustomer } from './submission-store.js';
import { call, readAll, type SubmitDeps, step } from './submit-attempt.js';

/** A key that is this much younger than Stripe's pruning still answers for the customer it made. */
const KEY_MARGIN_HOURS = 1;

/**
 * The Stripe customer of ours; made when we have none yet, and kept by compare-and-set. One idempotency key for each of
 * our customers makes periods that submit at once share one. Where that key may be pruned, or its outcome is not known,
 * Stripe's customers are listed before another is made.
 */
export async function ensureStripeCustomer(deps: SubmitDeps, invoice: InvoiceToSubmit, claim: Claim): Promise<string> {
  if (claim.current_customer_id !== null) return claim.current_customer_id;
  const body = {
    name: invoice.customer_name ?? invoice.customer_id,
    metadata: { [META_CUSTOMER]: invoice.customer_id },
  };
  const create = (retry?: string) =>
    call(deps, 'create customer', (sdk) =>
      sdk.customers.create(body, { idempotencyKey: customerKey(invoice.customer_id, body, retry) }),
    );
  const ageHours = (Date.now() - claim.first_started_at.getTime()) / 3_600_000;
  let made = ageHours > STRIPE_IDEMPOTENCY_HOURS - KEY_MARGIN_HOURS ? await findCustomer(deps, invoice, claim) : null;
  if (made === null) {
    try {
      made = (await create()).id;
    } catch (error) {
      if (!isOutcomeUnknown(error)) throw error;
      // The key may answer with this failure for a day: read, then go on under a key of this attempt.
      made = await findCustomer(deps, invoice, claim);
      if (made === null) made = (await create(`${invoice.key}/${claim.attempt}`)).id;
    }
  }
  const found = made;
  return step(deps, 'keep customer', () => keepStripeCustomer(deps.pool, invoice.customer_id, found));
}

async function findCustomer(deps: SubmitDeps, invoice: InvoiceToSubmit, claim: Claim): Promise<string | null> {
  const created = { gte: Math.floor(claim.first_started_at.getTime() / 1_000) - STRIPE_CLOCK_SKEW_SECONDS };
  const all = await readAll(deps, 'list customers', (sdk, page) => sdk.customers.list({ created, ...page }));
  // The oldest, so that every reader takes the same one.
  return all.filter((customer) => customer.metadata[META_CUSTOMER] === invoice.customer_id).at(-1)?.id ?? null;
}
