import { canonicalJson, sha256 } from '../contracts/canonical-json.js';
import { INVOICE_LINES_COUNT, LINE_DESCRIPTION_CHARS } from '../limits.js';

/** An invoice of an earlier revision that has come to its end at Stripe: paid, void or deleted. Amounts in minor units. */
export interface EndedInvoice {
  id: string;
  ended: 'paid' | 'void' | 'deleted';
  subtotal: number;
  /** What its credit notes take off. */
  credited: number;
  /** What was paid with money and not given back by credit notes. */
  refundable: number;
}

/** A credit note to issue. */
export interface PlannedCredit {
  stripe_invoice_id: string;
  amount: number;
  /** The part that goes back to where it was paid from; the rest goes to the customer's balance. */
  refund: number;
}

/** What has to be done so that live invoices minus credit notes equal the revision. */
export interface CorrectionPlan {
  /** What stands: paid invoices minus credit notes. */
  live: number;
  /** The revision's total minus what stands. */
  difference: number;
  credits: PlannedCredit[];
  invoice: 'whole' | 'supplement' | 'none';
  /** What the invoice comes to; 0 where there is none. */
  invoice_amount: number;
}

/**
 * Plans a correction (pure): nothing stands: the whole revision as an invoice; too little stands: an invoice for the
 * difference; too much: credit notes, of the newest invoice first, and what they cannot give as a negative invoice.
 */
export function planCorrection(ended: EndedInvoice[], total: number, to: 'balance' | 'refund'): CorrectionPlan {
  const standing = ended.filter((invoice) => invoice.ended === 'paid');
  const live = standing.reduce((sum, { subtotal, credited }) => sum + subtotal - credited, 0);
  const difference = total - live;
  if (standing.length === 0) {
    const invoice = total === 0 ? 'none' : 'whole';
    return { live, difference, credits: [], invoice, invoice_amount: total };
  }
  const credits: PlannedCredit[] = [];
  let left = Math.max(0, -difference);
  for (const { id, subtotal, credited, refundable } of standing.toReversed()) {
    const amount = Math.min(left, Math.max(0, subtotal - credited));
    if (amount === 0) continue;
    credits.push({ stripe_invoice_id: id, amount, refund: to === 'refund' ? Math.min(amount, refundable) : 0 });
    left -= amount;
  }
  const invoiceAmount = difference > 0 ? difference : -left;
  return {
    live,
    difference,
    credits,
    invoice: invoiceAmount === 0 ? 'none' : 'supplement',
    invoice_amount: invoiceAmount,
  };
}

/** A line as revisions are compared: what it stands for, and its amount in minor units. */
export interface ComparedLine {
  kind: string;
  description: string;
  group: Record<string, string | null>;
  plan: { plan_id: string; version: number } | null;
  amount: number;
}

export interface LineDifference {
  description: string;
  before: number;
  after: number;
}

/** The lines in which two revisions differ, in the order of the newer one; quantities in the wording do not count. */
export function compareLines(before: ComparedLine[], after: ComparedLine[]): LineDifference[] {
  const found = new Map<string, LineDifference>();
  const take = (lines: ComparedLine[], side: 'before' | 'after') => {
    const seen = new Map<string, number>();
    for (const line of lines) {
      const name = canonicalJson({ kind: line.kind, group: line.group, plan: line.plan });
      // Lines that stand for the same are told apart by their order.
      const times = (seen.get(name) ?? 0) + 1;
      seen.set(name, times);
      const key = `${name} ${times}`;
      const difference = found.get(key) ?? { description: line.description, before: 0, after: 0 };
      difference[side] += line.amount;
      found.set(key, difference);
    }
  };
  take(after, 'after');
  take(before, 'before');
  return [...found.values()].filter((one) => one.before !== one.after);
}

export interface SupplementLine {
  description: string;
  amount_minor: number;
}

/**
 * The lines of an invoice for a difference: each line that changed, by how much; what cannot be said of single lines (a
 * credit note made by hand, lines beyond what an invoice holds) in one line at the end. They sum to `amount`.
 */
export function supplementLines(differences: LineDifference[], amount: number): SupplementLine[] {
  const room = INVOICE_LINES_COUNT - 1;
  const lines = differences.slice(0, room).map(({ description, before, after }) => ({
    description: cut(`Correction · ${description}`),
    amount_minor: after - before,
  }));
  const said = lines.reduce((sum, line) => sum + line.amount_minor, 0);
  if (said !== amount) lines.push({ description: 'Correction of what was billed before', amount_minor: amount - said });
  return lines;
}

/** Names the content of a supplement at Stripe. */
export function supplementHash(contentHash: string, lines: SupplementLine[]): string {
  return sha256(canonicalJson({ content_hash: contentHash, lines })).toString('hex');
}

function cut(text: string): string {
  if (text.length <= LINE_DESCRIPTION_CHARS) return text;
  return `${text.slice(0, LINE_DESCRIPTION_CHARS - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}
