import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { remindApproval, twiceTheMedian } from '../../src/closing/approval.js';
import { applyCommand } from '../../src/closing/commands.js';
import type { Approval } from '../../src/contracts/approval-options.js';
import type { ExpectedRevision, PeriodRef } from '../../src/contracts/engine.js';
import { readPeriodView } from '../../src/invoicing/period-view.js';
import { listPeriods } from '../../src/periods/period-store.js';
import { publishPlan } from '../../src/plans/plan-store.js';
import { type BillingRun, openBillingRun } from '../support/billing-run.js';
import { customer, publishBasics } from '../support/ledger.js';

/** A million input tokens: $3.00 of cost, and of charge at a markup of 0. */
const MILLION = 1_000_000;
const MONTHS = ['2026-05', '2026-06', '2026-07', '2026-08', '2026-09', '2026-10', '2026-11'];

const fulfilled = ({ status }: PromiseSettledResult<unknown>) => status === 'fulfilled';

describe('invoices that wait for approval', () => {
  let run: BillingRun;
  beforeAll(async () => {
    run = await openBillingRun();
    await publishBasics(run.pool);
  });
  afterAll(() => run.end());

  async function open(id: string, approval: Approval, more: object = {}): Promise<void> {
    const plan = { plan_id: id, currency: 'usd', rules: [{ markup: '0' }], approval, ...more };
    await publishPlan(run.pool, plan, 'test');
    await customer(run.pool, id, { plan_id: id });
  }

  /** Bills this many dollars (a multiple of three) for a month, and says where the period is then. */
  async function bill(id: string, month: string, dollars: number): Promise<string> {
    const event = { customer_id: id, event_id: month, occurred_at: `${month}-10T00:00:00Z` };
    expect(await run.append([{ ...event, usage: { input_tokens: (dollars / 3) * MILLION } }])).toEqual(['accepted']);
    return run.close({ customer_id: id, start_date: `${month}-01` });
  }

  const november = (customer_id: string): PeriodRef => ({ customer_id, start_date: '2026-11-01' });
  const view = (id: string) => readPeriodView(run.pool, id, '2026-11-01');

  describe('above an amount', () => {
    it('waits where the total is above it, not where it is the amount itself', async () => {
      await open('exact', { above: '6.00' });
      expect(await bill('exact', '2026-10', 6)).toBe('invoiced');
      expect(await bill('exact', '2026-11', 9)).toBe('awaiting_approval');
      const { status_reason, invoices } = await view('exact');
      expect(status_reason).toBe('the total of 9.00 usd is above 6.00');
      // It is composed and can be read; nothing of it is at Stripe.
      expect(invoices).toMatchObject([{ revision: 1, total: '9.00', stripe_invoice_id: null }]);
      expect(run.books(november('exact'))).toBe(0);
    });

    it('goes to Stripe once it is approved, with the comment on the timeline and in the audit log', async () => {
      await open('approved', { above: '1.00' });
      await bill('approved', '2026-11', 3);
      expect(await run.command(november('approved'), 'approve')).toMatchObject({ status: 'submitting', applied: true });
      expect(await run.drive(november('approved'))).toBe('invoiced');
      expect(run.books(november('approved'))).toBe(300);
      const { timeline } = await view('approved');
      expect(timeline.find(({ kind }) => kind === 'approved')?.detail).toEqual({ revision: 1, reason: 'test' });
      const { rows } = await run.pool.query(
        `SELECT actor, action, detail->>'reason' AS reason FROM audit_log WHERE customer_id = 'approved' AND action = 'period.approve'`,
      );
      expect(rows).toEqual([{ actor: 'test', action: 'period.approve', reason: 'test' }]);
      await expect(run.command(november('approved'), 'approve')).rejects.toMatchObject({ code: 'wrong_status' });
    });

    it('waits again, for the same reason, after it was held and released', async () => {
      await open('held', { above: '1.00' });
      await bill('held', '2026-11', 3);
      expect(await run.command(november('held'), 'hold')).toMatchObject({ status: 'on_hold' });
      await expect(run.command(november('held'), 'approve')).rejects.toMatchObject({ code: 'wrong_status' });
      expect(await run.command(november('held'), 'release')).toMatchObject({ status: 'awaiting_approval' });
      expect((await view('held')).status_reason).toBe('the total of 3.00 usd is above 1.00');
      const { rows } = await run.pool.query(
        `SELECT action, detail->>'reason' AS reason FROM audit_log WHERE customer_id = 'held' AND action LIKE 'period.%' ORDER BY audit_id`,
      );
      expect(rows.slice(1)).toEqual([
        { action: 'period.hold', reason: 'test' },
        { action: 'period.release', reason: 'test' },
      ]);
    });

    it('that turns out to be wrong is billed again, and the next revision waits', async () => {
      await open('wrong', { above: '1.00' });
      await bill('wrong', '2026-11', 3);
      expect(await run.rebill(november('wrong'))).toBe('awaiting_approval');
      await run.command(november('wrong'), 'approve');
      expect(await run.drive(november('wrong'))).toBe('invoiced');
      expect((await view('wrong')).invoices.map(({ stripe_invoice_id }) => stripe_invoice_id !== null)).toEqual([
        false,
        true,
      ]);
      expect(run.books(november('wrong'))).toBe(300);
    });

    describe('approved as it was seen', () => {
      const approve = (id: string, expected: ExpectedRevision) =>
        applyCommand(run, november(id), 'approve', { request_id: randomUUID(), actor: 'test', reason: null, expected });

      it('goes on where everything that is named is what waits; the audit log says what was named', async () => {
        await open('seen', { above: '1.00' });
        await bill('seen', '2026-11', 3);
        const { content_hash } = await run.newest(november('seen'));
        const expected = { revision: 1, total: '3', content_hash };
        expect(await approve('seen', expected)).toMatchObject({ status: 'submitting' });
        const { rows } = await run.pool.query(
          `SELECT detail->'expected' AS expected FROM audit_log WHERE customer_id = 'seen' AND action = 'period.approve'`,
        );
        expect(rows).toEqual([{ expected }]);
      });

      it('is refused, and goes on waiting, where another invoice waits by now', async () => {
        await open('other', { above: '1.00' });
        await bill('other', '2026-11', 3);
        const first = await run.newest(november('other'));
        await run.append([
          {
            customer_id: 'other',
            event_id: 'late',
            occurred_at: '2026-11-12T00:00:00Z',
            usage: { input_tokens: MILLION },
          },
        ]);
        await run.rebill(november('other'));
        const waits = 'Revision 2 of 6.00 usd waits for approval';
        for (const [field, expected, seen] of [
          ['revision', { revision: 1 }, 'revision 1'],
          ['total', { total: '3.00' }, 'one of 3.00'],
          ['total', { revision: 2, total: '3.00' }, 'one of 3.00'],
          ['content_hash', { content_hash: first.content_hash }, `one with the content hash ${first.content_hash}`],
        ] as const) {
          await expect(approve('other', expected)).rejects.toMatchObject({
            code: 'conflict',
            field,
            message: `${waits}, not ${seen}. Look at it before you approve it.`,
          });
        }
        expect((await view('other')).status).toBe('awaiting_approval');
        expect(await approve('other', { revision: 2, total: '6.00' })).toMatchObject({ status: 'submitting' });
      });
    });

    it.each(['hold', 'rebill', 'approve'] as const)(
      'has one winner when %s comes at the same moment as approve',
      async (other) => {
        const id = `race-${other}`;
        await open(id, { above: '1.00' });
        await bill(id, '2026-11', 3);
        const answers = await Promise.allSettled([
          run.command(november(id), 'approve'),
          run.command(november(id), other, ...(other === 'rebill' ? [{}] : [])),
        ]);
        const [won, lost] = [answers.filter(fulfilled), answers.filter((answer) => !fulfilled(answer))];
        expect([won.length, lost.length]).toEqual([1, 1]);
        expect(lost[0]).toMatchObject({ reason: { code: 'wrong_status' } });
        const { status } = await view(id);
        expect(won[0]).toMatchObject({ value: { status } });
      },
    );

    it('never waits with a total of zero, and ends where the plan submits nothing', async () => {
      await open('zero', { above: '0', first_invoice: true });
      expect(await run.close(november('zero'))).toBe('nothing_to_bill');
      await open('unsent', { above: '1' }, { submission: 'none' });
      expect(await bill('unsent', '2026-11', 3)).toBe('awaiting_approval');
      expect(await run.command(november('unsent'), 'approve')).toMatchObject({ status: 'invoiced' });
    });
  });

  it("a customer's first invoice waits, later ones do not", async () => {
    await open('first', { first_invoice: true });
    expect(await bill('first', '2026-09', 3)).toBe('awaiting_approval');
    // Another period that is billed meanwhile is a first invoice too: none has gone out.
    expect(await bill('first', '2026-10', 3)).toBe('awaiting_approval');
    const september = { customer_id: 'first', start_date: '2026-09-01' };
    await run.command(september, 'approve');
    expect(await run.drive(september)).toBe('invoiced');
    expect(await bill('first', '2026-11', 3)).toBe('invoiced');
  });

  describe('that deviate from the last invoices by a factor', () => {
    it('wait on both sides of it, not at it, and not without a history', async () => {
      await open('varies', { deviates_by_factor: '2' });
      expect(await bill('varies', '2026-06', 300)).toBe('invoiced');
      expect(await bill('varies', '2026-07', 600)).toBe('invoiced');
      // The median of 300 and 600 is 450: twice is 900, half is 225.
      expect(await bill('varies', '2026-08', 903)).toBe('awaiting_approval');
      expect(await bill('varies', '2026-09', 222)).toBe('awaiting_approval');
      expect(await bill('varies', '2026-10', 900)).toBe('invoiced');
      const { status_reason } = await readPeriodView(run.pool, 'varies', '2026-09-01');
      expect(status_reason).toBe(
        'the total of 222.00 usd deviates from the median of the last 2 invoices, 450.00 usd, by more than a factor of 2',
      );
    });

    it('are compared with the last six only', async () => {
      await open('grows', { deviates_by_factor: '3' });
      // Six invoices of $30 after one of $9: the median stays 30, and $93 is beyond three times it.
      for (const [index, month] of MONTHS.slice(0, 6).entries()) {
        expect(await bill('grows', month, index === 0 ? 12 : 30)).toBe('invoiced');
      }
      expect(await bill('grows', '2026-11', 93)).toBe('awaiting_approval');
      expect((await view('grows')).status_reason).toContain('the median of the last 6 invoices, 30.00 usd,');
    });

    it('by the median: half of the amounts are on either side', () => {
      fc.assert(
        fc.property(fc.array(fc.bigInt({ min: -1_000n, max: 1_000n }), { minLength: 1, maxLength: 9 }), (amounts) => {
          const twice = twiceTheMedian(amounts)!;
          const above = amounts.filter((amount) => amount * 2n > twice).length;
          const below = amounts.filter((amount) => amount * 2n < twice).length;
          expect(Math.max(above, below)).toBeLessThanOrEqual(amounts.length / 2);
        }),
      );
      expect(twiceTheMedian([])).toBeNull();
    });
  });

  it('are listed, and somebody is reminded of each once every time that it is due', async () => {
    await open('waiting', { above: '1.00', remind_after: 'PT2H' });
    await bill('waiting', '2026-11', 3);
    const waiting = await listPeriods(run.pool, { status: 'awaiting_approval', cursor: null, limit: 100 });
    expect(waiting.data.map(({ customer_id }) => customer_id)).toContain('waiting');
    const hours = (count: number) => new Date(Date.now() + count * 3_600_000);
    const remind = (at: Date) => remindApproval(run.pool, november('waiting'), at);
    expect(await remind(hours(1))).toBeNull();
    expect(await remind(hours(2.1))).toEqual({ ...november('waiting'), reason: 'the total of 3.00 usd is above 1.00' });
    expect(await remind(hours(2.2))).toBeNull();
    expect(await remind(hours(5))).not.toBeNull();
    await run.command(november('waiting'), 'approve');
    expect(await remind(hours(99))).toBeNull();
    const { timeline } = await view('waiting');
    expect(timeline.filter(({ kind }) => kind === 'approval_reminder')).toHaveLength(2);
  });

  it.each([
    ['approval', {}],
    ['approval', { remind_after: 'P1D' }],
    ['approval.deviates_by_factor', { deviates_by_factor: '1' }],
    ['approval.remind_after', { above: '1', remind_after: 'PT1S' }],
  ])('a plan that says nothing with %s is refused', async (field, approval) => {
    const plan = { plan_id: 'senseless', currency: 'usd', rules: [{ markup: '0' }], approval };
    await expect(publishPlan(run.pool, plan, 'test')).rejects.toMatchObject({ code: 'invalid_plan', field });
  });
});
