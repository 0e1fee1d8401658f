import type Stripe from 'stripe';
import type { InvoiceToSubmit } from './submission-store.js';

/** Metadata keys that say whose an object at Stripe is; Stripe allows 40 characters. */
export const META_INVOICE = 'costplus_invoice';
export const META_HASH = 'costplus_hash';
export const META_GENERATION = 'costplus_generation';
export const META_LINE = 'costplus_line';
/** Of a credit note that is not the first of its invoice and revision. */
export const META_PART = 'costplus_part';
export const META_CUSTOMER = 'costplus_customer';

/** The line of an invoice at Stripe, as far as it is compared. */
export type SeenLine = Pick<Stripe.InvoiceLineItem, 'amount' | 'currency' | 'metadata'>;
/** The invoice itself, as far as it is compared. */
export type SeenInvoice = Pick<Stripe.Invoice, 'currency' | 'metadata' | 'subtotal'>;

/**
 * What is different between the composed invoice and the one at Stripe, or null. Compares whose it is, the currency,
 * the set of lines with their amounts, and `subtotal`: tax changes `total`, and is Stripe's business.
 */
export function findDifference(expected: InvoiceToSubmit, invoice: SeenInvoice, lines: SeenLine[]): string | null {
  if (invoice.metadata?.[META_INVOICE] !== expected.key) return 'it carries the key of another invoice';
  if (invoice.metadata[META_HASH] !== expected.content_hash) return 'it carries the hash of other content';
  if (invoice.currency !== expected.currency) return `its currency is ${invoice.currency}, not ${expected.currency}`;
  if (lines.length !== expected.lines.length) return `it has ${lines.length} lines, not ${expected.lines.length}`;
  const amounts = new Map(expected.lines.map((line) => [String(line.line_number), line.amount_minor]));
  for (const line of lines) {
    const number = line.metadata?.[META_LINE] ?? '';
    const amount = amounts.get(number);
    if (amount === undefined) return 'a line is not one of ours, or is there twice';
    if (line.amount !== amount || line.currency !== expected.currency) {
      return `line ${number} has ${line.amount} ${line.currency}, not ${amount} ${expected.currency} (minor units)`;
    }
    amounts.delete(number);
  }
  if (invoice.subtotal !== expected.subtotal_minor) {
    return `its subtotal is ${invoice.subtotal}, not ${expected.subtotal_minor} (minor units)`;
  }
  return null;
}
