import type Stripe from 'stripe';
import { type Client, inTransaction, type Pool, type Queryable } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { STRIPE_REFRESH_TRIES_COUNT } from '../limits.js';
import { setAlert } from '../stripe/alerts.js';
import type { StripeClient } from '../stripe/client.js';
import { paymentStatus } from '../stripe/invoice-state.js';
import type { SubmitDeps } from './submit-attempt.js';
import { checkPlacedBooks, showPlacedStatus } from './subscription-books.js';
import { type ItemOwner, listPeriodItems, readSubscriptionInvoice, type SeenItem } from './subscription-items.js';
import { recordItems } from './subscription-store.js';
import { hasEnded, readSubscription } from './subscription-target.js';

interface Deps extends Partial<Pick<SubmitDeps, 'heartbeat' | 'signal'>> {
  pool: Pool;
  stripe: StripeClient;
}

/** Reads again at Stripe what lines an invoice may concern: those on it, and the customer's that wait for one. */
export async function refreshInvoiceLines(
  deps: Deps,
  invoiceId: string,
  stripeCustomerId: string | null,
): Promise<boolean> {
  return refreshPeriods(
    deps,
    `i.stripe_invoice_id = $1 OR (i.stripe_customer_id = $2
       AND (i.stripe_invoice_id IS NULL OR v.stripe_status = 'draft'))`,
    [invoiceId, stripeCustomerId],
  );
}

/** A line was deleted at Stripe. */
export async function refreshItem(deps: Deps, itemId: string): Promise<boolean> {
  return refreshPeriods(deps, 'i.stripe_item_id = $1', [itemId]);
}

/** A subscription has ended. */
export async function refreshSubscription(deps: Deps, subscriptionId: string): Promise<boolean> {
  return refreshPeriods(
    deps,
    `i.stripe_subscription_id = $1 AND (i.stripe_invoice_id IS NULL OR v.stripe_status = 'draft')`,
    [subscriptionId],
  );
}

async function refreshPeriods(deps: Deps, where: string, values: (string | null)[]): Promise<boolean> {
  const { rows } = await deps.pool.query<{ period_id: number }>(
    `SELECT DISTINCT i.period_id FROM subscription_items i LEFT JOIN subscription_invoices v USING (stripe_invoice_id)
     WHERE i.removed_at IS NULL AND i.gone_at IS NULL AND (${where})`,
    values,
  );
  for (const { period_id } of rows) await refreshPlaced(deps, period_id);
  return rows.length > 0;
}

/**
 * Records where the lines of a period stand now, and the state of the invoices they are on; raises or resolves the alerts that
 * follow. What was read is written only where nobody wrote since before the reading. No transaction is held open across the
 * calls. Throws `stripe_unavailable`.
 */
export async function refreshPlaced(given: Deps, periodId: number): Promise<void> {
  const deps: SubmitDeps = { heartbeat: () => undefined, ...given };
  for (let tries = 0; tries < STRIPE_REFRESH_TRIES_COUNT; tries++) {
    const before = await readBefore(deps.pool, periodId);
    if (before === null) return;
    const items = await listPeriodItems(deps, before.owner);
    const invoices = await readInvoices(deps, items);
    const ended = await endedSubscription(deps, items, invoices);
    try {
      return await inTransaction(deps.pool, (client) => record(client, before, items, invoices, ended));
    } catch (error) {
      if (!(error instanceof WrittenMeanwhile)) throw error;
    }
  }
  throw new CostplusError('stripe_unavailable', 'The lines changed while they were read; try again.');
}

/** Somebody wrote since before the reading: nothing of it is written. */
class WrittenMeanwhile extends Error {}

interface Before {
  owner: ItemOwner;
  /** The version of the period's first submission: every refresh writes it. */
  version: string;
  rows: Map<string, { removed: boolean }>;
  /** Revisions whose lines are all known, by the names that they carry at Stripe. */
  settled: Map<string, number>;
}

async function readBefore(database: Queryable, periodId: number): Promise<Before | null> {
  const { rows: owners } = await database.query<ItemOwner & { version: string }>(
    `SELECT p.period_id, p.customer_id, p.start_date, p.starts_at, s.xmin::text AS version
     FROM subscription_submissions s JOIN periods p USING (period_id)
     WHERE period_id = $1 ORDER BY s.revision LIMIT 1`,
    [periodId],
  );
  if (!owners[0]) return null;
  const { version, ...owner } = owners[0];
  const known = await database.query<{ id: string; removed: boolean }>(
    `SELECT stripe_item_id AS id, removed_at IS NOT NULL AS removed FROM subscription_items WHERE period_id = $1`,
    [periodId],
  );
  const settled = await database.query<{ invoice_key: string; revision: number }>(
    `SELECT s.invoice_key, s.revision FROM subscription_submissions s
     WHERE s.period_id = $1 AND (s.confirmed_at IS NOT NULL OR EXISTS (
       SELECT FROM invoice_corrections c WHERE c.period_id = s.period_id AND c.revision > s.revision
         AND c.settled_at IS NOT NULL))`,
    [periodId],
  );
  return {
    owner,
    version,
    rows: new Map(known.rows.map(({ id, removed }) => [id, { removed }])),
    settled: new Map(settled.rows.map(({ invoice_key, revision }) => [invoice_key, revision])),
  };
}

