import { describe, expect, it } from 'vitest';
import { ALLOWANCES_COUNT, CREDIT_LINES_COUNT, DISCOUNTS_COUNT, LATE_LINES_COUNT } from '../../../src/limits.js';
import { parseDecimal } from '../../../src/money/fraction.js';
import { compose, credit, type Example } from './plan-cases.js';

/** 1 to n. */
const upTo = (n: number): number[] => Array.from({ length: n }, (_, index) => index + 1);
const usage = { cost: '1000', feature: 'chat' };

/** The lines of a kind, and what they say of the ones that became one. */
function linesOf(example: Example, kind: string) {
  const { content } = compose(example);
  const lines = content.lines.filter((line) => line.kind === kind);
  return { amounts: lines.map(({ amount }) => amount), last: lines.at(-1)!.description, content };
}

describe('terms with more lines than an invoice has room for', () => {
  it('credits: of 25 grants of 1.00 to 25.00 the 19 largest stay, the others are 1 + 2 + ... + 6 = 21', () => {
    const credits = upTo(25).map((id) => credit(id, `${id}.00`));
    const { amounts, last, content } = linesOf({ used: [usage], opening: { credits } }, 'credits');
    expect(amounts).toHaveLength(CREDIT_LINES_COUNT);
    expect(amounts).toEqual([...upTo(25).slice(6), 21].map((amount) => `-${amount}.00`));
    expect(last).toBe('Further prepaid credits');
    // 1,000 - 25 x 26 / 2
    expect(content.total).toBe('675.00');
    expect(content.balances.closing.credits.map(({ burned }) => burned)).toEqual(upTo(25).map((id) => `${id}.00`));
  });

  it('late usage: of 14 periods the 11 largest stay, the others are 1 + 2 + 3 = 6', () => {
    const late = upTo(14).map((month) => ({
      start_date: `2025-${month}`,
      units: new Map(),
      events: 1,
      cost: parseDecimal('0'),
      charge: parseDecimal(`${month}`),
      amount: BigInt(month) * 100n,
    }));
    const { amounts, last, content } = linesOf({ late }, 'late_usage');
    expect(amounts).toHaveLength(LATE_LINES_COUNT);
    expect(amounts).toEqual([...upTo(14).slice(3), 6].map((amount) => `${amount}.00`));
    expect(last).toContain('Late usage of further periods');
    expect(content.total).toBe('105.00');
  });

  it('discounts: of twelve names in two plans the 9 largest stay, the others are 0.50 + 1 + 1.50 = 3', () => {
    // In force for half the period each: half the amount.
    const plans = [upTo(6), upTo(12).slice(6)].map((amounts) => ({
      discounts: amounts.map((amount) => ({ name: `Discount ${amount}`, amount: `${amount}` })),
    }));
    const used = [usage, { ...usage, segment: 1 }];
    const { amounts, last, content } = linesOf({ plans, used }, 'discount');
    expect(amounts).toHaveLength(DISCOUNTS_COUNT);
    expect(amounts).toEqual([...upTo(12).slice(3), 6].map((amount) => `-${(amount / 2).toFixed(2)}`));
    expect(last).toBe('Further discounts');
    // 2,000 - 12 x 13 / 2 / 2
    expect(content.total).toBe('1961.00');
  });

  it('allowances of quantity: of twelve in two plans the 9 largest stay, the others are 1 + 2 + 3 = 6', () => {
    const plans = [upTo(6), upTo(12).slice(6)].map((amounts) => ({
      allowance: amounts.map((amount) => ({
        quantity: '2',
        count: 'events' as const,
        match: { feature: `feature ${amount}` },
      })),
    }));
    // One event of each feature; half of 2 are included.
    const used = upTo(12).map((amount) => ({
      cost: `${amount}`,
      feature: `feature ${amount}`,
      segment: amount > 6 ? 1 : 0,
    }));
    const { amounts, last, content } = linesOf({ plans, used }, 'allowance');
    expect(amounts).toHaveLength(ALLOWANCES_COUNT);
    expect(amounts).toEqual([...upTo(12).slice(3), 6].map((amount) => `-${amount}.00`));
    expect(last).toBe('Further included usage');
    expect(content.total).toBe('0.00');
  });
});
