import { allowancesOf, kept, type NaiveBooks, type NaiveCommitment, type NaivePeriod, partsOf } from './period.js';
import { billable, most, NOTHING, plus, type Ratio, ratio, sumOf, times } from './ratio.js';
import {
  applyAllowances,
  applyDiscounts,
  chargeBaseFees,
  chargeNextFee,
  chargeSeats,
  cutBack,
  type NaiveSheet,
  type NaiveTerm,
  payWithCredits,
  topUp,
} from './terms.js';
import { chargeUsage } from './usage.js';

/*
 * What an invoice comes to, found again event by event with whole numbers only and with nothing of src but the shape of a
 * plan: slow, and plain enough to be read beside docs/explanation/money.md.
 */

export interface NaiveInvoice {
  /** The exact charge of all usage in the invoice's currency. */
  charged: Ratio;
  /** What the invoice came to after each step, in smallest billable amounts. */
  steps: [step: string, total: bigint][];
  /** Lines of zero are left out. */
  lines: NaiveTerm[];
  closing: NaiveBooks;
  uses: { id: number; burned: bigint; expired: bigint; left: bigint }[];
}

export function naiveInvoice(period: NaivePeriod): NaiveInvoice {
  const { currency, opening } = period;
  const rollover = new Map(opening.rollover);
  const sheets = partsOf(period).map((part): NaiveSheet => {
    const { lines, included } = chargeUsage(part, period, rollover);
    for (const { allowance: at, left } of included) {
      const { allowance, key } = allowancesOf(part)[at]!;
      rollover.set(key, kept(allowance, left));
    }
    const rounded = lines.reduce((sum, { amount }) => sum + amount, 0n);
    return { part, lines, included, rounded, usage: rounded, fees: 0n };
  });
  const charged = sumOf(sheets.flatMap(({ lines }) => lines.map(({ exact }) => exact)));
  let total = sheets.reduce((sum, { usage }) => sum + usage, 0n);
  const steps: NaiveInvoice['steps'] = [
    ['rounding', total],
    ['folding', total],
  ];
  const terms: NaiveTerm[] = [];
  const take = (step: string, lines: NaiveTerm[]) => {
    terms.push(...lines);
    total += lines.reduce((sum, { amount }) => sum + amount, 0n);
    steps.push([step, total]);
  };
  take('base_fee', chargeBaseFees(sheets, period));
  const nextFee = chargeNextFee(period);
  take('advance_fee', nextFee);
  take('seats', chargeSeats(sheets, period));
  take('discounts', applyDiscounts(sheets, period));
  take('allowance', applyAllowances(sheets, period, rollover));
  take('minimum_spend', topUp(sheets, period));
  take('maximum_spend', cutBack(sheets, period));
  const commitment = trueUp(sheets, period);
  take('commitment', commitment.lines);
  take(
    'late_usage',
    period.late.map((amount) => ({ kind: 'late_usage', amount })),
  );
  take(
    'adjustments',
    period.adjustments.map((amount) => ({ kind: 'adjustment', amount: billable(ratio(amount), currency) })),
  );
  const credits = payWithCredits(sheets, period, total, rollover);
  take('credits', credits.lines);
  steps.push(['total', total]);

  const last = period.assignments.at(-1)!;
  const ahead = nextFee[0]?.amount ?? 0n;
  return {
    charged,
    steps,
    lines: [...sheets.flatMap(({ lines }) => lines), ...terms]
      .map(({ kind, amount }) => ({ kind, amount }))
      .filter(({ amount }) => amount !== 0n),
    closing: {
      // What the plan in force at the end still has.
      rollover: new Map(
        allowancesOf(last).flatMap(({ allowance, key }) => {
          const left = rollover.get(key) ?? NOTHING;
          return allowance.rollover === true && left[0] !== 0n ? [[key, left]] : [];
        }),
      ),
      paid_ahead:
        ahead === 0n ? null : { plan_id: period.next!.plan.plan_id, version: period.next!.version, amount: ahead },
      commitment: commitment.state,
      grants: opening.grants.flatMap((grant) => {
        const { left } = credits.uses.find(({ id }) => id === grant.id)!;
        return left === 0n ? [] : [{ ...grant, left }];
      }),
    },
    uses: credits.uses,
  };
}

/** Step 10: a minimum over several periods, charged in the last one, or where plan or billing end before it. */
function trueUp(sheets: NaiveSheet[], { currency, assignments, opening, next }: NaivePeriod) {
  const lines: NaiveTerm[] = [];
  let state: NaiveCommitment | null = null;
  const { plan } = assignments.at(-1)!;
  const underWay = opening.commitment === null ? [] : [opening.commitment];
  if (plan.commitment !== undefined && opening.commitment?.plan_id !== plan.plan_id) {
    underWay.push({ plan_id: plan.plan_id, ...plan.commitment, over: 0, elapsed: NOTHING, spent: 0n });
  }
  for (const one of underWay) {
    const own = sheets.filter(({ part }) => part.plan.plan_id === one.plan_id);
    const now: NaiveCommitment = {
      ...one,
      over: one.over + 1,
      elapsed: plus(one.elapsed, sumOf(own.map(({ part }) => part.share))),
      spent: one.spent + own.reduce((sum, { usage, fees }) => sum + usage + fees, 0n),
    };
    const isOver = now.over === one.periods;
    if (!isOver && next?.plan.plan_id === one.plan_id && plan.plan_id === one.plan_id) {
      state = now;
      continue;
    }
    const inFull = !isOver && one.early_end === 'full';
    const due = inFull ? ratio(one.amount) : times(ratio(one.amount), times(now.elapsed, [1n, BigInt(one.periods)]));
    const missing = billable(due, currency) - now.spent;
    lines.push({ kind: 'commitment', amount: most(missing, 0n) });
  }
  return { lines, state };
}