/** An invoice and the version of its row here from before it was read. */
interface ReadInvoice {
  invoice: Stripe.Invoice;
  version: string | null;
}

async function readInvoices(deps: SubmitDeps, items: SeenItem[]): Promise<ReadInvoice[]> {
  const ids = new Set(items.flatMap(({ stripe_invoice_id: id }) => (id === null ? [] : [id])));
  const read: ReadInvoice[] = [];
  for (const id of ids) {
    const { rows } = await deps.pool.query<{ version: string }>(
      'SELECT xmin::text AS version FROM subscription_invoices WHERE stripe_invoice_id = $1',
      [id],
    );
    const invoice = await readSubscriptionInvoice(deps, id);
    if (invoice !== null) read.push({ invoice, version: rows[0]?.version ?? null });
  }
  return read;
}

/** A subscription that lines wait on and that makes no invoice any more, with how many wait, in words; null where there is none. */
async function endedSubscription(deps: SubmitDeps, items: SeenItem[], invoices: ReadInvoice[]): Promise<string | null> {
  // A draft that Stripe does not issue by itself: so it leaves the drafts of a subscription that is canceled.
  const idle = invoices.filter(({ invoice }) => invoice.status === 'draft' && invoice.auto_advance === false);
  const left = new Set<string | null>([null, ...idle.map(({ invoice }) => invoice.id)]);
  const waiting = items.filter(({ stripe_invoice_id }) => left.has(stripe_invoice_id));
  for (const id of new Set(waiting.map(({ stripe_subscription_id }) => stripe_subscription_id))) {
    if (id === null) continue;
    const subscription = await readSubscription(deps, id);
    if (!hasEnded(subscription)) continue;
    const count = waiting.filter(({ stripe_subscription_id }) => stripe_subscription_id === id).length;
    return (
      `${count} lines wait for an invoice of ${id}, which is ${subscription?.status ?? 'gone'}. Invoice them at ` +
      'Stripe, or give the customer another subscription and bill the period again.'
    );
  }
  return null;
}

async function record(
  client: Client,
  before: Before,
  items: SeenItem[],
  invoices: ReadInvoice[],
  ended: string | null,
): Promise<void> {
  const { period_id } = before.owner;
  const turn = await client.query(
    `UPDATE subscription_submissions SET refreshed_at = clock_timestamp()
     WHERE (period_id, revision) = (SELECT period_id, min(revision) FROM subscription_submissions
                                    WHERE period_id = $1 GROUP BY period_id) AND xmin::text = $2`,
    [period_id, before.version],
  );
  if (turn.rowCount === 0) throw new WrittenMeanwhile();
  for (const { invoice, version } of invoices) {
    await recordInvoice(client, invoice, version);
    const failed = invoice.status === 'draft' ? invoice.last_finalization_error : null;
    const detail = failed ? `Stripe could not issue ${invoice.id}: ${failed.code ?? failed.type}.` : null;
    await setAlert(client, 'finalization_failed', { ...before.owner, object_id: invoice.id }, detail);
  }
  const settled = items.filter(({ key }) => before.settled.has(key));
  for (const item of settled) {
    const ref = { period_id, revision: before.settled.get(item.key)! };
    if (!before.rows.has(item.id)) await recordItems(client, ref, [item], { stray: true });
  }
  const known = new Set<string | null>(invoices.map(({ invoice }) => invoice.id));
  await client.query(
    `UPDATE subscription_items i SET stripe_invoice_id = item.invoice, seen_minor = item.amount, gone_at = NULL
     FROM unnest($1::text[], $2::text[], $3::bigint[]) AS item(id, invoice, amount) WHERE i.stripe_item_id = item.id`,
    [
      settled.map(({ id }) => id),
      settled.map(({ stripe_invoice_id: id }) => (known.has(id) ? id : null)),
      settled.map(({ amount }) => amount),
    ],
  );
  const there = new Set(items.map(({ id }) => id));
  const gone = [...before.rows].filter(([id, { removed }]) => !removed && !there.has(id)).map(([id]) => id);
  await client.query(
    `UPDATE subscription_items SET gone_at = coalesce(gone_at, now()) WHERE stripe_item_id = ANY($1::text[]) AND removed_at IS NULL`,
    [gone],
  );
  await showPlacedStatus(client, period_id);
  await setAlert(client, 'subscription_ended', { ...before.owner, object_id: String(period_id) }, ended);
  await checkPlacedBooks(client, before.owner);
}

async function recordInvoice(client: Client, invoice: Stripe.Invoice, version: string | null): Promise<void> {
  const { rowCount } = await client.query(
    `INSERT INTO subscription_invoices AS known (stripe_invoice_id, stripe_status, stripe_number, hosted_invoice_url,
       payment_status) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (stripe_invoice_id) DO UPDATE SET stripe_status = excluded.stripe_status,
       stripe_number = excluded.stripe_number, hosted_invoice_url = excluded.hosted_invoice_url,
       payment_status = excluded.payment_status, refreshed_at = clock_timestamp()
     WHERE known.xmin::text = $6`,
    [
      invoice.id,
      invoice.status ?? 'draft',
      invoice.number,
      invoice.hosted_invoice_url ?? null,
      paymentStatus(invoice),
      version,
    ],
  );
  if (rowCount === 0) throw new WrittenMeanwhile();
}
