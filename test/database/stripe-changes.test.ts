import Stripe from 'stripe';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { composePeriod } from '../../src/closing/compose-period.js';
import { sealClosing } from '../../src/closing/steps.js';
import { submitPeriod } from '../../src/closing/submit-period.js';
import type { PeriodRef } from '../../src/contracts/engine.js';
import { readPeriodView } from '../../src/invoicing/period-view.js';
import { pollStripe } from '../../src/invoicing/poll-stripe.js';
import { previewRebill } from '../../src/invoicing/rebill-preview.js';
import { receiveWebhook } from '../../src/invoicing/stripe-changes.js';
import { sweepDrafts } from '../../src/invoicing/sweep-drafts.js';
import { publishPlan } from '../../src/plans/plan-store.js';
import { listAlerts } from '../../src/stripe/alerts.js';
import { pruneDeliveries } from '../../src/stripe/webhooks.js';
import { type BillingRun, openBillingRun } from '../support/billing-run.js';
import { customer, publishBasics } from '../support/ledger.js';

const SECRET = 'whsec_test';

describe('what happens at Stripe', () => {
  let run: BillingRun;
  let events = 0;
  beforeAll(async () => {
    run = await openBillingRun();
    await publishBasics(run.pool);
    const draft = { plan_id: 'draft', currency: 'usd', rules: [{ markup: '0.25' }], submission: 'draft' as const };
    await publishPlan(run.pool, draft, 'test');
  });
  afterAll(() => run.end());

  const october = (customer_id: string): PeriodRef => ({ customer_id, start_date: '2026-10-01' });
  const view = ({ customer_id, start_date }: PeriodRef) => readPeriodView(run.pool, customer_id, start_date);
  const at = <T>(work: (sdk: Stripe) => Promise<T>) => run.stripe.call('by hand', {}, work);
  const kinds = async (ref: PeriodRef) => (await view(ref)).stripe_alerts.map(({ kind }) => kind);
  const poll = () => pollStripe(run, { ageMinutes: 0, perSecond: 1_000 });
  const deliver = (type: string, object: { id: string; object: string; invoice?: string }) => {
    const payload = JSON.stringify({ id: `evt_${++events}`, object: 'event', type, data: { object } });
    const signature = Stripe.webhooks.generateTestHeaderString({ payload, secret: SECRET });
    return receiveWebhook({ ...run, webhookSecret: SECRET }, Buffer.from(payload), signature);
  };
  /** A period of 7.50 dollars at Stripe, and the invoice there. */
  const billed = async (id: string, plan_id = 'pro') => {
    const made = await at((sdk) => sdk.customers.create({ name: id }));
    await customer(run.pool, id, { plan_id, stripe_customer_id: made.id });
    await run.append([
      { customer_id: id, event_id: 'a', occurred_at: '2026-10-10T00:00:00Z', usage: { input_tokens: 2_000_000 } },
    ]);
    await run.close(october(id));
    const [invoice] = (await view(october(id))).invoices;
    return { ref: october(id), invoice: invoice!.stripe_invoice_id!, stripe_customer: made.id };
  };

  it('an invoice voided by hand: the books are not right any more until the period is billed again', async () => {
    const { ref, invoice } = await billed('voided');
    await at((sdk) => sdk.invoices.voidInvoice(invoice));
    expect(await deliver('invoice.voided', { id: invoice, object: 'invoice' })).toBe('recorded');
    const after = await view(ref);
    expect(after).toMatchObject({ status: 'invoiced', payment_status: 'voided' });
    expect(after.stripe_alerts).toEqual([
      {
        kind: 'books_differ',
        customer_id: 'voided',
        start_date: '2026-10-01',
        object_id: expect.any(String),
        detail: `Stripe's invoices minus credit notes come to 0.00 usd, the period to 7.50 usd: ${invoice} is void. Bill the period again, or undo it at Stripe.`,
        raised_at: expect.any(String),
      },
    ]);
    expect(await listAlerts(run.pool, null)).toEqual(after.stripe_alerts);
    expect(await run.rebill(ref)).toBe('invoiced');
    const healed = await view(ref);
    expect(healed.stripe_alerts).toEqual([]);
    expect(healed.timeline.map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(['stripe_alert', 'stripe_alert_resolved']),
    );
    expect(run.books(ref)).toBe(750);
  });

  it('a payment of a part: known before the rest is, and shown by what a re-bill would do', async () => {
    const { ref, invoice } = await billed('part');
    run.standIn.payPart(invoice, 300);
    expect(await deliver('invoice_payment.paid', { id: 'inpay_1', object: 'invoice_payment', invoice })).toBe(
      'recorded',
    );
    const options = { catalog: 'pinned', plans: 'pinned', refund: 'balance' } as const;
    expect((await previewRebill(run, ref.customer_id, ref.start_date, options)).stripe).toEqual([
      { stripe_invoice_id: invoice, stripe_status: 'open', paid: '3.00', action: 'keep' },
    ]);
    expect(await view(ref)).toMatchObject({ payment_status: 'open', stripe_alerts: [] });
  });

  it('a credit note issued by hand, and taken back', async () => {
    const { ref, invoice } = await billed('credited');
    const note = await at((sdk) => sdk.creditNotes.create({ invoice, amount: 250 }));
    await deliver('credit_note.created', { id: note.id, object: 'credit_note', invoice });
    expect((await view(ref)).stripe_alerts).toMatchObject([
      { kind: 'books_differ', detail: expect.stringContaining('come to 5.00 usd, the period to 7.50 usd') },
    ]);
    await at((sdk) => sdk.creditNotes.voidCreditNote(note.id));
    await deliver('credit_note.voided', { id: note.id, object: 'credit_note', invoice });
    expect(await kinds(ref)).toEqual([]);
  });

  it('a re-bill that takes a credit note by hand into account leaves no alert', async () => {
    const { ref, invoice } = await billed('settled');
    await at((sdk) => sdk.invoices.pay(invoice));
    await at((sdk) => sdk.creditNotes.create({ invoice, amount: 250, credit_amount: 250 }));
    await deliver('credit_note.created', { id: 'cn_any', object: 'credit_note', invoice });
    expect(await kinds(ref)).toEqual(['books_differ']);
    await run.rebill(ref);
    expect(run.books(ref)).toBe(750);
    expect(await kinds(ref)).toEqual([]);
    await deliver('invoice.updated', { id: invoice, object: 'invoice' });
    expect(await kinds(ref)).toEqual([]);
  });

  it('is the same where no webhook ever comes: polling catches up', async () => {
    const [paid, voided, failed] = [await billed('polled-1'), await billed('polled-2'), await billed('polled-3')];
    await at((sdk) => sdk.invoices.pay(paid.invoice));
    await at((sdk) => sdk.invoices.voidInvoice(voided.invoice));
    // No payment method at Stripe: collection fails, and the invoice stays open.
    run.standIn.collect();
    expect(await poll()).toMatchObject({ failed: 0 });
    expect(await view(paid.ref)).toMatchObject({ payment_status: 'paid', stripe_alerts: [] });
    expect(await view(voided.ref)).toMatchObject({ payment_status: 'voided' });
    expect(await kinds(voided.ref)).toEqual(['books_differ']);
    expect(await view(failed.ref)).toMatchObject({ status: 'invoiced', payment_status: 'failed', stripe_alerts: [] });
  });

  it('polling reads what can still change, not again before its time, and in one process at a time', async () => {
    const { invoice } = await billed('bounded');
    await poll();
    const reads = () =>
      run.standIn.state().requests.filter(({ method, path }) => method === 'GET' && path === `/v1/invoices/${invoice}`)
        .length;
    const before = reads();
    expect(await pollStripe(run)).toEqual({ refreshed: 0, failed: 0, pruned: 0 });
    expect(reads()).toBe(before);
    const both = await Promise.all([poll(), poll()]);
    expect(both.filter((result) => result === null)).toHaveLength(1);
    expect(await pollStripe(run, { ageMinutes: 0, limit: 1 })).toMatchObject({ refreshed: 1 });
    await at((sdk) => sdk.invoices.pay(invoice));
    await poll();
    const final = reads();
    await poll();
    expect(reads()).toBe(final);
  });

  it('polling goes on past an invoice that cannot be read', async () => {
    const [first, second] = [await billed('unreadable'), await billed('readable')];
    await at((sdk) => sdk.invoices.pay(second.invoice));
    run.standIn.faults.order({ match: { path: first.invoice }, kind: '500_unsaved', count: 2 });
    expect(await poll()).toMatchObject({ failed: 1 });
    expect(await view(second.ref)).toMatchObject({ payment_status: 'paid' });
  });

  it('deliveries are forgotten after 60 days', async () => {
    await run.pool.query(
      `INSERT INTO stripe_webhook_events (stripe_event_id, type, received_at) VALUES
       ('evt_old', 'invoice.paid', now() - interval '61 days'), ('evt_young', 'invoice.paid', now() - interval '59 days')`,
    );
    expect(await pruneDeliveries(run.pool)).toBe(1);
    const left = await run.pool.query(`SELECT FROM stripe_webhook_events WHERE stripe_event_id = 'evt_young'`);
    expect(left.rowCount).toBe(1);
  });

  describe('a draft that is left for a person', () => {
    it('issued as it is: nothing to say', async () => {
      const { ref, invoice } = await billed('as-is', 'draft');
      expect(await kinds(ref)).toEqual([]);
      await at((sdk) => sdk.invoices.finalizeInvoice(invoice));
      await deliver('invoice.finalized', { id: invoice, object: 'invoice' });
      expect(await view(ref)).toMatchObject({ payment_status: 'open', stripe_alerts: [] });
    });

    it('edited and issued: both its lines and the books are told to differ', async () => {
      const { ref, invoice } = await billed('edited', 'draft');
      await at((sdk) => sdk.invoices.addLines(invoice, { lines: [{ amount: 100, description: 'by hand' }] }));
      await at((sdk) => sdk.invoices.finalizeInvoice(invoice));
      await deliver('invoice.finalized', { id: invoice, object: 'invoice' });
      expect((await view(ref)).stripe_alerts).toMatchObject([
        { kind: 'books_differ' },
        { kind: 'not_as_composed', detail: `${invoice} was edited before it was issued: it has 2 lines, not 1.` },
      ]);
    });

    it('deleted: the period bills nothing', async () => {
      const { ref, invoice } = await billed('deleted', 'draft');
      await at((sdk) => sdk.invoices.del(invoice));
      await poll();
      expect(await view(ref)).toMatchObject({ payment_status: 'deleted' });
      expect(await kinds(ref)).toEqual(['books_differ']);
    });
  });

  it('a losing draft that a person issued is found by the sweep, and forgotten when it is void', async () => {
    const { ref, invoice, stripe_customer } = await billed('stranger');
    const { metadata } = await at((sdk) => sdk.invoices.retrieve(invoice));
    const body = { customer: stripe_customer, currency: 'usd', metadata: { ...metadata, costplus_generation: '0' } };
    const stranger = await at((sdk) => sdk.invoices.create(body));
    await at((sdk) => sdk.invoices.finalizeInvoice(stranger.id));
    await run.pool.query(`UPDATE invoice_submissions SET attempt = attempt + 1 WHERE elected_invoice_id = $1`, [
      invoice,
    ]);
    await sweepDrafts({ ...run, heartbeat: () => undefined });
    expect((await view(ref)).stripe_alerts).toMatchObject([{ kind: 'issued_by_hand', object_id: stranger.id }]);
    // Without lines it comes to nothing, and Stripe counts it as paid: no void is possible, and it stays told.
    await deliver('invoice.paid', { id: stranger.id, object: 'invoice' });
    expect(await kinds(ref)).toEqual(['issued_by_hand']);
  });

  it('a customer deleted at Stripe: told at once, parks the next invoice, and goes on with another', async () => {
    const { stripe_customer } = await billed('leaving');
    await at((sdk) => sdk.customers.del(stripe_customer));
    expect(await deliver('customer.deleted', { id: stripe_customer, object: 'customer' })).toBe('recorded');
    expect(await listAlerts(run.pool, null)).toMatchObject([
      { kind: 'customer_deleted', customer_id: 'leaving', start_date: null, object_id: stripe_customer },
      ...(await listAlerts(run.pool, null)).slice(1),
    ]);
    const november = { customer_id: 'leaving', start_date: '2026-11-01' };
    await run.append([{ customer_id: 'leaving', event_id: 'b' }]);
    await run.command(november, 'close');
    await expect(run.drive(november)).rejects.toThrow(
      `the period is parked: Stripe has no customer ${stripe_customer} (any more)`,
    );
    const other = await at((sdk) => sdk.customers.create({ name: 'again' }));
    await customer(run.pool, 'leaving', { stripe_customer_id: other.id });
    expect((await listAlerts(run.pool, null)).map(({ kind }) => kind)).not.toContain('customer_deleted');
    await run.command(november, 'release');
    expect(await run.drive(november)).toBe('invoiced');
  });

  it('a customer deleted while its draft waits for a person: issuing it is refused there, a re-bill parks', async () => {
    const { ref, stripe_customer } = await billed('gone-draft', 'draft');
    await at((sdk) => sdk.customers.del(stripe_customer));
    expect(await deliver('customer.deleted', { id: 'cus_foreign', object: 'customer' })).toBe('ignored');
    await run.append([
      {
        customer_id: 'gone-draft',
        event_id: 'l',
        occurred_at: '2026-10-11T00:00:00Z',
        usage: { input_tokens: 1_000_000 },
      },
    ]);
    await run.command(ref, 'rebill', {});
    await expect(run.drive(ref)).rejects.toThrow('the period is parked: Stripe has no customer');
  });

  it('a draft that a person issues while it is being made is elected where it is as composed, else it parks', async () => {
    for (const isEdited of [false, true]) {
      const id = `quick-${isEdited}`;
      const made = await at((sdk) => sdk.customers.create({ name: id }));
      await customer(run.pool, id, { stripe_customer_id: made.id });
      await run.append([
        { customer_id: id, event_id: 'a', occurred_at: '2026-10-10T00:00:00Z', usage: { input_tokens: 2_000_000 } },
      ]);
      await run.command(october(id), 'close');
      const failpoint = async (name: string) => {
        if (name !== 'after add lines') return;
        const [draft] = run.standIn.state().invoices.filter((invoice) => invoice.customer === made.id);
        if (isEdited) await at((sdk) => sdk.invoices.addLines(draft!.id, { lines: [{ amount: 100 }] }));
        await at((sdk) => sdk.invoices.finalizeInvoice(draft!.id));
      };
      await sealClosing(run, october(id));
      await composePeriod(run, october(id));
      await submitPeriod({ ...run, heartbeat: () => undefined, failpoint }, october(id));
      const after = await view(october(id));
      if (isEdited) {
        expect(after.status_reason).toMatch(
          /^The draft in_\w+ was changed and issued by hand at Stripe: it has 2 lines/,
        );
      } else {
        expect(after).toMatchObject({ status: 'invoiced', payment_status: 'open' });
        expect(run.books(october(id))).toBe(750);
      }
    }
  });
});
