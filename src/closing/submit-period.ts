import type { PeriodRef, SubmitAnswer } from '../contracts/engine.js';
import { inTransaction } from '../database/pool.js';
import { type CorrectOutcome, correctInvoice } from '../invoicing/correct.js';
import { leaveSubscription } from '../invoicing/correct-subscription.js';
import { completeMetered, hasSubmissions } from '../invoicing/correction-store.js';
import { isMetered, readMeterAmounts } from '../invoicing/meter-amounts.js';
import { type MeteredPeriod, readMeteredPeriod } from '../invoicing/meter-events.js';
import { flushPeriod } from '../invoicing/meter-flush.js';
import { noteBilled, readMeterEvents } from '../invoicing/meter-view.js';
import { checkPeriodBooks } from '../invoicing/stripe-changes.js';
import { type SubmitDeps, type SubmitRef, submitInvoice } from '../invoicing/submit.js';
import { readSeal, type Seal } from '../ledger/seal.js';
import { isZero } from '../money/fraction.js';
import { addTimeline, setPeriodStatus } from '../periods/period-store.js';
import { readPeriodRow, readPeriodState } from './period-state.js';
import { submitOnSubscription } from './submit-on-subscription.js';

/**
 * Brings the newest revision of a period that is `submitting` to Stripe and ends it as `invoiced`, or parks it with the
 * reason. Resumable at every point; throws `stripe_unavailable` for what a later attempt can do.
 */
export async function submitPeriod(deps: SubmitDeps, ref: PeriodRef): Promise<SubmitAnswer> {
  const period = await readPeriodRow(deps.pool, ref);
  if (period.status !== 'submitting') {
    return { ...(await readPeriodState(deps.pool, ref)), stripe_invoice_id: null };
  }
  const seal = (await readSeal(deps.pool, period.period_id))!;
  const { submission, collection, stripe, invoice_on } = seal.inputs.plans.at(-1)!;
  if (isMetered(seal.inputs.plans.at(-1))) return submitMetered(deps, ref, seal);
  const metered = await readMeterEvents(deps.pool, period.period_id);
  if (metered !== null && metered.ledger !== '0') {
    return parkSubmission(deps, ref, seal, alreadyMetered(metered.event_name, metered.ledger));
  }
  if (invoice_on === 'subscription') return submitOnSubscription(deps, ref, seal);
  const invoice: SubmitRef = {
    period_id: period.period_id,
    revision: seal.revision,
    mode: submission === 'draft' ? 'draft' : 'stripe',
    collection,
    stripe,
  };
  const outcome: CorrectOutcome =
    seal.revision === 1 ? await submitInvoice(deps, invoice) : await correctOwn(deps, invoice);
  await inTransaction(deps.pool, async (client) => {
    const now = await readPeriodRow(client, ref, true);
    // A later revision may be on its way by now: it has an end of its own.
    const { revision } = (await readSeal(client, now.period_id))!;
    if (now.status !== 'submitting' || revision !== seal.revision) return;
    if (outcome.outcome === 'parked') {
      await setPeriodStatus(client, now.period_id, ['submitting'], 'parked', outcome.reason);
      return;
    }
    await addTimeline(client, now.period_id, outcome.outcome, {
      revision: seal.revision,
      ...('stripe_invoice_id' in outcome ? { stripe_invoice_id: outcome.stripe_invoice_id } : {}),
    });
    await setPeriodStatus(client, now.period_id, ['submitting'], 'invoiced');
    // What was changed at Stripe meanwhile was not compared.
    await checkPeriodBooks(client, now);
  });
  const stripeInvoiceId = 'stripe_invoice_id' in outcome ? outcome.stripe_invoice_id : null;
  return { ...(await readPeriodState(deps.pool, ref)), stripe_invoice_id: stripeInvoiceId };
}

function alreadyMetered(eventName: string, value: string): string {
  return (
    `Usage of this period went to Stripe as events of the meter ${eventName} (${value}): an invoice would bill it twice. ` +
    'Bill the period again under a plan with meter events.'
  );
}

/** Ends a submission that needs a person, unless a later revision is on its way by now. */
async function parkSubmission(deps: SubmitDeps, ref: PeriodRef, seal: Seal, reason: string): Promise<SubmitAnswer> {
  await inTransaction(deps.pool, async (client) => {
    const now = await readPeriodRow(client, ref, true);
    const { revision } = (await readSeal(client, now.period_id))!;
    if (now.status !== 'submitting' || revision !== seal.revision) return;
    await setPeriodStatus(client, now.period_id, ['submitting'], 'parked', reason);
  });
  return { ...(await readPeriodState(deps.pool, ref)), stripe_invoice_id: null };
}

/** An invoice of its own, for a period whose earlier lines do not stand on a subscription's. */
async function correctOwn(deps: SubmitDeps, invoice: SubmitRef): Promise<CorrectOutcome> {
  const reason = await leaveSubscription(deps, invoice);
  return reason === null ? correctInvoice(deps, invoice) : { outcome: 'parked', reason };
}

/** Brings the rest of the period's usage to Stripe's meter and ends it; invoices are Stripe's from there. */
async function submitMetered(deps: SubmitDeps, ref: PeriodRef, seal: Seal): Promise<SubmitAnswer> {
  const period = (await readMeteredPeriod(deps.pool, seal.period_id))!;
  const reason = await whyNotMetered(deps, period, seal.revision);
  if (reason !== null) return parkSubmission(deps, ref, seal, reason);
  await flushPeriod(deps, period);
  await inTransaction(deps.pool, async (client) => {
    const now = await readPeriodRow(client, ref, true);
    const { revision } = (await readSeal(client, now.period_id))!;
    if (now.status !== 'submitting' || revision !== seal.revision) return;
    await completeMetered(client, seal);
    await noteBilled(client, now.period_id);
    const { sent, after_close } = (await readMeterEvents(client, now.period_id))!;
    await addTimeline(client, now.period_id, 'metered', { revision: seal.revision, sent, after_close });
    await setPeriodStatus(client, now.period_id, ['submitting'], 'invoiced');
  });
  return { ...(await readPeriodState(deps.pool, ref)), stripe_invoice_id: null };
}

async function whyNotMetered({ pool }: SubmitDeps, period: MeteredPeriod, revision: number): Promise<string | null> {
  const amounts = await readMeterAmounts(pool, period.period_id, period.plan);
  if (period.stripe_customer_id === null && amounts !== null && [...amounts.values()].some((one) => !isZero(one))) {
    return `${period.customer_id} has no Stripe customer to count usage for; give it one, and release the period.`;
  }
  if (await hasSubmissions(pool, { ...period, revision })) {
    return 'Earlier revisions have invoices at Stripe: meter events would bill the period twice.';
  }
  return null;
}
