import type { NextPeriod } from '../contracts/balances.js';
import { type Currency, formatMinor } from '../money/currency.js';
import { type Fraction, format } from '../money/fraction.js';
import type { PlanPart } from './compose-parts.js';
import { counted, groupDigits, planLabel, planName, SEPARATOR, within } from './line-wording.js';

const DAY_MS = 86_400_000n;

/** `Base fee · Pro · 15 of 30 days`; the days are left out where the fee is whole. */
export function baseFeeDescription(part: PlanPart, severalPlans: boolean): string {
  const name = severalPlans ? planLabel(part) : planName(part);
  return `Base fee${SEPARATOR}${name}${shareOfDays(part.in_force_ms, part.calendar_ms)}`;
}

/** `Base fee in advance · Pro · from 2026-12-01`. */
export function advanceFeeDescription(next: NextPeriod, ms: number, wholeMs: number): string {
  const name = next.plan_name ?? next.plan_id;
  return `Base fee in advance${SEPARATOR}${name}${SEPARATOR}from ${next.start_date}${shareOfDays(ms, wholeMs)}`;
}

/** The line that takes off what the invoice before carried. */
export function paidInAdvanceDescription(): string {
  return 'Base fee charged in advance on the invoice before';
}

/** The line of base fees beyond BASE_FEE_LINES_COUNT. */
export function foldedFeesDescription(): string {
  return 'Base fees of further plans';
}

/** `12 seats, 5 of them included`; several plans in one period each have their own. */
export function seatsDescription(reported: { seats: Fraction; included: number }[]): string {
  return reported
    .map(({ seats, included }) => {
      const shown = counted(format(seats), 'seats');
      return included === 0 ? shown : `${shown}, up to ${groupDigits(`${included}`)} included`;
    })
    .join('; ');
}

/** `Included usage, up to 20.00 USD`; with rollover what was used of what there was. */
export function chargeAllowanceDescription(
  { covered, available, rolls, prorated }: { covered: bigint; available: bigint; rolls: boolean; prorated: boolean },
  currency: Currency,
): string {
  const share = prorated ? ' (prorated)' : '';
  if (!rolls) return `Included usage, up to ${money(available, currency)}${share}`;
  return `Included usage, ${money(covered, currency)} of ${money(available, currency)}${share}`;
}

/** `Included: 12,000 of 20,000 chats`. */
export function quantityAllowanceDescription(included: Fraction, available: Fraction, name: string): string {
  return `Included: ${groupDigits(format(included, 2))} of ${groupDigits(format(available, 2))} ${name}`;
}

/** A line of usage that an allowance does not reach. */
export function overageDescription(description: string): string {
  return within(description, `${SEPARATOR}beyond the included usage`);
}

/** `Top-up to the minimum spend of 100.00 USD`; `boundMinor` null: several plans, each with its own. */
export function boundDescription(
  kind: 'minimum_spend' | 'maximum_spend',
  boundMinor: bigint | null,
  currency: Currency,
): string {
  const what = kind === 'minimum_spend' ? 'Top-up to the minimum spend of' : 'Reduction to the maximum spend of';
  return `${what} ${boundMinor === null ? 'each plan' : money(boundMinor, currency)}`;
}

/** `Top-up to the commitment of 12,000.00 USD over 12 periods`. */
export function commitmentDescription(dueMinor: bigint, periods: number, currency: Currency): string {
  return `Top-up to the commitment of ${money(dueMinor, currency)} over ${counted(`${periods}`, 'periods')}`;
}

/** `Included credits, 30.00 of 50.00 USD`. */
export function grantedCreditsDescription(burned: bigint, available: bigint, currency: Currency): string {
  return `Included credits, ${groupDigits(formatMinor(burned, currency))} of ${money(available, currency)}`;
}

/** `Prepaid credits · Winter pack · 80.00 USD left`. */
export function creditDescription(name: string, left: bigint, currency: Currency): string {
  return within(`Prepaid credits${SEPARATOR}${name}`, `${SEPARATOR}${money(left, currency)} left`);
}

function shareOfDays(ms: number, wholeMs: number): string {
  return ms === wholeMs ? '' : `${SEPARATOR}${days(ms)} of ${days(wholeMs)} days`;
}

function days(ms: number): string {
  return format({ n: BigInt(ms), d: DAY_MS }, 2);
}

function money(minor: bigint, currency: Currency): string {
  return `${groupDigits(formatMinor(minor, currency))} ${currency.toUpperCase()}`;
}
