import type Stripe from 'stripe';
import { type Client, inTransaction, type Pool } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { STRIPE_REFRESH_TRIES_COUNT } from '../limits.js';
import { formatMinor } from '../money/currency.js';
import { setAlert } from '../stripe/alerts.js';
import type { StripeClient } from '../stripe/client.js';
import { paymentStatus, showPaymentStatus, toBalance } from '../stripe/invoice-state.js';
import { isMissing } from '../stripe/stripe-errors.js';
import {
  type NotificationParser,
  receiveDelivery,
  type WebhookOutcome,
  type WebhookSecrets,
} from '../stripe/webhooks.js';
import { findDifference } from './draft-check.js';
import { isMeterError, recordMeterErrors } from './meter-errors.js';
import { readInvoiceToSubmit } from './submission-store.js';
import { readAll, type WholeInvoice, withAllLines } from './submit-attempt.js';
import { checkPlacedBooks } from './subscription-books.js';
import { refreshInvoiceLines, refreshItem, refreshSubscription } from './subscription-changes.js';

export interface RefreshDeps {
  pool: Pool;
  stripe: StripeClient;
  /** A run that takes long ends when it says so. */
  signal?: AbortSignal | undefined;
}

export type WebhookDeps = RefreshDeps & WebhookSecrets;

/**
 * Takes one delivery of Stripe and brings what we know of the invoice or customer that it is about up to date, by fetching
 * it again. Throws `invalid_signature`, or `stripe_unavailable` (Stripe then delivers again).
 */
export function receiveWebhook(
  deps: WebhookDeps,
  rawBody: Buffer,
  signature: string | undefined,
): Promise<WebhookOutcome> {
  const parseNotification: NotificationParser = (...signed) => deps.stripe.parseNotification(...signed);
  return receiveDelivery({ ...deps, parseNotification }, rawBody, signature, async (delivery) => {
    const { type, object, object_id, invoice_id, customer_id } = delivery;
    if (isMeterError(type)) return recordMeterErrors(deps, delivery.event_id);
    if (object === 'invoice' && object_id !== null) {
      const isOurs = await refreshInvoice(deps, object_id);
      return (await refreshInvoiceLines(deps, object_id, customer_id)) || isOurs;
    }
    if (object === 'invoiceitem' && object_id !== null) return refreshItem(deps, object_id);
    if (type === 'customer.subscription.deleted' && object_id !== null) return refreshSubscription(deps, object_id);
    const isOnInvoice = object === 'credit_note' || object === 'invoice_payment';
    if (isOnInvoice && invoice_id !== null) return refreshInvoice(deps, invoice_id);
    if (type === 'customer.deleted' && object_id !== null) return refreshCustomer(deps, object_id);
    return false;
  });
}

interface Submission {
  period_id: number;
  revision: number;
  customer_id: string;
  mode: 'draft' | 'stripe';
  confirmed_at: Date | null;
  stripe_credited: number;
  row_version: string;
}

/**
 * Records the present state of an elected invoice, and raises or resolves the alerts that follow from it; false for an
 * invoice that is not ours. What was read at Stripe is written only where nobody wrote since before the reading: of two
 * that refresh at once none can bring an older state back. No transaction is held open across the call.
 */
export async function refreshInvoice(deps: RefreshDeps, invoiceId: string): Promise<boolean> {
  for (let tries = 0; tries < STRIPE_REFRESH_TRIES_COUNT; tries++) {
    const { rows } = await deps.pool.query<Submission>(
      `SELECT s.period_id, s.revision, p.customer_id, s.mode, s.confirmed_at, s.stripe_credited,
              s.xmin::text AS row_version
       FROM invoice_submissions s JOIN periods p USING (period_id) WHERE s.elected_invoice_id = $1`,
      [invoiceId],
    );
    const found = rows[0];
    if (!found) return refreshStranger(deps, invoiceId);
    const invoice = await fetchInvoice(deps.stripe, invoiceId);
    const credited = await readCredited(deps, found, invoice);
    const difference = await differenceOfIssued(deps, found, invoice);
    const written = await inTransaction(deps.pool, (client) =>
      record(client, found, invoiceId, invoice, credited, difference),
    );
    if (written) return true;
  }
  throw new CostplusError('stripe_unavailable', 'The invoice changed while it was read; deliver the event again.');
}

