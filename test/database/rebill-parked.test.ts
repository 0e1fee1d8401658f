import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PeriodRef } from '../../src/contracts/engine.js';
import { inTransaction } from '../../src/database/pool.js';
import { hasCreditNotesUnderWay } from '../../src/invoicing/correction-store.js';
import { listRevisions } from '../../src/invoicing/invoice-list.js';
import { previewRebill } from '../../src/invoicing/rebill-preview.js';
import { refreshInvoice } from '../../src/invoicing/stripe-changes.js';
import { voidUsage } from '../../src/ledger/void-usage.js';
import { findPeriod } from '../../src/periods/period-store.js';
import { publishPlan } from '../../src/plans/plan-store.js';
import { type BillingRun, openBillingRun } from '../support/billing-run.js';
import { expectMoneyRight, openCorrection } from '../support/correction.js';
import { customer, publishBasics } from '../support/ledger.js';

const AUTOMATIC = { behavior: 'exclusive' as const, basis_points: 2_000, by_tax_code: {} };

describe('a re-bill of a taxed invoice', () => {
  let run: BillingRun;
  beforeAll(async () => {
    run = await openBillingRun();
    await publishBasics(run.pool);
    const stripe = { automatic_tax: true };
    await publishPlan(run.pool, { plan_id: 'taxed', currency: 'usd', rules: [{ markup: '0.25' }], stripe }, 'test');
  });
  afterAll(() => run.end());

  /** A period of 7.50 dollars and 1.50 of tax, at Stripe. */
  const billed = async (id: string): Promise<{ ref: PeriodRef; invoice: string }> => {
    const made = await run.stripe.call('customer', {}, (sdk) =>
      sdk.customers.create({ name: id, address: { country: 'DE' } }),
    );
    await customer(run.pool, id, { plan_id: 'taxed', stripe_customer_id: made.id });
    const events = ['a', 'b'].map((event_id) => ({
      customer_id: id,
      event_id,
      occurred_at: '2026-10-10T00:00:00Z',
      usage: { input_tokens: 1_000_000 },
    }));
    await run.append(events);
    const ref = { customer_id: id, start_date: '2026-10-01' };
    await run.close(ref);
    return { ref, invoice: run.standIn.state().invoices.find((one) => one.customer === made.id)!.id };
  };
  const preview = (ref: PeriodRef) =>
    previewRebill(run, ref.customer_id, ref.start_date, { catalog: 'pinned', plans: 'pinned', refund: 'refund' });
  const revisions = async (ref: PeriodRef) =>
    listRevisions(run.pool, (await findPeriod(run.pool, ref.customer_id, ref.start_date))!.period_id);

  it('is shown before tax, says that Stripe has a part in it, and what was paid', async () => {
    const { ref, invoice } = await billed('shown');
    run.standIn.payPart(invoice, 500);
    await refreshInvoice(run, invoice);
    await voidUsage(run.pool, 'shown', 'b', { reason: 'test', actor: 'test' });
    expect(await preview(ref)).toMatchObject({
      difference: '-3.75',
      stripe: [{ stripe_invoice_id: invoice, stripe_status: 'open', paid: '5.00', action: 'keep' }],
      tax: 'stripe',
      follows: { kind: 'credit_note', amount: '3.75' },
    });
    expect(await run.rebill(ref, { refund: 'refund' })).toBe('invoiced');
    expect((await revisions(ref))[1]).toMatchObject({
      total: '3.75',
      correction: { status: 'completed', difference: '-3.75', credit_notes: [{ amount: '3.75', total: '4.50' }] },
    });
    // 9.00 were asked for, 5.00 were paid, 4.50 are asked for now.
    expect(run.standIn.state().credit_notes).toMatchObject([{ pre_payment_amount: 400, refund_amount: 50 }]);
    expect(run.books(ref)).toBe(375);
    // Nothing stands in the way of a further one.
    await run.append([
      { customer_id: 'shown', event_id: 'c', occurred_at: '2026-10-11T00:00:00Z', usage: { input_tokens: 2_000_000 } },
    ]);
    expect(await preview(ref)).toMatchObject({
      tax: 'stripe',
      follows: { kind: 'supplementary_invoice', amount: '7.50' },
    });
    expect(await run.rebill(ref)).toBe('invoiced');
    expect(run.books(ref)).toBe(1_125);
  });

  it('can be sent again after a person took back what its credit note was for', async () => {
    const scenario = await openCorrection(run.pool, {
      before: 'paid',
      first: [1_000],
      onTop: { automatic: AUTOMATIC },
    });
    const { id, lines } = scenario.invoices()[0]!;
    const underWay = () =>
      inTransaction(run.pool, (client) => hasCreditNotesUnderWay(client, scenario.fixture.period_id));
    await scenario.next([100]);
    const seen: boolean[] = [];
    let passed = 0;
    const outcome = await scenario.correct(async (name) => {
      if (name !== 'before create credit note') return;
      seen.push(await underWay());
      if (passed++ > 0) return;
      const whole = { type: 'invoice_line_item' as const, invoice_line_item: lines[0]!.id, amount: 500 };
      await scenario.stripe.call('by hand', {}, (sdk) =>
        sdk.creditNotes.create({ invoice: id, lines: [whole], refund_amount: 600 }),
      );
    });
    expect(outcome).toMatchObject({
      outcome: 'parked',
      reason: expect.stringMatching(
        /^Stripe takes no credit note of 900 .* credited or refunded by hand, has left less/,
      ),
    });
    // While a key is in use no other revision may follow; when Stripe has refused, it may.
    expect(seen).toEqual([true]);
    expect(await underWay()).toBe(false);
    await scenario.next([100]);
    expect(await scenario.correct()).toEqual({ outcome: 'corrected' });
    expect(scenario.books()).toBe(100);
    expectMoneyRight(scenario.standIn.state());
    expect(scenario.standIn.state().credit_notes.map(({ subtotal }) => subtotal)).toEqual([500, 400]);
    await scenario.close();
  });
});
