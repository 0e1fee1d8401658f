import type { CatalogCache } from '../catalog/catalog-cache.js';
import type { RebillOptions } from '../contracts/engine.js';
import type { InvoiceView } from '../contracts/invoice.js';
import { inTransaction, type Pool } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { prepareRevision } from '../ledger/next-revision.js';
import { type ChangedOpening, previewNextOpening } from '../ledger/opening-changes.js';
import { END_OF_TRANSACTIONS, setOf } from '../ledger/seal.js';
import { formatMinor, parseMinor } from '../money/currency.js';
import { findPeriod } from '../periods/period-store.js';
import { compareLines, type EndedInvoice, planCorrection } from './correction-plan.js';
import { deriveInvoice } from './derive-invoice.js';
import { readInvoice } from './invoice-view.js';
import { identifyLines } from './line-identity.js';
import { isMetered } from './meter-amounts.js';
import { previewPlaced } from './rebill-preview-subscription.js';

type PlansInForce = InvoiceView['plans'];

/**
 * What a re-bill would do, as far as it is known before Stripe is asked. Amounts in major units of `currency`, before tax
 * unless they say otherwise.
 */
export interface RebillPreview {
  revision: number;
  currency: string;
  /** Late usage that it would take in. */
  late_events: number;
  before: { revision: number | null; total: string; plans: PlansInForce };
  after: { total: string; plans: PlansInForce };
  difference: string;
  lines: { description: string; before: string; after: string }[];
  /**
   * Earlier invoices at Stripe by their status as last heard, what was paid of each (with tax; null while that was
   * not read), and what becomes of it.
   */
  stripe: {
    stripe_invoice_id: string;
    stripe_status: string;
    paid: string | null;
    action: 'delete' | 'void' | 'keep' | 'none';
  }[];
  /** Whether Stripe adds tax to an invoice that follows, and takes it back with a credit note. */
  tax: 'stripe' | 'none';
  /**
   * For a plan with lines on the customer's subscription: those that would be deleted because no issued invoice holds them,
   * and what the others come to; null for invoices of their own.
   */
  subscription: { deleted_lines: number; standing: string } | null;
  /** The sealed period that follows, where it would open with something else then; null where it would not. */
  next_period: ChangedOpening | null;
  /** What follows; of `meter_events` the difference of the two revisions, which a meter of charges is brought to. */
  follows: {
    kind: 'invoice' | 'supplementary_invoice' | 'credit_note' | 'subscription_lines' | 'meter_events' | 'nothing';
    amount: string;
  };
}

/**
 * What a re-bill would do now: the same deriving and composing as the real one; nothing is written. Throws
 * `unknown_period`, and `wrong_status` for a period that was never sealed.
 */
export async function previewRebill(
  deps: { pool: Pool; catalogs: CatalogCache },
  customerId: string,
  startDate: string,
  options: RebillOptions,
): Promise<RebillPreview> {
  const { pool, catalogs } = deps;
  const period = await findPeriod(pool, customerId, startDate);
  if (!period) {
    throw new CostplusError('unknown_period', `Customer ${customerId} has no period that starts on ${startDate}.`);
  }
  const next = await inTransaction(pool, (client) => prepareRevision(client, catalogs, period.period_id, options));
  const seal = { ...next, sealed_xid: END_OF_TRANSACTIONS };
  const after = await deriveInvoice(deps, seal, { ...setOf(seal), pending: next.events });
  const { currency } = after.content;
  const before = await readBefore(pool, customerId, startDate, period.period_id);
  const [was, is] = [Number(parseMinor(before?.total ?? '0', currency)), Number(after.subtotal_minor)];
  const show = (minor: number) => formatMinor(BigInt(minor), currency);
  const found = await readStripe(pool, period.period_id);
  const plan = planCorrection(found.map(asEnded), is);
  const isTaxed = found.some(({ total, subtotal }) => total > subtotal);
  const credit = plan.credits.reduce((sum, { amount }) => sum + amount, 0);
  return {
    revision: next.revision,
    currency,
    late_events: next.events.length,
    before: { revision: before?.revision ?? null, total: show(was), plans: before?.plans ?? [] },
    after: { total: show(is), plans: after.content.plans },
    difference: show(is - was),
    lines: compareLines(before === null ? [] : identifyLines(before), identifyLines(after.content)).map((line) => ({
      description: line.description,
      before: show(line.before),
      after: show(line.after),
    })),
    stripe: found.map((one) => ({
      stripe_invoice_id: one.id,
      stripe_status: one.status,
      paid: one.paid === null ? null : show(one.paid),
      action: actionOn(one),
    })),
    tax: isTaxed || next.inputs.plans.at(-1)!.stripe?.automatic_tax === true ? 'stripe' : 'none',
    subscription: null,
    next_period: await previewNextOpening(pool, period, after.content.balances.closing),
    follows:
      credit > 0
        ? { kind: 'credit_note', amount: show(credit) }
        : {
            kind:
              plan.invoice === 'whole'
                ? 'invoice'
                : plan.invoice === 'supplement'
                  ? 'supplementary_invoice'
                  : 'nothing',
            amount: show(plan.invoice_amount),
          },
    ...(next.inputs.plans.at(-1)!.invoice_on === 'subscription'
      ? await previewPlaced(pool, period.period_id, is, show)
      : {}),
    ...(isMetered(next.inputs.plans.at(-1))
      ? { follows: { kind: 'meter_events' as const, amount: show(is - was) } }
      : {}),
  };
}

async function readBefore(
  pool: Pool,
  customerId: string,
  startDate: string,
  periodId: number,
): Promise<InvoiceView | null> {
  const { rows } = await pool.query<{ revision: number | null }>(
    'SELECT max(revision) AS revision FROM invoices WHERE period_id = $1',
    [periodId],
  );
  const revision = rows[0]!.revision;
  return revision === null ? null : readInvoice(pool, customerId, startDate, revision);
}

/** An invoice of an earlier revision as it was last heard of; amounts in minor units. */
interface KnownInvoice {
  id: string;
  status: string;
  subtotal: number;
  total: number;
  credited: number;
  paid: number | null;
}

async function readStripe(pool: Pool, periodId: number): Promise<KnownInvoice[]> {
  const { rows } = await pool.query<KnownInvoice>(
    `SELECT elected_invoice_id AS id, coalesce(stripe_status, 'draft') AS status, stripe_credited AS credited,
            coalesce(stripe_subtotal, 0)::bigint AS subtotal, coalesce(stripe_total, 0)::bigint AS total,
            stripe_paid AS paid
     FROM invoice_submissions WHERE period_id = $1 AND elected_invoice_id IS NOT NULL ORDER BY revision`,
    [periodId],
  );
  return rows;
}

function actionOn({ status, paid }: KnownInvoice): RebillPreview['stripe'][number]['action'] {
  if (status === 'draft') return 'delete';
  if (status === 'paid') return 'keep';
  if (status === 'open' || status === 'uncollectible') return (paid ?? 0) > 0 ? 'keep' : 'void';
  return 'none';
}

/** How it would end. */
function asEnded(invoice: KnownInvoice): EndedInvoice {
  const { id, subtotal, credited } = invoice;
  const ended = actionOn(invoice) === 'keep' ? 'paid' : 'void';
  return { id, ended, subtotal, credited, creditable: subtotal - credited, lines: null };
}
