import type { AdvanceFee } from '../contracts/balances.js';
import type { LineKind } from '../contracts/invoice.js';
import { BASE_FEE_LINES_COUNT } from '../limits.js';
import { formatMinor, fromMinor, parseMinor, roundToMinor } from '../money/currency.js';
import {
  add,
  compare,
  type Fraction,
  fromInteger,
  isZero,
  maximum,
  multiply,
  negate,
  parseDecimal,
  subtract,
  ZERO,
} from '../money/fraction.js';
import { baseFeeOf } from '../plans/plan-parts.js';
import { type Draft, type DraftLine, foldLines, termLine } from './compose-lines.js';
import { instant, type PlanPart, planOf, type Terms, termOf } from './compose-parts.js';
import {
  advanceFeeDescription,
  baseFeeDescription,
  foldedFeesDescription,
  paidInAdvanceDescription,
  seatsDescription,
} from './fee-wording.js';

/** A term's line with what the plan says it is at Stripe. */
export function feeLine(
  kind: LineKind,
  description: string,
  part: PlanPart | null,
  charge: Fraction,
  amount: bigint,
): DraftLine {
  const line = termLine(kind, description, part === null ? null : planOf(part), charge, amount);
  return { ...line, stripe: part?.plan.lines.stripe?.[kind] ?? null };
}

/**
 * Step "base_fee": a line for each part's fee, for the time the plan was in force. What of it the invoice before carried
 * in advance is taken off again: usually that is all of it, and no line is needed. A period that was cut since, or a
 * plan that changed, leaves a difference, shown as both lines.
 */
export function chargeBaseFees(draft: Draft, terms: Terms): Draft {
  const several = terms.parts.length > 1;
  const fees = [...draft.fees];
  const lines: DraftLine[] = [];
  let due = 0n;
  terms.parts.forEach((part, index) => {
    const fee = termOf(part, baseFeeOf(part.plan)?.amount, terms.currency);
    if (fee === null || fee.minor === 0n) return;
    due += fee.minor;
    fees[index]! += fee.minor;
    lines.push(feeLine('base_fee', baseFeeDescription(part, several), part, fee.exact, fee.minor));
  });
  const { advance } = terms.opening;
  const paid = advance === null ? 0n : parseMinor(advance.amount, terms.currency);
  const shown = advance !== null && paid === due ? [] : foldLines(lines, BASE_FEE_LINES_COUNT, foldedFeesDescription);
  if (paid !== 0n && paid !== due) {
    const back = fromMinor(paid, terms.currency);
    shown.push(feeLine('advance_fee', paidInAdvanceDescription(), null, negate(back), -paid));
  }
  return { ...draft, fees, beside: draft.beside - paid, lines: [...draft.lines, ...shown] };
}

/** Step "advance_fee": the next period's fee, where the plan in force at its start takes it in advance. */
export function chargeAdvanceFee(draft: Draft, { next, currency, parts }: Terms): Draft {
  if (next === null || next.advance_fee === null) return draft;
  const ms = instant(next.end) - instant(next.start);
  const wholeMs = instant(next.calendar_to) - instant(next.calendar_from);
  const exact = multiply(parseDecimal(next.advance_fee), { n: BigInt(ms), d: BigInt(wholeMs) });
  const amount = roundToMinor(exact, currency);
  if (amount === 0n) return draft;
  const plan = { plan_id: next.plan_id, version: next.version };
  const same = parts.find((part) => part.plan.plan_id === plan.plan_id && part.version === plan.version);
  const line: DraftLine = {
    ...feeLine('advance_fee', advanceFeeDescription(next, ms, wholeMs), same ?? null, exact, amount),
    plan,
  };
  const advance: AdvanceFee = { ...plan, amount: formatMinor(amount, currency) };
  return { ...draft, beside: draft.beside + amount, lines: [...draft.lines, line], advance };
}

/**
 * Step "seats": one line. Each part is charged for the largest number of seats that an event of its time reports, less
 * those that are included, for the time the plan was in force. A period without a report has no seats.
 */
export function chargeSeats(draft: Draft, terms: Terms): Draft {
  const fees = [...draft.fees];
  let [exact, minor, events]: [Fraction, bigint, number] = [ZERO, 0n, 0];
  const reported: { seats: Fraction; included: number }[] = [];
  terms.parts.forEach((part, index) => {
    const { seats } = part.plan;
    if (seats === undefined || isZero(part.share)) return;
    const quantity = largest(part, seats.meter, terms);
    const charged = maximum(subtract(quantity, fromInteger(seats.included)), ZERO);
    const fee = multiply(multiply(charged, parseDecimal(seats.price)), part.share);
    const amount = roundToMinor(fee, terms.currency);
    reported.push({ seats: quantity, included: seats.included });
    exact = add(exact, fee);
    minor += amount;
    events += draft.seat_events[index]!;
    fees[index]! += amount;
  });
  if (reported.length === 0) return draft;
  const most = reported.reduce((a, b) => (compare(a.seats, b.seats) >= 0 ? a : b));
  const only = terms.parts.length === 1 ? terms.parts[0]! : null;
  const line: DraftLine = {
    ...feeLine('seats', seatsDescription(reported), only, exact, minor),
    units: new Map([['seats', most.seats]]),
    events,
  };
  return { ...draft, fees, lines: [...draft.lines, line] };
}

function largest(part: PlanPart, meter: string, { counts }: Terms): Fraction {
  const { plan_id, version } = planOf(part);
  const found = counts.largest.find((one) => one.plan_id === plan_id && one.version === version && one.meter === meter);
  if (!found) throw new RangeError(`the seats of plan ${plan_id} were not counted`);
  return parseDecimal(found.quantity);
}
