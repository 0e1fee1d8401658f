import type { StripeReference } from '../contracts/plan-rule.js';
import { inTransaction, type Pool, type Queryable } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { invoiceKey } from '../stripe/idempotency-key.js';
import { type PaymentStatus, showPaymentStatus } from '../stripe/invoice-state.js';
import type { SupplementLine } from './correction-plan.js';

export interface RevisionRef {
  period_id: number;
  revision: number;
}

/** An issued revision as it is to stand at Stripe; amounts in minor units of `currency`. */
export interface InvoiceToSubmit {
  key: string;
  customer_id: string;
  customer_name: string | null;
  start_date: string;
  starts_at: Date;
  ends_at: Date;
  currency: string;
  content_hash: string;
  subtotal_minor: number;
  /** Rates that its lines were exchanged at, as composed: by the currency they are from. */
  exchange_rates: Record<string, string>;
  lines: { line_number: number; description: string; amount_minor: number; stripe?: StripeReference | null }[];
}

/**
 * Reads what is to stand at Stripe: what was composed, or where a correction settled on an invoice for the difference, that.
 * Throws `unknown_invoice`.
 */
export async function readInvoiceToSubmit(queryable: Queryable, ref: RevisionRef): Promise<InvoiceToSubmit> {
  const head = await queryable.query<Omit<InvoiceToSubmit, 'key' | 'lines'>>(
    `SELECT p.customer_id, c.name AS customer_name, p.start_date, p.starts_at, p.ends_at, i.currency, i.content_hash,
       i.subtotal_minor, coalesce(i.content::jsonb->'exchange_rates', '{}') AS exchange_rates
     FROM invoices i JOIN periods p USING (period_id) JOIN customers c USING (customer_id)
     WHERE i.period_id = $1 AND i.revision = $2`,
    [ref.period_id, ref.revision],
  );
  const invoice = head.rows[0];
  if (!invoice) {
    throw new CostplusError('unknown_invoice', `Period ${ref.period_id} has no revision ${ref.revision}.`);
  }
  const key = invoiceKey(invoice.customer_id, invoice.start_date, ref.revision);
  const supplement = await readSupplement(queryable, ref);
  if (supplement !== null) return { key, ...invoice, ...supplement };
  const lines = await queryable.query<InvoiceToSubmit['lines'][number]>(
    `SELECT line_number, description, amount_minor, stripe FROM invoice_lines
     WHERE period_id = $1 AND revision = $2 ORDER BY line_number`,
    [ref.period_id, ref.revision],
  );
  return { key, ...invoice, lines: lines.rows };
}

async function readSupplement(
  queryable: Queryable,
  ref: RevisionRef,
): Promise<Pick<InvoiceToSubmit, 'content_hash' | 'subtotal_minor' | 'lines'> | null> {
  const { rows } = await queryable.query<{
    lines: SupplementLine[];
    lines_hash: string;
  }>(
    `SELECT lines, lines_hash FROM invoice_corrections
     WHERE period_id = $1 AND revision = $2 AND invoice = 'supplement'`,
    [ref.period_id, ref.revision],
  );
  if (!rows[0]) return null;
  const { lines, lines_hash } = rows[0];
  return {
    content_hash: lines_hash,
    subtotal_minor: lines.reduce((sum, { amount_minor }) => sum + amount_minor, 0),
    lines: lines.map((line, index) => ({ line_number: index + 1, ...line })),
  };
}

/** Where a submission stands when an attempt begins. */
export interface Claim {
  attempt: number;
  failed_generations: number;
  elected_invoice_id: string | null;
  confirmed_at: Date | null;
  stripe_status: string | null;
  /** The Stripe customer that earlier attempts worked with. */
  stripe_customer_id: string | null;
  /** The Stripe customer that our customer names now. */
  current_customer_id: string | null;
  /** When this submission began. */
  started_at: Date;
  /** When this customer's first submission began: no Stripe customer of ours is older. */
  first_started_at: Date;
}

/**
 * Begins an attempt: from here on every write of an earlier one is refused. A confirmed submission is left as it is.
 * The row is committed before the first call to Stripe. Throws `stale_inputs` where the period was sealed again: checked in
 * a statement of its own, after the row is there for the later revision to see.
 */
