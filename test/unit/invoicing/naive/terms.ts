import { allowancesOf, kept, type NaivePart, type NaivePeriod, timeOf } from './period.js';
import { billable, least, most, NOTHING, type Ratio, ratio, times, whole, worth } from './ratio.js';
import type { NaiveIncluded, NaiveLine } from './usage.js';

/** The money of one part on its way through the steps, in smallest billable amounts. */
export interface NaiveSheet {
  part: NaivePart;
  lines: NaiveLine[];
  included: NaiveIncluded[];
  /** What the usage lines came to before any step took of it. */
  rounded: bigint;
  usage: bigint;
  fees: bigint;
}

/** A line that no usage stands behind. */
export interface NaiveTerm {
  kind: string;
  amount: bigint;
}

/** A term of a plan for the part's time. */
export function termFor(part: NaivePart, amount: string, currency: string): bigint {
  return billable(times(ratio(amount), part.share), currency);
}

/** Step 5: what the fees of all parts come to, less what the invoice before charged in advance. */
export function chargeBaseFees(sheets: NaiveSheet[], { currency, opening }: NaivePeriod): NaiveTerm[] {
  const lines: NaiveTerm[] = [];
  let due = 0n;
  for (const sheet of sheets) {
    const { base_fee: fee } = sheet.part.plan;
    if (fee === undefined) continue;
    const amount = termFor(sheet.part, typeof fee === 'string' ? fee : fee.amount, currency);
    sheet.fees += amount;
    due += amount;
    lines.push({ kind: 'base_fee', amount });
  }
  const paid = opening.paid_ahead?.amount ?? 0n;
  if (opening.paid_ahead !== null && paid === due) return [];
  return [...lines, { kind: 'advance_fee', amount: -paid }];
}

/** Step 5: the next period's fee, where its plan takes it in advance. */
export function chargeNextFee({ currency, next }: NaivePeriod): NaiveTerm[] {
  const fee = next?.plan.base_fee;
  if (next == null || typeof fee !== 'object' || fee.timing !== 'advance') return [];
  const share: Ratio = [BigInt(next.end - next.start), BigInt(next.calendar.to - next.calendar.from)];
  return [{ kind: 'advance_fee', amount: billable(times(ratio(fee.amount), share), currency) }];
}

/** Step 5: the largest number that one event reports, less what is included. */
export function chargeSeats(sheets: NaiveSheet[], { currency }: NaivePeriod): NaiveTerm[] {
  let line = 0n;
  for (const sheet of sheets) {
    const { seats } = sheet.part.plan;
    if (seats === undefined) continue;
    const charged = most(BigInt(largestSeats(sheet.part)) - BigInt(seats.included), 0n);
    const amount = billable(times(times(whole(charged), ratio(seats.price)), sheet.part.share), currency);
    sheet.fees += amount;
    line += amount;
  }
  return [{ kind: 'seats', amount: line }];
}

/** Whole seats; 0 where none were reported. */
export function largestSeats({ plan, events }: NaivePart): number {
  return Math.max(0, ...events.map(({ usage }) => Number(usage[plan.seats?.meter ?? ''] ?? 0)));
}

/** Step 6. Usage and fees are rounded apart; an amount takes of usage first. */
export function applyDiscounts(sheets: NaiveSheet[], { currency }: NaivePeriod): NaiveTerm[] {
  const byName = new Map<string, bigint>();
  for (const sheet of sheets) {
    for (const discount of sheet.part.plan.discounts ?? []) {
      const from = discount.from === undefined ? Number.NEGATIVE_INFINITY : Date.parse(discount.from);
      const to = discount.to === undefined ? Number.POSITIVE_INFINITY : Date.parse(discount.to);
      const ms = sheet.part.stretches.reduce(
        (sum, [begins, ends]) => sum + Math.max(0, Math.min(ends, to) - Math.max(begins, from)),
        0,
      );
      const time: Ratio = [BigInt(ms), BigInt(timeOf(sheet.part))];
      const ofUsage = discount.on === 'fees' ? 0n : sheet.usage;
      const ofFees = discount.on === 'usage' ? 0n : sheet.fees;
      let [usage, fees] = [0n, 0n];
      if ('percent' in discount) {
        const share = times(ratio(discount.percent), time);
        usage = billable(times(worth(ofUsage, currency), share), currency);
        fees = billable(times(worth(ofFees, currency), share), currency);
      } else {
        const off = billable(times(times(ratio(discount.amount), sheet.part.share), time), currency);
        usage = least(off, ofUsage);
        fees = least(off - usage, ofFees);
      }
      sheet.usage -= usage;
      sheet.fees -= fees;
      byName.set(discount.name, (byName.get(discount.name) ?? 0n) - usage - fees);
    }
  }
  return [...byName.values()].map((amount) => ({ kind: 'discount', amount }));
}

/**
 * Step 7: first allowances of quantity take off the lines that they include, with what the discounts left of those; then
 * one of charge takes off usage that is left. What is not used up stays in `rollover` where it rolls over.
 */
