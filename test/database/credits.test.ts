import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { publishCatalogVersion } from '../../src/catalog/publish.js';
import { sealClosing } from '../../src/closing/steps.js';
import { catalogVersionSchema } from '../../src/contracts/catalog.js';
import { type CreditGrantBody, creditGrantSchema } from '../../src/contracts/credit.js';
import type { PeriodRef } from '../../src/contracts/engine.js';
import type { PlanInput } from '../../src/contracts/plan.js';
import { ensurePeriodAt } from '../../src/customers/customer-periods.js';
import { previewInvoice } from '../../src/invoicing/preview.js';
import { verifyInvoice } from '../../src/invoicing/verify-invoice.js';
import { readCreditBalance, readCreditLedger } from '../../src/ledger/credit-ledger.js';
import { grantCredits, listCredits, revokeCredits } from '../../src/ledger/credits.js';
import { pricePeriod } from '../../src/ledger/price-period.js';
import { readSeal } from '../../src/ledger/seal.js';
import { findPeriod } from '../../src/periods/period-store.js';
import { publishPlan } from '../../src/plans/plan-store.js';
import { type BillingRun, openBillingRun } from '../support/billing-run.js';
import { customer, NOW_MS, publishBasics, settle } from '../support/ledger.js';

const [SEPTEMBER, OCTOBER] = ['2026-09-01', '2026-10-01'];
const SINCE = '2026-09-01T00:00:00Z';

