import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { publishCatalogVersion } from '../../src/catalog/publish.js';
import { composePeriod } from '../../src/closing/compose-period.js';
import { readPeriodRow } from '../../src/closing/period-state.js';
import { sealClosing } from '../../src/closing/steps.js';
import { submitPeriod } from '../../src/closing/submit-period.js';
import { adjustmentSchema } from '../../src/contracts/adjustment.js';
import { catalogVersionSchema } from '../../src/contracts/catalog.js';
import { creditGrantSchema } from '../../src/contracts/credit.js';
import type { PeriodRef } from '../../src/contracts/engine.js';
import { exchangeRatesSchema } from '../../src/contracts/exchange-rate.js';
import type { PlanInput } from '../../src/contracts/plan.js';
import { ensurePeriodAt } from '../../src/customers/customer-periods.js';
import { DetailsLinks } from '../../src/invoicing/details-link.js';
import { readInvoiceDetails } from '../../src/invoicing/invoice-details.js';
import { readLineUsage } from '../../src/invoicing/line-usage.js';
import { previewInvoice } from '../../src/invoicing/preview.js';
import { readUsageTrail } from '../../src/invoicing/usage-trail.js';
import { addAdjustment, listAdjustments } from '../../src/ledger/adjustments.js';
import { grantCredits, listCredits } from '../../src/ledger/credits.js';
import { publishExchangeRates } from '../../src/ledger/exchange-rates.js';
import { pricePeriod } from '../../src/ledger/price-period.js';
import { readTotals } from '../../src/ledger/totals.js';
import { publishPlan } from '../../src/plans/plan-store.js';
import { type BillingRun, openBillingRun } from '../support/billing-run.js';
import { customer, NOW_MS, publishBasics, settle } from '../support/ledger.js';

const [SEPTEMBER, OCTOBER, NOVEMBER] = ['2026-09-01', '2026-10-01', '2026-11-01'];