export function applyAllowances(
  sheets: NaiveSheet[],
  { currency }: NaivePeriod,
  rollover: Map<string, Ratio>,
): NaiveTerm[] {
  const byQuantity = new Map<string, bigint>();
  for (const sheet of sheets) {
    const left: Ratio = sheet.rounded === 0n ? NOTHING : [sheet.usage, sheet.rounded];
    for (const { allowance, included } of sheet.included) {
      if (included[0] === 0n) continue;
      const { key } = allowancesOf(sheet.part)[allowance]!;
      const lines = sheet.lines.filter((line) => line.kind === 'usage' && line.allowance === allowance);
      const whole = lines.reduce((sum, { amount }) => sum + amount, 0n);
      const covered = least(billable(times(worth(whole, currency), left), currency), sheet.usage);
      sheet.usage -= covered;
      const name = key.slice(key.indexOf(' '));
      byQuantity.set(name, (byQuantity.get(name) ?? 0n) - covered);
    }
  }
  let byCharge = 0n;
  for (const sheet of sheets) {
    for (const { allowance, key } of allowancesOf(sheet.part)) {
      if (!('charge' in allowance)) continue;
      const carried = billable(rollover.get(key) ?? NOTHING, currency);
      const available = termFor(sheet.part, allowance.charge, currency) + carried;
      const covered = least(available, sheet.usage);
      sheet.usage -= covered;
      byCharge -= covered;
      rollover.set(key, kept(allowance, worth(available - covered, currency)));
      if (sheet.part.plan.lines.overage === true) showOverage(sheet, covered);
    }
  }
  return [...byQuantity.values(), byCharge].map((amount) => ({ kind: 'allowance', amount }));
}

/** The lines are covered in their order; the one in which the allowance ends is cut in two. */
function showOverage(sheet: NaiveSheet, covered: bigint): void {
  let left = covered;
  sheet.lines = sheet.lines.flatMap((line): NaiveLine[] => {
    const isIncluded = line.kind === 'usage' && line.allowance !== null;
    if (isIncluded || line.kind === 'action_fee') return [line];
    const inside = least(left, line.amount);
    left -= inside;
    if (line.kind === 'overage') return [line];
    return [
      { ...line, amount: inside },
      { ...line, kind: 'overage', amount: line.amount - inside },
    ];
  });
}

/** Step 8: what is missing to the minimum counts as a fee. */
export function topUp(sheets: NaiveSheet[], { currency }: NaivePeriod): NaiveTerm[] {
  let line = 0n;
  for (const sheet of sheets) {
    const { minimum_spend: minimum } = sheet.part.plan;
    if (minimum === undefined) continue;
    const missing = most(termFor(sheet.part, minimum, currency) - sheet.usage - sheet.fees, 0n);
    sheet.fees += missing;
    line += missing;
  }
  return [{ kind: 'minimum_spend', amount: line }];
}

/** Step 9: what is beyond the maximum is taken off usage first. */
export function cutBack(sheets: NaiveSheet[], { currency }: NaivePeriod): NaiveTerm[] {
  let line = 0n;
  for (const sheet of sheets) {
    const { maximum_spend: maximum } = sheet.part.plan;
    if (maximum === undefined) continue;
    const beyond = most(sheet.usage + sheet.fees - termFor(sheet.part, maximum, currency), 0n);
    const ofUsage = least(beyond, sheet.usage);
    sheet.usage -= ofUsage;
    sheet.fees -= beyond - ofUsage;
    line -= beyond;
  }
  return [{ kind: 'maximum_spend', amount: line }];
}

/** Step 12: first what the plan grants each period, then grants in their order; usage before fees, late usage with it. */
export function payWithCredits(
  sheets: NaiveSheet[],
  { currency, end, opening, late }: NaivePeriod,
  total: bigint,
  rollover: Map<string, Ratio>,
): { lines: NaiveTerm[]; uses: { id: number; burned: bigint; expired: bigint; left: bigint }[] } {
  const usage = [...sheets.map((sheet) => sheet.usage), ...late].reduce((a, b) => a + b, 0n);
  const payable = { usage: most(least(usage, total), 0n), fees: 0n };
  payable.fees = most(total, 0n) - payable.usage;
  const pay = (left: bigint, on: 'all' | 'usage' | 'fees'): bigint => {
    const ofUsage = on === 'fees' ? 0n : least(left, payable.usage);
    const ofFees = on === 'usage' ? 0n : least(left - ofUsage, payable.fees);
    payable.usage -= ofUsage;
    payable.fees -= ofFees;
    return ofUsage + ofFees;
  };
  let granted = 0n;
  for (const { part } of sheets) {
    for (const { allowance, key } of allowancesOf(part)) {
      if (!('credits' in allowance)) continue;
      const available = termFor(part, allowance.credits, currency) + billable(rollover.get(key) ?? NOTHING, currency);
      const paid = pay(available, 'all');
      rollover.set(key, kept(allowance, worth(available - paid, currency)));
      granted -= paid;
    }
  }
  const uses = [...opening.grants].sort(byBurning).map(({ id, left, applies_to, expires_at }) => {
    const burned = pay(left, applies_to);
    const isOver = expires_at !== null && expires_at <= end;
    const rest = left - burned;
    return { id, burned, expired: isOver ? rest : 0n, left: isOver ? 0n : rest };
  });
  return {
    lines: [granted, ...uses.map(({ burned }) => -burned)].map((amount) => ({ kind: 'credits', amount })),
    uses,
  };
}

/** Lower priority, earlier expiry, what cost the customer less, the older one. */
export function byBurning(a: NaivePeriod['opening']['grants'][number], b: typeof a): number {
  const expiry = (grant: typeof a) => grant.expires_at ?? Number.POSITIVE_INFINITY;
  const basis = (grant: typeof a) => Number(grant.cost_basis ?? -1);
  if (a.priority !== b.priority) return a.priority - b.priority;
  if (expiry(a) !== expiry(b)) return expiry(a) - expiry(b);
  return basis(a) - basis(b) || a.id - b.id;
}
