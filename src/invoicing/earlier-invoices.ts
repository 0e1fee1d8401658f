import type Stripe from 'stripe';
import { inTransaction, type Pool } from '../database/pool.js';
import { STRIPE_SETTLE_TRIES_COUNT } from '../limits.js';
import { stepKey } from '../stripe/idempotency-key.js';
import { showPaymentStatus } from '../stripe/invoice-state.js';
import { isRefused } from '../stripe/stripe-errors.js';
import type { EndedInvoice } from './correction-plan.js';
import type { CreditableLine } from './credit-lines.js';
import { META_LINE } from './draft-check.js';
import { call, readAll, retrieveInvoice, type SubmitDeps, withAllLines } from './submit-attempt.js';

/** What stands in the way of a correction, for a person. */
export class CannotCorrect extends Error {}

/**
 * Brings an invoice of an earlier revision to its end at Stripe: a draft is deleted, an open or uncollectible one is
 * voided, a paid one stays, and one of which a part was paid. What it became is read, never assumed: a payment that comes
 * first wins. `key` and `attempt` name the calls of one attempt.
 */
export async function endInvoice(
  deps: SubmitDeps,
  id: string,
  { key, attempt }: { key: string; attempt: number },
): Promise<EndedInvoice> {
  for (let tries = 1; ; tries++) {
    const invoice = await readInvoice(deps, id);
    const ended = invoice === null ? { id, ended: 'deleted' as const, ...NOTHING } : await asEnded(deps, invoice);
    if (ended !== null) {
      await recordEnd(deps.pool, ended);
      return ended;
    }
    if (tries > STRIPE_SETTLE_TRIES_COUNT) {
      throw new CannotCorrect(
        `The invoice ${id} stays ${invoice!.status} at Stripe and cannot be voided: a payment may be on its way. ` +
          'Release the period when it has arrived or failed.',
      );
    }
    try {
      if (invoice!.status === 'draft') await call(deps, 'delete earlier draft', (sdk) => sdk.invoices.del(id));
      else {
        const idempotencyKey = stepKey(key, attempt, 'void', [id, tries]);
        await call(deps, 'void earlier invoice', (sdk) => sdk.invoices.voidInvoice(id, {}, { idempotencyKey }));
      }
    } catch (error) {
      // It changed at this moment: paid, finalized by a person, gone. The next reading says which.
      if (!isRefused(error)) throw error;
    }
  }
}

/** Notes how an invoice ended. It can change no more, so that nothing later is overwritten. */
async function recordEnd(pool: Pool, { id, ended, subtotal, credited }: EndedInvoice): Promise<void> {
  // It can still be paid: that is Stripe's to tell.
  if (ended === 'part_paid') return;
  await inTransaction(pool, async (client) => {
    const { rows } = await client.query<{ period_id: number; revision: number }>(
      `UPDATE invoice_submissions SET stripe_status = $2, refreshed_at = now(),
         stripe_subtotal = CASE WHEN $2 = 'paid' THEN $3 ELSE stripe_subtotal END,
         stripe_credited = CASE WHEN $2 = 'paid' THEN $4 ELSE stripe_credited END
       WHERE elected_invoice_id = $1 RETURNING period_id, revision`,
      [id, ended, subtotal, credited],
    );
    if (!rows[0]) return;
    const status = ended === 'void' ? 'voided' : ended;
    await showPaymentStatus(client, { ...rows[0], stripe_invoice_id: id }, status);
  });
}

const NOTHING = { subtotal: 0, credited: 0, creditable: 0, lines: null };