export async function claimAttempt(
  pool: Pool,
  ref: RevisionRef,
  invoice: InvoiceToSubmit,
  mode: 'draft' | 'stripe',
): Promise<Claim> {
  // Without a target: of two that insert at once, the invoice key's index may see the conflict first.
  await pool.query(
    `INSERT INTO invoice_submissions (period_id, revision, invoice_key, content_hash, mode, attempt)
     VALUES ($1, $2, $3, $4, $5, 0) ON CONFLICT DO NOTHING`,
    [ref.period_id, ref.revision, invoice.key, invoice.content_hash, mode],
  );
  // What an attempt knows of itself comes from its own UPDATE: a later claim must not lend it its number.
  const claimed = await pool.query<Claim>(
    `UPDATE invoice_submissions s SET attempt = attempt + 1, mode = $3 FROM periods p JOIN customers c USING (customer_id)
     WHERE s.period_id = $1 AND s.revision = $2 AND p.period_id = s.period_id AND s.confirmed_at IS NULL
       AND NOT EXISTS (SELECT FROM seals l WHERE l.period_id = s.period_id AND l.revision > s.revision)
     RETURNING ${CLAIM_COLUMNS}`,
    [ref.period_id, ref.revision, mode],
  );
  if (claimed.rows[0]) return claimed.rows[0];
  const confirmed = await pool.query<Claim>(
    `SELECT ${CLAIM_COLUMNS} FROM invoice_submissions s JOIN periods p USING (period_id) JOIN customers c USING (customer_id)
     WHERE s.period_id = $1 AND s.revision = $2`,
    [ref.period_id, ref.revision],
  );
  const row = confirmed.rows[0];
  if (!row || row.confirmed_at === null) throw overtaken();
  return row;
}

const CLAIM_COLUMNS = `s.attempt, s.failed_generations, s.elected_invoice_id, s.confirmed_at, s.stripe_status, s.stripe_customer_id, s.started_at,
  c.stripe_customer_id AS current_customer_id,
  (SELECT min(o.started_at) FROM invoice_submissions o JOIN periods q USING (period_id)
   WHERE q.customer_id = p.customer_id) AS first_started_at`;

/** A later attempt has begun, or the submission was decided: what this one still wanted to write is void. */
export function overtaken(): CostplusError {
  return new CostplusError('stale_inputs', 'A later attempt has taken over the submission of this invoice.');
}

/** Throws `stale_inputs` when this attempt is not the newest any more, or the submission is confirmed. */
export async function expectCurrent(pool: Pool, ref: RevisionRef, attempt: number): Promise<void> {
  const current = await pool.query(
    `SELECT FROM invoice_submissions
     WHERE period_id = $1 AND revision = $2 AND attempt = $3 AND confirmed_at IS NULL`,
    [ref.period_id, ref.revision, attempt],
  );
  if (current.rowCount === 0) throw overtaken();
}

/** Remembers which Stripe customer the drafts of this submission belong to. Throws `stale_inputs` when overtaken. */
export async function keepSubmissionCustomer(
  pool: Pool,
  ref: RevisionRef,
  attempt: number,
  stripeCustomerId: string,
): Promise<void> {
  const kept = await pool.query(
    `UPDATE invoice_submissions SET stripe_customer_id = $4
     WHERE period_id = $1 AND revision = $2 AND attempt = $3 AND elected_invoice_id IS NULL`,
    [ref.period_id, ref.revision, attempt, stripeCustomerId],
  );
  if (kept.rowCount === 0) throw overtaken();
}

/** Gives our customer the Stripe customer that was made for it, unless it has one; returns the one it has. */
export async function keepStripeCustomer(pool: Pool, customerId: string, stripeCustomerId: string): Promise<string> {
  await pool.query(
    `UPDATE customers SET stripe_customer_id = $2, updated_at = now()
     WHERE customer_id = $1 AND stripe_customer_id IS NULL`,
    [customerId, stripeCustomerId],
  );
  const kept = await pool.query<{ stripe_customer_id: string }>(
    'SELECT stripe_customer_id FROM customers WHERE customer_id = $1',
    [customerId],
  );
  return kept.rows[0]!.stripe_customer_id;
}

