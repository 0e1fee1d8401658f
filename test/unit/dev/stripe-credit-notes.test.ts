import { randomBytes } from 'node:crypto';
import Stripe from 'stripe';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type StripeStandIn, startStripeStandIn } from '../../../src/dev/stripe-stand-in.js';

/** What Stripe's documentation says of credit notes, tax and payments of a part; the stand-in is as strict. */
describe('credit notes of the Stripe stand-in', () => {
  let standIn: StripeStandIn;
  let stripe: Stripe;
  beforeAll(async () => {
    standIn = await startStripeStandIn({
      directory: null,
      environment: {},
      secretKey: `sk_test_${randomBytes(12).toString('hex')}`,
    });
    const { hostname, port } = new URL(standIn.url);
    stripe = new Stripe(standIn.secretKey, { host: hostname, port, protocol: 'http', maxNetworkRetries: 0 });
  });
  afterAll(() => standIn.close());

  const codeOf = async (call: Promise<unknown>) =>
    call.then(
      () => 'accepted',
      (error: Stripe.errors.StripeError) => `${error.statusCode} ${error.code ?? error.param}`,
    );
  /** An open invoice of these lines. */
  const issue = async (
    amounts: number[],
    options: { automatic?: boolean; edit?: Stripe.InvoiceUpdateParams; codes?: (string | undefined)[] } = {},
  ) => {
    const { id: customer } = await stripe.customers.create({ name: 'a', address: { country: 'DE' } });
    const { id } = await stripe.invoices.create({ customer, automatic_tax: { enabled: options.automatic ?? false } });
    await stripe.invoices.addLines(id, {
      lines: amounts.map((amount, at) => {
        const tax_code = options.codes?.[at];
        if (tax_code === undefined) return { amount };
        return {
          price_data: { currency: 'usd', unit_amount: amount, product_data: { name: 'p', tax_code } },
          quantity: 1,
        };
      }),
    });
    if (options.edit) await stripe.invoices.update(id, options.edit);
    return stripe.invoices.finalizeInvoice(id);
  };
  const creditLine = (invoice: Stripe.Invoice, at: number, amount: number) => ({
    type: 'invoice_line_item' as const,
    invoice_line_item: invoice.lines.data[at]!.id,
    amount,
  });

  it('tax is rounded once for each rate, and the lines share it', async () => {
    standIn.setTax({ behavior: 'exclusive', basis_points: 1_900, by_tax_code: { txcd_20000000: 700 } });
    const invoice = await issue([333, 333, 333, 1_000], {
      automatic: true,
      codes: [undefined, undefined, undefined, 'txcd_20000000'],
    });
    // 19 % of 9.99 are 1.90, of 3.33 they are 0.63.
    expect(invoice.lines.data.map(({ taxes }) => taxes![0]!.amount)).toEqual([63, 64, 63, 70]);
    expect(invoice).toMatchObject({ subtotal: 1_999, total: 2_259, total_excluding_tax: 1_999 });
    expect(invoice.total_taxes!.map(({ amount, taxable_amount }) => [amount, taxable_amount])).toEqual([
      [190, 999],
      [70, 1_000],
    ]);
  });

  it('a credited line takes its tax and discount back with it; a plain amount has none', async () => {
    standIn.setTax({ behavior: 'exclusive', basis_points: 1_900, by_tax_code: {} });
    const invoice = await issue([1_000, 500], { automatic: true });
    const preview = await stripe.creditNotes.preview({ invoice: invoice.id, lines: [creditLine(invoice, 0, 333)] });
    expect(preview).toMatchObject({ subtotal: 333, total: 396, pre_payment_amount: 396, post_payment_amount: 0 });
    expect(preview.total_taxes).toMatchObject([{ amount: 63, tax_behavior: 'exclusive' }]);
    expect((await stripe.creditNotes.list({ invoice: invoice.id })).data).toEqual([]);
    const plain = await stripe.creditNotes.preview({ invoice: invoice.id, amount: 333 });
    expect(plain).toMatchObject({ subtotal: 333, total: 333, total_taxes: [] });

    const { id: coupon } = await stripe.coupons.create({ percent_off: 10, duration: 'once' });
    const { id: rate } = await stripe.taxRates.create({ display_name: 'VAT', percentage: 20, inclusive: false });
    const edited = await issue([1_000], { edit: { discounts: [{ coupon }], default_tax_rates: [rate] } });
    expect(edited).toMatchObject({ subtotal: 1_000, total: 1_080, total_excluding_tax: 900 });
    const discounted = await stripe.creditNotes.preview({ invoice: edited.id, lines: [creditLine(edited, 0, 500)] });
    expect(discounted).toMatchObject({ subtotal: 500, discount_amount: 50, total: 540 });
  });

  it('with automatic tax the amount of a line is without the tax that it contains', async () => {
    standIn.setTax({ behavior: 'inclusive', basis_points: 2_000, by_tax_code: {} });
    const invoice = await issue([1_200], { automatic: true });
    expect(invoice).toMatchObject({ subtotal: 1_200, total: 1_200, total_excluding_tax: 1_000 });
    const preview = await stripe.creditNotes.preview({ invoice: invoice.id, lines: [creditLine(invoice, 0, 500)] });
    expect(preview).toMatchObject({ subtotal: 600, total: 600, total_excluding_tax: 500 });
    const custom = { type: 'custom_line_item' as const, description: 'Courtesy', quantity: 1, unit_amount: 10 };
    expect(await codeOf(stripe.creditNotes.preview({ invoice: invoice.id, lines: [custom] }))).toMatch(/^400/);
  });

  it('negative lines are credited by negative amounts; no line beyond what is left of it', async () => {
    const invoice = await issue([1_000, -400]);
    const refused = async (...lines: Stripe.CreditNotePreviewParams.Line[]) =>
      codeOf(stripe.creditNotes.preview({ invoice: invoice.id, lines }));
    expect(await refused(creditLine(invoice, 0, 1_001))).toBe('400 credit_note_line_item_invalid');
    expect(await refused(creditLine(invoice, 0, 500), creditLine(invoice, 1, 100))).toBe(
      '400 credit_note_line_item_invalid',
    );
    expect(await refused(creditLine(invoice, 1, -100))).toBe('400 credit_note_amount_invalid');
    expect(await refused(creditLine(invoice, 0, 700))).toBe('400 credit_note_amount_too_large');
    expect(await refused(creditLine(invoice, 0, 1_000), creditLine(invoice, 1, -400))).toBe('accepted');
    await stripe.creditNotes.create({ invoice: invoice.id, lines: [creditLine(invoice, 0, 400)] });
    expect(await refused(creditLine(invoice, 0, 700), creditLine(invoice, 1, -400))).toBe(
      '400 credit_note_line_item_invalid',
    );
    const { data } = await stripe.creditNotes.list({ invoice: invoice.id });
    const lines = await stripe.creditNotes.listLineItems(data[0]!.id);
    expect(lines.data).toMatchObject([{ amount: 400, invoice_line_item: invoice.lines.data[0]!.id }]);
    expect(await codeOf(stripe.creditNotes.create({ invoice: invoice.id }))).toBe('400 amount');
  });

  it('first takes off what remains to be paid; what was paid is given back to the last cent, and no more than that', async () => {
    const { id } = await issue([1_000]);
    standIn.payPart(id, 400);
    expect(await stripe.invoices.retrieve(id)).toMatchObject({
      status: 'open',
      amount_paid: 400,
      amount_remaining: 600,
    });
    expect(() => standIn.payPart(id, 601)).toThrow();
    expect(await codeOf(stripe.invoices.voidInvoice(id))).toBe('400 invoice_not_editable');
    const credit = { invoice: id, amount: 750 };
    expect(await stripe.creditNotes.preview(credit)).toMatchObject({
      type: 'mixed',
      pre_payment_amount: 600,
      post_payment_amount: 150,
    });
    expect(await codeOf(stripe.creditNotes.create(credit))).toBe('400 credit_note_amount_invalid');
    expect(await codeOf(stripe.creditNotes.create({ ...credit, refund_amount: 750 }))).toBe(
      '400 credit_note_amount_invalid',
    );
    await stripe.creditNotes.create({ ...credit, refund_amount: 100, credit_amount: 50 });
    expect(await stripe.invoices.retrieve(id)).toMatchObject({
      status: 'paid',
      amount_due: 400,
      amount_remaining: 0,
      pre_payment_credit_notes_amount: 600,
      post_payment_credit_notes_amount: 150,
    });
    const rest = { invoice: id, amount: 250, refund_amount: 250 };
    expect(await codeOf(stripe.creditNotes.create({ ...rest, amount: 251, refund_amount: 251 }))).toBe(
      '400 credit_note_amount_too_large',
    );
    expect(await codeOf(stripe.creditNotes.create(rest))).toBe('accepted');
  });

  it('refunds nothing of what was paid outside of Stripe', async () => {
    const { id } = await issue([1_000]);
    await stripe.invoices.pay(id, { paid_out_of_band: true });
    expect(await codeOf(stripe.creditNotes.create({ invoice: id, amount: 100, refund_amount: 100 }))).toBe(
      '400 refund_amount_too_large',
    );
  });

  it('takes a payment of a part by its control', async () => {
    const { id } = await issue([1_000]);
    const body = JSON.stringify({ invoice: id, amount: 250 });
    expect((await fetch(`${standIn.url}/_pay`, { method: 'POST', body })).status).toBe(200);
    expect((await stripe.invoices.retrieve(id)).amount_remaining).toBe(750);
  });
});
