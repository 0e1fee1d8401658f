import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PeriodRef, RebillOptions } from '../../src/contracts/engine.js';
import type { PlanInput } from '../../src/contracts/plan.js';
import { listRevisions } from '../../src/invoicing/invoice-list.js';
import { readPeriodView } from '../../src/invoicing/period-view.js';
import { previewRebill } from '../../src/invoicing/rebill-preview.js';
import { readUsageTrail } from '../../src/invoicing/usage-trail.js';
import { verifyInvoice } from '../../src/invoicing/verify-invoice.js';
import { voidUsage } from '../../src/ledger/void-usage.js';
import { findPeriod } from '../../src/periods/period-store.js';
import { publishPlan } from '../../src/plans/plan-store.js';
import { type BillingRun, openBillingRun } from '../support/billing-run.js';
import { customer, NOW_MS, publishBasics } from '../support/ledger.js';
import { openMetered } from '../support/metered.js';

const PINNED: RebillOptions = { catalog: 'pinned', plans: 'pinned', refund: 'balance' };
const by = { reason: 'wrong', actor: 'finance' };

describe('billing a period again under the plan that should have been in force', () => {
  let run: BillingRun;
  const publish = (plan_id: string, plan: Partial<PlanInput> = {}) =>
    publishPlan(run.pool, { plan_id, currency: 'usd', rules: [{ markup: '0.25' }], ...plan }, 'test');
  beforeAll(async () => {
    run = await openBillingRun();
    await publishBasics(run.pool);
    await publish('dear', { rules: [{ markup: '1.00' }] });
    await publish('cheap', { rules: [{ markup: '0.00' }] });
  });
  afterAll(() => run.end());

  const october = (customer_id: string): PeriodRef => ({ customer_id, start_date: '2026-10-01' });
  const november = (customer_id: string): PeriodRef => ({ customer_id, start_date: '2026-11-01' });
  /** A million input tokens: $3.00 of cost, $3.75 at 25%. */
  const event = (customer_id: string, event_id: string, more: object = {}) => ({
    customer_id,
    event_id,
    occurred_at: '2026-10-10T00:00:00Z',
    usage: { input_tokens: 1_000_000 },
    ...more,
  });
  const billed = async (id: string, plan_id = 'pro'): Promise<PeriodRef> => {
    await customer(run.pool, id, { plan_id });
    await run.append([event(id, 'a', { feature: 'chat', action_id: 'x' }), event(id, 'b', { feature: 'report' })]);
    await run.close(october(id));
    return october(id);
  };
  const preview = (ref: PeriodRef, options: Partial<RebillOptions>) =>
    previewRebill(run, ref.customer_id, ref.start_date, { ...PINNED, ...options });
  const revisions = async ({ customer_id, start_date }: PeriodRef) =>
    listRevisions(run.pool, (await findPeriod(run.pool, customer_id, start_date))!.period_id);
  const pay = async () => {
    const { id } = run.standIn.state().invoices.at(-1)!;
    await run.stripe.call('pay', {}, (sdk) => sdk.invoices.pay(id));
  };
  /** All revisions of a period, each derived again. */
  const proven = async (ref: PeriodRef) => {
    const totals = [];
    for (const { revision, total } of await revisions(ref)) {
      const proof = await verifyInvoice(run, ref.customer_id, ref.start_date, revision);
      expect(proof).toMatchObject({ matches: true, difference: null });
      totals.push(total);
    }
    return totals;
  };
  const lines = async (ref: PeriodRef) =>
    (await run.newest(ref)).lines.map(({ description, amount }) => `${description} ${amount}`);

  it('shows what it would come to, and then makes just that: higher, and lower', async () => {
    const ref = await billed('both');
    const dearer = await preview(ref, { plan: { plan_id: 'dear' } });
    expect(dearer).toMatchObject({
      before: { total: '7.50', plans: [{ plan_id: 'pro', version: 1, from: null }] },
      after: { total: '12.00', plans: [{ plan_id: 'dear', version: 1, from: null }] },
      difference: '4.50',
      follows: { kind: 'invoice', amount: '12.00' },
    });
    expect(await run.rebill(ref, { plan: { plan_id: 'dear' } })).toBe('invoiced');
    expect(await run.newest(ref)).toMatchObject({ total: '12.00', plans: dearer.after.plans });
    expect(run.books(ref)).toBe(1_200);
    await pay();
    expect((await preview(ref, { plan: { plan_id: 'cheap' } })).after.total).toBe('6.00');
    await run.rebill(ref, { plan: { plan_id: 'cheap' }, refund: 'refund' });
    expect(run.standIn.state().credit_notes.at(-1)).toMatchObject({ amount: 600, refund_amount: 600 });
    expect(run.books(ref)).toBe(600);
    expect(await proven(ref)).toEqual(['7.50', '12.00', '6.00']);
    expect((await readPeriodView(run.pool, 'both', '2026-10-01')).plan).toEqual({ plan_id: 'cheap', version: 1 });
  });

  it('asks for the rest where the first invoice is paid', async () => {
    const ref = await billed('paid');
    await pay();
    await run.rebill(ref, { plan: { plan_id: 'dear' } });
    expect((await revisions(ref)).at(-1)).toMatchObject({ correction: { invoice: 'supplement', difference: '4.50' } });
    expect(run.books(ref)).toBe(1_200);
  });

  it('is kept by later re-bills until they say otherwise', async () => {
    const ref = await billed('kept');
    await run.rebill(ref, { plan: { plan_id: 'dear' } });
    await voidUsage(run.pool, 'kept', 'a', by);
    await run.rebill(ref);
    await run.rebill(ref, { plans: 'assigned' });
    await run.rebill(ref, { plan: { plan_id: 'cheap' } });
    await run.pool.query('DELETE FROM pricing_runs');
    expect(await proven(ref)).toEqual(['7.50', '12.00', '6.00', '3.75', '3.00']);
  });

  it('is the newest version where none is named, by its number from then on, with the reason in the audit log', async () => {
    await publish('grows', { rules: [{ markup: '0.50' }] });
    await publish('grows', { rules: [{ markup: '1.00' }] });
    const ref = await billed('newest');
    await run.rebill(ref, { plan: { plan_id: 'grows' } });
    await publish('grows', { rules: [{ markup: '2.00' }] });
    await run.rebill(ref);
    expect(await run.newest(ref)).toMatchObject({ total: '12.00', plans: [{ plan_id: 'grows', version: 2 }] });
    await run.rebill(ref, { plan: { plan_id: 'grows', version: 1 } });
    expect(await proven(ref)).toEqual(['7.50', '12.00', '12.00', '9.00']);
    const { rows } = await run.pool.query<{ detail: object }>(
      `SELECT detail FROM audit_log WHERE customer_id = 'newest' AND action = 'period.rebill' ORDER BY audit_id LIMIT 1`,
    );
    expect(rows[0]!.detail).toMatchObject({ reason: 'test', rebill: { plan: { plan_id: 'grows', version: 2 } } });
    const { timeline } = await readPeriodView(run.pool, 'newest', '2026-10-01');
    expect(timeline.filter(({ kind }) => kind === 'rebill').map(({ detail }) => detail.plan)).toContainEqual({
      plan_id: 'grows',
      version: 2,
    });
  });

  it('takes attributes, actions, allowances and fees that the plan of the close did not ask for', async () => {
    await publish('rich', {
      rules: [{ match: { feature: 'chat' }, markup: '1.00', fee_per_action: '0.50' }, { markup: '0.25' }],
      lines: { group_by: ['feature'] },
      base_fee: '10.00',
      allowance: { charge: '2.00' },
    });
    const ref = await billed('rich');
    await run.rebill(ref, { plan: { plan_id: 'rich' } });
    // 10.00 + (6.00 + 0.50) + 3.75 - 2.00
    expect((await run.newest(ref)).total).toBe('18.25');
    expect((await lines(ref)).join('\n')).toMatch(/chat[\s\S]*report[\s\S]*Base fee/);
    expect(await proven(ref)).toEqual(['7.50', '18.25']);
  });

  it('prices late usage of the period: carried by the next one, or taken in by a re-bill of its own', async () => {
    const ref = await billed('late');
    await run.rebill(ref, { plan: { plan_id: 'dear' } });
    expect(await run.append([event('late', 'c'), event('late', 'n', { occurred_at: '2026-11-02T00:00:00Z' })])).toEqual(
      ['late', 'accepted'],
    );
    await run.close(november('late'));
    // The customer's plan of now is another one: October's usage is charged at 100%, November's at 25%.
    expect(await lines(november('late'))).toEqual([
      'claude-x · 1,000,000 tokens (1 call) 3.75',
      'Late usage of 2026-10-01 · 1,000,000 tokens (1 call) 6.00',
    ]);
    expect(await readUsageTrail(run, 'late', 'c')).toMatchObject({ rule: [{ rule: { markup: '1.00' } }], charge: '6' });
    expect(await proven(november('late'))).toEqual(['9.75']);
    await run.append([event('late', 'd')]);
    await run.rebill(ref);
    expect(await proven(ref)).toEqual(['7.50', '12.00', '18.00']);
  });

  describe('with the period that follows', () => {
    const fees = { base_fee: { amount: '30.00', timing: 'advance' as const }, rules: [{ markup: '0.25' }] };
    beforeAll(async () => {
      await publish('advance', fees);
      await publish('committed', { commitment: { amount: '100.00', periods: 12, early_end: 'full' } });
    });
    const onto = (id: string, plan_id: string) =>
      customer(run.pool, id, { plan_id, plan_effective: '2026-11-01T00:00:00Z' }, NOW_MS);

    it('asks in advance for what that one has by now', async () => {
      const [stays, moves] = [await billed('stays'), await billed('moves')];
      // October's own fee was never asked for in advance.
      expect((await preview(stays, { plan: { plan_id: 'advance' } })).after.total).toBe('37.50');
      await onto('moves', 'advance');
      await run.rebill(moves, { plan: { plan_id: 'advance' } });
      expect((await run.newest(moves)).balances.closing.advance).toMatchObject({ plan_id: 'advance', amount: '30.00' });
      expect(await proven(moves)).toEqual(['7.50', '67.50']);
      await run.close(november('moves'));
      // November's fee was paid with October's invoice: December's alone is asked for.
      expect(await lines(november('moves'))).toEqual(['Base fee in advance · advance · from 2026-12-01 30.00']);
    });

    it('lets a commitment go on in it, open or sealed, and asks for all of it where it has another plan', async () => {
      const plan = { plan_id: 'committed' };
      const ends = await billed('ends');
      expect((await preview(ends, { plan })).after.total).toBe('100.00');
      const open = await billed('goes-on');
      await onto('goes-on', 'committed');
      expect((await preview(open, { plan })).after.total).toBe('7.50');
      const sealed = await billed('both-wrong');
      await run.append([event('both-wrong', 'n', { occurred_at: '2026-11-02T00:00:00Z' })]);
      await run.close(november('both-wrong'));
      expect((await preview(sealed, { plan })).after.total).toBe('100.00');
      // December comes on it as well.
      await customer(run.pool, 'both-wrong', { plan_id: 'committed', plan_effective: 'next_period' }, NOW_MS);
      await run.rebill(november('both-wrong'), { plan });
      await run.rebill(sealed, { plan });
      expect((await run.newest(sealed)).balances.closing.commitment).toMatchObject({ plan_id: 'committed', over: 1 });
      expect((await readPeriodView(run.pool, 'both-wrong', '2026-11-01')).opening_changed).toBe(true);
      await run.rebill(november('both-wrong'));
      expect((await run.newest(november('both-wrong'))).balances.closing.commitment).toMatchObject({ over: 2 });
      expect(await proven(sealed)).toEqual(['7.50', '7.50']);
      expect(await proven(november('both-wrong'))).toEqual(['3.75', '3.75', '3.75']);
    });
  });

  it('is refused where no such plan is published, and where it is in another currency', async () => {
    await publish('euro', { currency: 'eur' });
    const ref = await billed('refused');
    for (const [plan, code] of [
      [{ plan_id: 'nobody' }, 'unknown_plan'],
      [{ plan_id: 'dear', version: 9 }, 'unknown_plan'],
      [{ plan_id: 'euro' }, 'invalid_plan'],
    ] as const) {
      await expect(preview(ref, { plan })).rejects.toMatchObject({ code });
      await expect(run.command(ref, 'rebill', { plan })).rejects.toMatchObject({ code });
    }
    expect(await proven(ref)).toEqual(['7.50']);
  });

  it('of a period with meter events brings the meter to what the corrected plan charges', async () => {
    const tools = openMetered(run);
    const { ref, stripe_customer } = await tools.metered('metered');
    await tools.use('metered', 'a', 2_000_000);
    await run.close(ref);
    await publish('metered', {
      rules: [{ markup: '1.00' }],
      submission: 'meter_events',
      meter_events: { event_name: 'usage-metered' },
    });
    await run.rebill(ref, { plan: { plan_id: 'metered' } });
    await tools.flush();
    const sent = tools.events(stripe_customer).map(({ payload }) => Number(payload.value));
    expect(sent.reduce((sum, value) => sum + value, 0)).toBe(1_200);
    expect(await proven(ref)).toEqual(['7.50', '12.00']);
  });
});