describe('what one period leaves to the next', () => {
  let run: BillingRun;
  let customers = 0;
  let id: string;
  beforeAll(async () => {
    run = await openBillingRun();
    await publishBasics(run.pool);
    const seats = { provider: 'acme', model_id: 'seats', meter: 'seats', currency: 'usd', price: '0', free: true };
    await publishCatalogVersion(
      run.pool,
      catalogVersionSchema.parse({ note: 'seats', prices: [{ ...seats, effective_from: '2020-01-01T00:00:00Z' }] }),
      { actor: 'test', source: 'test' },
    );
  });
  afterAll(() => run.end());
  beforeEach(() => {
    id = `customer-${++customers}`;
  });

  const ref = (start_date: string): PeriodRef => ({ customer_id: id, start_date });
  /** A customer since September on a plan of its own, with the rows of three periods. */
  async function open(plan: Partial<PlanInput>, more = {}) {
    await publishPlan(run.pool, { plan_id: id, currency: 'usd', rules: [{ markup: '0.25' }], ...plan }, 'test');
    await customer(
      run.pool,
      id,
      { plan_id: id, starts_at: '2026-09-01T00:00:00Z', ...more },
      Date.parse('2026-09-01T00:00:00Z'),
    );
    for (const at of [SEPTEMBER, OCTOBER, NOVEMBER]) await ensurePeriodAt(run.pool, id, Date.parse(at!), NOW_MS);
  }
  /** A million input tokens cost 3.00 and are charged 3.75. */
  const millions = (event_id: string, day: string, count: number, more = {}) => ({
    customer_id: id,
    event_id,
    occurred_at: `${day}T12:00:00Z`,
    usage: { input_tokens: count * 1_000_000 },
    ...more,
  });
  const lines = async (start_date: string) =>
    (await run.newest(ref(start_date))).lines.map(({ kind, amount }) => `${kind} ${amount}`);
  const total = async (start_date: string) => (await run.newest(ref(start_date))).total;
  const grant = (body: object) =>
    grantCredits(run.pool, id, creditGrantSchema.parse({ name: 'Pack', ...body }), 'test');

  it('is the rest of an allowance that rolls over', async () => {
    await open({ allowance: { charge: '20', rollover: true, rollover_limit: '15' } });
    // September: 3.75 of 20. 16.25 are left, 15 roll over. October: 37.50 of 35.
    await run.append([millions('s', '2026-09-10', 1), millions('o', '2026-10-10', 10)]);
    expect(await run.close(ref(SEPTEMBER!))).toBe('nothing_to_bill');
    expect(await run.close(ref(OCTOBER!))).toBe('invoiced');
    expect(await lines(OCTOBER!)).toEqual(['usage 37.50', 'allowance -35.00']);
    expect((await run.newest(ref(OCTOBER!))).lines[1]!.description).toBe('Included usage, 35.00 USD of 35.00 USD');
    // All was used: November has 20 again.
    expect((await previewInvoice(run, id, NOVEMBER!)).balances.opening.rollover).toEqual([]);
  });

  it('is the fee that it charged in advance; a cancellation is credited', async () => {
    await open({ base_fee: { amount: '49.00', timing: 'advance' } });
    await run.close(ref(SEPTEMBER!));
    expect(await lines(SEPTEMBER!)).toEqual(['base_fee 49.00', 'advance_fee 49.00']);
    await run.close(ref(OCTOBER!));
    expect(await lines(OCTOBER!)).toEqual(['advance_fee 49.00']);
    // The end of billing on 16 November: 15 of 30 days were used.
    await customer(run.pool, id, { plan_id: id, starts_at: '2026-09-01T00:00:00Z', ends_at: '2026-11-16T00:00:00Z' });
    await run.close(ref(NOVEMBER!));
    expect(await lines(NOVEMBER!)).toEqual(['base_fee 24.50', 'advance_fee -49.00']);
    expect(await total(NOVEMBER!)).toBe('-24.50');
  });

  it('is no fee for a period that was sealed before it and charged its own', async () => {
    await publishPlan(
      run.pool,
      { plan_id: id, currency: 'usd', rules: [{ markup: '0' }], base_fee: { amount: '49.00', timing: 'advance' } },
      'test',
    );
    await customer(run.pool, id, { plan_id: id, starts_at: '2026-10-01T00:00:00Z' }, NOW_MS);
    await run.close(ref(OCTOBER!));
    expect(await lines(OCTOBER!)).toEqual(['base_fee 49.00', 'advance_fee 49.00']);
    await customer(run.pool, id, { plan_id: id, starts_at: '2026-09-01T00:00:00Z' }, NOW_MS);
    await run.close(ref(SEPTEMBER!));
    expect(await lines(SEPTEMBER!)).toEqual(['base_fee 49.00']);
  });

  it('is the rest of prepaid credits; each unit pays once, and what expires is gone', async () => {
    await open({});
    await grant({ name: 'Paid', amount: '100', cost_basis: '0.80', effective_from: '2026-09-01T00:00:00Z' });
    await grant({
      name: 'Gift',
      amount: '50',
      effective_from: '2026-09-01T00:00:00Z',
      expires_at: '2026-10-15T00:00:00Z',
    });
    await grant({
      name: 'Fees only',
      amount: '10',
      priority: 1,
      applies_to: 'fees',
      effective_from: '2026-09-01T00:00:00Z',
    });
    await run.append([millions('s', '2026-09-10', 8), millions('o', '2026-10-10', 4), millions('n', '2026-11-10', 40)]);
    // 30.00: of the gift, which expires first. 20.00 are left of it for October's 15.00; 5.00 expire at its end.
    await run.close(ref(SEPTEMBER!));
    expect(await lines(SEPTEMBER!)).toEqual(['usage 30.00', 'credits -30.00']);
    await run.close(ref(OCTOBER!));
    expect(await lines(OCTOBER!)).toEqual(['usage 15.00', 'credits -15.00']);
    // 150.00 in November: 100.00 of what was paid for.
    await run.close(ref(NOVEMBER!));
    expect(await lines(NOVEMBER!)).toEqual(['usage 150.00', 'credits -100.00']);
    expect(run.books(ref(NOVEMBER!))).toBe(5_000);
    const left = (await listCredits(run.pool, id)).map(({ name, burned, expired, remaining }) => [
      name,
      burned,
      expired,
      remaining,
    ]);
    expect(left).toEqual([
      ['Fees only', '0', '0', '10'],
      ['Gift', '45', '5', '0'],
      ['Paid', '100', '0', '0'],
    ]);
  });

  it('is not spent twice when an earlier period is billed again', async () => {
    await open({});
    await grant({ amount: '40', effective_from: '2026-09-01T00:00:00Z' });
    await run.append([millions('s', '2026-09-10', 8), millions('o', '2026-10-10', 8)]);
    await run.close(ref(SEPTEMBER!));
    await run.close(ref(OCTOBER!));
    expect([await total(SEPTEMBER!), await total(OCTOBER!)]).toEqual(['0.00', '20.00']);
    await run.rebill(ref(SEPTEMBER!));
    expect(await total(SEPTEMBER!)).toBe('0.00');
    expect((await listCredits(run.pool, id))[0]).toMatchObject({ burned: '40', remaining: '0' });
  });

  it('is what was spent of a commitment, topped up in its last period', async () => {
    await open({ commitment: { amount: '100', periods: 2 } });
    await run.append([millions('s', '2026-09-10', 8), millions('o', '2026-10-10', 4)]);
    await run.close(ref(SEPTEMBER!));
    await run.close(ref(OCTOBER!));
    // 100 - 30 - 15.
    expect(await lines(OCTOBER!)).toEqual(['usage 15.00', 'commitment 55.00']);
    expect((await previewInvoice(run, id, NOVEMBER!)).balances.opening.commitment).toBeNull();
  });

  it('has to be known: a period is not sealed before the one that leaves something to it is composed', async () => {
    await open({ allowance: { charge: '20', rollover: true } });
    await run.command(ref(OCTOBER!), 'close');
    expect(await sealClosing(run, ref(OCTOBER!))).toMatchObject({
      status: 'closing',
      status_reason: `waits for ${SEPTEMBER}, which is open`,
      waits_for: SEPTEMBER,
    });
    await run.close(ref(SEPTEMBER!));
    expect(await run.drive(ref(OCTOBER!))).toBe('nothing_to_bill');
  });

  it('does not hold up plans that leave nothing', async () => {
    await open({ base_fee: '5' });
    expect(await run.close(ref(OCTOBER!))).toBe('invoiced');
  });

  it('is derived from the invoice alone: composing again gives the same bytes', async () => {
    await open({ allowance: { charge: '20', rollover: true }, base_fee: { amount: '10', timing: 'advance' } });
    await run.close(ref(SEPTEMBER!));
    const before = await previewInvoice(run, id, OCTOBER!);
    await run.close(ref(OCTOBER!));
    expect((await run.newest(ref(OCTOBER!))).content_hash).toBe(before.content_hash);
  });

  describe('adjustments', () => {
    const goodwill = adjustmentSchema.parse({
      request_id: undefined,
      kind: 'goodwill',
      amount: '-5.00',
      description: 'For the outage',
      reason: 'support case 12',
    });

    it('are part of the seal, and refused after it', async () => {
      await open({ base_fee: '49.00' });
      const made = await addAdjustment(run.pool, ref(SEPTEMBER!), { ...goodwill, request_id: `${id}-1` }, 'key:x');
      const again = await addAdjustment(run.pool, ref(SEPTEMBER!), { ...goodwill, request_id: `${id}-1` }, 'key:x');
      expect(again).toEqual(made);
      await run.close(ref(SEPTEMBER!));
      expect(await lines(SEPTEMBER!)).toEqual(['base_fee 49.00', 'adjustment -5.00']);
      expect(await listAdjustments(run.pool, ref(SEPTEMBER!))).toHaveLength(1);
      const late = addAdjustment(run.pool, ref(SEPTEMBER!), goodwill, 'key:x');
      await expect(late).rejects.toMatchObject({ code: 'wrong_status' });
      const audit = await run.pool.query(
        `SELECT actor FROM audit_log WHERE action = 'period.adjust' AND customer_id = $1`,
        [id],
      );
      expect(audit.rows).toEqual([{ actor: 'key:x' }]);
    });

    it('are amounts that can be billed, and never change', async () => {
      await open({});
      const odd = addAdjustment(run.pool, ref(SEPTEMBER!), { ...goodwill, amount: '-0.001' }, 'key:x');
      await expect(odd).rejects.toMatchObject({ code: 'invalid_request', field: 'amount' });
      await addAdjustment(run.pool, ref(SEPTEMBER!), goodwill, 'key:x');
      await expect(run.pool.query(`UPDATE adjustments SET amount = '-6'`)).rejects.toThrow('immutable');
      await expect(run.pool.query('TRUNCATE adjustments CASCADE')).rejects.toThrow('immutable');
    });
  });

  it('goes to Stripe with products, and a footer that names the details', async () => {
    await open({
      base_fee: '49.00',
      lines: { stripe: { base_fee: { product: 'prod_fee' }, usage: { tax_code: 'txcd_10000000' } } },
    });
    await run.append([millions('s', '2026-09-10', 8)]);
    const september = ref(SEPTEMBER!);
    await run.command(september, 'close');
    await sealClosing(run, september);
    await composePeriod(run, september);
    const links = new DetailsLinks({ encryptionKey: randomBytes(32), publicUrl: 'https://billing.example.com' });
    const deps = {
      pool: run.pool,
      stripe: run.stripe,
      detailsLinks: links,
      heartbeat: () => undefined,
    };
    expect(await submitPeriod(deps, september)).toMatchObject({ status: 'invoiced' });
    expect(run.books(september)).toBe(7_900);
    const issued = run.standIn.state().invoices.find(({ metadata }) => metadata.costplus_invoice?.startsWith(`${id}/`));
    expect(issued?.footer).toBe(
      `Details of usage: ${links.urlOf({ customer_id: id, start_date: '2026-09-01', revision: 1 })}`,
    );
  });

  describe('actions and seats', () => {
    it('are counted over the whole period, whatever commits they came in; held usage is not', async () => {
      await open({
        rules: [
          { match: { feature: 'report' }, unit_price: '0.40', count: 'actions', unit: 'reports' },
          { markup: '0.25' },
        ],
        seats: { meter: 'seats', price: '10', included: 1 },
      });
      const report = (event_id: string, action_id: string, more = {}) =>
        millions(event_id, '2026-09-10', 1, { feature: 'report', action_id, ...more });
      const seats = (event_id: string, count: number) => ({
        customer_id: id,
        event_id,
        occurred_at: '2026-09-12T12:00:00Z',
        provider: 'acme',
        model_id: 'seats',
        usage: { seats: count },
      });
      await run.append([report('1', 'run-a'), report('2', 'run-b'), seats('s1', 3)]);
      const { period_id } = await readPeriodRow(run.pool, ref(SEPTEMBER!));
      await settle(run.pool);
      await pricePeriod(run, period_id);
      // run-a again, one event without an action, one whose model nobody knows, and seats that went down.
      await run.append([
        report('3', 'run-a'),
        millions('4', '2026-09-11', 1, { feature: 'report' }),
        report('5', 'run-c', { model_id: 'unheard-of' }),
        seats('s2', 2),
        millions('6', '2026-09-11', 2, { action_id: 'run-d' }),
      ]);
      const preview = await previewInvoice(run, id, SEPTEMBER!);
      await run.close(ref(SEPTEMBER!));
      // 2 million tokens at 3.75; run-a, run-b and the one without: 3 x 0.40; (3 - 1) x 10.
      expect(await lines(SEPTEMBER!)).toEqual(['usage 7.50', 'usage 1.20', 'seats 20.00']);
      const invoice = await run.newest(ref(SEPTEMBER!));
      expect(invoice.lines[1]).toMatchObject({ quantity: '3', unit: 'reports', events: 4, cost: '12' });
      expect(preview.content_hash).toBe(invoice.content_hash);

      const csv = [...(await readInvoiceDetails(run, id, SEPTEMBER!, 1))].join('');
      const rows = csv.trimEnd().split('\n');
      expect(rows[0]).toBe(
        'line,plan_id,plan_version,rule,provider,model_id,priced_as,meter,feature,quantity,events,price,multiplier,per,price_currency,cost,charge,charge_currency,priced_by',
      );
      expect(rows).toContain(
        `1,${id},1,2,anthropic,claude-x,claude-x,input_tokens,,2000000,1,3.00,1,1000000,usd,6,7.5,usd,group`,
      );
      expect(rows).toContain(
        `2,${id},1,1,anthropic,claude-x,claude-x,input_tokens,report,4000000,4,3.00,1,1000000,usd,12,,,total`,
      );
    });
  });

  it('lines can be one for each action, with the events behind them', async () => {
    await open({ lines: { group_by: ['action_id'] } });
    await run.append([
      millions('1', '2026-09-10', 1, { action_id: 'run-a' }),
      millions('2', '2026-09-10', 2, { action_id: 'run-b' }),
      millions('3', '2026-09-11', 1, { action_id: 'run-a' }),
    ]);
    await run.close(ref(SEPTEMBER!));
    const invoice = await run.newest(ref(SEPTEMBER!));
    expect(invoice.lines.map(({ group, amount }) => [group.action_id, amount])).toEqual([
      ['run-a', '7.50'],
      ['run-b', '7.50'],
    ]);
    const behind = await readLineUsage(run, id, SEPTEMBER!, 1, 1, { cursor: null, limit: 10 });
    expect(behind.data.map(({ event_id }) => event_id)).toEqual(['1', '3']);
  });

  it('the lines of an allowance and of a price by total have their events behind them', async () => {
    await open({
      rules: [{ match: { feature: 'report' }, unit_price: '0.40', count: 'actions' }, { markup: '0' }],
      allowance: { quantity: '1', count: 'events', match: { feature: 'chat' } },
      lines: { group_by: ['feature'] },
    });
    await run.append([
      millions('r', '2026-09-10', 1, { feature: 'report', action_id: 'run-a' }),
      millions('c1', '2026-09-10', 1, { feature: 'chat' }),
      millions('c2', '2026-09-10', 1, { feature: 'chat' }),
    ]);
    await run.close(ref(SEPTEMBER!));
    expect(await lines(SEPTEMBER!)).toEqual(['usage 3.00', 'overage 3.00', 'usage 0.40', 'allowance -3.00']);
    const behind = async (line: number) => {
      const { data } = await readLineUsage(run, id, SEPTEMBER!, 1, line, { cursor: null, limit: 10 });
      return data.map(({ event_id }) => event_id);
    };
    // What is included is a share of all of them: they stand behind the first of the two lines.
    expect([await behind(1), await behind(2), await behind(3), await behind(4)]).toEqual([['c1', 'c2'], [], ['r'], []]);
    expect((await readUsageTrail(run, id, 'r')).line).toMatchObject({ number: 3, amount: '0.40' });
  });

  describe('exchange rates', () => {
    const publish = (rate: string, effective_from: string) =>
      publishExchangeRates(
        run.pool,
        exchangeRatesSchema.parse({ rates: [{ from: 'usd', to: 'sek', rate, effective_from }] }).rates,
        'test',
      );
    const swedish: Partial<PlanInput> = { currency: 'sek' };

    it('are pinned as they are in force at the end; without one nothing is sealed', async () => {
      await open(swedish, { currency: 'sek' });
      await run.append([millions('s', '2026-09-10', 8)]);
      const { period_id } = await readPeriodRow(run.pool, ref(SEPTEMBER!));
      await settle(run.pool);
      await pricePeriod(run, period_id);
      expect(await readTotals(run.pool, period_id)).toMatchObject({
        currency: 'sek',
        cost: '0',
        without_rate: [{ currency: 'usd', cost: '24', charge: '30' }],
      });
      await run.command(ref(SEPTEMBER!), 'close');
      await expect(sealClosing(run, ref(SEPTEMBER!))).rejects.toMatchObject({ code: 'no_exchange_rate' });

      await publish('9', '2026-01-01T00:00:00Z');
      await publish('10.5', '2026-09-15T00:00:00Z');
      await publish('99', '2026-10-01T00:00:00.001Z');
      await run.drive(ref(SEPTEMBER!));
      // 30 x 10.5.
      expect(await run.newest(ref(SEPTEMBER!))).toMatchObject({
        currency: 'sek',
        exchange_rates: { usd: '10.5' },
        total: '315.00',
        cost: '24',
        cost_currency: 'usd',
        markup: '0.25',
      });
    });

    it('put totals and budgets into the customer’s currency', async () => {
      await publish('11', '2026-11-01T00:00:00Z');
      await open(swedish, { currency: 'sek' });
      await run.append([millions('n', '2026-11-10', 8)]);
      const { period_id } = await readPeriodRow(run.pool, ref(NOVEMBER!));
      await settle(run.pool);
      await pricePeriod(run, period_id);
      expect(await readTotals(run.pool, period_id)).toMatchObject({ currency: 'sek', cost: '264', charge: '330' });
    });
  });
});
