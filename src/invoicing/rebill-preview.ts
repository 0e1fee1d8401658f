import type { CatalogCache } from '../catalog/catalog-cache.js';
import type { RebillOptions } from '../contracts/engine.js';
import type { InvoiceContent, InvoiceView } from '../contracts/invoice.js';
import { inTransaction, type Pool } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { prepareRevision } from '../ledger/next-revision.js';
import { END_OF_TRANSACTIONS, setOf } from '../ledger/seal.js';
import { type Currency, formatMinor, roundToMinor } from '../money/currency.js';
import { parseDecimal } from '../money/fraction.js';
import { findPeriod } from '../periods/period-store.js';
import { compareLines, type EndedInvoice, planCorrection } from './correction-plan.js';
import { deriveInvoice } from './derive-invoice.js';
import { readInvoice } from './invoice-view.js';

/** What a re-bill would do, as far as it is known before Stripe is asked. Amounts in major units of `currency`. */
export interface RebillPreview {
  revision: number;
  currency: string;
  /** Late usage that it would take in. */
  late_events: number;
  before: { revision: number | null; total: string };
  after: { total: string };
  difference: string;
  lines: { description: string; before: string; after: string }[];
  /** Earlier invoices at Stripe by their status as last heard, and what becomes of each. */
  stripe: { stripe_invoice_id: string; stripe_status: string; action: 'delete' | 'void' | 'keep' | 'none' }[];
  /** What follows. */
  follows: { kind: 'invoice' | 'supplementary_invoice' | 'credit_note' | 'nothing'; amount: string };
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
  const [was, is] = [minorOf(before?.total ?? '0', currency), Number(after.subtotal_minor)];
  const show = (minor: number) => formatMinor(BigInt(minor), currency);
  const { stripe, ended } = await readStripe(pool, period.period_id);
  const plan = planCorrection(ended, is, options.refund);
  const credit = plan.credits.reduce((sum, { amount }) => sum + amount, 0);
  return {
    revision: next.revision,
    currency,
    late_events: next.events.length,
    before: { revision: before?.revision ?? null, total: show(was) },
    after: { total: show(is) },
    difference: show(is - was),
    lines: compareLines(comparable(before, currency), comparable(after.content, currency)).map((line) => ({
      description: line.description,
      before: show(line.before),
      after: show(line.after),
    })),
    stripe,
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

/** What earlier revisions have at Stripe, and how it would end, by what was last heard of it. */
async function readStripe(pool: Pool, periodId: number) {
  const { rows } = await pool.query<{ id: string; status: string; subtotal: number; credited: number }>(
    `SELECT s.elected_invoice_id AS id, coalesce(s.stripe_status, 'draft') AS status,
            coalesce(s.stripe_subtotal, 0)::bigint AS subtotal,
            (SELECT coalesce(sum(n.amount_minor), 0)::bigint FROM invoice_credit_notes n
             WHERE n.stripe_invoice_id = s.elected_invoice_id AND n.stripe_credit_note_id IS NOT NULL) AS credited
     FROM invoice_submissions s WHERE s.period_id = $1 AND s.elected_invoice_id IS NOT NULL ORDER BY s.revision`,
    [periodId],
  );
  const actions = { draft: 'delete', open: 'void', uncollectible: 'void', paid: 'keep' } as const;
  const stripe = rows.map(({ id, status }) => ({
    stripe_invoice_id: id,
    stripe_status: status,
    action: actions[status as keyof typeof actions] ?? ('none' as const),
  }));
  const ended = rows.map(
    ({ id, status, subtotal, credited }): EndedInvoice => ({
      id,
      ended: status === 'paid' ? 'paid' : 'void',
      subtotal,
      credited,
      refundable: subtotal - credited,
    }),
  );
  return { stripe, ended };
}

function comparable(content: Pick<InvoiceContent, 'lines'> | null, currency: Currency) {
  return (content?.lines ?? []).map((line) => ({ ...line, amount: minorOf(line.amount, currency) }));
}

function minorOf(amount: string, currency: Currency): number {
  return Number(roundToMinor(parseDecimal(amount), currency));
}
