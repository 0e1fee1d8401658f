import { isMissing } from '../stripe/stripe-errors.js';
import { META_INVOICE } from './draft-check.js';
import { readAll, type SubmitDeps } from './submit-attempt.js';
import { deleteItem } from './subscription-items.js';

/**
 * Deletes lines of an invoice's deleted drafts that wait at Stripe as items without an invoice; returns how many. Stripe does
 * not document whether a draft takes its items along when it is deleted. One that stayed would ride on whatever takes up
 * pending items next, a renewal of the customer's subscription for example. After the deletion nothing can be added to the
 * draft, so that what is listed then is all. Lines that a subscription was meant to bill are left alone.
 */
export async function deleteFreedItems(deps: SubmitDeps, stripeCustomerId: string, key: string): Promise<number> {
  let deleted = 0;
  try {
    const pending = await readAll(deps, 'list pending items', (sdk, page) =>
      sdk.invoiceItems.list({ customer: stripeCustomerId, pending: true, ...page }),
    );
    for (const { id, metadata, parent } of pending) {
      if (metadata?.[META_INVOICE] !== key || parent !== null) continue;
      if (await deleteItem(deps, id)) deleted++;
    }
  } catch (error) {
    // A Stripe customer that is gone took its items along.
    if (!isMissing(error)) throw error;
  }
  return deleted;
}
