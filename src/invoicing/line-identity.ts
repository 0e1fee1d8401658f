import type { CreditUse } from '../contracts/balances.js';
import { canonicalJson } from '../contracts/canonical-json.js';
import type { InvoiceContent, InvoiceLine } from '../contracts/invoice.js';
import type { StripeReference } from '../contracts/plan-rule.js';
import { parseMinor } from '../money/currency.js';
import { counted, SEPARATOR } from './line-wording.js';

/** A line as revisions are compared. */
export interface ComparedLine {
  /** What it stands for: the same text in every revision, whatever the quantities and amounts. */
  what: string;
  /** The same, whatever plan version charged it. */
  across_plans: string;
  /** Tells lines apart that `what` does not: the unit, or what an allowance had; null where nothing does. */
  hint: string | null;
  description: string;
  /** Minor units. */
  amount: number;
  /** What stands for it at Stripe, for tax. */
  stripe: StripeReference | null;
}

/**
 * The lines of a composed invoice with what each stands for (pure), from its content alone, so that revisions sealed at any
 * time can be compared: the values of its group; the rule and the tier; the grant; the name of a discount or an allowance.
 */
export function identifyLines(content: Pick<InvoiceContent, 'lines' | 'balances' | 'currency'>): ComparedLine[] {
  const grants = grantsOf(content.lines, content.balances.closing.credits);
  return content.lines.map((line, at): ComparedLine => {
    const { kind, group, description } = line;
    const plan = ONE_FOR_ALL_PLANS.has(kind) ? null : line.plan;
    const name = grants[at] ?? nameOf(line);
    const [own, label] = line.rule === null ? [name, name] : [`rule ${line.rule}${tierOf(line)}`, headOf(line)];
    return {
      what: canonicalJson({ kind, group, plan, ...(own === null ? {} : { of: own }) }),
      across_plans: canonicalJson({ kind, group, of: label }),
      hint: hintOf(line),
      description,
      amount: Number(parseMinor(line.amount, content.currency)),
      stripe: line.stripe ?? null,
    };
  });
}

/** One line whatever the plans; it names a plan where the period had just one. */
const ONE_FOR_ALL_PLANS: ReadonlySet<string> = new Set(['seats', 'minimum_spend', 'maximum_spend']);

const QUANTITY_ALLOWANCE = /^Included: [\d,.]+ of (?<available>[\d,.]+) (?<name>.*)$/s;
const TIER = /, (?:included up to|up to|beyond) [\d,.]+(?: up to [\d,.]+)?$/;

/** What a line is called beside its amounts; null where kind, group and plan say it all. */
function nameOf({ kind, description, charge, plan }: InvoiceLine): string | null {
  switch (kind) {
    case 'discount':
      return description;
    // Nobody changes an adjustment: another amount is another one.
    case 'adjustment':
      return `${description} ${charge}`;
    case 'allowance':
      if (description.startsWith('Included usage, ')) return 'Included usage';
      return QUANTITY_ALLOWANCE.exec(description)?.groups?.name ?? description;
    case 'credits':
      return description.startsWith('Included credits, ') ? 'Included credits' : description;
    // What was folded into one line, and the fee that the invoice before carried.
    case 'usage':
    case 'overage':
    case 'action_fee':
    case 'base_fee':
    case 'advance_fee':
      return plan === null ? 'of no plan' : null;
    default:
      return null;
  }
}

function hintOf({ kind, description, unit }: InvoiceLine): string | null {
  if (kind === 'allowance') return QUANTITY_ALLOWANCE.exec(description)?.groups?.available ?? null;
  // What a commitment asks for does not hang on usage.
  return kind === 'commitment' ? description : unit;
}

/** The tier of a graduated price as its line words it, `, beyond 1,000`; empty for all other lines. */
function tierOf(line: InvoiceLine): string {
  return TIER.exec(headOf(line))?.[0] ?? '';
}

/** The wording of a line of usage before its quantities. */
function headOf({ description, quantity, unit }: InvoiceLine): string {
  const measured = quantity === null || unit === null ? '' : SEPARATOR + counted(quantity, unit);
  const at = measured === '' ? -1 : description.lastIndexOf(measured);
  // Several units, or a line that was cut in two and kept the wording of the whole.
  return at === -1 ? description.replace(/ · [\d,.]+ .*$/s, '') : description.slice(0, at);
}

/**
 * The grants of prepaid credits by line. The lines follow the order of the grants that paid something; where some were folded
 * into one, those that stayed are the largest and, of equal ones, the first: so the next grant that paid as much is the one.
 */
function grantsOf(lines: readonly InvoiceLine[], credits: readonly CreditUse[]): (string | null)[] {
  let next = 0;
  return lines.map(({ kind, description, amount }) => {
    if (kind !== 'credits' || !description.startsWith('Prepaid credits')) return null;
    const found = credits.findIndex(({ burned }, at) => at >= next && amount === `-${burned}`);
    if (found === -1) return null;
    next = found + 1;
    return `grant ${credits[found]!.grant_id}`;
  });
}

/** What two lines have to have to be told to be the same. */
type Pairable = Pick<ComparedLine, 'what' | 'across_plans' | 'hint' | 'amount'>;

/**
 * For each line of `after` the one of `before` that stands for the same, or null; each is taken once. What a plan version
 * charged is compared with what the same charged first, then with what another one did. Of several that stand for the same
 * those with the same hint belong together, of these the ones with equal amounts first, so that a line that did not change
 * is never shown as changed; the others in their order.
 */
export function pairLines<B extends Pairable>(before: readonly B[], after: readonly Pairable[]): (B | null)[] {
  const pairs: (B | null)[] = after.map(() => null);
  const taken = new Set<B>();
  for (const key of ['what', 'across_plans'] as const) {
    for (const isSame of SAMENESS) {
      after.forEach((line, at) => {
        if (pairs[at] !== null) return;
        const found = before.find((one) => one[key] === line[key] && !taken.has(one) && isSame(one, line));
        if (found === undefined) return;
        taken.add(found);
        pairs[at] = found;
      });
    }
  }
  return pairs;
}

/** What is tried in turn. */
const SAMENESS: readonly ((one: Pairable, other: Pairable) => boolean)[] = [
  (one, other) => one.hint === other.hint && one.amount === other.amount,
  (one, other) => one.hint === other.hint,
  (one, other) => one.amount === other.amount,
  () => true,
];
