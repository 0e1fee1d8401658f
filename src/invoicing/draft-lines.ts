import type Stripe from 'stripe';
import { STRIPE_ADD_LINES_COUNT, STRIPE_PRODUCT_NAME_CHARS } from '../limits.js';
import { META_INVOICE, META_LINE } from './draft-check.js';
import type { InvoiceToSubmit } from './submission-store.js';

type Line = InvoiceToSubmit['lines'][number];

/** What Stripe needs to know of lines beside what was composed. */
export interface LineTaxes {
  /** Of lines that name neither a product nor a tax code. */
  default_tax_code?: string | undefined;
  /** Tax codes of the products that credits name; left out where a product has none of its own. */
  of_products?: ReadonlyMap<string, string>;
}

/** One call that adds lines to a draft, in the order of the invoice: many lines, or one credit that has a tax code. */
export type LineCall = { lines: Stripe.InvoiceAddLinesParams.Line[] } | { credit: CreditLine };

/** A line below zero as an invoice item; customer and invoice are the draft's. */
export type CreditLine = Pick<
  Stripe.InvoiceItemCreateParams,
  'amount' | 'currency' | 'description' | 'metadata' | 'period' | 'tax_code'
>;

/**
 * The calls that put the lines on a draft. `addLines` takes a product or tax code only with a price, and a price cannot be
 * negative: a credit with a tax code is an invoice item, so that tax falls on the net amount. Amounts in minor units, in fixed
 * chunks. Stripe documents the ends of a line's period as inclusive; ours is half open: the last second is that before
 * `ends_at`.
 */
export function lineCalls(invoice: InvoiceToSubmit, taxes: LineTaxes = {}): LineCall[] {
  const start = Math.floor(invoice.starts_at.getTime() / 1_000);
  const end = Math.max(start, Math.ceil(invoice.ends_at.getTime() / 1_000) - 1);
  const calls: LineCall[] = [];
  for (const line of invoice.lines) {
    // Whose it is: a line can outlive its draft (freed-items.ts).
    const metadata = { [META_INVOICE]: invoice.key, [META_LINE]: String(line.line_number) };
    const common = { description: line.description, metadata, period: { start, end } };
    const tax_code = line.amount_minor < 0 ? creditTaxCode(line, taxes) : undefined;
    if (tax_code !== undefined) {
      calls.push({ credit: { ...common, amount: line.amount_minor, currency: invoice.currency, tax_code } });
      continue;
    }
    const last = calls.at(-1);
    const priced = { ...priceOf(line, invoice.currency, taxes), ...common };
    if (last && 'lines' in last && last.lines.length < STRIPE_ADD_LINES_COUNT) last.lines.push(priced);
    else calls.push({ lines: [priced] });
  }
  return calls;
}

/** The products that credits name without a tax code of their own: theirs has to be asked. */
export function productsOfCredits({ lines }: Pick<InvoiceToSubmit, 'lines'>): string[] {
  const products = lines.flatMap(({ amount_minor, stripe }) =>
    amount_minor < 0 && stripe?.tax_code === undefined && stripe?.product !== undefined ? stripe.product : [],
  );
  return [...new Set(products)];
}

/** A product of ours at Stripe taxes by its own code; without one by the account's, as a plain amount is. */
function creditTaxCode({ stripe }: Line, { default_tax_code, of_products }: LineTaxes): string | undefined {
  if (stripe?.tax_code !== undefined) return stripe.tax_code;
  return stripe?.product === undefined ? default_tax_code : of_products?.get(stripe.product);
}

function priceOf(
  { amount_minor, description, stripe }: Line,
  currency: string,
  { default_tax_code }: LineTaxes,
): Pick<Stripe.InvoiceAddLinesParams.Line, 'amount' | 'price_data' | 'quantity'> {
  const { product, tax_code = default_tax_code } = stripe ?? {};
  if ((product ?? tax_code) === undefined || amount_minor < 0) return { amount: amount_minor };
  const price = { currency, unit_amount: amount_minor };
  if (product !== undefined) return { price_data: { ...price, product }, quantity: 1 };
  const name = description.slice(0, STRIPE_PRODUCT_NAME_CHARS);
  return {
    price_data: { ...price, product_data: { name, ...(tax_code === undefined ? {} : { tax_code }) } },
    quantity: 1,
  };
}
