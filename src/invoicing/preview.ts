import type { CatalogCache } from '../catalog/catalog-cache.js';
import { currentCatalogVersion } from '../catalog/catalog-store.js';
import type { InvoiceView } from '../contracts/invoice.js';
import { inTransaction, type Pool } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { countUsage } from '../ledger/count-usage.js';
import { previewLateUsage } from '../ledger/late-usage.js';
import { priceRange, readHead, readResult } from '../ledger/pricing-runs.js';
import { readSealablePeriod, readSealInputs } from '../ledger/seal.js';
import { findPeriod } from '../periods/period-store.js';
import { mergeResults } from '../pricing/merge-results.js';
import { composeSeal } from './compose-seal.js';
import { readInvoice } from './invoice-view.js';
import { deriveLateLines } from './late-lines.js';

/** Above every transaction id that a database can reach. */
const END_OF_TRANSACTIONS = 2n ** 63n;

/**
 * What the invoice would be if the period were sealed now: the same composing over what is committed at this moment,
 * priced or not; nothing is written. Of a sealed period it is the newest revision as issued.
 * Throws `unknown_period`, `unknown_plan`.
 */
export async function previewInvoice(
  deps: { pool: Pool; catalogs: CatalogCache },
  customerId: string,
  startDate: string,
): Promise<InvoiceView> {
  const { pool } = deps;
  const period = await findPeriod(pool, customerId, startDate);
  if (!period)
    throw new CostplusError('unknown_period', `Customer ${customerId} has no period that starts on ${startDate}.`);
  const issued = await pool.query<{ revision: number | null }>(
    'SELECT max(revision) AS revision FROM invoices WHERE period_id = $1',
    [period.period_id],
  );
  const revision = issued.rows[0]!.revision;
  if (revision !== null) return readInvoice(pool, customerId, startDate, revision);

  const sealable = (await readSealablePeriod(pool, period.period_id))!;
  const version = await currentCatalogVersion(pool);
  const { inputs, inputs_hash } = await readSealInputs(pool, sealable, version);
  const head = await readHead(pool, period.period_id);
  const priced = head?.inputs_hash === inputs_hash ? head.priced_to : 0n;
  const before = await readResult(pool, period.period_id, inputs_hash);
  const rest = await priceRange(pool, await deps.catalogs.at(version), inputs.pricing, inputs, {
    period_id: period.period_id,
    from_xid: priced,
    to_xid: END_OF_TRANSACTIONS,
  });
  const pricing = priced === 0n ? rest : mergeResults(before, rest);
  const set = {
    period_id: period.period_id,
    sealed_xid: END_OF_TRANSACTIONS,
    voided_to: inputs.pricing.voided_to ?? 0,
    decided_to: 0,
  };
  const counts = await countUsage(deps, inputs, set);
  const late = await inTransaction(pool, (client) => previewLateUsage(client, deps.catalogs, period, version));
  const seal = { period_id: period.period_id, inputs: { ...inputs, late }, revision: 1, catalog_version: version };
  const { content, content_hash } = composeSeal(seal, pricing, await deriveLateLines(deps, seal), counts);
  return {
    ...content,
    status: period.status,
    payment_status: period.payment_status,
    content_hash,
    stripe_invoice_id: null,
    stripe_status: null,
    stripe_number: null,
    hosted_invoice_url: null,
    stripe_total: null,
    stripe_to_balance: null,
    subscription: null,
  };
}