async function record(
  client: Client,
  found: Submission,
  invoiceId: string,
  invoice: Stripe.Invoice | null,
  credited: number,
  difference: string | null | undefined,
): Promise<boolean> {
  const isIssuedByHand = found.mode === 'draft' && invoice !== null && invoice.status !== 'draft';
  const update = await client.query(
    `UPDATE invoice_submissions SET stripe_status = $4, stripe_number = coalesce($5, stripe_number),
       hosted_invoice_url = coalesce($6, hosted_invoice_url), stripe_subtotal = coalesce($7, stripe_subtotal),
       stripe_total = coalesce($8, stripe_total), stripe_credited = $9, stripe_to_balance = coalesce($10, stripe_to_balance),
       stripe_paid = coalesce($12, stripe_paid),
       confirmed_at = CASE WHEN $11 THEN coalesce(confirmed_at, now()) ELSE confirmed_at END, refreshed_at = now()
     WHERE period_id = $1 AND revision = $2 AND xmin::text = $3`,
    [
      found.period_id,
      found.revision,
      found.row_version,
      invoice?.status ?? 'deleted',
      invoice?.number ?? null,
      invoice?.hosted_invoice_url ?? null,
      invoice?.subtotal ?? null,
      invoice?.total ?? null,
      credited,
      invoice === null ? null : toBalance(invoice),
      isIssuedByHand,
      invoice?.amount_paid ?? null,
    ],
  );
  if (update.rowCount === 0) return false;
  await showPaymentStatus(client, { ...found, stripe_invoice_id: invoiceId }, paymentStatus(invoice));
  const subject = { ...found, object_id: invoiceId };
  if (difference !== undefined) {
    const detail = difference === null ? null : `${invoiceId} was edited before it was issued: ${difference}.`;
    await setAlert(client, 'not_as_composed', subject, detail);
  }
  const failure = invoice?.status === 'draft' ? finalizationFailure(invoice) : null;
  await setAlert(
    client,
    'finalization_failed',
    subject,
    failure === null ? null : `Stripe could not issue ${invoiceId}: ${failure}.`,
  );
  await checkPeriodBooks(client, found);
  return true;
}

/** What stands in the way of issuing a draft, in Stripe's own codes; null where nothing does. Messages quote values. */
export function finalizationFailure(
  invoice: Pick<Stripe.Invoice, 'last_finalization_error' | 'automatic_tax'>,
): string | null {
  const error = invoice.last_finalization_error;
  if (!error) return null;
  const tax = invoice.automatic_tax?.enabled ? invoice.automatic_tax.status : null;
  return `${error.code ?? error.type}${tax === null || tax === 'complete' ? '' : ` (automatic tax: ${tax})`}`;
}

/** What issued credit notes take off an invoice, without tax; listed only where there is one, or was. */
async function readCredited(deps: RefreshDeps, found: Submission, invoice: Stripe.Invoice | null): Promise<number> {
  if (invoice === null || invoice.status === 'draft') return 0;
  const noted = invoice.pre_payment_credit_notes_amount + invoice.post_payment_credit_notes_amount;
  if (noted === 0 && found.stripe_credited === 0) return 0;
  const notes = await readAll({ ...deps, heartbeat: () => undefined }, 'list credit notes', (sdk, page) =>
    sdk.creditNotes.list({ invoice: invoice.id, ...page }),
  );
  return notes.filter(({ status }) => status === 'issued').reduce((sum, { subtotal }) => sum + subtotal, 0);
}

/**
 * What is different between the composed invoice and one that a person issued from its draft: null for nothing, undefined
 * where nobody could edit it, or it was looked at before (an issued invoice does not change).
 */
async function differenceOfIssued(
  deps: RefreshDeps,
  found: Submission,
  invoice: Stripe.Invoice | null,
): Promise<string | null | undefined> {
  if (found.mode !== 'draft' || found.confirmed_at !== null || invoice === null || invoice.status === 'draft') {
    return undefined;
  }
  const expected = await readInvoiceToSubmit(deps.pool, found);
  const whole: WholeInvoice = await withAllLines({ ...deps, heartbeat: () => undefined }, invoice);
  return findDifference(expected, whole.invoice, whole.lines);
}

/**
 * Compares what a billed period's invoices minus credit notes come to at Stripe, as far as it was read, with its newest
 * revision, and raises or resolves the alert. Does nothing while the period is on its way, or waits for a person to issue
 * its draft.
 */
