import { CREDIT_NOTE_LINES_COUNT } from '../limits.js';

/** A line of an invoice at Stripe that credit notes can take from (minor units, before tax and discounts on top). */
export interface CreditableLine {
  id: string;
  /** Our own line's number; null for one that is not ours. */
  line_number: number | null;
  amount: number;
  credited: number;
  /** Tax that the amount contains and that Stripe wants left out when it is credited: inclusive, and automatic. */
  contained_tax: number;
}

/** An amount of an invoice line as a credit note takes it off. */
export interface CreditedLine {
  invoice_line_item: string;
  amount: number;
}

/**
 * Which lines of an invoice a credit note takes `amount` from (pure, above zero): all that is left where that is the amount,
 * negative lines with the positive ones, so that tax is taken back to the last minor unit. Else those that have come down
 * to what `after` says by our line numbers, as far as they have; then the others in their order. No line beyond what is
 * left of it. Comes to less than `amount` only where the lines have no more.
 */
export function chooseLines(
  lines: CreditableLine[],
  amount: number,
  after: ReadonlyMap<number, number>,
): CreditedLine[] {
  const left = lines.map((line) => line.amount - line.credited);
  const all = sum(left);
  const chosen =
    all <= amount
      ? left
      : lines.map(({ line_number }, at) => {
          const stays = line_number === null ? undefined : after.get(line_number);
          return stays === undefined ? 0 : between(left[at]! - stays, left[at]!);
        });
  let missing = Math.min(all, amount) - sum(chosen);
  // Positive lines only: a negative one is taken back only as far as it has come down itself.
  for (let at = 0; at < lines.length && missing > 0; at++) {
    const more = Math.min(missing, Math.max(0, left[at]! - chosen[at]!));
    if (left[at]! <= 0) continue;
    chosen[at]! += more;
    missing -= more;
  }
  for (let at = lines.length - 1; at >= 0 && missing < 0; at--) {
    const less = Math.min(-missing, Math.max(0, chosen[at]!));
    chosen[at]! -= less;
    missing += less;
  }
  return lines.flatMap(({ id }, at) => (chosen[at] === 0 ? [] : [{ invoice_line_item: id, amount: chosen[at]! }]));
}

/** From 0 to `limit`, whichever side of zero that is on. */
function between(value: number, limit: number): number {
  return limit < 0 ? Math.min(0, Math.max(limit, value)) : Math.max(0, Math.min(limit, value));
}

/**
 * The lines as credit notes of at most `CREDIT_NOTE_LINES_COUNT` lines each (pure). Every one comes to more than zero, as
 * Stripe wants it: positive and negative lines are dealt out evenly, the largest first; where that does not do, the
 * negative lines stay uncredited, and so much less of the positive ones is.
 */
export function inParts(lines: CreditedLine[]): CreditedLine[][] {
  if (lines.length <= CREDIT_NOTE_LINES_COUNT) return [lines];
  const dealt = deal(lines);
  if (dealt.every((part) => total(part) > 0)) return dealt;
  let excess = -total(lines.filter(({ amount }) => amount < 0));
  const positive = lines
    .filter(({ amount }) => amount > 0)
    .toReversed()
    .map((line) => {
      const less = Math.min(excess, line.amount);
      excess -= less;
      return { ...line, amount: line.amount - less };
    })
    .filter(({ amount }) => amount > 0);
  return deal(positive.toReversed());
}

function deal(lines: CreditedLine[]): CreditedLine[][] {
  const parts = Math.ceil(lines.length / CREDIT_NOTE_LINES_COUNT);
  const sorted = lines.toSorted((a, b) => b.amount - a.amount);
  return Array.from({ length: parts }, (_, part) => sorted.filter((_line, at) => at % parts === part));
}

export function total(lines: CreditedLine[]): number {
  return lines.reduce((all, { amount }) => all + amount, 0);
}

function sum(amounts: number[]): number {
  return amounts.reduce((all, amount) => all + amount, 0);
}
