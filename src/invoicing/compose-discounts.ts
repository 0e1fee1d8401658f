import type { Discount } from '../contracts/plan-terms.js';
import { DISCOUNTS_COUNT } from '../limits.js';
import { fromMinor, roundToMinor } from '../money/currency.js';
import { add, type Fraction, isZero, minimum, multiply, negate, parseDecimal, ZERO } from '../money/fraction.js';
import { type Draft, type DraftLine, foldLines, termLine } from './compose-lines.js';
import { instant, type PlanPart, type Terms } from './compose-parts.js';

/**
 * Step "discounts": one negative line for each name. Each takes its share of what those before it left; an amount takes
 * at most what is there, of usage first. A discount that is in force for a part of the time counts for that part.
 */
export function applyDiscounts(draft: Draft, { parts, currency }: Terms): Draft {
  const usage = [...draft.usage];
  const fees = [...draft.fees];
  const byName = new Map<string, DraftLine>();
  parts.forEach((part, index) => {
    for (const discount of part.plan.discounts ?? []) {
      const inForce = overlap(part, discount);
      if (isZero(inForce)) continue;
      const base = {
        usage: discount.on === 'fees' ? 0n : usage[index]!,
        fees: discount.on === 'usage' ? 0n : fees[index]!,
      };
      const off = amountsOff(discount, part, inForce, base);
      const minor = { usage: roundToMinor(off.usage, currency), fees: roundToMinor(off.fees, currency) };
      usage[index]! -= minor.usage;
      fees[index]! -= minor.fees;
      const taken = minor.usage + minor.fees;
      if (taken === 0n) continue;
      const known = byName.get(discount.name) ?? termLine('discount', discount.name, null, ZERO, 0n);
      const charge = add(known.charge, negate(add(off.usage, off.fees)));
      byName.set(discount.name, { ...known, charge, amount: known.amount - taken });
    }
  });
  const stripe = parts.at(-1)?.plan.lines.stripe?.discount ?? null;
  const lines = [...byName.values()].map((line) => ({ ...line, stripe }));
  const folded = foldLines(lines, DISCOUNTS_COUNT, () => 'Further discounts');
  return { ...draft, usage, fees, lines: [...draft.lines, ...folded] };

  function amountsOff(
    discount: Discount,
    part: PlanPart,
    inForce: Fraction,
    base: { usage: bigint; fees: bigint },
  ): { usage: Fraction; fees: Fraction } {
    const [ofUsage, ofFees] = [fromMinor(base.usage, currency), fromMinor(base.fees, currency)];
    if ('percent' in discount) {
      // In force all the time: the whole share of it.
      const share = multiply(parseDecimal(discount.percent), inForce);
      return { usage: multiply(ofUsage, share), fees: multiply(ofFees, share) };
    }
    const granted = multiply(multiply(parseDecimal(discount.amount), part.share), inForce);
    const fromUsage = minimum(granted, ofUsage);
    // Whole minor units: what an amount takes of usage and fees is one rounding, split.
    const rounded = fromMinor(roundToMinor(fromUsage, currency), currency);
    const rest = add(granted, negate(rounded));
    return { usage: rounded, fees: rest.n <= 0n ? ZERO : minimum(rest, ofFees) };
  }
}

/** The share of the part's time in which a discount is in force. */
function overlap(part: PlanPart, { from, to }: Discount): Fraction {
  const [start, end] = [from === undefined ? null : instant(from), to === undefined ? null : instant(to)];
  const ms = part.stretches.reduce((total, [begins, ends]) => {
    const inside = Math.min(ends, end ?? ends) - Math.max(begins, start ?? begins);
    return total + Math.max(0, inside);
  }, 0);
  return part.in_force_ms === 0 ? ZERO : { n: BigInt(ms), d: BigInt(part.in_force_ms) };
}
