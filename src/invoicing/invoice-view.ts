import type { InvoiceContent, InvoiceView } from '../contracts/invoice.js';
import type { PeriodStatus } from '../contracts/period.js';
import type { Queryable } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { formatMinor } from '../money/currency.js';
import { REVISION_PAYMENT_SQL } from './invoice-list.js';
import { linkedInvoice, readPlacedRevisions } from './subscription-view.js';

interface InvoiceRow {
  period_id: number;
  content: string;
  content_hash: string;
  status: PeriodStatus;
  payment_status: string | null;
  elected_invoice_id: string | null;
  stripe_status: string | null;
  stripe_number: string | null;
  hosted_invoice_url: string | null;
  stripe_total: number | null;
  stripe_to_balance: number | null;
  currency: string;
}

/** An issued revision with where it stands at Stripe. Throws `unknown_invoice`. */
export async function readInvoice(
  database: Queryable,
  customerId: string,
  startDate: string,
  revision: number,
): Promise<InvoiceView> {
  const { rows } = await database.query<InvoiceRow>(
    `SELECT p.period_id, i.content, i.content_hash, p.status,
            CASE WHEN s.period_id IS NULL THEN p.payment_status ELSE ${REVISION_PAYMENT_SQL} END AS payment_status, s.elected_invoice_id, s.stripe_status, s.stripe_number,
            s.hosted_invoice_url, s.stripe_total, s.stripe_to_balance, i.currency
     FROM periods p JOIN invoices i USING (period_id) LEFT JOIN invoice_submissions s USING (period_id, revision)
     WHERE p.customer_id = $1 AND p.start_date = $2 AND i.revision = $3`,
    [customerId, startDate, revision],
  );
  const row = rows[0];
  if (!row) {
    throw new CostplusError('unknown_invoice', `There is no revision ${revision} of this period's invoice yet.`);
  }
  const placed = (await readPlacedRevisions(database, row.period_id)).get(revision);
  return {
    ...(JSON.parse(row.content) as InvoiceContent),
    status: row.status,
    payment_status: row.payment_status,
    content_hash: row.content_hash,
    stripe_invoice_id: row.elected_invoice_id,
    stripe_status: row.stripe_status,
    stripe_number: row.stripe_number,
    hosted_invoice_url: row.hosted_invoice_url,
    stripe_total: row.stripe_total === null ? null : formatMinor(BigInt(row.stripe_total), row.currency),
    stripe_to_balance: row.stripe_to_balance === null ? null : formatMinor(BigInt(row.stripe_to_balance), row.currency),
    ...(placed === undefined ? {} : { ...linkedInvoice(placed), payment_status: placed.payment_status }),
    subscription: placed?.subscription ?? null,
  };
}
