import type Stripe from 'stripe';
import type { Queryable } from '../database/pool.js';
import { STRIPE_CLOCK_SKEW_SECONDS } from '../limits.js';
import { isMissing, isRefused } from '../stripe/stripe-errors.js';
import { META_GENERATION, META_HASH, META_INVOICE, META_LINE } from './draft-check.js';
import type { InvoiceToSubmit } from './submission-store.js';
import { call, readAll, retrieveInvoice, type SubmitDeps } from './submit-attempt.js';
import type { Generation } from './subscription-store.js';

/** A line of ours as Stripe has it: an invoice item. Amounts in minor units. */
export interface SeenItem {
  id: string;
  /** The name of the revision that it belongs to. */
  key: string;
  hash: string | undefined;
  generation: number;
  line_number: number;
  amount: number;
  currency: string;
  stripe_customer_id: string;
  stripe_subscription_id: string | null;
  /** Null while it waits for an invoice. */
  stripe_invoice_id: string | null;
}

/** Whose lines are looked for. */
export interface ItemOwner {
  period_id: number;
  customer_id: string;
  start_date: string;
  starts_at: Date;
}

/**
 * All lines of a period's revisions that Stripe has, pending or on an invoice, oldest first. By listing, which reads its own
 * writes: under every Stripe customer that the lines were ever made for, and the one that ours has now.
 */
export async function listPeriodItems(deps: SubmitDeps, owner: ItemOwner): Promise<SeenItem[]> {
  const { customers, since } = await readWhere(deps.pool, owner);
  const prefix = `${owner.customer_id}/${owner.start_date}/`;
  const seen: SeenItem[] = [];
  for (const customer of customers) {
    // A customer on a test clock has items of that clock's time, whatever ours says.
    const created = deps.stripe.isTestMode ? {} : { created: { gte: since } };
    const all = await listItems(deps, { customer, ...created });
    seen.push(...all.filter(({ metadata }) => metadata?.[META_INVOICE]?.startsWith(prefix)).map(toSeen));
  }
  return seen.reverse();
}

async function listItems(deps: SubmitDeps, by: Stripe.InvoiceItemListParams): Promise<Stripe.InvoiceItem[]> {
  try {
    return await readAll(deps, 'list items', (sdk, page) => sdk.invoiceItems.list({ ...by, ...page }));
  } catch (error) {
    // A Stripe customer that is gone took its items along.
    if (isMissing(error)) return [];
    throw error;
  }
}

async function readWhere(database: Queryable, owner: ItemOwner): Promise<{ customers: string[]; since: number }> {
  const { rows } = await database.query<{ id: string }>(
    `SELECT stripe_customer_id AS id FROM subscription_generations WHERE period_id = $1
     UNION SELECT stripe_customer_id FROM subscription_items WHERE period_id = $1
     UNION SELECT stripe_customer_id FROM customers WHERE customer_id = $2 AND stripe_customer_id IS NOT NULL
     ORDER BY 1`,
    [owner.period_id, owner.customer_id],
  );
  const started = await database.query<{ at: Date | null }>(
    'SELECT min(started_at) AS at FROM subscription_submissions WHERE period_id = $1',
    [owner.period_id],
  );
  const earliest = Math.min(owner.starts_at.getTime(), started.rows[0]!.at?.getTime() ?? Date.now());
  return { customers: rows.map(({ id }) => id), since: Math.floor(earliest / 1_000) - STRIPE_CLOCK_SKEW_SECONDS };
}

function toSeen(item: Stripe.InvoiceItem): SeenItem {
  const { id, amount, currency, invoice } = item;
  const metadata = item.metadata ?? {};
  return {
    id,
    amount,
    currency,
    key: metadata[META_INVOICE] ?? '',
    hash: metadata[META_HASH],
    generation: Number(metadata[META_GENERATION] ?? 0),
    line_number: Number(metadata[META_LINE] ?? 0),
    stripe_customer_id: idOf(item.customer) ?? '',
    stripe_subscription_id: item.parent?.subscription_details?.subscription ?? null,
    stripe_invoice_id: idOf(invoice),
  };
}

function idOf(reference: string | { id: string } | null): string | null {
  return reference === null || typeof reference === 'string' ? reference : reference.id;
}

/**
 * What makes one line at Stripe: fixed by the composed line and what its generation pinned, so that every attempt sends the
 * same under one key. Coupons of the subscription do not touch it: discounts are lines that were composed. A price cannot be
 * negative, so that credits of a line with a product are plain amounts. Stripe counts both ends of the period in.
 */
export function itemBody(
  invoice: InvoiceToSubmit,
  line: InvoiceToSubmit['lines'][number],
  pinned: Generation,
  defaultTaxCode: string | undefined,
): Stripe.InvoiceItemCreateParams {
  const { product, tax_code = product === undefined ? defaultTaxCode : undefined } = line.stripe ?? {};
  const isPriced = product !== undefined && line.amount_minor >= 0;
  const start = Math.floor(invoice.starts_at.getTime() / 1_000);
  return {
    customer: pinned.stripe_customer_id,
    subscription: pinned.stripe_subscription_id,
    ...(pinned.target_invoice_id === null ? {} : { invoice: pinned.target_invoice_id }),
    ...(isPriced
      ? { price_data: { currency: invoice.currency, product, unit_amount: line.amount_minor }, quantity: 1 }
      : { amount: line.amount_minor, currency: invoice.currency }),
    ...(!isPriced && tax_code !== undefined ? { tax_code } : {}),
    description: line.description,
    discountable: false,
    period: { start, end: Math.max(start, Math.ceil(invoice.ends_at.getTime() / 1_000) - 1) },
    metadata: {
      [META_INVOICE]: invoice.key,
      [META_HASH]: invoice.content_hash,
      [META_GENERATION]: String(pinned.generation),
      [META_LINE]: String(line.line_number),
    },
  };
}

/** Deletes a line; false where Stripe refuses, because it stands on an issued invoice by now. */
export async function deleteItem(deps: SubmitDeps, id: string): Promise<boolean> {
  try {
    await call(deps, 'delete item', (sdk) => sdk.invoiceItems.del(id));
    return true;
  } catch (error) {
    if (isMissing(error)) return true;
    if (isRefused(error)) return false;
    throw error;
  }
}

/** A subscription's invoice, or null where Stripe has none. */
export function readSubscriptionInvoice(deps: SubmitDeps, id: string): Promise<Stripe.Invoice | null> {
  return retrieveInvoice(deps, 'retrieve subscription invoice', id);
}

/** Lines by what can become of them: `removable` wait or stand on a draft, `standing` are billed, `void` ask for nothing. */
export interface SortedItems {
  removable: SeenItem[];
  standing: SeenItem[];
  void: SeenItem[];
}

/** Reads the invoices that lines stand on, and sorts them. Issued is final; so is void. */
export async function sortItems(deps: SubmitDeps, items: SeenItem[]): Promise<SortedItems> {
  const sorted: SortedItems = { removable: [], standing: [], void: [] };
  const invoices = new Map<string, string | null>();
  for (const { stripe_invoice_id: id } of items) {
    if (id === null || invoices.has(id)) continue;
    invoices.set(id, (await readSubscriptionInvoice(deps, id))?.status ?? null);
  }
  for (const item of items) {
    const status = item.stripe_invoice_id === null ? null : invoices.get(item.stripe_invoice_id);
    if (status === null || status === undefined || status === 'draft') sorted.removable.push(item);
    else sorted[status === 'void' ? 'void' : 'standing'].push(item);
  }
  return sorted;
}
