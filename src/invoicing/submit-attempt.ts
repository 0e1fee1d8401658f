import type Stripe from 'stripe';
import type { Pool } from '../database/pool.js';
import { STRIPE_CLOCK_SKEW_SECONDS } from '../limits.js';
import type { StripeClient } from '../stripe/client.js';
import { isMissing } from '../stripe/stripe-errors.js';
import type { DetailsLinks } from './details-link.js';
import { META_INVOICE } from './draft-check.js';
import { recordDeletedDraft } from './submission-store.js';

export interface SubmitDeps {
  pool: Pool;
  stripe: StripeClient;
  /** Makes the link to the details in the invoice's footer. */
  detailsLinks?: DetailsLinks | undefined;
  /** The time under which Stripe counts meter events; the process's own where it is left out. */
  now?: (() => Date) | undefined;
  /** Hears before each call what is called. */
  heartbeat: (detail: unknown) => void;
  signal?: AbortSignal | undefined;
  /** Called before and after every step that something can fail in; a test stops or breaks the attempt there. */
  failpoint?: ((name: string) => void | Promise<void>) | undefined;
}

/** An invoice at Stripe with all its lines. */
export interface WholeInvoice {
  invoice: Stripe.Invoice;
  lines: Stripe.InvoiceLineItem[];
}

/** Largest page of a list at Stripe. */
const PAGE_COUNT = 100;

/** One step of an attempt, between its failpoints. */
export async function step<T>(deps: SubmitDeps, name: string, work: () => Promise<T>): Promise<T> {
  await deps.failpoint?.(`before ${name}`);
  const result = await work();
  await deps.failpoint?.(`after ${name}`);
  return result;
}

/** One call to Stripe as a step. */
export function call<T>(deps: SubmitDeps, name: string, send: (sdk: Stripe) => Promise<T>): Promise<T> {
  return step(deps, name, () => deps.stripe.call(name, deps, send));
}

/** Pages through a list to its end. */
export async function readAll<T extends { id: string }>(
  deps: SubmitDeps,
  name: string,
  list: (sdk: Stripe, page: { limit: number; starting_after?: string }) => Promise<Stripe.ApiList<T>>,
): Promise<T[]> {
  const all: T[] = [];
  for (;;) {
    const after = all.at(-1)?.id;
    const page = await call(deps, name, (sdk) =>
      list(sdk, after === undefined ? { limit: PAGE_COUNT } : { limit: PAGE_COUNT, starting_after: after }),
    );
    all.push(...page.data);
    if (!page.has_more || page.data.length === 0) return all;
  }
}

/**
 * The customer's invoices at Stripe that carry our key. By listing, which reads its own writes, and never by search.
 * From the period's start on (or the submission's, if a clock was moved): no invoice of a period is older, and a
 * database restored from a backup still finds what was issued before the restore.
 */
export async function findByKey(
  deps: SubmitDeps,
  stripeCustomerId: string,
  key: string,
  since: { starts_at: Date; started_at: Date },
): Promise<Stripe.Invoice[]> {
  // A customer on a test clock has invoices of that clock's time, whatever ours says.
  if (deps.stripe.isTestMode) {
    const all = await readAll(deps, 'list invoices', (sdk, page) =>
      sdk.invoices.list({ customer: stripeCustomerId, ...page }),
    );
    return all.filter((invoice) => invoice.metadata?.[META_INVOICE] === key);
  }
  const earliest = Math.min(since.starts_at.getTime(), since.started_at.getTime());
  const created = { gte: Math.floor(earliest / 1_000) - STRIPE_CLOCK_SKEW_SECONDS };
  const all = await readAll(deps, 'list invoices', (sdk, page) =>
    sdk.invoices.list({ customer: stripeCustomerId, created, ...page }),
  );
  return all.filter((invoice) => invoice.metadata?.[META_INVOICE] === key);
}

/** An invoice as `name` asks for it, or null where Stripe has none. */
export async function retrieveInvoice(deps: SubmitDeps, name: string, id: string): Promise<Stripe.Invoice | null> {
  try {
    return await call(deps, name, (sdk) => sdk.invoices.retrieve(id));
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

/** An invoice with all its lines, or null where Stripe has none. An answer shows about 10 lines; the rest is paged. */
export async function readWhole(deps: SubmitDeps, id: string): Promise<WholeInvoice | null> {
  const invoice = await retrieveInvoice(deps, 'retrieve invoice', id);
  return invoice === null ? null : await withAllLines(deps, invoice);
}

/** The lines that an answer left out, added. */
export async function withAllLines(deps: SubmitDeps, invoice: Stripe.Invoice): Promise<WholeInvoice> {
  if (!invoice.lines.has_more) return { invoice, lines: invoice.lines.data };
  const lines = await readAll(deps, 'list lines', (sdk, page) => sdk.invoices.listLineItems(invoice.id, page));
  return { invoice, lines };
}

/** Deletes a draft that lost. The caller has made sure that it is not elected and never can be. */
export async function deleteDraft(deps: SubmitDeps, id: string): Promise<void> {
  try {
    await call(deps, 'delete draft', (sdk) => sdk.invoices.del(id));
  } catch (error) {
    // Gone already: by an earlier try of this call, or another attempt's.
    if (!isMissing(error)) throw error;
  }
  await recordDeletedDraft(deps.pool, id);
}
