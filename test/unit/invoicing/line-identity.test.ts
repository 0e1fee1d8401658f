import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Adjustment } from '../../../src/contracts/balances.js';
import { compareLines } from '../../../src/invoicing/correction-plan.js';
import { identifyLines, pairLines } from '../../../src/invoicing/line-identity.js';
import { differenceLines, nameLines } from '../../../src/invoicing/subscription-lines.js';
import { parseDecimal } from '../../../src/money/fraction.js';
import { compose, credit, type Example, pages, REPORT, rest, TIERS, type Used } from './plan-cases.js';

const lines = (example: Example) => identifyLines(compose(example).content);

/** `description: before -> after` of each line in which two invoices differ; amounts in minor units. */
function differences(before: Example, after: Example): string[] {
  return compareLines(lines(before), lines(after)).map(
    (one) => `${one.description.replace(/ · .*/, '')}: ${one.before} -> ${one.after}`,
  );
}

const chat = (cost: number): Used => ({ cost: `${cost}`, feature: 'chat' });
const scan: Used = { feature: 'scan', cost: '1' };
const report: Used = { feature: 'report', cost: '1' };
const REPORTS = { ...REPORT, name: 'Reports', stripe: { tax_code: 'txcd_10103001' } };
const SCANS = {
  name: 'Scans',
  match: { feature: 'scan' },
  unit_price: '1.00',
  count: 'actions' as const,
  unit: 'scans',
  stripe: { tax_code: 'txcd_20030000' },
};
const OWN = { rules: [REPORTS, SCANS, rest] };
const both = (reports: number, scans: number): Example => ({
  plan: OWN,
  used: [...(reports > 0 ? [report] : []), ...(scans > 0 ? [scan] : [])],
  actions: { 'rule 0': reports, 'rule 1': scans },
});

