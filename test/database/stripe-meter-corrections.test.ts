import Stripe from 'stripe';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PeriodRef } from '../../src/contracts/engine.js';
import { previewRebill } from '../../src/invoicing/rebill-preview.js';
import { receiveWebhook } from '../../src/invoicing/stripe-changes.js';
import { voidUsage } from '../../src/ledger/void-usage.js';
import { publishPlan } from '../../src/plans/plan-store.js';
import { type BillingRun, openBillingRun } from '../support/billing-run.js';
import { customer, NOW_MS, publishBasics } from '../support/ledger.js';
import { openMetered } from '../support/metered.js';

const WEBHOOK = 'whsec_endpoint';
const DESTINATION = 'whsec_destination';

describe('meter events that turn out wrong', () => {
  let run: BillingRun;
  let tools: ReturnType<typeof openMetered>;
  beforeAll(async () => {
    run = await openBillingRun();
    tools = openMetered(run);
    await publishBasics(run.pool);
  });
  afterAll(() => run.end());

  const values = (stripeCustomer: string) => tools.events(stripeCustomer).map(({ payload }) => payload.value);
  const alerts = async (ref: PeriodRef) =>
    (await tools.whole(ref)).stripe_alerts.map(({ kind, detail }) => [kind, detail]);
  const timeline = async (ref: PeriodRef, kind: string) =>
    (await tools.whole(ref)).timeline.filter((entry) => entry.kind === kind).map(({ detail }) => detail);

  describe('what Stripe counted differs from the ledger', () => {
    it('raises an alert when Stripe had time to add up, and takes it back when it is put right', async () => {
      const { ref, stripe_customer } = await tools.metered('differs');
      await tools.use('differs', 'a', 2_000_000);
      const extra = (value: string) =>
        tools.at((sdk) =>
          sdk.billing.meterEvents.create({
            event_name: 'usage-differs',
            timestamp: NOW_MS / 1_000,
            payload: { stripe_customer_id: stripe_customer, value },
          }),
        );
      await extra('50');
      await tools.flush();
      expect(await tools.view(ref)).toMatchObject({ ledger: '750', counted: '800', equal: false });
      expect(await alerts(ref)).toEqual([]);
      await tools.flush({ settleMinutes: 0 });
      expect(await alerts(ref)).toEqual([
        [
          'meter_count_differs',
          'The meter usage-differs counted 800, the ledger came to 750. Send an event with the difference, or bill it by other means.',
        ],
      ]);
      expect(await timeline(ref, 'stripe_alert')).toMatchObject([{ kind: 'meter_count_differs' }]);
      await extra('-50');
      await tools.flush();
      expect(await tools.view(ref)).toMatchObject({ counted: '750', equal: true });
      expect(await alerts(ref)).toEqual([]);
      expect(await timeline(ref, 'stripe_alert_resolved')).toEqual([{ kind: 'meter_count_differs' }]);
    });

    it('at once where an event can never be sent', async () => {
      const { ref } = await tools.metered('too-old');
      await tools.use('too-old', 'a', 2_000_000);
      await tools.flush({ now: new Date(Date.parse('2027-01-05T00:00:00Z')) });
      expect(await alerts(ref)).toEqual([
        ['meter_count_differs', expect.stringContaining('unsendable: It is older than')],
      ]);
    });
  });

  describe('usage that is taken back', () => {
    const shrink = async (id: string, hours: number) => {
      const made = await tools.metered(id);
      await tools.use(id, 'a', 2_000_000);
      await tools.flush();
      await tools.use(id, 'b', 1_000_000);
      await run.close(made.ref);
      expect(values(made.stripe_customer)).toEqual(['750', '375']);
      await tools.sentHoursAgo(id, hours);
      await voidUsage(run.pool, id, 'b', { reason: 'wrong', actor: 'finance' });
      return made;
    };

    it('within a day, cancels the event that held it', async () => {
      const { ref, stripe_customer } = await shrink('fresh', 1);
      expect(await run.rebill(ref)).toBe('invoiced');
      expect(values(stripe_customer)).toEqual(['750']);
      expect(run.standIn.state().requests.filter(({ path }) => path.endsWith('meter_event_adjustments'))).toHaveLength(
        1,
      );
      expect(await tools.view(ref)).toMatchObject({
        ledger: '750',
        sent: '750',
        cancelled: '375',
        after_close: '-375',
      });
      expect(await timeline(ref, 'metered')).toMatchObject([
        { after_close: '0' },
        { revision: 2, after_close: '-375' },
      ]);
      await tools.flush();
      expect(await tools.view(ref)).toMatchObject({ counted: '750', equal: true });
    });

    it('sends anew what is left of the events that it cancelled', async () => {
      const { ref, stripe_customer } = await shrink('partly', 1);
      await voidUsage(run.pool, 'partly', 'a', { reason: 'wrong', actor: 'finance' });
      await run.append([{ customer_id: 'partly', event_id: 'c', usage: { input_tokens: 100_000 } }]);
      expect(await run.rebill(ref)).toBe('invoiced');
      // 100,000 tokens at 3 dollars and a quarter on top, half away from zero.
      expect(values(stripe_customer)).toEqual(['38']);
      expect(await tools.view(ref)).toMatchObject({ ledger: '38', sent: '38', cancelled: '1125' });
    });

    it('later, is taken off by an event below zero, which Stripe counts too', async () => {
      const { ref, stripe_customer } = await shrink('stale', 30);
      expect(await run.rebill(ref)).toBe('invoiced');
      expect(values(stripe_customer)).toEqual(['750', '375', '-375']);
      expect(await tools.view(ref)).toMatchObject({ ledger: '750', sent: '750', cancelled: '0', after_close: '-375' });
    });

    it('is taken off as well where Stripe does not take it back', async () => {
      const { ref, stripe_customer } = await shrink('refused', 22);
      // Stripe's clock is ahead of ours.
      run.standIn.advance(25 * 3_600_000);
      expect(await run.rebill(ref)).toBe('invoiced');
      expect(values(stripe_customer)).toContain('-375');
      expect(await tools.view(ref)).toMatchObject({ ledger: '750', sent: '750', cancelled: '0' });
      run.standIn.advance(-25 * 3_600_000);
    });

    it.each(['500_unsaved', 'reset_before', 'reset_after', '500_saved_after'] as const)(
      'once, where the call meets %s',
      async (kind) => {
        const id = `back-${kind}`;
        const { ref, stripe_customer } = await shrink(id, 1);
        run.standIn.faults.order({ match: { path: 'meter_event_adjustments' }, kind, count: 2 });
        await run.rebill(ref).catch(() => undefined);
        run.standIn.faults.clear();
        run.standIn.forgetKeys();
        if ((await tools.whole(ref)).status === 'submitting') expect(await run.drive(ref)).toBe('invoiced');
        expect(values(stripe_customer)).toEqual(['750']);
        expect(await tools.view(ref)).toMatchObject({ ledger: '750', sent: '750', cancelled: '375' });
      },
    );

    it('and was never sent, is not sent', async () => {
      const { ref, stripe_customer } = await tools.metered('unsent');
      await tools.use('unsent', 'a', 2_000_000);
      await run.pool.query(`UPDATE customers SET stripe_customer_id = stripe_customer_id WHERE customer_id = 'unsent'`);
      run.standIn.faults.order({ match: { path: 'billing/meters' }, kind: '500_unsaved', count: 2 });
      await expect(tools.flush()).rejects.toMatchObject({ code: 'stripe_unavailable' });
      run.standIn.faults.clear();
      await voidUsage(run.pool, 'unsent', 'a', { reason: 'wrong', actor: 'finance' });
      await tools.use('unsent', 'b', 1_000_000);
      await tools.flush();
      expect(values(stripe_customer)).toEqual(['375']);
      expect(await tools.view(ref)).toMatchObject({ ledger: '375', sent: '375', cancelled: '750' });
    });
  });

  describe('late usage', () => {
    it('is sent as a further event inside the period, by a re-bill', async () => {
      const { ref, stripe_customer } = await tools.metered('late', { late_usage: 'hold' });
      await tools.use('late', 'a', 2_000_000);
      await run.close(ref);
      await run.append([{ customer_id: 'late', event_id: 'b', usage: { input_tokens: 1_000_000 } }]);
      expect(await run.rebill(ref)).toBe('invoiced');
      expect(values(stripe_customer)).toEqual(['750', '375']);
      expect(new Set(tools.events(stripe_customer).map(({ identifier }) => identifier)).size).toBe(2);
      expect(await tools.view(ref)).toMatchObject({ ledger: '1125', sent: '1125', after_close: '375' });
    });
  });

  it('a re-bill with the same usage sends nothing more, and says so', async () => {
    const { ref, stripe_customer } = await tools.metered('same');
    await tools.use('same', 'a', 2_000_000);
    await run.close(ref);
    const options = { catalog: 'pinned', plans: 'pinned', refund: 'balance' } as const;
    const preview = await previewRebill(run, ref.customer_id, ref.start_date, options);
    expect(preview).toMatchObject({ stripe: [], follows: { kind: 'meter_events', amount: '0.00' } });
    expect(await run.rebill(ref)).toBe('invoiced');
    expect(values(stripe_customer)).toEqual(['750']);
    expect(await timeline(ref, 'metered')).toMatchObject([
      { sent: '750' },
      { revision: 2, sent: '750', after_close: '0' },
    ]);
  });

  it('a period whose usage was metered is not invoiced as well: it parks', async () => {
    const { ref, stripe_customer } = await tools.metered('switched');
    await tools.use('switched', 'a', 2_000_000);
    await tools.flush();
    await publishPlan(run.pool, { plan_id: 'invoiced', currency: 'usd', rules: [{ markup: '0.25' }] }, 'test');
    await customer(run.pool, 'switched', { plan_id: 'invoiced', stripe_customer_id: stripe_customer });
    await expect(run.close(ref)).rejects.toThrow(
      'the period is parked: Usage of this period went to Stripe as events of the meter usage-switched (750): an invoice would bill it twice.',
    );
    expect(run.standIn.state().invoices).toEqual([]);
  });

  it('counts what the invoice comes to: fees, allowances and prices for actions with it, from the close on', async () => {
    const { ref, stripe_customer } = await tools.metered('fees', {
      base_fee: '49.00',
      allowance: { charge: '2.00' },
      rules: [{ markup: '0.25', fee_per_action: '1.00' }],
    });
    await tools.use('fees', 'a', 2_000_000);
    await tools.flush();
    await run.close(ref);
    const { total } = await run.newest(ref);
    // 7.50 of usage, 1.00 for the action, 49.00, less 2.00.
    expect(total).toBe('55.50');
    expect(values(stripe_customer).reduce((sum, value) => sum + Number(value), 0)).toBe(5_550);
    expect(await tools.view(ref)).toMatchObject({ ledger: '5550', sent: '5550' });
  });

  it('sends no amount of another currency while there is no exchange rate', async () => {
    const { ref, stripe_customer } = await tools.metered('no-rate', { currency: 'eur' });
    await tools.use('no-rate', 'a', 2_000_000);
    await tools.flush();
    expect(values(stripe_customer)).toEqual([]);
    expect(await tools.view(ref)).toMatchObject({ ledger: '0' });
  });

  describe('errors that Stripe tells of later', () => {
    const deliver = (
      body: string,
      secret: string,
      secrets = { webhookSecret: WEBHOOK, destinationSecret: DESTINATION },
    ) => {
      const signature = Stripe.webhooks.generateTestHeaderString({ payload: body, secret });
      return receiveWebhook(
        { ...run, ...secrets } as Parameters<typeof receiveWebhook>[0],
        Buffer.from(body),
        signature,
      );
    };
    const identifiersOf = (stripeCustomer: string) => tools.events(stripeCustomer).map(({ identifier }) => identifier);

    it('mark the events that they name, and raise an alert until the count is right', async () => {
      const { ref, stripe_customer } = await tools.metered('rejected');
      await tools.use('rejected', 'a', 2_000_000);
      await run.close(ref);
      const body = run.standIn.rejectMeterEvents('meter_event_customer_not_found', identifiersOf(stripe_customer));
      // The notification says neither what nor why.
      expect(body).not.toMatch(/customer_not_found|costplus-/);
      expect(await deliver(body, DESTINATION)).toBe('recorded');
      expect(await deliver(body, DESTINATION)).toBe('duplicate');
      expect(await tools.view(ref)).toMatchObject({ ledger: '750', sent: '0', rejected: '750' });
      expect(await alerts(ref)).toEqual([
        [
          'meter_events_rejected',
          'Stripe took 1 event of the meter usage-rejected (750) and does not count them: meter_event_customer_not_found. ' +
            'Put it right at Stripe, and send an event with the difference.',
        ],
      ]);
      await tools.flush();
      expect(await tools.view(ref)).toMatchObject({ counted: '0', equal: false });
      await tools.at((sdk) =>
        sdk.billing.meterEvents.create({
          event_name: 'usage-rejected',
          timestamp: Math.floor(NOW_MS / 1_000),
          payload: { stripe_customer_id: stripe_customer, value: '750' },
        }),
      );
      await tools.flush();
      expect(await alerts(ref)).toEqual([]);
    });

    it('of a meter that is not there are told in another event', async () => {
      const { ref, stripe_customer } = await tools.metered('no-meter');
      await tools.use('no-meter', 'a', 2_000_000);
      await tools.flush();
      const body = run.standIn.rejectMeterEvents('no_meter', identifiersOf(stripe_customer));
      expect(JSON.parse(body)).toMatchObject({ type: 'v1.billing.meter.no_meter_found' });
      // Where both are delivered to one endpoint they are signed with one secret.
      expect(await deliver(body, WEBHOOK)).toBe('recorded');
      expect(await alerts(ref)).toMatchObject([['meter_events_rejected', expect.stringContaining('no_meter')]]);
    });

    it('are ignored where no event is ours', async () => {
      const body = run.standIn.rejectMeterEvents('archived_meter', ['of-another-product']);
      expect(await deliver(body, DESTINATION)).toBe('ignored');
      const other = JSON.stringify({ ...JSON.parse(body), id: 'evt_other', type: 'v1.billing.meter.updated' });
      expect(await deliver(other, DESTINATION)).toBe('ignored');
    });

    it('are refused with a signature that does not fit', async () => {
      const body = run.standIn.rejectMeterEvents('archived_meter', ['x']);
      const unsigned = { code: 'invalid_signature' };
      await expect(deliver(body, 'whsec_wrong')).rejects.toMatchObject(unsigned);
      await expect(
        deliver(body, DESTINATION, { webhookSecret: WEBHOOK, destinationSecret: undefined as never }),
      ).rejects.toMatchObject(unsigned);
      const none = { webhookSecret: undefined as never, destinationSecret: undefined as never };
      await expect(deliver(body, DESTINATION, none)).rejects.toThrow('STRIPE_EVENT_DESTINATION_SECRET');
    });
  });
});
