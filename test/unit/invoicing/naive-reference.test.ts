import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { composeInvoice } from '../../../src/invoicing/compose.js';
import { INVOICE_LINES_COUNT } from '../../../src/limits.js';
import { mergeResults } from '../../../src/pricing/merge-results.js';
import { amountOf, closingOf, composed, inputOf } from './naive/composed.js';
import { contracts, manyLines, type NaiveContract, periodsOf } from './naive/contracts.js';
import { naiveInvoice } from './naive/invoice.js';
import type { NaiveBooks, NaivePeriod } from './naive/period.js';
import { billable, isSame, minus, type Ratio, ratio } from './naive/ratio.js';

/** Some hundred contracts in a few seconds; NAIVE_RUNS asks for more of them. */
const RUNS = Number(process.env.NAIVE_RUNS ?? 200);

describe('the evaluator', () => {
  it('composes what a plain computation over single events composes, period after period, for any contract', () => {
    fc.assert(
      fc.property(contracts(3), (contract) => {
        for (const period of chain(contract)) compare(period);
      }),
      { numRuns: RUNS },
    );
  });

  it('comes to the same where an invoice has more lines than fit', () => {
    fc.assert(
      fc.property(manyLines(INVOICE_LINES_COUNT + 40), (contract) => {
        for (const period of chain(contract)) {
          const naive = naiveInvoice(period);
          const { content } = composed(period);
          expect(content.lines.length).toBeLessThanOrEqual(INVOICE_LINES_COUNT);
          expect(content.lines.some(({ description }) => description.startsWith('Other usage'))).toBe(true);
          compareSteps(content.steps, naive.steps, period.currency);
          expect(content.balances.closing).toEqual(closingOf(naive.closing, naive.uses, period.currency));
        }
      }),
      { numRuns: Math.ceil(RUNS / 25) },
    );
  });

  it('composes the same bytes however the events are ordered, and in whatever parts they are priced', () => {
    fc.assert(
      fc.property(contracts(1), fc.nat(), (contract, turn) => {
        for (const period of chain(contract)) {
          const at = turn % (period.events.length + 1);
          const [first, second] = [period.events.slice(0, at), period.events.slice(at)];
          const { text } = composed(period);
          expect(composed({ ...period, events: [...second, ...first] }).text).toBe(text);
          const pricing = mergeResults(pricingOf(period, second), pricingOf(period, first));
          expect(composeInvoice({ ...inputOf(period), pricing }).text).toBe(text);
        }
      }),
      { numRuns: Math.ceil(RUNS / 3) },
    );
  });
});

/** Each period with what the one before it leaves, by the naive reference. */
function* chain(contract: NaiveContract): Generator<NaivePeriod> {
  let opening: NaiveBooks = { rollover: new Map(), paid_ahead: null, commitment: null, grants: contract.grants };
  for (const terms of periodsOf(contract)) {
    const period = { ...terms, opening };
    yield period;
    opening = naiveInvoice(period).closing;
  }
}

/** The exact charge, the total after each step, the lines by kind, and what the period leaves. */
function compare(period: NaivePeriod): void {
  const { currency } = period;
  const naive = naiveInvoice(period);
  const { content } = composed(period);
  expect(isShownAs(naive.charged, content.steps.find(({ step }) => step === 'exchange')!.amount)).toBe(true);
  compareSteps(content.steps, naive.steps, currency);
  const lines = content.lines
    .map(({ kind, amount }) => ({ kind, amount: billable(ratio(amount), currency) }))
    .filter(({ amount }) => amount !== 0n);
  expect(texts(lines)).toEqual(texts(naive.lines));
  expect(content.balances.closing).toEqual(closingOf(naive.closing, naive.uses, currency));
}

function compareSteps(
  steps: { step: string; amount: string }[],
  naive: [step: string, total: bigint][],
  currency: string,
): void {
  const afterRounding = steps.slice(steps.findIndex(({ step }) => step === 'rounding'));
  expect(afterRounding).toEqual(naive.map(([step, total]) => ({ step, amount: amountOf(total, currency) })));
}

const texts = (lines: { kind: string; amount: bigint }[]) =>
  lines.map(({ kind, amount }) => `${kind} ${amount}`).sort();

const pricingOf = (period: NaivePeriod, events: NaivePeriod['events']) => inputOf({ ...period, events }).pricing;

/** Exact values are shown to 18 places where they have no end. */
function isShownAs(value: Ratio, text: string): boolean {
  const off = minus(value, ratio(text));
  return isSame(value, ratio(text)) || (off[0] < 0n ? -off[0] : off[0]) * 2n * 10n ** 18n <= off[1];
}