describe('lines of two revisions pair by what they stand for', () => {
  it('a rule with a price of its own: what comes or goes is its line, with its tax code', () => {
    expect(compareLines(lines(both(0, 5)), lines(both(3, 5)))).toMatchObject([
      { description: 'Reports · 3 reports', before: 0, after: 120, stripe: { tax_code: 'txcd_10103001' } },
    ]);
    expect(compareLines(lines(both(10, 5)), lines(both(0, 5)))).toMatchObject([
      { description: 'Reports · 10 reports', before: 400, after: 0, stripe: { tax_code: 'txcd_10103001' } },
    ]);
  });

  it('rules with one name are still two', () => {
    const plan = { rules: [{ ...REPORTS, name: 'Work' }, { ...SCANS, name: 'Work' }, rest] };
    expect(differences({ ...both(0, 5), plan }, { ...both(3, 5), plan })).toEqual(['Work: 0 -> 120']);
  });

  it.each([
    ['a tier that is reached', 1_000, 1_500, ['Pages, beyond 1,000: 0 -> 5000']],
    [
      'a tier that is not full any more',
      1_500,
      600,
      ['Pages, beyond 100 up to 1,000: 18000 -> 10000', 'Pages, beyond 1,000: 5000 -> 0'],
    ],
    ['a first tier', 50, 40, ['Pages, up to 100: 2500 -> 2000']],
  ])('a tier: %s', (_what, before, after, expected) => {
    const plan = {
      rules: [{ name: 'Pages', match: { meter: 'pages' }, count: 'units' as const, graduated: TIERS }, rest],
    };
    expect(differences({ plan, used: [pages(before)] }, { plan, used: [pages(after)] })).toEqual(expected);
  });

  it('a price by packages and a flat one', () => {
    const plan = {
      rules: [
        { name: 'Flat', match: { feature: 'scan' }, flat: '7' },
        { name: 'Pages', match: { meter: 'pages' }, count: 'units' as const, package: { size: '100', price: '3' } },
        rest,
      ],
    };
    expect(differences({ plan, used: [pages(100)] }, { plan, used: [scan, pages(100)] })).toEqual(['Flat: 0 -> 700']);
    expect(differences({ plan, used: [scan, pages(100)] }, { plan, used: [scan, pages(101)] })).toEqual([
      'Pages: 300 -> 600',
    ]);
  });

  it('a grant of credits, whatever it is called', () => {
    const grants = [
      credit(1, '10', { name: 'Pack', match: { feature: 'chat' }, applies_to: 'usage' }),
      credit(2, '12', { name: 'Pack' }),
      credit(3, '100', { name: 'Pack' }),
    ];
    const billed = (cost: number): Example => ({ used: [chat(cost), scan], opening: { credits: grants } });
    // 5 of chats are paid by the first grant, the scan by the second; then 30 by 10 + 12 + 9.
    expect(differences(billed(5), billed(30)).filter((one) => one.startsWith('Prepaid'))).toEqual([
      'Prepaid credits: -500 -> -1000',
      'Prepaid credits: -100 -> -1200',
      'Prepaid credits: 0 -> -900',
    ]);
    // The first one has nothing to pay for any more: the others are what they were.
    const without: Example = { used: [scan], opening: { credits: grants } };
    expect(differences(billed(5), without).filter((one) => one.startsWith('Prepaid'))).toEqual([
      'Prepaid credits: -500 -> 0',
    ]);
  });

  it('grants of which some were folded', () => {
    const many = (cost: number): Example => ({
      used: [chat(cost)],
      opening: { credits: Array.from({ length: 25 }, (_, at) => credit(at + 1, at % 2 === 0 ? '1.00' : '2.00')) },
    });
    const [before, after] = [lines(many(100)), lines(many(200))];
    expect(before.filter(({ what }) => /grant \d+"/.test(what))).toHaveLength(19);
    expect(compareLines(before, after)).toHaveLength(1);
  });

  it('discounts and allowances by their names', () => {
    const plan = {
      rules: [rest],
      discounts: [
        { name: 'Chats', percent: '0.5', on: 'usage' as const, to: '2026-11-16T00:00:00.000Z' },
        { name: 'Loyal', percent: '0.1', on: 'fees' as const },
      ],
      base_fee: '10',
    };
    expect(differences({ plan }, { plan, used: [chat(100)] }).filter((one) => !one.startsWith('claude'))).toEqual([
      'Chats: 0 -> -2500',
    ]);
    const allowance = (meter: string, quantity: string) => ({
      quantity,
      count: 'units' as const,
      match: { meter },
      name: meter,
    });
    const included = { rules: [rest], allowance: [allowance('pages', '100'), allowance('images', '50')] };
    const images = (quantity: number): Used => ({ cost: '2', meter: 'images', quantity });
    const found = differences(
      { plan: included, used: [images(10)] },
      { plan: included, used: [pages(40), images(10)] },
    );
    expect(found.filter((one) => one.startsWith('Included'))).toEqual(['Included: 40 of 100 pages: 0 -> -100']);
  });

  it('adjustments by what they say and come to: nobody changes one', () => {
    const adjustments = (...amounts: string[]): Example => ({
      adjustments: amounts.map(
        (amount, at): Adjustment => ({ adjustment_id: at, kind: 'adjustment', amount, description: 'Sorry' }),
      ),
    });
    expect(differences(adjustments('-2', '-5', '-2'), adjustments('-7', '-2', '-5'))).toEqual([
      'Sorry: 0 -> -700',
      'Sorry: -200 -> 0',
    ]);
  });

  it('late usage by the period that it is of', () => {
    const late = (...amounts: [string, number][]): Example => ({
      late: amounts.map(([start_date, amount]) => ({
        start_date,
        units: new Map(),
        events: 1,
        cost: parseDecimal('0'),
        charge: parseDecimal(`${amount}`),
        amount: BigInt(amount) * 100n,
      })),
    });
    expect(differences(late(['2026-10-01', 4]), late(['2026-09-01', 3], ['2026-10-01', 4]))).toEqual([
      'Late usage of 2026-09-01: 0 -> 300',
    ]);
  });

  it('under another version of the plan each with what it was, by its name', () => {
    const metered = (name: string, meter: string, price: string) => ({
      name,
      match: { meter },
      count: 'units' as const,
      package: { size: '1', price },
    });
    const used: Used[] = [pages(10), { meter: 'images', quantity: 10 }];
    const [prints, images] = [metered('Pages', 'pages', '0.10'), metered('Images', 'images', '0.20')];
    const before: Example = { plan: { rules: [prints, images, rest], base_fee: '5' }, used };
    const dearer = { rules: [images, { ...prints, package: { size: '1', price: '0.30' } }, rest], base_fee: '6' };
    expect(differences(before, { plan: dearer, used, versions: [2] })).toEqual([
      'Pages: 100 -> 300',
      'Base fee: 500 -> 600',
    ]);
  });

  it('what the plans of a period have together, whether it had one or two', () => {
    const minimum = { rules: [rest], minimum_spend: '50' };
    const two: Example = { plans: [minimum, minimum] };
    const top = (example: Example) => lines(example).find(({ description }) => description.startsWith('Top-up'))!;
    expect(top(two).what).toBe(top({ plan: minimum }).what);
  });
});

describe('several lines that stand for the same', () => {
  const line = (amount: number, hint: string | null = null) => ({ what: 'same', across_plans: 'same', hint, amount });

  it('pair by their hint, then by equal amounts, then in their order', () => {
    const [a, b, c] = [line(5), line(7), line(9)];
    expect(pairLines([a, b, c], [line(1), line(5), line(9)])).toEqual([b, a, c]);
    const [pagesLine, imagesLine] = [line(5, 'pages'), line(2, 'images')];
    expect(pairLines([pagesLine, imagesLine], [line(2, 'pages'), line(1, 'images')])).toEqual([pagesLine, imagesLine]);
  });
});

const quantity = fc.integer({ min: 0, max: 40 });
const usage = fc.record({
  reports: quantity,
  scans: quantity,
  pages: fc.integer({ min: 0, max: 1_500 }),
  chats: quantity,
});
const plan = {
  rules: [
    REPORTS,
    SCANS,
    { name: 'Pages', match: { meter: 'pages' }, count: 'units' as const, graduated: TIERS },
    { markup: '0.25' },
  ],
};
type Amounts = { reports: number; scans: number; pages: number; chats: number };
const billed = (of: Amounts): Example => ({
  plan,
  used: [
    ...(of.reports > 0 ? [report] : []),
    ...(of.scans > 0 ? [scan] : []),
    ...(of.pages > 0 ? [pages(of.pages)] : []),
    ...(of.chats > 0 ? [chat(of.chats)] : []),
  ],
  actions: { 'rule 0': of.reports, 'rule 1': of.scans },
});
const RULES = { reports: /"rule 0/, scans: /"rule 1/, pages: /"rule 2/, chats: /^((?!rule).)*$/ };
const sum = (amounts: number[]) => amounts.reduce((all, amount) => all + amount, 0);

describe('whatever the usage', () => {
  it('usage of one rule changes lines of that rule alone, and the differences sum to that of the totals', () => {
    const which = fc.constantFrom('reports' as const, 'scans' as const, 'pages' as const, 'chats' as const);
    fc.assert(
      fc.property(usage, which, quantity, (before, rule, value) => {
        const [was, is] = [lines(billed(before)), lines(billed({ ...before, [rule]: value }))];
        const found = compareLines(was, is);
        const totals = [was, is].map((some) => sum(some.map(({ amount }) => amount)));
        expect(sum(found.map((one) => one.after - one.before))).toBe(totals[1]! - totals[0]!);
        const known = new Map([...was, ...is].map(({ description, what }) => [description, what]));
        for (const { description } of found) expect(known.get(description)).toMatch(RULES[rule]);
        expect(compareLines(was, was)).toEqual([]);
      }),
    );
  });

  it('on a subscription too, however often it is billed again', () => {
    fc.assert(
      fc.property(fc.array(usage, { minLength: 2, maxLength: 4 }), (revisions) => {
        const [first, ...further] = revisions.map((one) => lines(billed(one)));
        const standing = nameLines(first!);
        for (const revision of further) {
          const named = nameLines(revision, standing);
          const placed = differenceLines(standing, named, 200);
          standing.push(
            ...placed.map(({ name, description, amount_minor, stripe }) => ({
              name,
              description,
              amount: amount_minor,
              stripe: stripe ?? null,
            })),
          );
          for (const { name, amount } of named) {
            expect(sum(standing.filter((one) => one.name === name).map((one) => one.amount))).toBe(amount);
          }
          expect(sum(standing.map(({ amount }) => amount))).toBe(sum(revision.map(({ amount }) => amount)));
        }
      }),
    );
  });
});
