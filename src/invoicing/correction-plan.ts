import { canonicalJson, sha256 } from '../contracts/canonical-json.js';
import type { StripeReference } from '../contracts/plan-rule.js';
import { INVOICE_LINES_COUNT, LINE_DESCRIPTION_CHARS } from '../limits.js';
import type { CreditableLine, CreditedLine } from './credit-lines.js';
import { type ComparedLine, pairLines } from './line-identity.js';
import { cut } from './line-wording.js';

/**
 * An invoice of an earlier revision that has come to its end at Stripe: paid, void or deleted; or stands there, because a part
 * of it was paid and it can never be voided. Amounts in minor units, before tax, and before discounts of the whole invoice.
 */
export interface EndedInvoice {
  id: string;
  ended: 'paid' | 'part_paid' | 'void' | 'deleted';
  subtotal: number;
  /** What its credit notes take off. */
  credited: number;
  /** What further ones can take off. */
  creditable: number;
  /** Its lines, where they are what is credited: with tax or a discount on them. Null: a plain amount. */
  lines: CreditableLine[] | null;
}

/** A credit note to issue. */
export interface PlannedCredit {
  stripe_invoice_id: string;
  /** Grows from 1 over the credit notes of one invoice: what is beyond the lines of one goes on the next. */
  part: number;
  amount: number;
  lines: CreditedLine[] | null;
}

/** What has to be done so that live invoices minus credit notes equal the revision. */
export interface CorrectionPlan {
  /** What stands: paid and partly paid invoices minus credit notes. */
  live: number;
  /** The revision's total minus what stands. */
  difference: number;
  credits: PlannedCredit[];
  invoice: 'whole' | 'supplement' | 'none';
  /** What the invoice comes to; 0 where there is none. */
  invoice_amount: number;
}

/** The plan before Stripe was asked: what credit notes have to take off each invoice, the newest first. */
export interface WantedCorrection extends Omit<CorrectionPlan, 'credits'> {
  credits: Pick<PlannedCredit, 'stripe_invoice_id' | 'amount'>[];
}

/**
 * Plans a correction (pure): nothing stands: the whole revision as an invoice; too little stands: an invoice for the
 * difference; too much: credit notes, of the newest invoice first, and what they cannot give as a negative invoice.
 */
export function planCorrection(ended: EndedInvoice[], total: number): WantedCorrection {
  const standing = ended.filter((invoice) => invoice.ended === 'paid' || invoice.ended === 'part_paid');
  const live = standing.reduce((sum, { subtotal, credited }) => sum + subtotal - credited, 0);
  const difference = total - live;
  if (standing.length === 0) {
    const invoice = total === 0 ? 'none' : 'whole';
    return { live, difference, credits: [], invoice, invoice_amount: total };
  }
  const credits: WantedCorrection['credits'] = [];
  let left = Math.max(0, -difference);
  for (const { id, creditable } of standing.toReversed()) {
    const amount = Math.min(left, Math.max(0, creditable));
    if (amount === 0) continue;
    credits.push({ stripe_invoice_id: id, amount });
    left -= amount;
  }
  return withInvoice({ live, difference, credits }, difference > 0 ? difference : -left);
}

/** The plan with credit notes as they can be had at Stripe: what they lack is in the invoice, which is then negative. */
export function fitPlan(plan: WantedCorrection, credits: PlannedCredit[]): CorrectionPlan {
  if (plan.invoice === 'whole') return { ...plan, credits };
  const sum = (of: { amount: number }[]) => of.reduce((all, { amount }) => all + amount, 0);
  return withInvoice({ ...plan, credits }, plan.invoice_amount - (sum(plan.credits) - sum(credits)));
}

function withInvoice<P>(plan: P, amount: number): P & Pick<CorrectionPlan, 'invoice' | 'invoice_amount'> {
  return amount === 0
    ? { ...plan, invoice: 'none', invoice_amount: 0 }
    : { ...plan, invoice: 'supplement', invoice_amount: amount };
}

