import { readPlace, writeCursor } from '../contracts/cursor.js';
import type { IssuedInvoice } from '../contracts/issued-invoice.js';
import type { Page, PageRequest } from '../contracts/page.js';
import type { PeriodStatus } from '../contracts/period.js';
import type { Queryable } from '../database/pool.js';
import { formatMinor } from '../money/currency.js';
import { REVISION_PAYMENT_SQL } from './invoice-list.js';
import { linkedInvoice, readPlacedRevisions } from './subscription-view.js';

export interface IssuedFilter {
  customer_id?: string | undefined;
  /** Start dates of periods: from (inclusive) and to (exclusive). */
  from?: string | undefined;
  to?: string | undefined;
  /** The period's. */
  status?: PeriodStatus | undefined;
  /** Only the newest revision of each period. */
  current?: boolean | undefined;
}

interface Row {
  period_id: number;
  customer_id: string;
  start_date: string;
  starts_at: Date;
  ends_at: Date;
  revision: number;
  current: boolean;
  status: PeriodStatus;
  payment_status: string | null;
  currency: string;
  subtotal_minor: number;
  books: number | null;
  issued_at: Date;
  content_hash: string;
  placed: boolean;
  stripe_invoice_id: string | null;
  stripe_number: string | null;
  stripe_status: string | null;
  stripe_subtotal: number | null;
  stripe_total: number | null;
  credited: number | null;
}

/** SQL: what credit notes take off invoice `s`: as it was last read, and what we issued since (minor units). */
const CREDITED_SQL = `s.stripe_credited + (SELECT coalesce(sum(n.amount_minor), 0) FROM invoice_credit_notes n
  WHERE n.period_id = s.period_id AND n.stripe_invoice_id = s.elected_invoice_id AND n.stripe_credit_note_id IS NOT NULL
    AND (s.refreshed_at IS NULL OR n.tried_at > s.refreshed_at))`;

/** SQL: what period `p` comes to at Stripe as it was last read, invoices of its own and lines on a subscription's. */
const BOOKS_SQL = `(SELECT coalesce(sum(s.stripe_subtotal - (${CREDITED_SQL})), 0) FROM invoice_submissions s
    WHERE s.period_id = p.period_id AND s.stripe_status NOT IN ('void', 'deleted', 'draft'))
  + (SELECT coalesce(sum(t.seen_minor), 0) FROM subscription_items t LEFT JOIN subscription_invoices v USING (stripe_invoice_id)
    WHERE t.period_id = p.period_id AND t.removed_at IS NULL AND t.gone_at IS NULL
      AND v.stripe_status IS DISTINCT FROM 'void')`;

/** SQL: whether revision `i` of period `p` is billed by us, and nothing of it waits for a person at Stripe. */
const IS_BILLED_SQL = `p.status IN ('invoiced', 'nothing_to_bill')
  AND NOT EXISTS (SELECT FROM invoice_submissions w WHERE w.period_id = p.period_id AND w.revision = i.revision
                  AND w.mode = 'draft' AND coalesce(w.stripe_status, 'draft') = 'draft')
  AND (NOT EXISTS (SELECT FROM stripe_meter_periods m WHERE m.period_id = p.period_id)
    OR EXISTS (SELECT FROM invoice_submissions w WHERE w.period_id = p.period_id)
    OR EXISTS (SELECT FROM subscription_submissions w WHERE w.period_id = p.period_id))`;

/**
 * Issued revisions of all periods, by customer, start date and revision. Throws `invalid_request` for a foreign cursor.
 */
