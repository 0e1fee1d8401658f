import type Stripe from 'stripe';
import { CREDIT_NOTE_FIT_TRIES_COUNT } from '../limits.js';
import { roundToInteger } from '../money/fraction.js';
import { isRefused } from '../stripe/stripe-errors.js';
import type { EndedInvoice, PlannedCredit, WantedCorrection } from './correction-plan.js';
import { type CreditableLine, type CreditedLine, chooseLines, inParts, total } from './credit-lines.js';
import { CannotCorrect } from './earlier-invoices.js';
import { call, type SubmitDeps } from './submit-attempt.js';

/**
 * The credit notes of a plan as Stripe takes them: by amount on an invoice without tax and discounts, else by its lines. A
 * preview says what the lines come to: where that is not what was asked for (an amount that no whole minor unit of tax
 * goes with), the nearest below is taken. `after` has, by invoice, what its lines have come to. Throws CannotCorrect where
 * Stripe does not take that much off an invoice.
 */
export async function fitCredits(
  deps: SubmitDeps,
  ended: EndedInvoice[],
  credits: WantedCorrection['credits'],
  after: (invoiceId: string) => Promise<ReadonlyMap<number, number>>,
): Promise<PlannedCredit[]> {
  const fitted: PlannedCredit[] = [];
  for (const { stripe_invoice_id, amount } of credits) {
    const { lines } = ended.find(({ id }) => id === stripe_invoice_id)!;
    if (lines === null) {
      fitted.push({ stripe_invoice_id, part: 1, amount, lines: null });
      continue;
    }
    const parts = inParts(chooseLines(lines, amount, await after(stripe_invoice_id)));
    for (const [at, chosen] of parts.entries()) {
      const fit = await fitLines(deps, stripe_invoice_id, lines, chosen);
      if (fit !== null) fitted.push({ stripe_invoice_id, part: at + 1, ...fit });
    }
  }
  return fitted;
}

/** Lines that come to what was chosen, or as near below it as they get; null where nothing does. */
async function fitLines(
  deps: SubmitDeps,
  invoice: string,
  lines: CreditableLine[],
  chosen: CreditedLine[],
): Promise<{ amount: number; lines: CreditedLine[] } | null> {
  const wanted = total(chosen);
  let asked = withoutContainedTax(lines, chosen);
  let best: { amount: number; lines: CreditedLine[] } | null = null;
  for (let tries = 0; tries < CREDIT_NOTE_FIT_TRIES_COUNT && total(asked) > 0; tries++) {
    const { subtotal } = await preview(deps, { invoice, lines: asked, amount: wanted });
    if (subtotal === wanted) return { amount: wanted, lines: asked };
    if (subtotal < wanted && (best === null || subtotal > best.amount)) best = { amount: subtotal, lines: asked };
    // Beyond the nearest below the next one is above: what remains is asked for by the invoice that follows.
    if (subtotal < wanted && wanted - subtotal === 1 && tries > 0) break;
    const largest = asked.reduce((a, b) => (b.amount > a.amount ? b : a));
    const more = subtotal > wanted ? -1 : 1;
    asked = asked
      .map((line) => (line === largest ? { ...line, amount: line.amount + more } : line))
      .filter(({ amount }) => amount !== 0);
  }
  return best;
}

/** With automatic tax Stripe takes the amount of a line without the tax that it contains. */
function withoutContainedTax(lines: CreditableLine[], chosen: CreditedLine[]): CreditedLine[] {
  const known = new Map(lines.map((line) => [line.id, line]));
  return chosen
    .map((one) => {
      const { amount, contained_tax } = known.get(one.invoice_line_item)!;
      if (contained_tax === 0) return one;
      return { ...one, amount: one.amount - share(contained_tax, one.amount, amount) };
    })
    .filter(({ amount }) => amount !== 0);
}

/** `whole * part / of`, rounded half away from zero; all of one sign or not. */
function share(whole: number, part: number, of: number): number {
  const sign = of < 0 ? -1n : 1n;
  return Number(roundToInteger({ n: sign * BigInt(whole) * BigInt(part), d: sign * BigInt(of) }));
}

/** What Stripe would make of a credit note now. */
export async function preview(deps: SubmitDeps, credit: CreditAsked): Promise<Stripe.CreditNote> {
  const { invoice, lines, amount } = credit;
  try {
    return await call(deps, 'preview credit note', (sdk) => sdk.creditNotes.preview(creditBody(credit)));
  } catch (error) {
    if (!isRefused(error)) throw error;
    throw new CannotCorrect(
      `Stripe takes no credit note of ${lines === null ? amount : total(lines)} (minor units, before tax) on ${invoice} ` +
        `(${error.extra.stripe_code}): a discount, or what was credited or refunded by hand, has left less of it. Settle ` +
        'the rest with the customer by hand; then release the period, or bill it again.',
    );
  }
}

/** What a credit note takes off an invoice: amounts of its lines, or a plain amount. */
export interface CreditAsked {
  invoice: string;
  lines: CreditedLine[] | null;
  amount: number;
}

/** What a credit note takes off, without how it is given back. */
export function creditBody({ invoice, lines, amount }: CreditAsked) {
  if (lines === null) return { invoice, amount };
  return { invoice, lines: lines.map((line) => ({ type: 'invoice_line_item' as const, ...line })) };
}