describe('prepaid credits', () => {
  let run: BillingRun;
  let customers = 0;
  let id: string;
  beforeAll(async () => {
    run = await openBillingRun();
    await publishBasics(run.pool);
  });
  afterAll(() => run.end());
  beforeEach(async () => {
    id = `customer-${++customers}`;
  });

  const ref = (start_date: string): PeriodRef => ({ customer_id: id, start_date });
  async function open(plan: Partial<PlanInput> = {}) {
    await publishPlan(
      run.pool,
      { plan_id: id, currency: 'usd', rules: [{ markup: '0' }], lines: { group_by: [] }, ...plan },
      'test',
    );
    await customer(run.pool, id, { plan_id: id, starts_at: SINCE }, Date.parse(SINCE));
    for (const at of [SEPTEMBER, OCTOBER]) await ensurePeriodAt(run.pool, id, Date.parse(at!), NOW_MS);
  }
  /** Usage of so many dollars, a multiple of three, on a day. */
  const usage = (event_id: string, day: string, dollars: number, more = {}) => ({
    customer_id: id,
    event_id,
    occurred_at: `${day}T12:00:00Z`,
    usage: { input_tokens: (dollars / 3) * 1_000_000 },
    ...more,
  });
  const grant = (body: Partial<CreditGrantBody> & { amount: string }) =>
    grantCredits(run.pool, id, creditGrantSchema.parse({ name: 'Pack', effective_from: SINCE, ...body }), 'test');
  const revoke = (grantId: number) => revokeCredits(run.pool, id, grantId, { reason: 'a mistake', actor: 'test' });
  const lines = async (start_date: string) =>
    (await run.newest(ref(start_date))).lines.map(({ kind, amount }) => `${kind} ${amount}`);
  const previewed = async (start_date: string) =>
    (await previewInvoice(run, id, start_date)).lines.map(({ kind, amount }) => `${kind} ${amount}`);
  const left = async () =>
    (await listCredits(run.pool, id)).map((one) => `${one.burned} ${one.expired} ${one.revoked} ${one.remaining}`);
  const attributesOf = async (start_date: string) => {
    const period = (await findPeriod(run.pool, id, start_date))!;
    return (await readSeal(run.pool, period.period_id))!.inputs.pricing.attributes;
  };
  const verified = async (start_date: string, revision: number) =>
    (await verifyInvoice(run, id, start_date, revision)).matches;

  const REPORT = { feature: 'report' };

  describe('for some usage', () => {
    it('pay for it from the moment of the grant, although it was priced before', async () => {
      await open();
      await run.append([
        usage('chat', '2026-09-10', 60, { feature: 'chat' }),
        usage('report', '2026-09-11', 30, { feature: 'report' }),
      ]);
      await settle(run.pool);
      const { period_id } = (await findPeriod(run.pool, id, SEPTEMBER!))!;
      await pricePeriod(run, period_id);
      await grant({ amount: '50', match: REPORT });
      expect(await previewed(SEPTEMBER!)).toEqual(['usage 90.00', 'credits -30.00']);
      await settle(run.pool);
      await pricePeriod(run, period_id);
      expect(await previewed(SEPTEMBER!)).toEqual(['usage 90.00', 'credits -30.00']);
      expect(await run.close(ref(SEPTEMBER!))).toBe('invoiced');
      expect(await lines(SEPTEMBER!)).toEqual(['usage 90.00', 'credits -30.00']);
      expect(await attributesOf(SEPTEMBER!)).toEqual(['feature']);
      expect(await verified(SEPTEMBER!, 1)).toBe(true);
      expect(run.books(ref(SEPTEMBER!))).toBe(6_000);
    });

    it('go on where they were left: usage alone that matches, then nothing', async () => {
      await open();
      await grant({ amount: '45', match: { provider: 'anthropic', ...REPORT } });
      await run.append([
        usage('s', '2026-09-11', 30, { feature: 'report' }),
        usage('o', '2026-10-11', 30, { feature: 'report' }),
        usage('p', '2026-10-12', 30),
      ]);
      await run.close(ref(SEPTEMBER!));
      await run.close(ref(OCTOBER!));
      expect(await lines(SEPTEMBER!)).toEqual(['usage 30.00', 'credits -30.00']);
      expect(await lines(OCTOBER!)).toEqual(['usage 60.00', 'credits -15.00']);
      expect(await left()).toEqual(['45 0 0 0']);
    });

    it('leave a period without them as it was: no attribute is kept apart, and no word of them in the seal', async () => {
      await open();
      await grant({ amount: '50', match: REPORT, effective_from: '2026-10-01T00:00:00Z' });
      await run.append([usage('report', '2026-09-11', 30, { feature: 'report' })]);
      await run.close(ref(SEPTEMBER!));
      expect(await attributesOf(SEPTEMBER!)).toEqual([]);
      expect(await lines(SEPTEMBER!)).toEqual(['usage 30.00']);
    });

    it('that were granted after the seal are there when the period is billed again', async () => {
      await open();
      await run.append([
        usage('chat', '2026-09-10', 60, { feature: 'chat' }),
        usage('report', '2026-09-11', 30, { feature: 'report' }),
      ]);
      await run.close(ref(SEPTEMBER!));
      await grant({ amount: '50', match: REPORT });
      await run.rebill(ref(SEPTEMBER!));
      expect(await lines(SEPTEMBER!)).toEqual(['usage 90.00', 'credits -30.00']);
      expect(await attributesOf(SEPTEMBER!)).toEqual(['feature']);
      expect(await verified(SEPTEMBER!, 1)).toBe(true);
      expect(await verified(SEPTEMBER!, 2)).toBe(true);
      expect(run.books(ref(SEPTEMBER!))).toBe(6_000);
    });

    it('pay no late usage that another invoice carries, and pay it when its own period is billed again', async () => {
      await open();
      await run.append([usage('s', '2026-09-10', 3)]);
      await run.close(ref(SEPTEMBER!));
      await grant({ amount: '50', match: REPORT });
      await run.append([usage('late', '2026-09-11', 30, { feature: 'report' })]);
      expect(await previewed(OCTOBER!)).toEqual(['late_usage 30.00']);
      await run.rebill(ref(SEPTEMBER!));
      expect(await lines(SEPTEMBER!)).toEqual(['usage 33.00', 'credits -30.00']);
    });

    it('are told apart in a period whose late usage another invoice has, priced by what was published later', async () => {
      await open({ rules: [{ match: { region: 'eu' }, markup: '1' }, { markup: '0' }] });
      await run.append([
        usage('s', '2026-09-10', 30, { feature: 'report' }),
        usage('held', '2026-09-11', 3, { model_id: 'claude-later', region: 'eu' }),
        usage('o', '2026-10-10', 3),
      ]);
      await run.close(ref(SEPTEMBER!));
      const price = { provider: 'anthropic', model_id: 'claude-later', meter: 'input_tokens', currency: 'usd' };
      await publishCatalogVersion(
        run.pool,
        catalogVersionSchema.parse({
          note: 'later',
          prices: [{ ...price, price: '6', per: 1_000_000, effective_from: '2020-01-01T00:00:00Z' }],
        }),
        { actor: 'test', source: 'test' },
      );
      await run.close(ref(OCTOBER!));
      expect(await lines(OCTOBER!)).toEqual(['usage 3.00', 'late_usage 12.00']);
      await grant({ amount: '50', match: REPORT, expires_at: '2026-10-01T00:00:00Z' });
      await run.rebill(ref(SEPTEMBER!));
      expect(await lines(SEPTEMBER!)).toEqual(['usage 30.00', 'credits -30.00']);
      await run.rebill(ref(OCTOBER!));
      expect(await lines(OCTOBER!)).toEqual(['usage 3.00', 'late_usage 12.00']);
      for (const month of [SEPTEMBER!, OCTOBER!]) {
        for (const revision of [1, 2]) expect(await verified(month, revision)).toBe(true);
      }
    });

    it('are a grant of their own: a request id with another match is refused', async () => {
      await open();
      const { grant_id } = await grant({ amount: '50', match: REPORT, request_id: 'g-1' });
      expect((await grant({ amount: '50', match: REPORT, request_id: 'g-1' })).grant_id).toBe(grant_id);
      await expect(grant({ amount: '50', request_id: 'g-1' })).rejects.toMatchObject({ code: 'conflict' });
      for (const body of [{ match: {} }, { match: REPORT, applies_to: 'fees' }, { match: REPORT, applies_to: 'all' }]) {
        expect(creditGrantSchema.safeParse({ name: 'x', amount: '5', ...body }).success).toBe(false);
      }
      await expect(
        run.pool.query(`UPDATE credit_grants SET match = NULL WHERE grant_id = $1`, [grant_id]),
      ).rejects.toThrow('immutable');
      await expect(
        run.pool.query(
          `INSERT INTO credit_grants (customer_id, request_id, name, amount, currency, priority, applies_to, match, effective_from, created_by)
           VALUES ($1, 'wrong', 'x', '5', 'usd', 1, 'fees', '{"feature": "x"}', now(), 'test')`,
          [id],
        ),
      ).rejects.toThrow('check constraint');
    });
  });

  describe('that are revoked', () => {
    it('pay for nothing more; what invoices took stays', async () => {
      await open();
      const { grant_id } = await grant({ amount: '100', match: { model_id: 'claude-x' } });
      await run.append([usage('s', '2026-09-10', 30), usage('o', '2026-10-10', 30)]);
      await run.close(ref(SEPTEMBER!));
      const revoked = await revoke(grant_id);
      expect(revoked).toMatchObject({ burned: '30', revoked: '70', remaining: '0' });
      expect(revoked.revocation).toMatchObject({ by: 'test', reason: 'a mistake' });
      expect(await revoke(grant_id)).toEqual(revoked);
      await run.close(ref(OCTOBER!));
      expect(await lines(OCTOBER!)).toEqual(['usage 30.00']);
      const { rows } = await run.pool.query(
        `SELECT actor, detail->>'revoked' AS revoked FROM audit_log WHERE customer_id = $1 AND action = 'credits.revoke'`,
        [id],
      );
      expect(rows).toEqual([{ actor: 'test', revoked: '70' }]);
    });

    it('do not take a payment back when its period is billed again, and pay no more than before', async () => {
      await open();
      const { grant_id } = await grant({ amount: '100' });
      await run.append([usage('s', '2026-09-10', 30)]);
      await run.close(ref(SEPTEMBER!));
      await revoke(grant_id);
      await run.append([usage('late', '2026-09-11', 30)]);
      await run.rebill(ref(SEPTEMBER!));
      expect(await lines(SEPTEMBER!)).toEqual(['usage 60.00', 'credits -30.00']);
      expect(await left()).toEqual(['30 0 70 0']);
    });

    it('have to have something left, and to be of the customer', async () => {
      await open();
      const { grant_id } = await grant({ amount: '30' });
      await run.append([usage('s', '2026-09-10', 30)]);
      await run.close(ref(SEPTEMBER!));
      await expect(revoke(grant_id)).rejects.toMatchObject({ code: 'conflict' });
      await expect(revoke(1_000_000)).rejects.toMatchObject({ code: 'not_found' });
    });

    it('still pay for a period that is sealed and not composed yet', async () => {
      await open();
      const { grant_id } = await grant({ amount: '100' });
      await run.append([usage('s', '2026-09-10', 30)]);
      await run.command(ref(SEPTEMBER!), 'close');
      await sealClosing(run, ref(SEPTEMBER!));
      await revoke(grant_id);
      await run.drive(ref(SEPTEMBER!));
      expect(await lines(SEPTEMBER!)).toEqual(['usage 30.00', 'credits -30.00']);
      expect(await left()).toEqual(['30 0 70 0']);
    });
  });

  describe('as finance reads them', () => {
    const page = { cursor: null, limit: 50 };
    const entries = async (asked = {}) =>
      (await readCreditLedger(run.pool, id, { page, ...asked })).data.map(
        ({ kind, name, amount, start_date, revision }) => `${kind} ${name} ${amount} ${start_date} ${revision}`,
      );

    async function spend() {
      await open({ base_fee: '9' });
      await grant({ name: 'Gift', amount: '20', expires_at: '2026-09-15T00:00:00Z', match: REPORT });
      const { grant_id } = await grant({ name: 'Pack', amount: '100', expires_at: '2027-09-01T00:00:00Z' });
      await grant({ name: 'Fees', amount: '50', applies_to: 'fees', priority: 1 });
      await grant({ name: 'Later', amount: '7', effective_from: '2099-01-01T00:00:00Z', applies_to: 'usage' });
      await run.append([usage('r', '2026-09-10', 15, { feature: 'report' }), usage('s', '2026-09-11', 30)]);
      await run.close(ref(SEPTEMBER!));
      return grant_id;
    }

    it('are a ledger whose entries add up to what is left', async () => {
      const packId = await spend();
      expect(await entries({ start_date: SEPTEMBER })).toEqual([
        `expired Gift -5 ${SEPTEMBER} 1`,
        `burned Fees -9 ${SEPTEMBER} 1`,
        `burned Pack -30 ${SEPTEMBER} 1`,
        `burned Gift -15 ${SEPTEMBER} 1`,
      ]);
      await revoke(packId);
      expect(await entries({ grant_id: packId })).toEqual([
        'revoked Pack -70 null null',
        `burned Pack -30 ${SEPTEMBER} 1`,
        'granted Pack 100 null null',
      ]);
      // Of a period that was billed again the newest revision counts.
      await run.rebill(ref(SEPTEMBER!));
      expect(await entries({ start_date: SEPTEMBER })).toHaveLength(4);
      expect((await entries({ start_date: SEPTEMBER }))[1]).toBe(`burned Fees -9 ${SEPTEMBER} 2`);
    });

    it('are read page by page, each entry once', async () => {
      await spend();
      const all = (await readCreditLedger(run.pool, id, { page })).data;
      const paged = [];
      let cursor: string | null = null;
      do {
        const next: Awaited<ReturnType<typeof readCreditLedger>> = await readCreditLedger(run.pool, id, {
          page: { cursor, limit: 3 },
        });
        paged.push(...next.data);
        cursor = next.next_cursor;
      } while (cursor !== null);
      expect(paged).toEqual(all);
      expect(all).toHaveLength(8);
      await expect(readCreditLedger(run.pool, id, { page: { cursor: 'eDE', limit: 3 } })).rejects.toMatchObject({
        code: 'invalid_request',
      });
    });

    it('are one balance: what is left of all, for what, and until when', async () => {
      await spend();
      expect(await readCreditBalance(run.pool, id, new Date(NOW_MS))).toEqual({
        customer_id: id,
        currency: 'usd',
        granted: '177',
        burned: '54',
        expired: '5',
        revoked: '0',
        remaining: '118',
        available: '111',
        available_for: { all: '70', usage: '0', matched_usage: '0', fees: '41' },
        expiring: [{ expires_at: '2027-09-01T00:00:00.000Z', remaining: '70' }],
      });
      await expect(readCreditBalance(run.pool, 'nobody', new Date())).rejects.toMatchObject({
        code: 'unknown_customer',
      });
    });
  });
});
