import type { Queryable } from '../database/pool.js';

/**
 * What a re-bill to `total` would find on subscription invoices, by what was last heard, and what follows: keys of its
 * preview. Tax and payment of such an invoice are not ours to tell. `total` in minor units; `show` words them.
 */
export async function previewPlaced(
  database: Queryable,
  periodId: number,
  total: number,
  show: (minor: number) => string,
) {
  const { rows } = await database.query<{ id: string | null; status: string; lines: number; amount: number }>(
    `SELECT i.stripe_invoice_id AS id, coalesce(v.stripe_status, 'draft') AS status, count(*) AS lines,
            sum(i.seen_minor)::bigint AS amount
     FROM subscription_items i LEFT JOIN subscription_invoices v USING (stripe_invoice_id)
     WHERE i.period_id = $1 AND i.removed_at IS NULL AND i.gone_at IS NULL GROUP BY 1, 2 ORDER BY 1`,
    [periodId],
  );
  const standing = rows.filter(({ status }) => status !== 'draft' && status !== 'void');
  const live = standing.reduce((sum, { amount }) => sum + amount, 0);
  return {
    stripe: rows.flatMap(({ id, status }) =>
      id === null
        ? []
        : [
            {
              stripe_invoice_id: id,
              stripe_status: status,
              paid: null,
              action: status === 'void' ? ('none' as const) : ('keep' as const),
            },
          ],
    ),
    tax: 'none' as const,
    subscription: {
      deleted_lines: rows.reduce((sum, { status, lines }) => sum + (status === 'draft' ? lines : 0), 0),
      standing: show(live),
    },
    follows: {
      kind: total === live ? ('nothing' as const) : ('subscription_lines' as const),
      amount: show(total - live),
    },
  };
}