export async function checkPeriodBooks(
  client: Client,
  period: { period_id: number; customer_id: string },
): Promise<void> {
  if (await checkPlacedBooks(client, period)) return;
  const { rows } = await client.query<{ total: number; currency: string; books: number; changed: string | null }>(
    `SELECT i.subtotal_minor AS total, i.currency,
       (SELECT coalesce(sum(s.stripe_subtotal - s.stripe_credited), 0) FROM invoice_submissions s
        WHERE s.period_id = p.period_id AND s.stripe_status NOT IN ('void', 'deleted', 'draft'))::bigint AS books,
       (SELECT string_agg(s.elected_invoice_id || ' is ' || s.stripe_status, ', ' ORDER BY s.revision)
        FROM invoice_submissions s WHERE s.period_id = p.period_id AND s.stripe_status IN ('void', 'deleted')
          AND NOT EXISTS (SELECT FROM invoice_correction_steps e WHERE e.stripe_invoice_id = s.elected_invoice_id)) AS changed
     FROM periods p
     JOIN LATERAL (SELECT * FROM invoices WHERE period_id = p.period_id ORDER BY revision DESC LIMIT 1) i ON true
     WHERE p.period_id = $1 AND p.status = 'invoiced'
       AND NOT EXISTS (SELECT FROM invoice_submissions s WHERE s.period_id = p.period_id AND s.mode = 'draft'
                       AND s.revision = i.revision AND coalesce(s.stripe_status, 'draft') = 'draft')`,
    [period.period_id],
  );
  const row = rows[0];
  if (!row) return;
  const show = (minor: number) => `${formatMinor(BigInt(minor), row.currency)} ${row.currency}`;
  const detail =
    row.books === row.total
      ? null
      : `Stripe's invoices minus credit notes come to ${show(row.books)}, the period to ${show(row.total)}` +
        `${row.changed === null ? '' : `: ${row.changed}`}. Bill the period again, or undo it at Stripe.`;
  await setAlert(client, 'books_differ', { ...period, object_id: String(period.period_id) }, detail);
}

/** An invoice that is not ours but that an alert stands for: it resolves when the invoice asks for nothing any more. */
async function refreshStranger(deps: RefreshDeps, invoiceId: string): Promise<boolean> {
  const { rows } = await deps.pool.query<{ customer_id: string; period_id: number; object_id: string }>(
    `SELECT customer_id, period_id, object_id FROM stripe_alerts
     WHERE kind = 'issued_by_hand' AND object_id = $1 AND resolved_at IS NULL`,
    [invoiceId],
  );
  const subject = rows[0];
  if (!subject) return false;
  const invoice = await fetchInvoice(deps.stripe, invoiceId);
  if (invoice === null || invoice.status === 'void') {
    await inTransaction(deps.pool, (client) => setAlert(client, 'issued_by_hand', subject, null));
  }
  return true;
}

/** A Stripe customer that is said to be deleted: raises an alert for each customer of ours that still names it. */
export async function refreshCustomer(deps: RefreshDeps, stripeCustomerId: string): Promise<boolean> {
  const { rows } = await deps.pool.query<{ customer_id: string }>(
    'SELECT customer_id FROM customers WHERE stripe_customer_id = $1',
    [stripeCustomerId],
  );
  if (rows.length === 0) return false;
  const isGone = await isDeleted(deps.stripe, stripeCustomerId);
  await inTransaction(deps.pool, async (client) => {
    for (const { customer_id } of rows) {
      const detail = `The Stripe customer ${stripeCustomerId} was deleted; give ${customer_id} another before it is billed.`;
      const subject = { object_id: stripeCustomerId, customer_id, period_id: null };
      await setAlert(client, 'customer_deleted', subject, isGone ? detail : null);
    }
  });
  return true;
}

async function isDeleted(stripe: StripeClient, id: string): Promise<boolean> {
  try {
    const customer = await stripe.call('retrieve customer', {}, (sdk) => sdk.customers.retrieve(id));
    return customer.deleted === true;
  } catch (error) {
    if (isMissing(error)) return true;
    throw error;
  }
}

async function fetchInvoice(stripe: StripeClient, id: string): Promise<Stripe.Invoice | null> {
  try {
    return await stripe.call('retrieve invoice', {}, (sdk) => sdk.invoices.retrieve(id));
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}
