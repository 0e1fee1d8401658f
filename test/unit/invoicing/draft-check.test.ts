import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findDifference, lineChunks, META_HASH, META_INVOICE, META_LINE } from '../../../src/invoicing/draft-check.js';
import type { InvoiceToSubmit } from '../../../src/invoicing/submission-store.js';

const invoiceOf = (amounts: number[], currency = 'usd'): InvoiceToSubmit => ({
  key: 'acme/2026-11-01/1',
  customer_id: 'acme',
  customer_name: null,
  start_date: '2026-11-01',
  starts_at: new Date('2026-11-01T00:00:00Z'),
  ends_at: new Date('2026-12-01T00:00:00Z'),
  currency,
  content_hash: 'hash',
  subtotal_minor: amounts.reduce((sum, amount) => sum + amount, 0),
  lines: amounts.map((amount, index) => ({ line_number: index + 1, description: 'Usage', amount_minor: amount })),
});
const seenOf = (invoice: InvoiceToSubmit) => ({
  head: {
    currency: invoice.currency,
    subtotal: invoice.subtotal_minor,
    metadata: { [META_INVOICE]: invoice.key, [META_HASH]: invoice.content_hash } as Record<string, string>,
  },
  lines: invoice.lines.map((line) => ({
    amount: line.amount_minor,
    currency: invoice.currency,
    metadata: { [META_LINE]: String(line.line_number) } as Record<string, string>,
  })),
});
const amounts = fc.array(fc.integer({ min: -1_000_000, max: 1_000_000 }), { minLength: 1, maxLength: 250 });

describe('comparing an invoice with what stands at Stripe', () => {
  it('finds no difference in what was sent, in whatever order Stripe shows the lines', () => {
    fc.assert(
      fc.property(
        amounts.chain((list) =>
          fc.tuple(fc.constant(list), fc.shuffledSubarray([...list.keys()], { minLength: list.length })),
        ),
        ([list, order]) => {
          const invoice = invoiceOf(list);
          const { head, lines } = seenOf(invoice);
          expect(
            findDifference(
              invoice,
              head,
              order.map((index) => lines[index]!),
            ),
          ).toBeNull();
        },
      ),
    );
  });

  it('finds a line that is missing, doubled, foreign or of another amount, though the subtotal may agree', () => {
    fc.assert(
      fc.property(
        amounts,
        fc.nat(),
        fc.constantFrom('missing', 'twice', 'replaced', 'foreign', 'amount'),
        (list, at, what) => {
          const invoice = invoiceOf([...list, 7]);
          const { head, lines } = seenOf(invoice);
          const index = at % list.length;
          const line = lines[index]!;
          if (what === 'missing') lines.splice(index, 1);
          else if (what === 'twice') lines.push(line);
          else if (what === 'replaced') lines[lines.length - 1] = line;
          else if (what === 'foreign') line.metadata = {};
          else line.amount += 1;
          expect(findDifference(invoice, head, lines)).not.toBeNull();
        },
      ),
    );
  });

  it.each([
    ['key', { metadata: { [META_INVOICE]: 'acme/2026-11-01/2', [META_HASH]: 'hash' } }],
    ['hash', { metadata: { [META_INVOICE]: 'acme/2026-11-01/1', [META_HASH]: 'other' } }],
    ['currency', { currency: 'eur' }],
    ['subtotal', { subtotal: 11 }],
  ])('finds another %s', (word, change) => {
    const invoice = invoiceOf([10]);
    const { head, lines } = seenOf(invoice);
    expect(findDifference(invoice, { ...head, ...change }, lines)).toContain(word);
  });
});

describe('lines as they are sent', () => {
  it('are chunks of at most 100 that hold each line once, in order', () => {
    fc.assert(
      fc.property(amounts, (list) => {
        const chunks = lineChunks(invoiceOf(list));
        expect(chunks.every((chunk) => chunk.length > 0 && chunk.length <= 100)).toBe(true);
        expect(chunks.flat().map((line) => line.amount)).toEqual(list);
        expect(chunks.flat().map((line) => (line.metadata as Record<string, string>)[META_LINE])).toEqual(
          list.map((_, index) => String(index + 1)),
        );
      }),
    );
  });

  it('carry the first and the last second of the period', () => {
    expect(lineChunks(invoiceOf([1]))[0]![0]!.period).toEqual({
      start: Date.parse('2026-11-01T00:00:00Z') / 1_000,
      end: Date.parse('2026-11-30T23:59:59Z') / 1_000,
    });
  });
});

describe('a line that is a product at Stripe', () => {
  const [invoice, period] = [invoiceOf([1_250, -300, 0]), { start: 1_793_491_200, end: 1_796_083_199 }];
  const send = (stripe: { product?: string; tax_code?: string } | null) =>
    lineChunks({ ...invoice, lines: invoice.lines.map((line) => ({ ...line, stripe })) })[0]!;

  it('is sent as a price of that product; a credit stays an amount, since a price cannot be negative', () => {
    expect(send({ product: 'prod_1' })).toMatchObject([
      { price_data: { currency: 'usd', unit_amount: 1_250, product: 'prod_1' }, quantity: 1, period },
      { amount: -300 },
      { price_data: { unit_amount: 0, product: 'prod_1' } },
    ]);
    expect(send({ product: 'prod_1' })[0]).not.toHaveProperty('amount');
  });

  it('with a tax code alone is a product made for it', () => {
    const product_data = { name: 'Usage', tax_code: 'txcd_10000000' };
    expect(send({ tax_code: 'txcd_10000000' })[0]).toMatchObject({ price_data: { unit_amount: 1_250, product_data } });
  });

  it('and without either an amount', () => {
    expect(send(null)[0]).toMatchObject({ amount: 1_250, description: 'Usage' });
    expect(send(null)[0]).not.toHaveProperty('price_data');
  });
});
