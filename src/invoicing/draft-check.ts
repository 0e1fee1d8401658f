import type Stripe from 'stripe';
import { STRIPE_ADD_LINES_COUNT, STRIPE_PRODUCT_NAME_CHARS } from '../limits.js';
import type { InvoiceToSubmit } from './submission-store.js';

/** Metadata keys that say whose an object at Stripe is; Stripe allows 40 characters. */
export const META_INVOICE = 'costplus_invoice';
export const META_HASH = 'costplus_hash';
export const META_GENERATION = 'costplus_generation';
export const META_LINE = 'costplus_line';
export const META_CUSTOMER = 'costplus_customer';

/** The line of an invoice at Stripe, as far as it is compared. */
export type SeenLine = Pick<Stripe.InvoiceLineItem, 'amount' | 'currency' | 'metadata'>;
/** The invoice itself, as far as it is compared. */
export type SeenInvoice = Pick<Stripe.Invoice, 'currency' | 'metadata' | 'subtotal'>;

/**
 * Lines as `addLines` takes them, in fixed chunks. `amount` is in minor units, negative for a credit. Stripe documents
 * the ends of a line's period as inclusive; ours is half open, so the last second is the one before `ends_at`.
 */
export function lineChunks(invoice: InvoiceToSubmit, defaultTaxCode?: string): Stripe.InvoiceAddLinesParams.Line[][] {
  const start = Math.floor(invoice.starts_at.getTime() / 1_000);
  const end = Math.max(start, Math.ceil(invoice.ends_at.getTime() / 1_000) - 1);
  const chunks: Stripe.InvoiceAddLinesParams.Line[][] = [];
  for (let from = 0; from < invoice.lines.length; from += STRIPE_ADD_LINES_COUNT) {
    chunks.push(
      invoice.lines.slice(from, from + STRIPE_ADD_LINES_COUNT).map((line) => ({
        ...priced(line, invoice.currency, defaultTaxCode),
        description: line.description,
        metadata: { [META_LINE]: String(line.line_number) },
        period: { start, end },
      })),
    );
  }
  return chunks;
}

/**
 * The amount, or a price of a product where the plan names one or its tax code: a price cannot be negative, so that
 * credits stay plain amounts.
 */
function priced(
  { amount_minor, description, stripe }: InvoiceToSubmit['lines'][number],
  currency: string,
  defaultTaxCode: string | undefined,
): Pick<Stripe.InvoiceAddLinesParams.Line, 'amount' | 'price_data' | 'quantity'> {
  const { product, tax_code = defaultTaxCode } = stripe ?? {};
  if ((product ?? tax_code) === undefined || amount_minor < 0) return { amount: amount_minor };
  const price = { currency, unit_amount: amount_minor };
  if (product !== undefined) return { price_data: { ...price, product }, quantity: 1 };
  const name = description.slice(0, STRIPE_PRODUCT_NAME_CHARS);
  return {
    price_data: { ...price, product_data: { name, ...(tax_code === undefined ? {} : { tax_code }) } },
    quantity: 1,
  };
}

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
