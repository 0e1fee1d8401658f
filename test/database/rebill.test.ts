import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { publishCatalogVersion } from '../../src/catalog/publish.js';
import { catalogVersionSchema } from '../../src/contracts/catalog.js';
import type { PeriodRef, RebillOptions } from '../../src/contracts/engine.js';
import { listRevisions } from '../../src/invoicing/invoice-list.js';
import { readPeriodView } from '../../src/invoicing/period-view.js';
import { previewRebill } from '../../src/invoicing/rebill-preview.js';
import { firstDifference, verifyInvoice } from '../../src/invoicing/verify-invoice.js';
import { voidUsage } from '../../src/ledger/void-usage.js';
import { findPeriod } from '../../src/periods/period-store.js';
import { publishPlan } from '../../src/plans/plan-store.js';
import { type BillingRun, openBillingRun } from '../support/billing-run.js';
import { customer, publishBasics } from '../support/ledger.js';

const PINNED: RebillOptions = { catalog: 'pinned', plans: 'pinned', refund: 'balance' };
const PRO = [{ plan_id: 'pro', version: 1, from: null }];
const by = { reason: 'wrong', actor: 'finance' };

describe('billing a period again', () => {
  let run: BillingRun;
  beforeAll(async () => {
    run = await openBillingRun();
    await publishBasics(run.pool);
  });
  afterAll(() => run.end());

  const october = (customer_id: string): PeriodRef => ({ customer_id, start_date: '2026-10-01' });
  const event = (customer_id: string, event_id: string, millions = 1, occurred_at = '2026-10-10T00:00:00Z') => ({
    customer_id,
    event_id,
    occurred_at,
    usage: { input_tokens: millions * 1_000_000 },
  });
  const revisions = async ({ customer_id, start_date }: PeriodRef) =>
    listRevisions(run.pool, (await findPeriod(run.pool, customer_id, start_date))!.period_id);
  const verify = async (ref: PeriodRef) => {
    const proofs = [];
    for (const { revision } of await revisions(ref)) {
      proofs.push(await verifyInvoice(run, ref.customer_id, ref.start_date, revision));
    }
    return proofs;
  };
  const open = async (id: string) => {
    await customer(run.pool, id);
    await run.append([event(id, 'a'), event(id, 'b')]);
    await run.close(october(id));
    return october(id);
  };

  it('shows the difference first, and then makes just that', async () => {
    const ref = await open('preview');
    await voidUsage(run.pool, 'preview', 'a', by);
    await run.append([event('preview', 'late', 4)]);
    const preview = await previewRebill(run, ref.customer_id, ref.start_date, PINNED);
    const [first] = await revisions(ref);
    expect(preview).toEqual({
      revision: 2,
      currency: 'usd',
      late_events: 1,
      before: { revision: 1, total: '7.50', plans: PRO },
      after: { total: '18.75', plans: PRO },
      difference: '11.25',
      lines: [{ description: 'claude-x · 5,000,000 tokens (2 calls)', before: '7.50', after: '18.75' }],
      stripe: [{ stripe_invoice_id: first!.stripe_invoice_id, stripe_status: 'open', paid: '0.00', action: 'void' }],
      tax: 'none',
      next_period: null,
      subscription: null,
      follows: { kind: 'invoice', amount: '18.75' },
    });
    // Nothing was done.
    expect(await revisions(ref)).toHaveLength(1);
    await run.rebill(ref);
    const [, second] = await revisions(ref);
    expect(second).toMatchObject({ revision: 2, total: '18.75', payment_status: 'open', reason: 'test' });
    expect((await revisions(ref))[0]).toMatchObject({ payment_status: 'voided', stripe_status: 'void' });
    expect(run.books(ref)).toBe(1_875);
  });

  it('every revision can be derived again, whatever came after it', async () => {
    const ref = await open('proof');
    await run.append([event('proof', 'late-1', 0.1), event('proof', 'n', 1, '2026-11-03T00:00:00Z')]);
    await run.rebill(ref);
    await voidUsage(run.pool, 'proof', 'late-1', by);
    await run.append([event('proof', 'late-2', 0.2)]);
    const november: PeriodRef = { customer_id: 'proof', start_date: '2026-11-01' };
    await run.close(november);
    await run.rebill(ref);
    await voidUsage(run.pool, 'proof', 'late-2', by);
    await run.rebill(november);
    expect((await revisions(ref)).map(({ total }) => total)).toEqual(['7.50', '7.88', '7.50']);
    expect((await revisions(november)).map(({ total }) => total)).toEqual(['4.50', '3.75']);
    await run.pool.query('DELETE FROM pricing_runs');
    for (const proof of [...(await verify(ref)), ...(await verify(november))]) {
      expect(proof).toMatchObject({ matches: true, difference: null });
      expect(proof.derived_hash).toBe(proof.issued_hash);
    }
    expect([run.books(ref), run.books(november)]).toEqual([750, 375]);
  });

  it('a proof names the first place that differs', async () => {
    const ref = await open('forged');
    await run.pool.query('ALTER TABLE invoices DISABLE TRIGGER invoices_immutable');
    await run.pool.query(
      `UPDATE invoices SET content = replace(content, '"amount":"7.50"', '"amount":"7.51"')
       WHERE period_id = (SELECT period_id FROM periods WHERE customer_id = 'forged' AND start_date = '2026-10-01')`,
    );
    await run.pool.query('ALTER TABLE invoices ENABLE TRIGGER invoices_immutable');
    const [proof] = await verify(ref);
    expect(proof).toMatchObject({
      matches: false,
      difference: { path: 'lines[0].amount', issued: '"7.51"', derived: '"7.50"' },
    });
    expect(firstDifference({ a: [1] }, { a: [1, 2] }, '')).toEqual({ path: 'a[1]', issued: 'nothing', derived: '2' });
    await expect(verifyInvoice(run, 'forged', '2026-10-01', 9)).rejects.toMatchObject({ code: 'unknown_invoice' });
  });

  it('of two re-bills at once one wins, and the other is told', async () => {
    for (let i = 0; i < 6; i++) {
      const ref = await open(`two-${i}`);
      await voidUsage(run.pool, ref.customer_id, 'a', by);
      const answers = await Promise.allSettled([run.command(ref, 'rebill'), run.command(ref, 'rebill')]);
      const refused = answers.filter((answer) => answer.status === 'rejected');
      expect(refused).toHaveLength(1);
      expect(refused[0]!.reason).toMatchObject({ code: 'wrong_status', status: 409 });
      await run.drive(ref);
      expect(await revisions(ref)).toHaveLength(2);
      expect(run.books(ref)).toBe(375);
    }
  });

  it('is the way out for a revision that cannot get to Stripe', async () => {
    await customer(run.pool, 'parked', { stripe_customer_id: 'cus_missing' });
    await run.append([event('parked', 'a')]);
    await expect(run.close(october('parked'))).rejects.toThrow(/parked/);
    await run.pool.query(`UPDATE customers SET stripe_customer_id = NULL WHERE customer_id = 'parked'`);
    expect(await run.rebill(october('parked'))).toBe('invoiced');
    expect(await revisions(october('parked'))).toMatchObject([
      { stripe_invoice_id: null },
      { payment_status: 'open', correction: { invoice: 'whole', status: 'completed' } },
    ]);
    expect(run.books(october('parked'))).toBe(375);
  });

  it('is refused before the seal, and while the last revision is on its way', async () => {
    await customer(run.pool, 'early');
    await run.append([event('early', 'a')]);
    await expect(run.command(october('early'), 'rebill')).rejects.toMatchObject({ code: 'wrong_status' });
    const [closed, rebilled] = await Promise.allSettled([
      run.command(october('early'), 'close'),
      run.command(october('early'), 'rebill'),
    ]);
    expect([closed.status, rebilled.status]).toEqual(['fulfilled', 'rejected']);
    await run.drive(october('early'));
    expect(await readPeriodView(run.pool, 'early', '2026-10-01')).toMatchObject({
      status: 'invoiced',
      payment_status: 'open',
    });
    expect(run.books(october('early'))).toBe(375);
  });

  it('bills for the first time what had nothing to bill, and takes back all of it', async () => {
    await customer(run.pool, 'nothing');
    await run.append([event('nothing', 'tiny', 0.000_001)]);
    expect(await run.close(october('nothing'))).toBe('nothing_to_bill');
    await run.append([event('nothing', 'late', 2)]);
    expect(await run.rebill(october('nothing'))).toBe('invoiced');
    expect(run.books(october('nothing'))).toBe(750);
    const { id } = run.standIn.state().invoices.at(-1)!;
    await run.stripe.call('pay', {}, (sdk) => sdk.invoices.pay(id));
    await voidUsage(run.pool, 'nothing', 'late', by);
    await run.rebill(october('nothing'), { refund: 'refund' });
    expect(run.books(october('nothing'))).toBe(0);
    const [, , third] = await revisions(october('nothing'));
    expect(third).toMatchObject({
      total: '0.00',
      stripe_invoice_id: null,
      correction: { status: 'completed', difference: '-7.50', invoice: 'none', credit_notes: [{ amount: '7.50' }] },
    });
    expect(run.standIn.state().credit_notes.at(-1)).toMatchObject({ amount: 750, refund_amount: 750 });
  });

  it('takes prices and plans of today only when finance says so', async () => {
    const ref = await open('terms');
    await publishCatalogVersion(
      run.pool,
      catalogVersionSchema.parse({
        note: 'a correction',
        prices: [
          {
            provider: 'anthropic',
            model_id: 'claude-x',
            meter: 'input_tokens',
            price: '4.00',
            per: 1_000_000,
            currency: 'usd',
            effective_from: '2026-10-01T00:00:00Z',
          },
        ],
      }),
      { actor: 'test', source: 'test' },
    );
    await publishPlan(run.pool, { plan_id: 'dearer', currency: 'usd', rules: [{ markup: '1.00' }] }, 'test');
    await run.pool.query(
      `INSERT INTO plan_assignments (customer_id, effective_from, plan_id, plan_version, assigned_by)
       VALUES ('terms', '2026-10-01', 'dearer', 1, 'test')`,
    );
    const total = async (options: Partial<RebillOptions>) =>
      (await previewRebill(run, ref.customer_id, ref.start_date, { ...PINNED, ...options })).after.total;
    // Two million tokens at $3 or $4, marked up by 25% or 100%.
    expect(await total({})).toBe('7.50');
    expect(await total({ catalog: 'newest' })).toBe('10.00');
    expect(await total({ plans: 'assigned' })).toBe('12.00');
    expect(await total({ catalog: 'newest', plans: 'assigned' })).toBe('16.00');
    await run.rebill(ref, { catalog: 'newest' });
    expect((await run.newest(ref)).total).toBe('10.00');
    await run.rebill(ref, { plans: 'assigned' });
    // The catalog stays where the last revision pinned it.
    expect((await run.newest(ref)).total).toBe('16.00');
    expect((await verify(ref)).map(({ matches }) => matches)).toEqual([true, true, true]);
  });
});
