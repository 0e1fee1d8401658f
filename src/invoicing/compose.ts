import {
  type Adjustment,
  type NextPeriod,
  NO_COUNTS,
  NO_OPENING,
  type OpeningBalances,
  type UsageCounts,
} from '../contracts/balances.js';
import { canonicalJson, sha256 } from '../contracts/canonical-json.js';
import { COMPOSER_VERSION, type InvoiceContent } from '../contracts/invoice.js';
import type { Plan } from '../contracts/plan.js';
import {
  ADJUSTMENTS_COUNT,
  ALLOWANCES_COUNT,
  BASE_FEE_LINES_COUNT,
  CREDIT_LINES_COUNT,
  DISCOUNTS_COUNT,
  INVOICE_LINES_COUNT,
  SUBSCRIPTION_LINES_COUNT,
} from '../limits.js';
import { type Currency, formatMinor, fromMinor } from '../money/currency.js';
import { format, sum, ZERO } from '../money/fraction.js';
import { allowancesOf } from '../plans/plan-parts.js';
import type { PricingInputs, PricingResult } from '../pricing/pricing-result.js';
import { applyAllowances } from './compose-allowances.js';
import { cutToMaximum, topUpToMinimum, trueUpCommitment } from './compose-bounds.js';
import { chargeUsage } from './compose-charges.js';
import { addAdjustments, payWithCredits } from './compose-credits.js';
import { applyDiscounts } from './compose-discounts.js';
import { chargeAdvanceFee, chargeBaseFees, chargeSeats } from './compose-fees.js';
import { type AllowanceBounds, NO_BOUNDS } from './compose-held.js';
import { addLateUsage, type LateLine, lateLinesCount } from './compose-late.js';
import { type Draft, effectiveRates, foldLines, sumOfAmounts, toInvoiceLine, totalOf } from './compose-lines.js';
import { instant, planParts, type Terms } from './compose-parts.js';
import type { CoveredUse } from './compose-rollover.js';
import { currenciesOf, exchangeUsage, roundUsage } from './compose-usage.js';
import { foldedUsageDescription } from './line-wording.js';

/** All that an invoice is a function of: the seal, and the pricing of its set of events at the seal's inputs. */
export interface ComposeInput {
  customer_id: string;
  start_date: string;
  /** RFC 3339, UTC, end exclusive. */
  period: { start: string; end: string };
  /** The calendar's whole span: wider than the period where billing starts or ends inside it. */
  calendar: { from: string; to: string };
  revision: number;
  /** The invoice's currency; every plan's currency is the same. */
  currency: Currency;
  catalog_version: number;
  inputs: PricingInputs;
  /** In the order of `inputs.assignments`. */
  plans: Plan[];
  /** From a catalog currency to the invoice's, decimal strings above zero. */
  exchange_rates: Record<Currency, string>;
  pricing: PricingResult;
  /** Late usage of earlier periods that this invoice carries. */
  late?: LateLine[];
  /** What the sums of pricing cannot say, of the same set of events; needed where `needsCounts` says so. */
  counts?: UsageCounts;
  /** What the periods before leave; nothing where it is left out. */
  opening?: OpeningBalances;
  /** The period that follows; null or left out: billing ends with this one. */
  next?: NextPeriod | null;
  adjustments?: readonly Adjustment[];
  /** The plan in force at the end; the one that came into force last for the first time where it is left out. */
  plan_at_end?: string;
  /** How much of its allowances it may take; all of them where it is left out. */
  bounds?: AllowanceBounds;
}

export interface ComposedInvoice {
  content: InvoiceContent;
  /** The RFC 8785 form of `content`: what is kept, and what the hash is of. */
  text: string;
  /** SHA-256 of `text`, hex. */
  content_hash: string;
  /** The sum of the lines in minor units. */
  subtotal_minor: bigint;
  /** In the order of `content.lines`. */
  line_amounts_minor: bigint[];
  /** What usage took of allowances, by plan version; no part of the bytes. */
  allowances: readonly CoveredUse[];
}

type Step = (draft: Draft, terms: Terms, input: ComposeInput) => Draft;

/** The steps after rounding, in the order of composing; each takes the draft that the one before it made. */
const STEPS: readonly { name: string; take: Step }[] = [
  { name: 'folding', take: foldUsage },
  { name: 'base_fee', take: chargeBaseFees },
  { name: 'advance_fee', take: chargeAdvanceFee },
  { name: 'seats', take: chargeSeats },
  { name: 'discounts', take: applyDiscounts },
  { name: 'allowance', take: applyAllowances },
  { name: 'minimum_spend', take: topUpToMinimum },
  { name: 'maximum_spend', take: cutToMaximum },
  { name: 'commitment', take: (draft, terms, { late = [] }) => trueUpCommitment(draft, terms, late) },
  { name: 'late_usage', take: (draft, _terms, { late = [] }) => addLateUsage(draft, late) },
  { name: 'adjustments', take: (draft, terms, { adjustments = [] }) => addAdjustments(draft, terms, adjustments) },
  { name: 'credits', take: payWithCredits },
];

/**
 * Composes an invoice: a pure function of its input, independent of the order of pricing groups (invariant 2). Amounts
 * stay exact until each line is rounded once; after that only whole minor units are added (invariant 4). `steps` lists
 * what the invoice came to after each step. No usage and no fees: no lines and a total of zero, which the caller ends
 * as nothing to bill. Throws `no_exchange_rate` and `invalid_plan` (a plan in another currency than the invoice's).
 */
