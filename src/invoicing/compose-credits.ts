import type { Adjustment, CreditUse } from '../contracts/balances.js';
import type { AppliesTo } from '../contracts/plan-terms.js';
import { CREDIT_LINES_COUNT } from '../limits.js';
import { type Currency, formatMinor, fromMinor, parseMinor, roundToMinor } from '../money/currency.js';
import { negate, parseDecimal } from '../money/fraction.js';
import { allowanceKey, allowancesOf } from '../plans/plan-parts.js';
import { feeLine } from './compose-fees.js';
import { reachOf } from './compose-held.js';
import { type Draft, type DraftLine, foldLines, sumOfAmounts, termLine, totalOf } from './compose-lines.js';
import { instant, type Terms, termOf } from './compose-parts.js';
import { NOBODY, payPieces, sharePieces, type Takers, takes } from './compose-pieces.js';
import { larger, smaller } from './compose-sums.js';
import { creditDescription, grantedCreditsDescription } from './fee-wording.js';

/** Step "adjustments": one-off amounts as finance decided them, after all that the plan says. */
export function addAdjustments(draft: Draft, { currency, parts }: Terms, adjustments: readonly Adjustment[]): Draft {
  let beside = draft.beside;
  const stripe = parts.at(-1)?.plan.lines.stripe?.adjustment ?? null;
  const lines = adjustments.map(({ amount, description }): DraftLine => {
    const exact = parseDecimal(amount);
    const minor = roundToMinor(exact, currency);
    beside += minor;
    return { ...termLine('adjustment', description, null, exact, minor), stripe };
  });
  return { ...draft, beside, lines: [...draft.lines, ...lines] };
}

/** What credits can still pay for, in minor units. */
interface Payable {
  currency: Currency;
  usage: bigint;
  fees: bigint;
  /** The usage by the grants that match it; empty where no grant has a match. */
  pieces: Map<Takers, bigint>;
}

/** What a credit pays for. */
interface Purpose {
  applies_to: AppliesTo;
  /** The place of a grant with a match: it pays for usage that it matches. */
  place?: number;
}

/**
 * Step "credits": first what the plan grants each period, then prepaid grants in their order, each as far as there is
 * something that it applies to: usage before fees. Nothing is paid beyond the total, and nothing twice: what a credit
 * pays of usage it takes off all pieces that it can pay for, in proportion. A grant that expires inside the period still
 * pays for it; what is left of it then is gone.
 */
export function payWithCredits(draft: Draft, terms: Terms): Draft {
  const total = totalOf(draft);
  // Late usage is usage, whatever period it was of.
  const late = sumOfAmounts(draft.lines.filter(({ kind }) => kind === 'late_usage'));
  const usage = draft.usage.reduce((a, b) => a + b, late);
  const ofUsage = smaller(larger(usage, 0n), larger(total, 0n));
  const payable: Payable = {
    currency: terms.currency,
    usage: ofUsage,
    fees: larger(total, 0n) - ofUsage,
    pieces: new Map(),
  };
  if (terms.opening.credits.some(({ match }) => match !== undefined)) {
    payable.pieces = sharePieces(draft.pieces, draft.usage, terms.currency);
    payable.pieces.set(NOBODY, (payable.pieces.get(NOBODY) ?? 0n) + larger(late, 0n));
  }
  const granted = payWithGranted(draft, terms, payable);
  const grants = payWithGrants(terms, payable);
  const paid = [...granted.lines, ...grants.lines];
  return {
    ...draft,
    rollover: granted.rollover,
    credits: grants.uses,
    beside: paid.reduce((sum, line) => sum + line.amount, draft.beside),
    lines: [...draft.lines, ...paid],
  };
}

function payWithGranted(
  draft: Draft,
  terms: Terms,
  payable: Payable,
): { lines: DraftLine[]; rollover: Draft['rollover'] } {
  const { parts, currency } = terms;
  let { rollover } = draft;
  let [minor, available]: [bigint, bigint] = [0n, 0n];
  for (const [index, part] of parts.entries()) {
    const allowance = allowancesOf(part.plan).find((one) => 'credits' in one);
    if (allowance === undefined || !('credits' in allowance)) continue;
    const term = termOf(part, allowance.credits, currency);
    if (term === null) continue;
    const key = allowanceKey(allowance);
    const whole = term.minor + roundToMinor(rollover.carried(part.plan.plan_id, key), currency);
    // What the next period opened with is not there any more.
    const usable = roundToMinor(reachOf(terms, index, key, fromMinor(whole, currency)).usable, currency);
    const burned = burn(usable, { applies_to: 'all' }, payable);
    rollover = rollover.keep(part.plan.plan_id, key, allowance, fromMinor(whole - burned, currency));
    minor += burned;
    available += usable;
  }
  if (minor === 0n) return { lines: [], rollover };
  const description = grantedCreditsDescription(minor, available, currency);
  const only = parts.length === 1 ? parts[0]! : null;
  const charge = negate(fromMinor(minor, currency));
  return { lines: [{ ...feeLine('credits', description, only, charge, -minor), plan: null }], rollover };
}

function payWithGrants({ opening, currency, end_ms, parts }: Terms, payable: Payable) {
  const lines: DraftLine[] = [];
  const stripe = parts.at(-1)?.plan.lines.stripe?.credits ?? null;
  const uses = opening.credits.map((grant, place): CreditUse => {
    const remaining = parseMinor(grant.remaining, currency);
    const { applies_to, match } = grant;
    const burned = burn(remaining, match === undefined ? { applies_to } : { applies_to, place }, payable);
    const left = remaining - burned;
    const expires = grant.expires_at !== null && instant(grant.expires_at) <= end_ms;
    if (burned > 0n) {
      const charge = negate(fromMinor(burned, currency));
      const description = creditDescription(grant.name, expires ? 0n : left, currency);
      lines.push({ ...termLine('credits', description, null, charge, -burned), stripe });
    }
    return {
      grant_id: grant.grant_id,
      burned: formatMinor(burned, currency),
      expired: formatMinor(expires ? left : 0n, currency),
      remaining: formatMinor(expires ? 0n : left, currency),
    };
  });
  return { lines: foldLines(lines, CREDIT_LINES_COUNT, () => 'Further prepaid credits'), uses };
}

/** Takes what a credit pays for off what is payable. */
function burn(available: bigint, { applies_to, place }: Purpose, payable: Payable): bigint {
  const pays = (takers: Takers) => place === undefined || takes(place, takers);
  const matched = [...payable.pieces].reduce((sum, [takers, left]) => (pays(takers) ? sum + left : sum), 0n);
  const open = place === undefined ? payable.usage : smaller(matched, payable.usage);
  const usage = applies_to === 'fees' ? 0n : smaller(available, open);
  const fees = applies_to === 'usage' ? 0n : smaller(available - usage, payable.fees);
  if (payable.pieces.size > 0) payPieces(payable.pieces, usage, pays, payable.currency);
  payable.usage -= usage;
  payable.fees -= fees;
  return usage + fees;
}
