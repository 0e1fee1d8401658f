import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { publishCatalogVersion } from '../../src/catalog/publish.js';
import { composePeriod } from '../../src/closing/compose-period.js';
import { readPeriodRow } from '../../src/closing/period-state.js';
import { sealClosing } from '../../src/closing/steps.js';
import { catalogVersionSchema } from '../../src/contracts/catalog.js';
import { creditGrantSchema } from '../../src/contracts/credit.js';
import type { PeriodRef } from '../../src/contracts/engine.js';
import type { PlanInput } from '../../src/contracts/plan.js';
import { ensurePeriodAt } from '../../src/customers/customer-periods.js';
import { deriveInvoice } from '../../src/invoicing/derive-invoice.js';
import { readPeriodView } from '../../src/invoicing/period-view.js';
import { previewInvoice } from '../../src/invoicing/preview.js';
import { previewRebill } from '../../src/invoicing/rebill-preview.js';
import { verifyInvoice } from '../../src/invoicing/verify-invoice.js';
import { grantCredits, listCredits } from '../../src/ledger/credits.js';
import { readSeal } from '../../src/ledger/seal.js';
import { voidUsage } from '../../src/ledger/void-usage.js';
import { listPeriods } from '../../src/periods/period-store.js';
import { publishPlan } from '../../src/plans/plan-store.js';
import { type BillingRun, openBillingRun } from '../support/billing-run.js';
import { customer, NOW_MS, publishBasics } from '../support/ledger.js';

const MONTHS = ['2026-09-01', '2026-10-01', '2026-11-01'];
const NAMES: Record<string, number> = { October: 1, November: 2 };
const PINNED = { catalog: 'pinned', plans: 'pinned', refund: 'balance' } as const;
const page = readFileSync(new URL('../../docs/explanation/money.md', import.meta.url), 'utf8');
const by = { reason: 'wrong', actor: 'finance' };

/** The rows of the page's table of what late usage takes. */
const documented = (
  page.split('\n').filter((line) => /^\| \d/.test(line) && / carried|October|November/.test(line)) ?? []
)
  .map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
  .filter((cells) => cells.length === 5);