export function composeInvoice(input: ComposeInput): ComposedInvoice {
  const { currency, inputs, plans, pricing, opening = NO_OPENING, next = null, counts = NO_COUNTS } = input;
  const split = planParts(input, inputs, plans, currency);
  const end_ms = instant(input.period.end);
  const terms: Terms = {
    parts: split.parts,
    currency,
    end_ms,
    opening,
    next,
    counts,
    bounds: input.bounds ?? NO_BOUNDS,
    last: plans.findLast(({ plan_id }) => plan_id === input.plan_at_end) ?? split.parts.at(-1)!.plan,
  };
  const to = { currency, rates: input.exchange_rates };
  const steps: InvoiceContent['steps'] = [];
  const note = (step: string, amount: string) => steps.push({ step, amount });

  const charged = chargeUsage(inputs, plans, pricing, split, terms, to);
  for (const from of currenciesOf(charged.usage, 'charges')) {
    note(`charges:${from}`, format(sum(charged.usage.map((line) => line.charges.get(from) ?? ZERO))));
  }
  const exchanged = exchangeUsage(charged.usage, to);
  note('exchange', format(sum(exchanged.usage.map((line) => line.charge))));
  let draft = roundUsage(exchanged.usage, charged, terms);
  note('rounding', formatMinor(sumOfAmounts(draft.lines), currency));
  for (const { name, take } of STEPS) {
    draft = take(draft, terms, input);
    note(name, formatMinor(sumOfAmounts(draft.lines), currency));
  }
  const total = totalOf(draft);
  if (total !== sumOfAmounts(draft.lines)) throw new Error('the lines of the invoice do not sum to its total');
  if (draft.lines.length > linesLimit(plans)) throw new Error('the invoice has more lines than Stripe takes');
  note('total', formatMinor(total, currency));
  const cost = sum(draft.lines.map((line) => line.cost));

  const content: InvoiceContent = {
    composer_version: COMPOSER_VERSION,
    customer_id: input.customer_id,
    period: { start: input.period.start, end: input.period.end },
    start_date: input.start_date,
    revision: input.revision,
    currency,
    catalog_version: input.catalog_version,
    plans: inputs.assignments.map(({ plan_id, version, from }) => ({ plan_id, version, from })),
    exchange_rates: exchanged.rates,
    steps,
    lines: draft.lines.map((line) => toInvoiceLine(line, currency, exchanged.cost_rate)),
    events: draft.lines.reduce((events, line) => events + line.events, 0),
    cost_currency: exchanged.cost_currency,
    cost: format(cost),
    ...effectiveRates(cost, fromMinor(total, currency), exchanged.cost_rate),
    balances: {
      opening,
      closing: {
        rollover: draft.rollover.closing(plans.at(-1)!),
        advance: draft.advance,
        commitment: draft.commitment,
        credits: [...draft.credits],
      },
    },
    subtotal: formatMinor(total, currency),
    total: formatMinor(total, currency),
  };
  const text = canonicalJson(content);
  return {
    content,
    text,
    content_hash: sha256(text).toString('hex'),
    subtotal_minor: total,
    line_amounts_minor: draft.lines.map((line) => line.amount),
    allowances: draft.rollover.uses,
  };
}

/** Step "folding": usage beyond what an invoice holds becomes one line, so that the lines of the terms still fit. */
function foldUsage(draft: Draft, terms: Terms, input: ComposeInput): Draft {
  const room = linesLimit(input.plans) - termLinesCount(terms, input);
  return { ...draft, lines: foldLines(draft.lines, room, foldedUsageDescription) };
}

/** What an invoice of its own holds, or what the invoice of a subscription leaves: as the plan says that the period ends with. */
function linesLimit(plans: readonly Plan[]): number {
  return plans.at(-1)?.invoice_on === 'subscription' ? SUBSCRIPTION_LINES_COUNT : INVOICE_LINES_COUNT;
}

/** How many lines the steps after folding may take at most. */
function termLinesCount({ parts, opening, next }: Terms, { adjustments = [], late = [] }: ComposeInput): number {
  const plans = parts.map(({ plan }) => plan);
  const any = (has: (plan: Plan) => boolean) => (plans.some(has) ? 1 : 0);
  const atMost = (limit: number, counts: number[]) =>
    Math.min(
      limit,
      counts.reduce((a, b) => a + b, 0),
    );
  const allowances = plans.map((plan) => allowancesOf(plan));
  return (
    atMost(
      BASE_FEE_LINES_COUNT,
      plans.map((plan) => (plan.base_fee === undefined ? 0 : 1)),
    ) +
    (opening.advance === null ? 0 : 1) +
    (next?.advance_fee == null ? 0 : 1) +
    any((plan) => plan.seats !== undefined) +
    atMost(
      DISCOUNTS_COUNT,
      plans.map(({ discounts = [] }) => discounts.length),
    ) +
    atMost(
      ALLOWANCES_COUNT,
      allowances.map((some) => some.filter((one) => 'quantity' in one).length),
    ) +
    (allowances.flat().some((one) => 'charge' in one) ? 1 : 0) +
    (allowances.flat().some((one) => 'credits' in one) ? 1 : 0) +
    // The line in which an allowance ends is cut in two.
    plans.filter((plan) => plan.lines.overage === true).length +
    any((plan) => plan.minimum_spend !== undefined) +
    any((plan) => plan.maximum_spend !== undefined) +
    (opening.commitment === null ? 0 : 1) +
    any((plan) => plan.commitment !== undefined) +
    lateLinesCount(late) +
    Math.min(ADJUSTMENTS_COUNT, adjustments.length) +
    Math.min(CREDIT_LINES_COUNT, opening.credits.length)
  );
}
