import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { publishCatalogVersion } from '../../src/catalog/publish.js';
import { rebillLate } from '../../src/closing/rebill-late.js';
import { catalogVersionSchema } from '../../src/contracts/catalog.js';
import type { PeriodRef } from '../../src/contracts/engine.js';
import { readLineUsage } from '../../src/invoicing/line-usage.js';
import { previewInvoice } from '../../src/invoicing/preview.js';
import { readUsageTrail } from '../../src/invoicing/usage-trail.js';
import { listWaitingLate, releaseLate } from '../../src/ledger/late-store.js';
import { findPeriod } from '../../src/periods/period-store.js';
import { publishPlan } from '../../src/plans/plan-store.js';
import { type BillingRun, openBillingRun } from '../support/billing-run.js';
import { customer, NOW_MS, publishBasics } from '../support/ledger.js';

const OCTOBER = '2026-10-01';
const NOVEMBER = '2026-11-01';

describe('usage that reaches a sealed period', () => {
  let run: BillingRun;
  beforeAll(async () => {
    run = await openBillingRun();
    await publishBasics(run.pool);
    const plan = { currency: 'usd', rules: [{ markup: '0.25' }] };
    await publishPlan(run.pool, { ...plan, plan_id: 'included', allowance: { charge: '1.00' } }, 'test');
    await publishPlan(run.pool, { ...plan, plan_id: 'again', late_usage: 'rebill', rebill_window: 'P30D' }, 'test');
    await publishPlan(run.pool, { ...plan, plan_id: 'asks', late_usage: 'hold' }, 'test');
  });
  afterAll(() => run.end());

  const october = (customer_id: string): PeriodRef => ({ customer_id, start_date: OCTOBER });
  const november = (customer_id: string): PeriodRef => ({ customer_id, start_date: NOVEMBER });
  /** An event of a million input tokens: $3.00 of cost, $3.75 of charge at 25%. */
  const event = (customer_id: string, event_id: string, occurred_at: string, millions = 1, more = {}) => ({
    customer_id,
    event_id,
    occurred_at,
    usage: { input_tokens: millions * 1_000_000 },
    ...more,
  });
  const trail = (customer_id: string, event_id: string) => readUsageTrail(run, customer_id, event_id);
  const lines = async (ref: PeriodRef) =>
    (await run.newest(ref)).lines.map(({ description, amount }) => `${description} ${amount}`);

  async function open(id: string, plan_id = 'pro') {
    await customer(run.pool, id, { plan_id });
    expect(
      await run.append([event(id, 'own', '2026-10-10T00:00:00Z'), event(id, 'next', '2026-11-02T00:00:00Z', 2)]),
    ).toEqual(['accepted', 'accepted']);
  }

  it('is carried into the open period, as a line of its own', async () => {
    await open('carried');
    expect(await run.close(october('carried'))).toBe('invoiced');
    expect(await run.append([event('carried', 'late', '2026-10-20T00:00:00Z', 2)])).toEqual(['late']);
    expect((await trail('carried', 'late')).billed_in).toBeNull();
    // The preview shows it before it is decided.
    const preview = await previewInvoice(run, 'carried', NOVEMBER);
    expect(preview).toMatchObject({ total: '15.00', events: 2 });
    expect((await trail('carried', 'late')).billed_in).toBeNull();
    expect(await run.close(november('carried'))).toBe('invoiced');
    expect(await lines(november('carried'))).toEqual([
      'claude-x · 2,000,000 tokens (1 call) 7.50',
      'Late usage of 2026-10-01 · 2,000,000 tokens (1 call) 7.50',
    ]);
    const invoice = await run.newest(november('carried'));
    expect(invoice).toMatchObject({ cost: '12', total: '15.00', events: 2 });
    expect(invoice.content_hash).toBe(preview.content_hash);
    const behind = async (line: number) =>
      (await readLineUsage(run, 'carried', NOVEMBER, 1, line, { cursor: null, limit: 10 })).data;
    expect((await behind(1)).map(({ event_id }) => event_id)).toEqual(['next']);
    expect(await behind(2)).toMatchObject([{ event_id: 'late', cost: '6', charge: '7.5' }]);
    expect(await trail('carried', 'late')).toMatchObject({
      line: { number: 2, amount: '7.50' },
      invoice: { revision: 1 },
    });
    expect(await trail('carried', 'late')).toMatchObject({ status: 'late', billed_in: { start_date: NOVEMBER } });
    expect((await run.newest(october('carried'))).total).toBe('3.75');
    expect([run.books(october('carried')), run.books(november('carried'))]).toEqual([375, 1_500]);
  });

  it('costs what the original period would have come to with it: its allowance counts, not that of the open one', async () => {
    // $3.75 of usage, of which $1.00 is included. Late by $0.75 twice: nothing is left of the allowance.
    await open('allowed', 'included');
    await run.close(october('allowed'));
    expect((await run.newest(october('allowed'))).total).toBe('2.75');
    await run.append([event('allowed', 'late', '2026-10-20T00:00:00Z', 0.4)]);
    await run.close(november('allowed'));
    // 400,000 tokens: $1.50 of charge. November's own: $7.50 - $1.00.
    expect((await run.newest(november('allowed'))).total).toBe('8.00');

    // The other way: what October left of its allowance is for October's late usage.
    await customer(run.pool, 'unused', { plan_id: 'included' });
    await run.append([
      event('unused', 'own', '2026-10-10T00:00:00Z', 0.1),
      event('unused', 'n', '2026-11-02T00:00:00Z'),
    ]);
    expect(await run.close(october('unused'))).toBe('nothing_to_bill');
    await run.append([event('unused', 'late', '2026-10-20T00:00:00Z', 0.2)]);
    await run.close(november('unused'));
    // October with it: 300,000 tokens, $1.125 rounded to $1.13, minus $1.00; it was billed nothing.
    expect(await lines(november('unused'))).toEqual(
      expect.arrayContaining(['Late usage of 2026-10-01 · 200,000 tokens (1 call) 0.13']),
    );
  });

  it('is priced as of when it happened, by the catalog of its period', async () => {
    const price = (amount: string, from: string) => ({
      provider: 'anthropic',
      model_id: 'changing',
      meter: 'input_tokens',
      price: amount,
      per: 1_000_000,
      currency: 'usd',
      effective_from: from,
    });
    const publish = (prices: object[]) =>
      publishCatalogVersion(run.pool, catalogVersionSchema.parse({ note: 'test', prices }), {
        actor: 'test',
        source: 'test',
      });
    await publish([price('1.00', '2020-01-01T00:00:00Z'), price('2.00', '2026-10-15T00:00:00Z')]);
    await open('priced');
    await run.close(october('priced'));
    const changing = { model_id: 'changing' };
    await run.append([
      event('priced', 'before', '2026-10-14T00:00:00Z', 1, changing),
      event('priced', 'after', '2026-10-16T00:00:00Z', 1, changing),
      event('priced', 'unknown', '2026-10-16T00:00:00Z', 1, { model_id: 'published-later' }),
    ]);
    // Neither today's price nor a correction of October's prices that came after its seal.
    await publish([
      price('50.00', '2026-11-01T00:00:00Z'),
      { ...price('70.00', '2026-10-01T00:00:00Z'), supersede: true },
      { ...price('4.00', '2026-10-01T00:00:00Z'), model_id: 'published-later' },
    ]);
    await run.close(november('priced'));
    // ($1 + $2) x 1.25, and $4 x 1.25 for what October's catalog did not know.
    expect(await lines(november('priced'))).toEqual(
      expect.arrayContaining(['Late usage of 2026-10-01 · 3,000,000 tokens (3 calls) 8.75']),
    );
  });

  it('carries what was held at the seal once it has a price', async () => {
    await open('resolved');
    await run.append([event('resolved', 'held', '2026-10-12T00:00:00Z', 1, { model_id: 'priced-in-november' })]);
    await run.close(october('resolved'));
    expect((await run.newest(october('resolved'))).total).toBe('3.75');
    await publishCatalogVersion(
      run.pool,
      catalogVersionSchema.parse({
        note: 'test',
        prices: [
          {
            provider: 'anthropic',
            model_id: 'priced-in-november',
            meter: 'input_tokens',
            price: '8.00',
            per: 1_000_000,
            currency: 'usd',
            effective_from: '2026-01-01T00:00:00Z',
          },
        ],
      }),
      { actor: 'test', source: 'test' },
    );
    await run.close(november('resolved'));
    expect(await lines(november('resolved'))).toEqual(
      expect.arrayContaining(['Late usage of 2026-10-01 · 1,000,000 tokens (1 call) 10.00']),
    );
    expect(await trail('resolved', 'held')).toMatchObject({ billed_in: { start_date: NOVEMBER } });
    // A re-bill of October at the newest prices leaves it out: it is billed in November for ever.
    await run.rebill(october('resolved'), { catalog: 'newest' });
    expect((await run.newest(october('resolved'))).total).toBe('3.75');
  });

  it('takes in what arrived by the seal, and each event once: what comes later goes into the period after', async () => {
    await open('twice');
    await run.close(october('twice'));
    await run.append([event('twice', 'a', '2026-10-20T00:00:00Z', 0.1)]);
    await run.close(november('twice'));
    await run.append([event('twice', 'b', '2026-10-21T00:00:00Z', 0.1)]);
    await run.append([event('twice', 'c', '2026-11-03T00:00:00Z', 0.2)]);
    const december: PeriodRef = { customer_id: 'twice', start_date: '2026-12-01' };
    await run.pool.query(
      `INSERT INTO periods (customer_id, start_date, starts_at, ends_at, calendar_from, calendar_to, seals_at)
       VALUES ('twice', '2026-12-01', '2026-12-01', '2027-01-01', '2026-12-01', '2027-01-01', '2027-01-01')`,
    );
    // Its end comes.
    await run.pool.query(
      `UPDATE periods SET status = 'closing' WHERE customer_id = 'twice' AND start_date = '2026-12-01'`,
    );
    await run.drive(december);
    // 100,000 tokens: $0.375. October with a: $4.13 - $3.75 = $0.38; with b too: $4.50 - $4.13 = $0.37.
    expect(await lines(november('twice'))).toEqual(
      expect.arrayContaining(['Late usage of 2026-10-01 · 100,000 tokens (1 call) 0.38']),
    );
    expect(await lines(december)).toEqual([
      'Late usage of 2026-10-01 · 100,000 tokens (1 call) 0.37',
      'Late usage of 2026-11-01 · 200,000 tokens (1 call) 0.75',
    ]);
  });

  it('is billed again by itself, where the plan says so', async () => {
    await open('again', 'again');
    await run.close(october('again'));
    await run.append([event('again', 'late', '2026-10-20T00:00:00Z', 2)]);
    const waiting = await listWaitingLate(run.pool, { customer_id: 'again' });
    expect(waiting).toMatchObject([{ start_date: OCTOBER, policy: 'rebill', events: 1, released: 0 }]);
    // It is no business of November's.
    await run.close(november('again'));
    expect((await run.newest(november('again'))).total).toBe('7.50');
    const command = (ref: PeriodRef) => run.command(ref, 'rebill');
    expect(await rebillLate(run, command, NOW_MS)).toBe(0);
    expect(await rebillLate(run, command, NOW_MS + 2 * 3_600_000)).toBe(1);
    expect(await rebillLate(run, command, NOW_MS + 2 * 3_600_000)).toBe(0);
    await run.drive(october('again'));
    expect(await run.newest(october('again'))).toMatchObject({ revision: 2, total: '11.25' });
    expect(run.books(october('again'))).toBe(1_125);
    expect(await trail('again', 'late')).toMatchObject({ billed_in: { start_date: OCTOBER } });
    expect(await listWaitingLate(run.pool, { customer_id: 'again' })).toEqual([]);
  });

  it('waits for a person, where the plan says so', async () => {
    await open('asked', 'asks');
    await run.close(october('asked'));
    await run.append([
      event('asked', 'late-1', '2026-10-20T00:00:00Z', 2),
      event('asked', 'late-2', '2026-10-20T00:00:00Z', 4),
    ]);
    const period = (await findPeriod(run.pool, 'asked', OCTOBER))!;
    expect(await releaseLate(run.pool, period, { actor: 'finance', reason: 'agreed' }, ['late-1'])).toBe(1);
    expect(await releaseLate(run.pool, period, { actor: 'finance', reason: 'agreed' }, ['late-1'])).toBe(0);
    await run.close(november('asked'));
    expect(await lines(november('asked'))).toEqual(
      expect.arrayContaining(['Late usage of 2026-10-01 · 2,000,000 tokens (1 call) 7.50']),
    );
    expect(await listWaitingLate(run.pool, { customer_id: 'asked' })).toMatchObject([{ policy: 'hold', events: 1 }]);
    await run.rebill(october('asked'));
    // $3.75 and $15.00; what was carried stays where it is.
    expect((await run.newest(october('asked'))).total).toBe('18.75');
  });

  it('of a re-bill and a seal at the same moment, one takes an event', async () => {
    for (let i = 0; i < 8; i++) {
      const id = `race-${i}`;
      await open(id);
      await run.close(october(id));
      await run.append([event(id, 'late', '2026-10-20T00:00:00Z', 2)]);
      await Promise.all([run.rebill(october(id)), run.close(november(id))]);
      const totals = [(await run.newest(october(id))).total, (await run.newest(november(id))).total];
      expect([
        ['11.25', '7.50'],
        ['3.75', '15.00'],
      ]).toContainEqual(totals);
      const billedIn = (await trail(id, 'late')).billed_in!.start_date;
      expect(billedIn).toBe(totals[0] === '11.25' ? OCTOBER : NOVEMBER);
      expect(run.books(october(id)) + run.books(november(id))).toBe(1_875);
    }
  });
});