export async function listIssuedInvoices(
  database: Queryable,
  page: PageRequest,
  filter: IssuedFilter,
): Promise<Page<IssuedInvoice>> {
  const after = page.cursor === null ? null : readPlace(page.cursor, /^\S{1,128} \d{4}-\d\d-\d\d \d{1,9}$/).split(' ');
  const { rows } = await database.query<Row>(
    `SELECT p.period_id, p.customer_id, p.start_date, p.starts_at, p.ends_at, p.status, i.revision, i.currency,
       i.subtotal_minor, i.composed_at AS issued_at, i.content_hash, newest.revision = i.revision AS current,
       CASE WHEN newest.revision = i.revision AND ${IS_BILLED_SQL} THEN (${BOOKS_SQL})::bigint END AS books,
       EXISTS (SELECT FROM subscription_submissions g
               WHERE g.period_id = i.period_id AND g.revision = i.revision) AS placed,
       ${REVISION_PAYMENT_SQL} AS payment_status, s.elected_invoice_id AS stripe_invoice_id, s.stripe_number, s.stripe_status,
       s.stripe_subtotal, s.stripe_total,
       CASE WHEN s.elected_invoice_id IS NOT NULL THEN (${CREDITED_SQL})::bigint END AS credited
     FROM periods p JOIN invoices i USING (period_id)
     JOIN LATERAL (SELECT max(n.revision) AS revision FROM invoices n WHERE n.period_id = p.period_id) newest ON true
     LEFT JOIN invoice_submissions s ON s.period_id = i.period_id AND s.revision = i.revision
     WHERE ($1::text IS NULL OR p.customer_id = $1) AND ($2::date IS NULL OR p.start_date >= $2)
       AND ($3::date IS NULL OR p.start_date < $3) AND ($4::text IS NULL OR p.status = $4)
       AND ($5::boolean IS NOT TRUE OR newest.revision = i.revision)
       AND ($6::text IS NULL OR (p.customer_id, p.start_date, i.revision) > ($6::text COLLATE "C", $7::date, $8::integer))
     ORDER BY p.customer_id, p.start_date, i.revision LIMIT $9`,
    [
      filter.customer_id ?? null,
      filter.from ?? null,
      filter.to ?? null,
      filter.status ?? null,
      filter.current ?? null,
      after?.[0] ?? null,
      after?.[1] ?? null,
      after?.[2] ?? null,
      page.limit + 1,
    ],
  );
  const shown = rows.slice(0, page.limit);
  const last = rows.length > page.limit ? shown.at(-1) : undefined;
  const data: IssuedInvoice[] = [];
  for (const row of shown) data.push(await toIssued(database, row));
  const next_cursor = last ? writeCursor(`${last.customer_id} ${last.start_date} ${last.revision}`) : null;
  return { data, next_cursor };
}

async function toIssued(database: Queryable, row: Row): Promise<IssuedInvoice> {
  const placed = row.placed ? (await readPlacedRevisions(database, row.period_id)).get(row.revision) : undefined;
  const linked = placed === undefined ? row : { ...linkedInvoice(placed), payment_status: placed.payment_status };
  const show = (minor: number | null) => (minor === null ? null : formatMinor(BigInt(minor), row.currency));
  const total = formatMinor(BigInt(row.subtotal_minor), row.currency);
  return {
    customer_id: row.customer_id,
    start_date: row.start_date,
    period: { start: row.starts_at.toISOString(), end: row.ends_at.toISOString() },
    revision: row.revision,
    current: row.current,
    status: row.status,
    payment_status: linked.payment_status,
    currency: row.currency,
    subtotal: total,
    total,
    books: show(row.books),
    issued_at: row.issued_at.toISOString(),
    content_hash: row.content_hash,
    stripe_invoice_id: linked.stripe_invoice_id,
    stripe_number: linked.stripe_number,
    stripe_status: linked.stripe_status,
    stripe_subtotal: show(row.stripe_subtotal),
    stripe_total: show(row.stripe_total),
    credited: show(row.credited),
  };
}

/** The newest revision of each of these periods that has one, by the period's id. */
export async function readNewestInvoices(
  database: Queryable,
  periodIds: readonly number[],
): Promise<Map<number, { revision: number; total: string; currency: string }>> {
  const { rows } = await database.query<{ period_id: number; revision: number; currency: string; total: number }>(
    `SELECT DISTINCT ON (period_id) period_id, revision, currency, subtotal_minor AS total FROM invoices
     WHERE period_id = ANY($1::bigint[]) ORDER BY period_id, revision DESC`,
    [periodIds],
  );
  return new Map(
    rows.map(({ period_id, revision, currency, total }) => [
      period_id,
      { revision, total: formatMinor(BigInt(total), currency), currency },
    ]),
  );
}