export interface LineDifference {
  description: string;
  before: number;
  after: number;
  stripe?: StripeReference;
  /** As the newer revision has it; null where it is gone. */
  line: ComparedLine | null;
}

/** The lines in which two revisions differ, in the order of the newer one; quantities in the wording do not count. */
export function compareLines(before: ComparedLine[], after: ComparedLine[]): LineDifference[] {
  const pairs = pairLines(before, after);
  const kept = new Set(pairs);
  const differences = after.map((line, at): LineDifference => {
    const was = pairs[at] ?? null;
    return {
      line,
      description: line.description,
      before: was?.amount ?? 0,
      after: line.amount,
      ...referenceOf({ stripe: line.stripe ?? was?.stripe ?? null }),
    };
  });
  const gone = before
    .filter((line) => !kept.has(line))
    .map((line) => ({
      line: null,
      description: line.description,
      before: line.amount,
      after: 0,
      ...referenceOf(line),
    }));
  return [...differences, ...gone].filter((one) => one.before !== one.after);
}

/** What each line of a revision has come to in a later one, in order; 0 where it is gone. */
export function amountsAfter(before: ComparedLine[], after: ComparedLine[]): number[] {
  const amounts = new Map(pairLines(before, after).map((line, at) => [line, after[at]!.amount]));
  return before.map((line) => amounts.get(line) ?? 0);
}

function referenceOf({ stripe }: Pick<ComparedLine, 'stripe'>): { stripe?: StripeReference } {
  return stripe === undefined || stripe === null ? {} : { stripe };
}

export interface SupplementLine {
  description: string;
  amount_minor: number;
  /** That of the line it corrects: taxed as that one is. */
  stripe?: StripeReference;
}

/**
 * The lines of an invoice for a difference: each line that changed, by how much; what cannot be said of single lines (a
 * credit note made by hand, lines beyond what an invoice holds) in one line at the end. They sum to `amount`.
 */
export function supplementLines(differences: LineDifference[], amount: number): SupplementLine[] {
  const room = INVOICE_LINES_COUNT - 1;
  const lines = differences.slice(0, room).map(
    ({ description, before, after, stripe }): SupplementLine => ({
      description: cut(`Correction · ${description}`, LINE_DESCRIPTION_CHARS),
      amount_minor: after - before,
      ...referenceOf({ stripe: stripe ?? null }),
    }),
  );
  const said = sumOf(lines);
  if (said !== amount) lines.push({ description: 'Correction of what was billed before', amount_minor: amount - said });
  return lines;
}

/**
 * What the lines of an invoice for the difference of two revisions have come to in a later one, by their numbers: each less
 * what its line has come down by since, and none turned around. Lines that are not found again are left out.
 */
export function supplementAfter(
  lines: SupplementLine[],
  [before, revision, later]: [ComparedLine[], ComparedLine[], ComparedLine[]],
): Map<number, number> {
  const differences = compareLines(before, revision);
  const wanted = supplementLines(differences, sumOf(lines));
  const amounts = new Map(amountsAfter(revision, later).map((amount, at) => [revision[at], amount]));
  const after = new Map<number, number>();
  lines.forEach(({ description, amount_minor: amount }, at) => {
    const line = differences[at]?.line ?? null;
    if (line === null || wanted[at]?.description !== description || wanted[at].amount_minor !== amount) return;
    const moved = amount + amounts.get(line)! - line.amount;
    after.set(at + 1, amount > 0 ? Math.min(amount, Math.max(0, moved)) : Math.max(amount, Math.min(0, moved)));
  });
  return after;
}

/** Names the content of a supplement at Stripe. */
export function supplementHash(contentHash: string, lines: SupplementLine[]): string {
  return sha256(canonicalJson({ content_hash: contentHash, lines })).toString('hex');
}

function sumOf(lines: SupplementLine[]): number {
  return lines.reduce((sum, { amount_minor }) => sum + amount_minor, 0);
}
