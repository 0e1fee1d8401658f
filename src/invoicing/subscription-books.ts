import type { Client } from '../database/pool.js';
import { formatMinor } from '../money/currency.js';
import { setAlert } from '../stripe/alerts.js';
import { type PaymentStatus, showPaymentStatus } from '../stripe/invoice-state.js';

/** SQL: what the collection of one line has come to; `i` is its row, `v` that of its invoice. */
export const LINE_PAYMENT_SQL = `CASE WHEN i.gone_at IS NOT NULL THEN 'deleted' ELSE coalesce(v.payment_status, 'pending') END`;

/** Of several lines the one that stands for all: what is furthest from being settled. */
const FURTHEST: readonly PaymentStatus[] = ['pending', 'failed', 'open', 'uncollectible', 'paid', 'voided', 'deleted'];

/** What the collection of lines has come to as a whole; null for none. */
export function combinedStatus(statuses: readonly string[]): PaymentStatus | null {
  return FURTHEST.find((status) => statuses.includes(status)) ?? null;
}

/**
 * Shows on the period how its lines are paid: those of the newest revision that has any; nothing where none are left. Lines
 * that are on their way yet change nothing.
 */
export async function showPlacedStatus(client: Client, periodId: number): Promise<void> {
  const newest = await client.query<{ revision: number; confirmed: boolean }>(
    `SELECT revision, confirmed_at IS NOT NULL AS confirmed FROM subscription_submissions
     WHERE period_id = $1 ORDER BY revision DESC LIMIT 1`,
    [periodId],
  );
  const { rows } = await client.query<{ status: string; invoice: string | null }>(
    `SELECT ${LINE_PAYMENT_SQL} AS status, max(i.stripe_invoice_id) AS invoice
     FROM subscription_items i LEFT JOIN subscription_invoices v USING (stripe_invoice_id)
     WHERE i.period_id = $1 AND i.removed_at IS NULL AND NOT i.stray
       AND i.revision = (SELECT max(revision) FROM subscription_items
                         WHERE period_id = $1 AND removed_at IS NULL AND NOT stray)
     GROUP BY 1`,
    [periodId],
  );
  const status = combinedStatus(rows.map((row) => row.status));
  if (status === null && !newest.rows[0]!.confirmed) return;
  const invoice = rows.find((row) => row.status === status)?.invoice ?? null;
  const { revision } = newest.rows[0]!;
  await showPaymentStatus(client, { period_id: periodId, revision, stripe_invoice_id: invoice }, status);
}

/**
 * Compares what a billed period's lines come to on subscription invoices, those that wait included and void ones left out, as
 * they were last read, with its newest revision; and each line with what it was made with. Raises or resolves the alerts. Does
 * nothing for a period whose newest revision has an invoice of its own; answers whether it was one of these.
 */
export async function checkPlacedBooks(
  client: Client,
  period: { period_id: number; customer_id: string },
): Promise<boolean> {
  const { rows } = await client.query<{
    total: number;
    currency: string;
    books: number;
    status: string;
    gone: number;
    void: string | null;
    edited: string | null;
  }>(
    `SELECT n.subtotal_minor AS total, n.currency, p.status,
       (coalesce(sum(i.seen_minor) FILTER (WHERE i.gone_at IS NULL AND v.stripe_status IS DISTINCT FROM 'void'), 0))::bigint
         AS books,
       count(*) FILTER (WHERE i.gone_at IS NOT NULL) AS gone,
       string_agg(DISTINCT i.stripe_invoice_id, ', ') FILTER (WHERE v.stripe_status = 'void') AS void,
       string_agg(DISTINCT i.stripe_item_id, ', ') FILTER (WHERE i.gone_at IS NULL AND i.seen_minor <> i.amount_minor)
         AS edited
     FROM periods p
     JOIN LATERAL (SELECT * FROM invoices WHERE period_id = p.period_id ORDER BY revision DESC LIMIT 1) n ON true
     JOIN subscription_submissions s ON s.period_id = p.period_id AND s.revision = n.revision
     LEFT JOIN subscription_items i ON i.period_id = p.period_id AND i.removed_at IS NULL
     LEFT JOIN subscription_invoices v USING (stripe_invoice_id)
     WHERE p.period_id = $1 GROUP BY n.subtotal_minor, n.currency, p.status`,
    [period.period_id],
  );
  const row = rows[0];
  if (!row) return false;
  if (row.status !== 'invoiced') return true;
  const show = (minor: number) => `${formatMinor(BigInt(minor), row.currency)} ${row.currency}`;
  const causes = [
    ...(row.gone > 0 ? [`${row.gone} were deleted there`] : []),
    ...(row.void === null ? [] : [`${row.void} is void`]),
  ];
  const why = causes.length === 0 ? '' : ` (${causes.join('; ')})`;
  const subject = { ...period, object_id: String(period.period_id) };
  await setAlert(
    client,
    'books_differ',
    subject,
    row.books === row.total
      ? null
      : `The period's lines on invoices of the subscription come to ${show(row.books)}, the period to ` +
          `${show(row.total)}${why}. Bill the period again, or undo it at Stripe.`,
  );
  await setAlert(
    client,
    'not_as_composed',
    subject,
    row.edited === null ? null : `Lines were edited at Stripe: ${row.edited}.`,
  );
  return true;
}