describe('what a period passes on, and its late usage', () => {
  let run: BillingRun;
  let customers = 0;
  let id: string;
  beforeAll(async () => {
    run = await openBillingRun();
    await publishBasics(run.pool);
    const dollar = { provider: 'acme', model_id: 'dollar', meter: 'input_tokens', price: '1.00', per: 1_000_000 };
    const prices = [{ ...dollar, currency: 'usd', effective_from: '2020-01-01T00:00:00Z' }];
    await publishCatalogVersion(run.pool, catalogVersionSchema.parse({ note: 'a dollar a million', prices }), {
      actor: 'test',
      source: 'test',
    });
  });
  afterAll(() => run.end());
  beforeEach(() => {
    id = `customer-${++customers}`;
  });

  const [SEPTEMBER, OCTOBER, NOVEMBER] = [0, 1, 2];
  const ref = (month: number): PeriodRef => ({ customer_id: id, start_date: MONTHS[month]! });
  /** A customer since September; a million tokens cost a dollar. Nothing goes to Stripe. */
  async function open(plan: Partial<PlanInput>, first = SEPTEMBER) {
    const rules = [{ markup: '0' }];
    await publishPlan(run.pool, { plan_id: id, currency: 'usd', rules, submission: 'none', ...plan }, 'test');
    const starts = `${MONTHS[first]}T00:00:00Z`;
    await customer(run.pool, id, { plan_id: id, starts_at: starts }, Date.parse(starts));
    for (const start_date of MONTHS.slice(first)) await ensurePeriodAt(run.pool, id, Date.parse(start_date), NOW_MS);
  }
  const use = (event_id: string, month: number, dollars: number) =>
    run.append([
      {
        customer_id: id,
        event_id,
        provider: 'acme',
        model_id: 'dollar',
        occurred_at: `${MONTHS[month]!.slice(0, 7)}-10T00:00:00Z`,
        usage: { input_tokens: dollars * 1_000_000 },
      },
    ]);
  const amounts = async (month: number, kind: string) =>
    (await run.newest(ref(month))).lines.filter((line) => line.kind === kind).map(({ amount }) => amount);
  const total = async (month: number) => (await run.newest(ref(month))).total;
  const opened = async (month: number) =>
    (await run.newest(ref(month))).balances.opening.rollover.map(({ amount }) => amount);
  const view = (month: number) => readPeriodView(run.pool, id, MONTHS[month]!);
  const preview = (month: number) => previewRebill(run, id, MONTHS[month]!, PINNED);
  const ROLLS: Partial<PlanInput> = { allowance: { charge: '20', rollover: true } };

  it('finds the table of the page', () => {
    expect(documented).toHaveLength(4);
  });

  it.each(documented)(
    'own usage of %s, late usage of %s carried by %s costs %s; October opens with %s',
    async (own, late, carrier, cost, opens) => {
      await open(ROLLS);
      await use('own', SEPTEMBER, Number(own));
      await run.close(ref(SEPTEMBER));
      if (carrier === 'November') await run.close(ref(OCTOBER));
      await use('late', SEPTEMBER, Number(late));
      const month = NAMES[carrier!]!;
      const before = await previewInvoice(run, id, MONTHS[month]!);
      await run.close(ref(month));
      expect((await run.newest(ref(month))).content_hash).toBe(before.content_hash);
      expect(await amounts(month, 'late_usage')).toEqual([cost]);
      expect(await opened(OCTOBER)).toEqual(Number(opens) === 0 ? [] : [String(Number(opens))]);
      for (const one of [SEPTEMBER, OCTOBER, month]) {
        expect((await verifyInvoice(run, id, MONTHS[one]!, 1)).difference).toBeNull();
      }
    },
  );

  it('has what it passed on no more when it is billed again', async () => {
    await open(ROLLS);
    await use('own', SEPTEMBER, 8);
    await run.close(ref(SEPTEMBER));
    await run.close(ref(OCTOBER));
    expect(await opened(OCTOBER)).toEqual(['12']);
    await use('late', SEPTEMBER, 7);
    await run.rebill(ref(SEPTEMBER));
    expect(await amounts(SEPTEMBER, 'allowance')).toEqual(['-8.00']);
    expect(await total(SEPTEMBER)).toBe('7.00');
    // October opened with just that: nothing of it changed.
    expect(await view(OCTOBER)).toMatchObject({ opening_changed: false, opening_changes: [] });
  });

  it('keeps for usage that is carried what that took, when it is billed again', async () => {
    await open(ROLLS);
    await use('own', SEPTEMBER, 10);
    await run.close(ref(SEPTEMBER));
    await use('carried', SEPTEMBER, 5);
    await run.close(ref(OCTOBER));
    expect([await amounts(OCTOBER, 'late_usage'), await opened(OCTOBER)]).toEqual([['0.00'], ['5']]);
    await use('more', SEPTEMBER, 10);
    await run.rebill(ref(SEPTEMBER));
    // 20.00 of own usage; 5.00 are October's to open with, 5.00 paid for what it carries.
    expect(await total(SEPTEMBER)).toBe('10.00');
    await run.rebill(ref(OCTOBER));
    expect([await amounts(OCTOBER, 'late_usage'), await opened(OCTOBER)]).toEqual([['0.00'], ['5']]);
  });

  it('lets several invoices carry late usage of it, each what is left', async () => {
    await open({ allowance: { charge: '20', rollover: true, rollover_limit: '5' } });
    await use('own', SEPTEMBER, 6);
    await run.close(ref(SEPTEMBER));
    await use('first', SEPTEMBER, 4);
    await run.close(ref(OCTOBER));
    // 20 - 6 - 4 = 10, of which 5 roll over; 5 are left for usage of September alone.
    expect([await amounts(OCTOBER, 'late_usage'), await opened(OCTOBER)]).toEqual([['0.00'], ['5']]);
    await use('second', SEPTEMBER, 8);
    await run.close(ref(NOVEMBER));
    expect(await amounts(NOVEMBER, 'late_usage')).toEqual(['3.00']);
    await run.rebill(ref(OCTOBER));
    await run.rebill(ref(NOVEMBER));
    expect([await amounts(OCTOBER, 'late_usage'), await amounts(NOVEMBER, 'late_usage')]).toEqual([['0.00'], ['3.00']]);
  });

  it('shows on the next period, before and after, that a re-bill leaves it more; billing that again takes it', async () => {
    await open(ROLLS);
    await use('own', SEPTEMBER, 8);
    await use('wrong', SEPTEMBER, 4);
    await run.close(ref(SEPTEMBER));
    await use('october', OCTOBER, 30);
    await run.close(ref(OCTOBER));
    expect([await opened(OCTOBER), await total(OCTOBER)]).toEqual([['8'], '2.00']);
    await voidUsage(run.pool, id, 'wrong', by);
    const changes = [{ kind: 'rollover', name: 'charge', was: '8', now: '12' }];
    expect((await preview(SEPTEMBER)).next_period).toEqual({ start_date: MONTHS[OCTOBER], changes });
    expect(await view(OCTOBER)).toMatchObject({ opening_changed: false });
    await run.rebill(ref(SEPTEMBER));
    expect(await view(OCTOBER)).toMatchObject({ opening_changed: true, opening_changes: changes });
    const listed = await listPeriods(run.pool, { customer_id: id, opening_changed: true, cursor: null, limit: 10 });
    expect(listed.data.map(({ start_date }) => start_date)).toEqual([MONTHS[OCTOBER]]);
    expect(await preview(OCTOBER)).toMatchObject({ before: { total: '2.00' }, after: { total: '0.00' } });
    await run.rebill(ref(OCTOBER));
    expect([await opened(OCTOBER), await total(OCTOBER)]).toEqual([['12'], '0.00']);
    expect(await view(OCTOBER)).toMatchObject({ opening_changed: false, opening_changes: [] });
    expect((await preview(SEPTEMBER)).next_period).toBeNull();
  });

  it('holds for included quantities, over parts of plans', async () => {
    await open({
      allowance: { quantity: '20000000', count: 'units', match: { meter: 'input_tokens' }, rollover: true },
    });
    await use('own', SEPTEMBER, 5);
    await run.close(ref(SEPTEMBER));
    await use('late', SEPTEMBER, 10);
    await run.close(ref(OCTOBER));
    expect([await amounts(OCTOBER, 'late_usage'), await opened(OCTOBER)]).toEqual([['0.00'], ['5000000']]);
    await use('later', SEPTEMBER, 2);
    await run.close(ref(NOVEMBER));
    expect(await amounts(NOVEMBER, 'late_usage')).toEqual(['2.00']);
  });

  it('holds for credits that a plan grants: they do not pay for usage that is carried, nor twice', async () => {
    await open({ allowance: { credits: '20', rollover: true } });
    await use('own', SEPTEMBER, 5);
    await run.close(ref(SEPTEMBER));
    await use('late', SEPTEMBER, 10);
    await run.close(ref(OCTOBER));
    // October's 35.00 of credits pay for it, as for usage of its own.
    expect([await opened(OCTOBER), await amounts(OCTOBER, 'late_usage'), await amounts(OCTOBER, 'credits')]).toEqual([
      ['15'],
      ['10.00'],
      ['-10.00'],
    ]);
    await use('more', SEPTEMBER, 3);
    await run.rebill(ref(SEPTEMBER));
    expect(await total(SEPTEMBER)).toBe('3.00');
  });

  it('counts late usage towards a commitment in the period that carries it', async () => {
    await open({ commitment: { amount: '100', periods: 3 } });
    await use('own', SEPTEMBER, 30);
    await run.close(ref(SEPTEMBER));
    await use('late', SEPTEMBER, 20);
    await run.close(ref(OCTOBER));
    expect((await run.newest(ref(OCTOBER))).balances.closing.commitment).toMatchObject({ over: 2, spent: '50' });
    await run.close(ref(NOVEMBER));
    expect(await amounts(NOVEMBER, 'commitment')).toEqual(['50.00']);
    // September billed again with less: what was spent differs for October, and after that for November.
    await voidUsage(run.pool, id, 'own', by);
    await run.rebill(ref(SEPTEMBER));
    const changes = [{ kind: 'commitment', name: id, was: '30', now: '0' }];
    expect(await view(OCTOBER)).toMatchObject({ opening_changed: true, opening_changes: changes });
    await run.rebill(ref(OCTOBER));
    expect(await view(NOVEMBER)).toMatchObject({ opening_changes: [{ kind: 'commitment', was: '50', now: '20' }] });
    await run.rebill(ref(NOVEMBER));
    expect(await amounts(NOVEMBER, 'commitment')).toEqual(['80.00']);
  });

  it('burns of prepaid credits what no other invoice has; what is free again shows where it was missing', async () => {
    await open({});
    const grant = creditGrantSchema.parse({ name: 'Pack', amount: '40', effective_from: '2026-09-01T00:00:00Z' });
    await grantCredits(run.pool, id, grant, 'test');
    await use('own', SEPTEMBER, 25);
    await use('wrong', SEPTEMBER, 5);
    await use('october', OCTOBER, 30);
    await run.close(ref(SEPTEMBER));
    await run.close(ref(OCTOBER));
    expect([await total(SEPTEMBER), await total(OCTOBER)]).toEqual(['0.00', '20.00']);
    await use('late', SEPTEMBER, 15);
    await run.rebill(ref(SEPTEMBER));
    // 45.00, of which 30.00 are there: October burned the rest.
    expect(await total(SEPTEMBER)).toBe('15.00');
    expect((await listCredits(run.pool, id))[0]).toMatchObject({ burned: '40', remaining: '0' });
    for (const event of ['late', 'wrong', 'own']) await voidUsage(run.pool, id, event, by);
    const changes = [{ kind: 'credits', name: 'Pack', was: '10', now: '40' }];
    expect((await preview(SEPTEMBER)).next_period).toEqual({ start_date: MONTHS[OCTOBER], changes });
    await run.rebill(ref(SEPTEMBER));
    expect(await view(OCTOBER)).toMatchObject({ opening_changed: true, opening_changes: changes });
    await run.rebill(ref(OCTOBER));
    expect([await total(OCTOBER), (await view(OCTOBER)).opening_changed]).toEqual(['0.00', false]);
    expect((await listCredits(run.pool, id))[0]).toMatchObject({ burned: '30', remaining: '10' });
  });

  it('shows of a re-bill what becomes free of credits that the period had burned whole', async () => {
    await open({});
    const grant = creditGrantSchema.parse({ name: 'Pack', amount: '10', effective_from: '2026-09-01T00:00:00Z' });
    await grantCredits(run.pool, id, grant, 'test');
    await use('own', SEPTEMBER, 25);
    await use('october', OCTOBER, 30);
    await run.close(ref(SEPTEMBER));
    await run.close(ref(OCTOBER));
    await voidUsage(run.pool, id, 'own', by);
    const changes = [{ kind: 'credits', name: 'Pack', was: '0', now: '10' }];
    expect((await preview(SEPTEMBER)).next_period).toEqual({ start_date: MONTHS[OCTOBER], changes });
    await run.rebill(ref(SEPTEMBER));
    expect(await view(OCTOBER)).toMatchObject({ opening_changes: changes });
  });

  it('waits while another invoice is composed that may take of the same: neither burns what the other does', async () => {
    await open({});
    const grant = creditGrantSchema.parse({ name: 'Pack', amount: '40', effective_from: '2026-09-01T00:00:00Z' });
    await grantCredits(run.pool, id, grant, 'test');
    await use('own', SEPTEMBER, 10);
    await run.close(ref(SEPTEMBER));
    await use('late', SEPTEMBER, 25);
    await use('october', OCTOBER, 30);
    // Sealed again, but not composed yet.
    await run.command(ref(SEPTEMBER), 'rebill');
    expect(await run.command(ref(OCTOBER), 'close')).toMatchObject({ status: 'closing', waits_for: MONTHS[SEPTEMBER] });
    expect(await sealClosing(run, ref(OCTOBER))).toMatchObject({ status: 'closing', waits_for: MONTHS[SEPTEMBER] });
    expect(await view(OCTOBER)).toMatchObject({
      status_reason: `waits for ${MONTHS[SEPTEMBER]}`,
      waits_for: { start_date: MONTHS[SEPTEMBER], status: 'sealed' },
    });
    await composePeriod(run, ref(SEPTEMBER));
    // It is as if no workflow had taken it up: the relay tells the one that has.
    const { rows } = await run.pool.query(
      'SELECT opened_at, waits_for, status_reason FROM periods WHERE customer_id = $1 AND start_date = $2',
      [id, MONTHS[OCTOBER]],
    );
    expect(rows).toEqual([{ opened_at: null, waits_for: null, status_reason: 'test' }]);
    await sealClosing(run, ref(OCTOBER));
    // The other way round a re-bill is told to come again.
    await use('more', SEPTEMBER, 1);
    await expect(run.command(ref(SEPTEMBER), 'rebill')).rejects.toMatchObject({ code: 'wrong_status' });
    await run.drive(ref(OCTOBER));
    await run.rebill(ref(SEPTEMBER));
    expect([await total(SEPTEMBER), await total(OCTOBER)]).toEqual(['1.00', '25.00']);
    expect((await listCredits(run.pool, id))[0]).toMatchObject({ burned: '40', remaining: '0' });
  });

  it('leaves seals of the days before this rule what they were', async () => {
    await open(ROLLS);
    await use('own', SEPTEMBER, 5);
    await run.close(ref(SEPTEMBER));
    await use('late', SEPTEMBER, 10);
    await run.close(ref(OCTOBER));
    const seal = (await readSeal(run.pool, (await readPeriodRow(run.pool, ref(OCTOBER))).period_id))!;
    const late = seal.inputs.late!;
    const origins = late.origins.map(({ held: _held, opens: _opens, committed: _committed, ...origin }) => origin);
    const old = await deriveInvoice(run, { ...seal, inputs: { ...seal.inputs, late: { ...late, origins } } });
    expect(old.content.balances.opening.rollover).toMatchObject([{ amount: '15' }]);
    expect(old.content.lines.find(({ kind }) => kind === 'late_usage')).toMatchObject({ amount: '0.00' });
  });

  it('is shown where an earlier period comes to be after the next one was sealed', async () => {
    await open(ROLLS, NOVEMBER);
    await run.close(ref(NOVEMBER));
    await customer(run.pool, id, { plan_id: id, starts_at: `${MONTHS[OCTOBER]}T00:00:00Z` });
    await run.pool.query(
      `INSERT INTO plan_assignments (customer_id, effective_from, plan_id, plan_version, assigned_by)
       VALUES ($1, '2026-10-01', $1, 1, 'test')`,
      [id],
    );
    await ensurePeriodAt(run.pool, id, Date.parse(MONTHS[OCTOBER]!), NOW_MS);
    await use('own', OCTOBER, 5);
    await run.close(ref(OCTOBER));
    const changes = [{ kind: 'rollover', name: 'charge', was: '0', now: '15' }];
    expect(await view(NOVEMBER)).toMatchObject({ opening_changed: true, opening_changes: changes });
    await run.rebill(ref(NOVEMBER));
    expect(await opened(NOVEMBER)).toEqual(['15']);
  });
});
