import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { OpenCredit } from '../../src/contracts/balances.js';
import type { PlanInput } from '../../src/contracts/plan.js';
import { NO_BOUNDS } from '../../src/invoicing/compose-held.js';
import { formatMinor, roundToMinor } from '../../src/money/currency.js';
import { format, ONE, parseDecimal, sum, toExactText } from '../../src/money/fraction.js';
import { priceQuantity } from '../../src/plans/own-prices.js';
import { chargeFor } from '../../src/plans/plan-rules.js';
import { type Example as Composed, compose, december, linesOf, type Used } from './invoicing/plan-cases.js';

const page = readFileSync(new URL('../../docs/explanation/money.md', import.meta.url), 'utf8');

/** The rows of the table with this header. */
function table(header: string): string[][] {
  const lines = page.split('\n');
  const start = lines.indexOf(header);
  const rows = lines.slice(start + 2);
  return rows
    .slice(
      0,
      rows.findIndex((line) => !line.startsWith('|')),
    )
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

const passedOn = (charge: string) => [{ plan_id: 'pro', key: 'charge', amount: toExactText(parseDecimal(charge)) }];

const A_CREDIT = {
  amount: '1000',
  priority: 100,
  expires_at: null,
  applies_to: 'all' as const,
  cost_basis: null,
};

interface Example extends Pick<Composed, 'actions' | 'seats' | 'period' | 'exchange_rates'> {
  plan: Partial<PlanInput>;
  /** What each of several models costs. */
  cost?: string[];
  used?: Used[];
  next?: object;
  opening?: Composed['opening'];
  /** What the next period opened with of the plan's allowance of charge. */
  passed_on?: string;
  lines: string[];
  total: string;
}
const examples = [...page.matchAll(/([^\n]+)\n\n```yaml\n(.+?)```/gs)].map(([, words, yaml]): [string, Example] => [
  words!,
  parse(yaml!) as Example,
]);

describe('docs/explanation/money.md', () => {
  const roundings = table('| currency | exact | billed |');
  it.each(roundings)('rounds %s %s to %s', (currency, exact, billed) => {
    expect(formatMinor(roundToMinor(parseDecimal(exact!), currency!), currency!)).toBe(billed);
  });

  const charges = table('| word | value | cost | charge | billed in usd |');
  it.each(charges)('%s %s of %s is %s, billed as %s', (word, value, cost, charge, billed) => {
    const exact = chargeFor(word === 'markup' ? { markup: value! } : { margin: value! }, parseDecimal(cost!));
    expect(format(exact)).toBe(charge);
    expect(formatMinor(roundToMinor(exact, 'usd'), 'usd')).toBe(billed);
  });

  const tiers = table('| quantity | graduated | volume |');
  it.each(tiers)('prices a quantity of %s in tiers as %s, by volume as %s', (quantity, graduated, volume) => {
    const prices = [
      { up_to: '100', price: '0.50', per: 1 },
      { up_to: '1000', price: '0.20', per: 1, flat_fee: '10' },
      { price: '0.10', per: 1 },
    ];
    const charge = (rule: Parameters<typeof priceQuantity>[0]) =>
      format(sum(priceQuantity(rule, parseDecimal(quantity!), ONE).map((part) => part.charge)));
    expect(charge({ count: 'units', graduated: prices })).toBe(graduated);
    expect(charge({ count: 'units', volume: prices })).toBe(volume);
  });

  it.each(examples)('composes: %s', (_words, example) => {
    const { plan, cost, next, opening, passed_on, lines, total, ...rest } = example;
    const used = cost?.map((amount, index): Used => ({ cost: amount, model_id: `model-${index}` })) ?? rest.used ?? [];
    const credits = (opening?.credits ?? []).map((credit): OpenCredit => ({ ...A_CREDIT, ...credit }));
    const composed = compose({
      ...rest,
      plan,
      used,
      ...(plan.currency === undefined ? {} : { currency: plan.currency }),
      ...(next === undefined ? {} : { next: december(next) }),
      ...(opening === undefined ? {} : { opening: { ...opening, credits } }),
      ...(passed_on === undefined ? {} : { bounds: { ...NO_BOUNDS, passed_on: passedOn(passed_on) } }),
    });
    expect(linesOf(composed)).toEqual(lines);
    expect(composed.content.total).toBe(total);
  });

  it('has its tables and examples where this test looks for them', () => {
    expect([roundings.length, charges.length, tiers.length, examples.length]).toEqual([8, 6, 4, 24]);
  });
});
