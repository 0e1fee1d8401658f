import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { InvoiceToSubmit } from '../../../src/invoicing/submission-store.js';
import { judge } from '../../../src/invoicing/submit-subscription.js';
import { combinedStatus } from '../../../src/invoicing/subscription-books.js';
import { itemBody, type SeenItem } from '../../../src/invoicing/subscription-items.js';
import { differenceLines, type NamedLine, nameLines } from '../../../src/invoicing/subscription-lines.js';
import { LINE_DESCRIPTION_CHARS } from '../../../src/limits.js';

const line = (name: string, amount: number, stripe: NamedLine['stripe'] = null): NamedLine => ({
  name,
  description: `Usage of ${name}`,
  amount,
  stripe,
});
const sum = (amounts: number[]) => amounts.reduce((total, amount) => total + amount, 0);

describe('lines for a difference on a subscription', () => {
  it('say each line that changed, by how much, in the order of the revision', () => {
    const standing = [line('a', 100), line('b', 50), line('gone', 7)];
    const revision = [line('new', 3), line('b', 80), line('a', 100)];
    expect(differenceLines(standing, revision, 200)).toEqual([
      { name: 'new', description: 'Correction · Usage of new', amount_minor: 3 },
      { name: 'b', description: 'Correction · Usage of b', amount_minor: 30 },
      { name: 'gone', description: 'Correction · Usage of gone', amount_minor: -7 },
    ]);
  });

  it('count a line and its earlier corrections together, and say what it is at Stripe', () => {
    const corrected = { ...line('a', 20, { tax_code: 'txcd_10103001' }), description: 'Correction · Usage of a' };
    expect(differenceLines([line('a', 100), corrected], [line('a', 90)], 200)).toEqual([
      { name: 'a', description: 'Correction · Usage of a', amount_minor: -30, stripe: { tax_code: 'txcd_10103001' } },
    ]);
    expect(differenceLines([corrected], [], 200)[0]).toMatchObject({ description: 'Correction · Usage of a' });
  });

  it('tell lines that stand for the same apart by their order', () => {
    const compared = { what: 'usage', across_plans: 'usage', hint: null, description: 'Usage', stripe: null };
    const [first, second, other] = nameLines([
      { ...compared, amount: 1 },
      { ...compared, amount: 2 },
      { ...compared, what: 'base_fee', amount: 3 },
    ]);
    expect([first!.name, second!.name, other!.name]).toEqual(['usage 1', 'usage 2', 'base_fee 1']);
  });

  it('name a line as what stands of it: that with its amount first', () => {
    const compared = { what: 'usage', across_plans: 'usage', hint: null, description: 'Usage', stripe: null };
    const standing = [line('usage 1', 3), line('usage 2', 5), line('usage 2', 2)];
    const named = nameLines(
      [1, 7, 9, 4].map((amount) => ({ ...compared, amount })),
      standing,
    );
    expect(named.map(({ name }) => name)).toEqual(['usage 1', 'usage 2', 'usage 3', 'usage 4']);
  });

  it('sum to the revision minus what stands, within the limit, whatever changed', () => {
    const lines = fc.array(
      fc.record({ name: fc.constantFrom(...'abcdefgh'), amount: fc.integer({ min: -99, max: 99 }) }),
    );
    fc.assert(
      fc.property(lines, lines, fc.integer({ min: 1, max: 6 }), (standing, wanted, limit) => {
        const revision = [...new Map(wanted.map((one) => [one.name, one])).values()];
        const placed = differenceLines(
          standing.map(({ name, amount }) => line(name, amount)),
          revision.map(({ name, amount }) => line(name, amount)),
          limit,
        );
        expect(placed.length).toBeLessThanOrEqual(limit);
        const of = (some: { amount: number }[]) => sum(some.map(({ amount }) => amount));
        expect(sum(placed.map(({ amount_minor }) => amount_minor))).toBe(of(revision) - of(standing));
        expect(placed.every(({ amount_minor }) => amount_minor !== 0)).toBe(true);
      }),
    );
  });

  it('fit into what a description holds', () => {
    const long = { ...line('a', 5), description: '𝕏'.repeat(LINE_DESCRIPTION_CHARS / 2) };
    const [placed] = differenceLines([], [long], 1);
    expect(placed!.description.length).toBeLessThanOrEqual(LINE_DESCRIPTION_CHARS);
    expect(placed!.description.isWellFormed()).toBe(true);
  });
});

