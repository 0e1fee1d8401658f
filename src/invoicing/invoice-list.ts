import type { IssuedRevision } from '../contracts/invoice.js';
import type { Queryable } from '../database/pool.js';
import { formatMinor } from '../money/currency.js';
import { readPlacedRevisions } from './subscription-view.js';

interface Row extends Omit<IssuedRevision, 'subscription' | 'total' | 'issued_at' | 'correction' | 'sealed_at'> {
  subtotal_minor: number;
  issued_at: Date;
  refund: 'balance' | 'refund' | null;
  settled: boolean;
  completed: boolean;
  difference_minor: number | null;
  invoice: 'whole' | 'supplement' | 'none' | null;
  credit_notes: {
    stripe_credit_note_id: string | null;
    stripe_invoice_id: string;
    amount_minor: number;
    total_minor: number | null;
  }[];
}

/** SQL: what the collection of a revision's own invoice has come to; null while it has none, or a draft. */
export const REVISION_PAYMENT_SQL = `CASE s.stripe_status WHEN 'void' THEN 'voided' WHEN 'draft' THEN NULL
  WHEN 'open' THEN CASE WHEN p.payment_status = 'failed'
    AND NOT EXISTS (SELECT FROM invoice_submissions l WHERE l.period_id = s.period_id AND l.revision > s.revision)
    THEN 'failed' ELSE 'open' END
  ELSE s.stripe_status END`;

/** All issued revisions of a period, the first one first, with what each has at Stripe and how it got there. */
export async function listRevisions(database: Queryable, periodId: number): Promise<IssuedRevision[]> {
  const { rows } = await database.query<Row>(
    `SELECT i.revision, i.content_hash, i.currency, i.subtotal_minor, i.composed_at AS issued_at, e.reason,
            s.elected_invoice_id AS stripe_invoice_id, s.stripe_status, ${REVISION_PAYMENT_SQL} AS payment_status,
            c.refund, c.settled_at IS NOT NULL AS settled, c.completed_at IS NOT NULL AS completed, c.difference_minor,
            c.invoice, (SELECT coalesce(jsonb_agg(jsonb_build_object('stripe_credit_note_id', n.stripe_credit_note_id,
                'stripe_invoice_id', n.stripe_invoice_id, 'amount_minor', n.amount_minor,
                'total_minor', n.total_minor) ORDER BY n.stripe_invoice_id, n.part), '[]')
              FROM invoice_credit_notes n WHERE n.period_id = i.period_id AND n.revision = i.revision) AS credit_notes
     FROM invoices i JOIN periods p USING (period_id) JOIN seals e USING (period_id, revision)
     LEFT JOIN invoice_submissions s USING (period_id, revision)
     LEFT JOIN invoice_corrections c USING (period_id, revision)
     WHERE i.period_id = $1 ORDER BY i.revision`,
    [periodId],
  );
  const revisions = await readPlacedRevisions(database, periodId);
  return rows.map((row) => {
    const placed = revisions.get(row.revision);
    const invoice = placed?.subscription.invoices.at(-1);
    const show = (minor: number) => formatMinor(BigInt(minor), row.currency);
    return {
      revision: row.revision,
      content_hash: row.content_hash,
      currency: row.currency,
      total: show(row.subtotal_minor),
      reason: row.reason,
      issued_at: row.issued_at.toISOString(),
      stripe_invoice_id: invoice?.stripe_invoice_id ?? row.stripe_invoice_id,
      stripe_status: invoice?.stripe_status ?? row.stripe_status,
      payment_status: placed === undefined ? row.payment_status : placed.payment_status,
      subscription: placed?.subscription ?? null,
      correction:
        row.refund === null
          ? null
          : {
              refund: row.refund,
              status: row.completed ? 'completed' : row.settled ? 'settled' : 'begun',
              difference: row.difference_minor === null ? null : show(row.difference_minor),
              invoice: row.invoice,
              credit_notes: row.credit_notes.map(({ amount_minor, total_minor, ...note }) => ({
                ...note,
                amount: show(amount_minor),
                total: total_minor === null ? null : show(total_minor),
              })),
            },
    };
  });
}
