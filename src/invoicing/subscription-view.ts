import type { SubscriptionLines } from '../contracts/subscription-lines.js';
import type { Queryable } from '../database/pool.js';
import { formatMinor } from '../money/currency.js';
import { combinedStatus, LINE_PAYMENT_SQL } from './subscription-books.js';

/** Where a revision's lines stand on subscription invoices, and how they are paid as a whole. */
export interface PlacedRevision {
  payment_status: string | null;
  subscription: SubscriptionLines;
}

interface Row {
  revision: number;
  currency: string;
  stripe_subscription_id: string | null;
  stripe_invoice_id: string | null;
  stripe_status: string | null;
  stripe_number: string | null;
  hosted_invoice_url: string | null;
  status: string | null;
  lines: number;
  amount: number;
  /** Lines were taken back, because a later revision stands instead. */
  removed: boolean;
}

/** The revisions of a period whose lines stand on subscription invoices, as they were last read. */
export async function readPlacedRevisions(database: Queryable, periodId: number): Promise<Map<number, PlacedRevision>> {
  const { rows } = await database.query<Row>(
    `SELECT s.revision, n.currency, g.stripe_subscription_id, i.stripe_invoice_id, v.stripe_status, v.stripe_number,
       v.hosted_invoice_url, CASE WHEN i.stripe_item_id IS NOT NULL THEN ${LINE_PAYMENT_SQL} END AS status,
       count(i.stripe_item_id) AS lines, coalesce(sum(i.seen_minor), 0)::bigint AS amount,
       EXISTS (SELECT FROM subscription_items r WHERE r.period_id = s.period_id AND r.revision = s.revision
               AND r.removed_at IS NOT NULL) AS removed
     FROM subscription_submissions s JOIN invoices n USING (period_id, revision)
     LEFT JOIN LATERAL (SELECT stripe_subscription_id FROM subscription_generations
                        WHERE period_id = s.period_id AND revision = s.revision ORDER BY generation DESC LIMIT 1) g ON true
     LEFT JOIN subscription_items i
       ON i.period_id = s.period_id AND i.revision = s.revision AND i.removed_at IS NULL AND NOT i.stray
     LEFT JOIN subscription_invoices v USING (stripe_invoice_id)
     WHERE s.period_id = $1 GROUP BY s.period_id, 1, 2, 3, 4, 5, 6, 7, 8 ORDER BY s.revision, i.stripe_invoice_id`,
    [periodId],
  );
  const revisions = new Map<number, PlacedRevision>();
  for (const revision of new Set(rows.map((row) => row.revision))) {
    const own = rows.filter((row) => row.revision === revision && row.status !== null);
    const { currency, stripe_subscription_id, removed } = rows.find((row) => row.revision === revision)!;
    const of = (status: string) =>
      own.filter((row) => row.status === status).reduce((sum, { lines }) => sum + lines, 0);
    revisions.set(revision, {
      payment_status: combinedStatus(own.map((row) => row.status!)) ?? (removed ? 'deleted' : null),
      subscription: {
        stripe_subscription_id,
        pending_lines: of('pending'),
        deleted_lines: of('deleted'),
        invoices: own
          .filter((row) => row.stripe_invoice_id !== null && row.status !== 'deleted')
          .map((row) => ({
            stripe_invoice_id: row.stripe_invoice_id!,
            stripe_status: row.stripe_status!,
            stripe_number: row.stripe_number,
            hosted_invoice_url: row.hosted_invoice_url,
            payment_status: row.status!,
            lines: row.lines,
            amount: formatMinor(BigInt(row.amount), currency),
          })),
      },
    });
  }
  return revisions;
}

/** Keys of a revision's views that speak of one invoice: the subscription's that was issued last with lines of it. */
export function linkedInvoice({ subscription }: PlacedRevision) {
  const invoice = subscription.invoices.at(-1);
  return {
    stripe_invoice_id: invoice?.stripe_invoice_id ?? null,
    stripe_status: invoice?.stripe_status ?? null,
    stripe_number: invoice?.stripe_number ?? null,
    hosted_invoice_url: invoice?.hosted_invoice_url ?? null,
  };
}