describe('what stands at Stripe, compared with what was composed', () => {
  const invoice = {
    key: 'acme/2026-11-01/1',
    content_hash: 'hash',
    currency: 'usd',
    lines: [
      { line_number: 1, description: 'a', amount_minor: 100 },
      { line_number: 2, description: 'b', amount_minor: -5 },
    ],
  } as InvoiceToSubmit;
  const item = (id: string, given: Partial<SeenItem> = {}): SeenItem => ({
    id,
    key: invoice.key,
    hash: 'hash',
    generation: 1,
    line_number: 1,
    amount: 100,
    currency: 'usd',
    stripe_customer_id: 'cus_1',
    stripe_subscription_id: 'sub_1',
    stripe_invoice_id: null,
    ...given,
  });
  const ids = (items: SeenItem[]) => items.map(({ id }) => id);

  it('each line once and as composed is right, and the others are missing', () => {
    const { right, missing, wrong } = judge(invoice, [item('ii_1')]);
    expect([ids(right), missing, ids(wrong)]).toEqual([['ii_1'], [2], []]);
  });

  it.each<[string, Partial<SeenItem>]>([
    ['another amount', { amount: 99 }],
    ['another currency', { currency: 'eur' }],
    ['a line that there is not', { line_number: 3 }],
  ])('%s is wrong', (_name, given) => {
    const { missing, wrong } = judge(invoice, [item('ii_1', given)]);
    expect([missing, ids(wrong)]).toEqual([[1, 2], ['ii_1']]);
  });

  it('of two of a line all that judge keep the same', () => {
    const [one, two] = [item('ii_1'), item('ii_2')];
    for (const seen of [
      [one, two],
      [two, one],
    ]) {
      const { right, wrong } = judge(invoice, seen);
      expect([ids(right), ids(wrong)]).toEqual([['ii_1'], ['ii_2']]);
    }
  });

  it('other content under the same name is for a person', () => {
    expect(() => judge(invoice, [item('ii_1', { hash: 'other' })])).toThrow('with other content');
  });
});

describe('what makes a line at Stripe', () => {
  const invoice = {
    key: 'acme/2026-11-01/1',
    content_hash: 'hash',
    currency: 'usd',
    starts_at: new Date('2026-11-01T00:00:00Z'),
    ends_at: new Date('2026-12-01T00:00:00Z'),
  } as InvoiceToSubmit;
  const pinned = {
    generation: 2,
    begun_at: new Date(0),
    stripe_customer_id: 'cus_1',
    stripe_subscription_id: 'sub_1',
    target_invoice_id: null,
  };
  const body = (
    amount_minor: number,
    stripe: { product?: string; tax_code?: string } | null,
    target: string | null = null,
  ) =>
    itemBody(
      invoice,
      { line_number: 3, description: 'Usage', amount_minor, stripe },
      { ...pinned, target_invoice_id: target },
      'txcd_00000000',
    );

  it('names its subscription, its draft where there is one, and whose line it is; its period ends with the last second', () => {
    expect(body(500, { tax_code: 'txcd_10103001' }, 'in_1')).toEqual({
      customer: 'cus_1',
      subscription: 'sub_1',
      invoice: 'in_1',
      amount: 500,
      currency: 'usd',
      tax_code: 'txcd_10103001',
      description: 'Usage',
      discountable: false,
      period: { start: 1_793_491_200, end: 1_796_083_199 },
      metadata: {
        costplus_invoice: 'acme/2026-11-01/1',
        costplus_hash: 'hash',
        costplus_generation: '2',
        costplus_line: '3',
      },
    });
    expect(body(500, null)).not.toHaveProperty('invoice');
  });

  it('is a price of its product where it names one, but below zero an amount', () => {
    const price_data = { currency: 'usd', product: 'prod_1', unit_amount: 500 };
    expect(body(500, { product: 'prod_1' })).toMatchObject({ price_data, quantity: 1 });
    expect(body(500, { product: 'prod_1' })).not.toHaveProperty('amount');
    expect(body(-500, { product: 'prod_1' })).toMatchObject({ amount: -500, currency: 'usd' });
    expect(body(-500, { product: 'prod_1' })).not.toHaveProperty('tax_code');
    expect(body(-500, null)).toMatchObject({ amount: -500, tax_code: 'txcd_00000000' });
  });
});

describe('the payment status of lines on several invoices', () => {
  it('is that of the line that is furthest from being settled', () => {
    expect(combinedStatus([])).toBeNull();
    expect(combinedStatus(['paid', 'pending', 'open'])).toBe('pending');
    expect(combinedStatus(['paid', 'failed', 'open'])).toBe('failed');
    expect(combinedStatus(['paid', 'voided'])).toBe('paid');
    expect(combinedStatus(['voided', 'deleted'])).toBe('voided');
  });
});
