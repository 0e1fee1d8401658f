import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PeriodRef } from '../../src/contracts/engine.js';
import type { PlanInput } from '../../src/contracts/plan.js';
import { pricePeriod } from '../../src/ledger/price-period.js';
import { findPeriod } from '../../src/periods/period-store.js';
import { publishPlan } from '../../src/plans/plan-store.js';
import { type BillingRun, openBillingRun } from '../support/billing-run.js';
import { NOW_MS, publishBasics, settle } from '../support/ledger.js';
import { openMetered } from '../support/metered.js';

describe('usage as meter events of Stripe', () => {
  let run: BillingRun;
  let tools: ReturnType<typeof openMetered>;
  beforeAll(async () => {
    run = await openBillingRun();
    tools = openMetered(run);
    await publishBasics(run.pool);
  });
  afterAll(() => run.end());

  const now = new Date(NOW_MS);
  const metered = (id: string, plan?: Partial<PlanInput>) => tools.metered(id, plan);
  const use = (id: string, event_id: string, tokens: number) => tools.use(id, event_id, tokens);
  const flush = (at = now) => tools.flush({ now: at });
  const view = (ref: PeriodRef) => tools.view(ref);
  const events = (stripeCustomer: string) => tools.events(stripeCustomer);

  it('sends what was added since, and no invoice', async () => {
    const { ref, stripe_customer } = await metered('charge');
    await use('charge', 'a', 2_000_000);
    await flush();
    await flush();
    await use('charge', 'b', 1_000_000);
    await flush();
    // 2 and 1 million tokens at 3 dollars and 25% on top: 7.50 and 3.75.
    expect(events(stripe_customer).map(({ payload }) => payload.value)).toEqual(['750', '375']);
    expect(events(stripe_customer).every(({ timestamp }) => timestamp * 1_000 === NOW_MS)).toBe(true);
    await use('charge', 'c', 1_000);
    expect(await run.close(ref)).toBe('invoiced');
    expect(await view(ref)).toMatchObject({ ledger: '1125', sent: '1125', pending: '0' });
    await flush();
    expect(await view(ref)).toMatchObject({ event_name: 'usage-charge', counted: '1125', equal: true });
    expect(run.standIn.state().invoices).toEqual([]);
    // All sent and counted: nobody looks again.
    const calls = run.standIn.state().requests.length;
    await flush();
    expect(run.standIn.state().requests).toHaveLength(calls);
  });

  it('counts a meter by dimensions', async () => {
    const { ref, stripe_customer } = await metered('tokens', {
      late_usage: 'rebill',
      lines: { group_by: ['feature'] },
      meter_events: { event_name: 'usage-tokens', value: 'input_tokens', dimensions: ['model_id', 'feature'] },
    });
    await run.append([
      { customer_id: 'tokens', event_id: 'a', feature: 'chat', usage: { input_tokens: 100 } },
      { customer_id: 'tokens', event_id: 'b', feature: 'chat', usage: { input_tokens: 20, output_tokens: 9 } },
      { customer_id: 'tokens', event_id: 'c', usage: { input_tokens: 3 } },
    ]);
    await settle(run.pool);
    await pricePeriod(run, (await findPeriod(run.pool, 'tokens', '2026-11-01'))!.period_id);
    await flush();
    const payloads = events(stripe_customer).map(({ payload }) => payload);
    expect(payloads).toHaveLength(2);
    expect(payloads).toEqual(
      expect.arrayContaining([
        { stripe_customer_id: stripe_customer, value: '120', model_id: 'claude-x', feature: 'chat' },
        { stripe_customer_id: stripe_customer, value: '3', model_id: 'claude-x', feature: '' },
      ]),
    );
    expect(await view(ref)).toMatchObject({ ledger: '123', sent: '123', counted: '123', equal: true });
  });

  it.each(['500_saved', '500_saved_after', '500_unsaved', 'reset_before', 'reset_after'] as const)(
    'counts once where a call meets %s',
    async (kind) => {
      const id = `fault-${kind}`;
      const { ref, stripe_customer } = await metered(id);
      await use(id, 'a', 2_000_000);
      run.standIn.faults.order({ match: { path: 'meter_events' }, kind, count: 2 });
      await flush().catch(() => undefined);
      run.standIn.faults.clear();
      // Stripe replays a saved failure for as long as it keeps the key, and forgets it before the identifier matters.
      run.standIn.advance(kind.startsWith('500_saved') ? 25 * 3_600_000 : 0);
      await run.pool.query(
        `UPDATE stripe_meter_events SET tried_at = $2 WHERE period_id = (SELECT period_id FROM periods WHERE customer_id = $1)`,
        [id, now],
      );
      await flush();
      const known = await view(ref);
      const counted = events(stripe_customer).reduce((sum, { payload }) => sum + Number(payload.value), 0);
      expect(known!.counted).toBe(String(counted));
      if (kind !== '500_saved_after') expect(known).toMatchObject({ sent: '750', counted: '750', equal: true });
    },
  );

  it('takes an identifier that Stripe knows as sent', async () => {
    const { ref, stripe_customer } = await metered('known');
    await use('known', 'a', 2_000_000);
    await flush();
    // The answer was lost with the database's last second, and Stripe has forgotten the key but not the identifier.
    await run.pool.query(
      `UPDATE stripe_meter_events SET status = 'pending', sent_at = NULL, tried_at = $1
       WHERE event_name = 'usage-known'`,
      [now],
    );
    await run.pool.query(`UPDATE stripe_meter_periods SET completed_at = NULL`);
    run.standIn.forgetKeys();
    await flush();
    expect(await view(ref)).toMatchObject({ sent: '750', counted: '750', equal: true });
    expect(events(stripe_customer)).toHaveLength(1);
  });

  it('is told apart where Stripe counted something else', async () => {
    const { ref, stripe_customer } = await metered('foreign');
    await use('foreign', 'a', 2_000_000);
    await tools.at((sdk) =>
      sdk.billing.meterEvents.create({
        event_name: 'usage-foreign',
        timestamp: NOW_MS / 1_000,
        payload: { stripe_customer_id: stripe_customer, value: '50' },
      }),
    );
    await flush();
    expect(await view(ref)).toMatchObject({ ledger: '750', sent: '750', counted: '800', equal: false });
  });

  it('is shown as unsendable where Stripe takes it no more: too old, or no such meter', async () => {
    const { ref } = await metered('old');
    await use('old', 'a', 2_000_000);
    await flush(new Date(Date.parse('2027-01-05T00:00:00Z')));
    expect(await view(ref)).toMatchObject({ ledger: '750', sent: '0', unsendable: '750', equal: false });
    const other = await metered('nowhere', { meter_events: { event_name: 'no-such-meter' } });
    await use('nowhere', 'a', 2_000_000);
    await flush();
    expect(await view(other.ref)).toMatchObject({ unsendable: '750', counted: null, equal: null });
  });

  it('is not sent again when so long no answer came that Stripe has forgotten the identifier', async () => {
    const { ref } = await metered('uncertain');
    await use('uncertain', 'a', 2_000_000);
    run.standIn.faults.order({ match: { path: 'meter_events' }, kind: '500_unsaved', count: 2 });
    await expect(flush()).rejects.toMatchObject({ code: 'stripe_unavailable' });
    await flush(new Date(NOW_MS + 24 * 3_600_000));
    expect(await view(ref)).toMatchObject({ sent: '0', uncertain: '750', counted: '0', equal: false });
  });

  it('needs a Stripe customer', async () => {
    const { ref } = await metered('nobody');
    await run.pool.query(`UPDATE customers SET stripe_customer_id = NULL WHERE customer_id = 'nobody'`);
    await use('nobody', 'a', 2_000_000);
    await expect(run.close(ref)).rejects.toThrow('the period is parked: nobody has no Stripe customer');
  });

  it('is refused in plans that say half of it', async () => {
    const rules = [{ markup: '0.25' }];
    const publish = (plan: Partial<PlanInput>) =>
      publishPlan(run.pool, { plan_id: 'refused', currency: 'usd', rules, ...plan }, 'test');
    const meter_events = { event_name: 'e' };
    const submission = 'meter_events' as const;
    for (const [plan, field] of [
      [{ submission }, 'meter_events'],
      [{ meter_events }, 'meter_events'],
      [{ submission, meter_events: { ...meter_events, dimensions: ['model_id'] } }, 'meter_events.dimensions'],
      [{ submission, meter_events: { ...meter_events, value: 'input_tokens' } }, 'late_usage'],
      [
        {
          submission,
          late_usage: 'rebill' as const,
          meter_events: { ...meter_events, value: 'input_tokens', dimensions: ['feature'] },
        },
        'meter_events.dimensions[0]',
      ],
    ] as const) {
      await expect(publish(plan as Partial<PlanInput>)).rejects.toMatchObject({ code: 'invalid_plan', field });
    }
  });
});
