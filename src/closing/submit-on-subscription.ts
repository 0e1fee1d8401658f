import type { PeriodRef, SubmitAnswer } from '../contracts/engine.js';
import { inTransaction } from '../database/pool.js';
import { correctOnSubscription } from '../invoicing/correct-subscription.js';
import type { SubmitDeps } from '../invoicing/submit.js';
import { placeOnSubscription } from '../invoicing/submit-subscription.js';
import { checkPlacedBooks } from '../invoicing/subscription-books.js';
import { refreshPlaced } from '../invoicing/subscription-changes.js';
import { readPlacedRevisions } from '../invoicing/subscription-view.js';
import { readSeal, type Seal } from '../ledger/seal.js';
import { addTimeline, setPeriodStatus } from '../periods/period-store.js';
import { readPeriodRow, readPeriodState } from './period-state.js';

/**
 * Brings the lines of a period that is `submitting` onto the customer's Stripe subscription and ends it as `invoiced`, or parks
 * it with the reason. Resumable at every point; throws `stripe_unavailable` for what a later attempt can do.
 */
export async function submitOnSubscription(deps: SubmitDeps, ref: PeriodRef, seal: Seal): Promise<SubmitAnswer> {
  const { period_id, revision } = seal;
  const placing = { period_id, revision, default_tax_code: seal.inputs.plans.at(-1)!.stripe?.default_tax_code };
  const outcome =
    revision === 1 ? await placeOnSubscription(deps, placing) : await correctOnSubscription(deps, placing);
  // Lines on a draft, or on an invoice that was issued meanwhile, are linked at once.
  if (outcome.outcome === 'placed') await refreshPlaced(deps, period_id);
  const placed = (await readPlacedRevisions(deps.pool, period_id)).get(revision)?.subscription;
  await inTransaction(deps.pool, async (client) => {
    const now = await readPeriodRow(client, ref, true);
    // A later revision may be on its way by now: it has an end of its own.
    const newest = (await readSeal(client, now.period_id))!;
    if (now.status !== 'submitting' || newest.revision !== revision) return;
    if (outcome.outcome === 'parked') {
      await setPeriodStatus(client, now.period_id, ['submitting'], 'parked', outcome.reason);
      return;
    }
    const subscription = placed?.stripe_subscription_id ?? null;
    await addTimeline(client, now.period_id, 'placed', {
      revision,
      lines: outcome.lines,
      ...(subscription === null ? {} : { stripe_subscription_id: subscription }),
    });
    await setPeriodStatus(client, now.period_id, ['submitting'], 'invoiced');
    await checkPlacedBooks(client, now);
  });
  const invoice = placed?.invoices.at(-1)?.stripe_invoice_id ?? null;
  return { ...(await readPeriodState(deps.pool, ref)), stripe_invoice_id: invoice };
}
