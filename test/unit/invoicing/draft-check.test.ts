import fc from 'fast-check';
import type Stripe from 'stripe';
import { describe, expect, it } from 'vitest';
import { findDifference, META_HASH, META_INVOICE, META_LINE } from '../../../src/invoicing/draft-check.js';
import { type LineTaxes, lineCalls, productsOfCredits } from '../../../src/invoicing/draft-lines.js';
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
  exchange_rates: {},
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
        const chunks = lineCalls(invoiceOf(list)).map((one) => ('lines' in one ? one.lines : []));
        expect(chunks.every((chunk) => chunk.length > 0 && chunk.length <= 100)).toBe(true);
        expect(chunks.flat().map((line) => line.amount)).toEqual(list);
        expect(chunks.flat().map((line) => (line.metadata as Record<string, string>)[META_LINE])).toEqual(
          list.map((_, index) => String(index + 1)),
        );
      }),
    );
  });

  it('carry the first and the last second of the period', () => {
    const period = {
      start: Date.parse('2026-11-01T00:00:00Z') / 1_000,
      end: Date.parse('2026-11-30T23:59:59Z') / 1_000,
    };
    expect(lineCalls(invoiceOf([1]))).toMatchObject([{ lines: [{ period }] }]);
    expect(lineCalls(invoiceOf([-1]), { default_tax_code: 'txcd_1' })).toMatchObject([{ credit: { period } }]);
  });
});

describe('a line that is a product at Stripe', () => {
  const [invoice, period] = [invoiceOf([1_250, -300, 0]), { start: 1_793_491_200, end: 1_796_083_199 }];
  const withReference = (stripe: { product?: string; tax_code?: string } | null) => ({
    ...invoice,
    lines: invoice.lines.map((line) => ({ ...line, stripe })),
  });
  const send = (stripe: { product?: string; tax_code?: string } | null, taxes: LineTaxes = {}) =>
    lineCalls(withReference(stripe), taxes);

  it('is sent as a price of that product; a credit stays an amount while the product has no tax code', () => {
    expect(send({ product: 'prod_1' })).toMatchObject([
      {
        lines: [
          { price_data: { currency: 'usd', unit_amount: 1_250, product: 'prod_1' }, quantity: 1, period },
          { amount: -300 },
          { price_data: { unit_amount: 0, product: 'prod_1' } },
        ],
      },
    ]);
    expect(send({ product: 'prod_1' })).not.toMatchObject([{ lines: [{ amount: 1_250 }] }]);
  });

  it('a credit is taxed like its product: an invoice item with the tax code of that, in its place', () => {
    const taxes = { of_products: new Map([['prod_1', 'txcd_10000000']]) };
    expect(send({ product: 'prod_1' }, taxes)).toMatchObject([
      { lines: [{ price_data: { unit_amount: 1_250 } }] },
      { credit: { amount: -300, currency: 'usd', tax_code: 'txcd_10000000', metadata: { [META_LINE]: '2' }, period } },
      { lines: [{ price_data: { unit_amount: 0 } }] },
    ]);
    expect(productsOfCredits(withReference({ product: 'prod_1' }))).toEqual(['prod_1']);
    expect(productsOfCredits(withReference({ product: 'prod_1', tax_code: 'txcd_10000000' }))).toEqual([]);
  });

  it('with a tax code alone is a product made for it, below zero an invoice item', () => {
    const product_data = { name: 'Usage', tax_code: 'txcd_10000000' };
    const sent = [
      { lines: [{ price_data: { unit_amount: 1_250, product_data } }] },
      { credit: { amount: -300, tax_code: 'txcd_10000000' } },
      { lines: [{ price_data: { unit_amount: 0, product_data } }] },
    ];
    expect(send({ tax_code: 'txcd_10000000' })).toMatchObject(sent);
    expect(send(null, { default_tax_code: 'txcd_10000000' })).toMatchObject(sent);
  });

  it('and without either an amount', () => {
    expect(send(null)).toMatchObject([{ lines: [{ amount: 1_250, description: 'Usage' }, { amount: -300 }, {}] }]);
    expect(send(null)).not.toMatchObject([{ lines: [{ price_data: {} }] }]);
  });

  it('and each line goes out once, in order, whichever have a code', () => {
    fc.assert(
      fc.property(amounts, fc.array(fc.boolean(), { minLength: 250, maxLength: 250 }), (list, coded) => {
        const all = invoiceOf(list);
        const lines = all.lines.map((line, at) => (coded[at] ? { ...line, stripe: { tax_code: 'txcd_1' } } : line));
        const sent = lineCalls({ ...all, lines }).flatMap((one) => ('lines' in one ? one.lines : [one.credit]));
        expect(sent.map(({ metadata }) => (metadata as Record<string, string>)[META_LINE])).toEqual(
          list.map((_, index) => String(index + 1)),
        );
        const amountOf = (line: (typeof sent)[number]) =>
          line.amount ?? (line as Stripe.InvoiceAddLinesParams.Line).price_data?.unit_amount;
        expect(sent.map(amountOf)).toEqual(list);
      }),
    );
  });
});
