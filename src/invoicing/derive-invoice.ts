import { countUsage } from '../ledger/count-usage.js';
import { type DeriveDeps, derivePricing } from '../ledger/derive-pricing.js';
import { type Seal, setOf } from '../ledger/seal.js';
import type { UsageSet } from '../ledger/usage-set.js';
import type { ComposedInvoice } from './compose.js';
import { composeSeal } from './compose-seal.js';
import { deriveLateLines } from './late-lines.js';

/**
 * The invoice of a seal from the events themselves: what pricing and composing gave before is not asked. `set`: another
 * one than the seal's (what a re-bill would take in).
 */
export async function deriveInvoice(
  deps: DeriveDeps,
  seal: Omit<Seal, 'sealed_at' | 'composer_version'>,
  set: UsageSet = setOf(seal),
): Promise<ComposedInvoice> {
  const pricing = await derivePricing(deps, seal, set);
  const late = await deriveLateLines(deps, seal, true);
  return composeSeal(seal, pricing, late, await countUsage(deps, seal.inputs, set));
}