/** An invoice that can change no more, or stands although it can; else null. */
async function asEnded(deps: SubmitDeps, invoice: Stripe.Invoice): Promise<EndedInvoice | null> {
  const { id, status, subtotal, amount_paid } = invoice;
  if (status === 'void') return { id, ended: 'void', ...NOTHING };
  if (status !== 'paid' && (status === 'draft' || amount_paid === 0)) return null;
  const notes = await listIssued(deps, id);
  const credited = netOf(notes);
  const lines = isPlain(invoice) ? null : await readCreditable(deps, invoice, notes);
  // Taxes of several rates can make nothing of an amount: no credit note fits on that.
  const isNothing = !isDiscounted(invoice) && invoice.total <= sumOf(notes, ({ total }) => total);
  const creditable = isNothing ? 0 : subtotal - credited;
  return { id, ended: status === 'paid' ? 'paid' : 'part_paid', subtotal, credited, creditable, lines };
}

/** Without tax and discounts a credit note is an amount, and that is all there is to it. */
function isPlain(invoice: Stripe.Invoice): boolean {
  const { total, subtotal, total_taxes } = invoice;
  return total === subtotal && !isDiscounted(invoice) && (total_taxes ?? []).every(({ amount }) => amount === 0);
}

function isDiscounted({ total_discount_amounts }: Stripe.Invoice): boolean {
  return (total_discount_amounts ?? []).some(({ amount }) => amount !== 0);
}

/** The lines of an invoice with what earlier credit notes have taken from each. */
async function readCreditable(
  deps: SubmitDeps,
  invoice: Stripe.Invoice,
  notes: Stripe.CreditNote[],
): Promise<CreditableLine[]> {
  const credited = new Map<string, number>();
  for (const note of notes) {
    const taken = note.lines.has_more
      ? await readAll(deps, 'list credit note lines', (sdk, page) => sdk.creditNotes.listLineItems(note.id, page))
      : note.lines.data;
    for (const { invoice_line_item, amount } of taken) {
      if (invoice_line_item === undefined) continue;
      credited.set(invoice_line_item, (credited.get(invoice_line_item) ?? 0) + amount);
    }
  }
  const { lines } = await withAllLines(deps, invoice);
  return lines.map(({ id, amount, metadata, taxes }) => {
    const inclusive = (taxes ?? []).filter(({ tax_behavior }) => tax_behavior === 'inclusive');
    return {
      id,
      line_number: metadata[META_LINE] === undefined ? null : Number(metadata[META_LINE]),
      amount,
      credited: credited.get(id) ?? 0,
      contained_tax: invoice.automatic_tax.enabled ? inclusive.reduce((sum, tax) => sum + tax.amount, 0) : 0,
    };
  });
}

export function readInvoice(deps: SubmitDeps, id: string): Promise<Stripe.Invoice | null> {
  return retrieveInvoice(deps, 'retrieve earlier invoice', id);
}

export function listCreditNotes(deps: SubmitDeps, invoiceId: string): Promise<Stripe.CreditNote[]> {
  return readAll(deps, 'list credit notes', (sdk, page) => sdk.creditNotes.list({ invoice: invoiceId, ...page }));
}

async function listIssued(deps: SubmitDeps, invoiceId: string): Promise<Stripe.CreditNote[]> {
  return (await listCreditNotes(deps, invoiceId)).filter(({ status }) => status === 'issued');
}

/** What credit notes take off, as our books count: before tax, and before discounts of the whole invoice (minor units). */
function netOf(notes: Stripe.CreditNote[]): number {
  return sumOf(notes, ({ subtotal }) => subtotal);
}

function sumOf(notes: Stripe.CreditNote[], of: (note: Stripe.CreditNote) => number): number {
  return notes.reduce((sum, note) => sum + of(note), 0);
}

/** What invoices come to at Stripe now, before tax: those that are not void or deleted, minus their credit notes. */
export async function readBooks(deps: SubmitDeps, ids: string[]): Promise<number> {
  let books = 0;
  for (const id of ids) {
    const invoice = await readInvoice(deps, id);
    if (invoice === null || invoice.status === 'void') continue;
    books += invoice.subtotal - (invoice.status === 'draft' ? 0 : netOf(await listIssued(deps, id)));
  }
  return books;
}