/** Notes a draft that an attempt made, for the record of what was left at Stripe. */
export async function recordDraft(pool: Pool, ref: RevisionRef, attempt: number, id: string): Promise<void> {
  await pool.query(
    `INSERT INTO invoice_drafts (stripe_invoice_id, period_id, revision, attempt) VALUES ($1, $2, $3, $4)
     ON CONFLICT (stripe_invoice_id) DO NOTHING`,
    [id, ref.period_id, ref.revision, attempt],
  );
}

export async function recordDeletedDraft(pool: Pool, id: string): Promise<void> {
  await pool.query('UPDATE invoice_drafts SET deleted_at = now() WHERE stripe_invoice_id = $1', [id]);
}

/**
 * Elects the one Stripe invoice of this revision: where none is elected and the attempt is still the newest. From then
 * on only this id is ever finalized, and nothing adds lines. Throws `stale_inputs` when overtaken.
 */
export async function electInvoice(pool: Pool, ref: RevisionRef, attempt: number, id: string): Promise<void> {
  const elected = await pool.query(
    `UPDATE invoice_submissions SET elected_invoice_id = $4, elected_at = now()
     WHERE period_id = $1 AND revision = $2 AND attempt = $3 AND elected_invoice_id IS NULL`,
    [ref.period_id, ref.revision, attempt, id],
  );
  if (elected.rowCount === 0) throw overtaken();
}

/**
 * The draft of this attempt did not match: counts it and begins the next attempt in its place. Returns the new attempt
 * and how many drafts have failed. Throws `stale_inputs` when overtaken.
 */
export async function nextGeneration(
  pool: Pool,
  ref: RevisionRef,
  attempt: number,
): Promise<{ attempt: number; failed_generations: number }> {
  const next = await pool.query<{ attempt: number; failed_generations: number }>(
    `UPDATE invoice_submissions SET attempt = attempt + 1, failed_generations = failed_generations + 1
     WHERE period_id = $1 AND revision = $2 AND attempt = $3 AND elected_invoice_id IS NULL
     RETURNING attempt, failed_generations`,
    [ref.period_id, ref.revision, attempt],
  );
  if (!next.rows[0]) throw overtaken();
  return next.rows[0];
}

/** A person releases a parked period: its submission may fail as many drafts again before it parks. */
export async function allowNewGenerations(queryable: Queryable, periodId: number): Promise<void> {
  await queryable.query(
    'UPDATE invoice_submissions SET failed_generations = 0 WHERE period_id = $1 AND confirmed_at IS NULL',
    [periodId],
  );
}

export interface IssuedInvoice {
  id: string;
  status: string;
  number: string | null;
  hosted_invoice_url: string | null;
  subtotal: number;
  total: number;
  to_balance: number | null;
  paid: number;
  payment_status: PaymentStatus | null;
}

/**
 * Records that the elected invoice is issued. A state that a webhook recorded meanwhile is kept: it was read later.
 * Returns the status that stands. Throws `stale_inputs` when overtaken.
 */
export async function confirmSubmission(
  pool: Pool,
  ref: RevisionRef,
  attempt: number,
  issued: IssuedInvoice,
): Promise<string> {
  return inTransaction(pool, async (client) => {
    const confirmed = await client.query<{ stripe_status: string; was: string | null }>(
      `WITH before AS (
         SELECT nullif(stripe_status, 'draft') AS was FROM invoice_submissions
         WHERE period_id = $1 AND revision = $2 FOR UPDATE)
       UPDATE invoice_submissions SET stripe_status = coalesce(was, $5), stripe_number = $6, hosted_invoice_url = $7,
         stripe_subtotal = $8, stripe_total = $9, stripe_to_balance = $10, stripe_paid = greatest(stripe_paid, $11),
         confirmed_at = now(), refreshed_at = now()
       FROM before
       WHERE period_id = $1 AND revision = $2 AND attempt = $3 AND elected_invoice_id = $4 AND confirmed_at IS NULL
       RETURNING stripe_status, was`,
      [
        ref.period_id,
        ref.revision,
        attempt,
        issued.id,
        issued.status,
        issued.number,
        issued.hosted_invoice_url,
        issued.subtotal,
        issued.total,
        issued.to_balance,
        issued.paid,
      ],
    );
    const row = confirmed.rows[0];
    if (!row) throw overtaken();
    if (row.was === null) {
      await showPaymentStatus(client, { ...ref, stripe_invoice_id: issued.id }, issued.payment_status);
    }
    return row.stripe_status;
  });
}
