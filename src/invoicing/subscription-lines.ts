import type { StripeReference } from '../contracts/plan-rule.js';
import { LINE_DESCRIPTION_CHARS } from '../limits.js';
import { type ComparedLine, pairLines } from './line-identity.js';

/** A line of a revision with the name of what it stands for. Amounts in minor units. */
export interface NamedLine {
  name: string;
  description: string;
  amount: number;
  stripe: StripeReference | null;
  /** As of a compared line; left out where they are not known any more. */
  hint?: string | null;
  across_plans?: string;
}

/** A line for a difference, as it is placed. */
export interface DifferenceLine {
  /** What it corrects; empty for what cannot be said of single lines. */
  name: string;
  description: string;
  amount_minor: number;
  stripe?: StripeReference;
}

/**
 * Names lines by what they stand for and a number, which tells those apart that stand for the same: that of what stands
 * where it pairs with it, so that a line is compared with itself; else the next.
 */
export function nameLines(lines: ComparedLine[], standing: NamedLine[] = []): NamedLine[] {
  const sums = new Map<string, NamedLine>();
  for (const line of standing) {
    const known = sums.get(line.name);
    sums.set(line.name, { ...line, ...known, amount: (known?.amount ?? 0) + line.amount });
  }
  const known = [...sums.values()].map((line) => ({
    ...line,
    what: line.name.replace(/ \d+$/, ''),
    hint: line.hint ?? null,
    across_plans: line.across_plans ?? line.name,
  }));
  const pairs = pairLines(known, lines);
  const taken = new Set(sums.keys());
  return lines.map(({ what, ...line }, at) => {
    const name = pairs[at]?.name ?? nextName(what, taken);
    taken.add(name);
    return { name, ...line };
  });
}

function nextName(what: string, taken: ReadonlySet<string>): string {
  let number = 1;
  while (taken.has(`${what} ${number}`)) number++;
  return `${what} ${number}`;
}

/**
 * The lines that bring what stands at Stripe to a revision (pure): one for each line that changed, by how much, in the order
 * of the revision; beyond `limit` the rest in one. They sum to the revision minus what stands. What stands may hold several
 * amounts of one name: a line, and earlier corrections of it.
 */
export function differenceLines(standing: NamedLine[], revision: NamedLine[], limit: number): DifferenceLine[] {
  const lines = new Map<string, NamedLine>();
  for (const line of revision) lines.set(line.name, { ...line });
  for (const line of standing) {
    const known = lines.get(line.name) ?? { ...line, amount: 0 };
    lines.set(line.name, { ...known, stripe: known.stripe ?? line.stripe, amount: known.amount - line.amount });
  }
  const changed = [...lines.values()].filter(({ amount }) => amount !== 0);
  const shown = changed.length <= limit ? changed : changed.slice(0, limit - 1);
  const rest = changed.slice(shown.length).reduce((sum, { amount }) => sum + amount, 0);
  return [
    ...shown.map(({ name, description, amount, stripe }) => ({
      name,
      description: name === '' ? REST : worded(description),
      amount_minor: amount,
      ...(stripe === null ? {} : { stripe }),
    })),
    ...(rest === 0 ? [] : [{ name: '', description: REST, amount_minor: rest }]),
  ];
}

const REST = 'Correction of what was billed before';
const MARK = 'Correction · ';

/** A correction of a correction is one of the line. */
function worded(description: string): string {
  const text = description.startsWith(MARK) ? description : `${MARK}${description}`;
  if (text.length <= LINE_DESCRIPTION_CHARS) return text;
  return `${text.slice(0, LINE_DESCRIPTION_CHARS - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}
