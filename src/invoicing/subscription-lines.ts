import { canonicalJson } from '../contracts/canonical-json.js';
import type { StripeReference } from '../contracts/plan-rule.js';
import { LINE_DESCRIPTION_CHARS } from '../limits.js';
import type { ComparedLine } from './correction-plan.js';

/** A line of a revision with the name of what it stands for. Amounts in minor units. */
export interface NamedLine {
  name: string;
  description: string;
  amount: number;
  stripe: StripeReference | null;
}

/** A line for a difference, as it is placed. */
export interface DifferenceLine {
  /** What it corrects; empty for what cannot be said of single lines. */
  name: string;
  description: string;
  amount_minor: number;
  stripe?: StripeReference;
}

/** Names lines by what they stand for; those that stand for the same are told apart by their order. */
export function nameLines(lines: (ComparedLine & { stripe: StripeReference | null })[]): NamedLine[] {
  const seen = new Map<string, number>();
  return lines.map(({ kind, group, plan, description, amount, stripe }) => {
    const what = canonicalJson({ kind, group, plan });
    const times = (seen.get(what) ?? 0) + 1;
    seen.set(what, times);
    return { name: `${what} ${times}`, description, amount, stripe };
  });
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
