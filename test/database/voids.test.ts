import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PeriodRef } from '../../src/contracts/engine.js';
import { readPeriodView } from '../../src/invoicing/period-view.js';
import { readUsageTrail } from '../../src/invoicing/usage-trail.js';
import { readHorizon } from '../../src/ledger/horizon.js';
import { pricePeriod } from '../../src/ledger/price-period.js';
import { readUnpriced } from '../../src/ledger/relay-reads.js';
import { voidUsage } from '../../src/ledger/void-usage.js';
import { findPeriod } from '../../src/periods/period-store.js';
import { type BillingRun, openBillingRun } from '../support/billing-run.js';
import { customer, publishBasics } from '../support/ledger.js';

const by = { reason: 'a test run', actor: 'finance' };

describe('usage that finance takes back', () => {
  let run: BillingRun;
  beforeAll(async () => {
    run = await openBillingRun();
    await publishBasics(run.pool);
  });
  afterAll(() => run.end());

  const october = (customer_id: string): PeriodRef => ({ customer_id, start_date: '2026-10-01' });
  const november = (customer_id: string): PeriodRef => ({ customer_id, start_date: '2026-11-01' });
  /** A million input tokens: $3.75 of charge. */
  const event = (customer_id: string, event_id: string, occurred_at = '2026-10-10T00:00:00Z', more = {}) => ({
    customer_id,
    event_id,
    occurred_at,
    usage: { input_tokens: 1_000_000 },
    ...more,
  });
  const view = (ref: PeriodRef) => readPeriodView(run.pool, ref.customer_id, ref.start_date);
  /** Prices what is settled, until `events` are: transactions of other tests hold the horizon back. */
  const price = async (ref: PeriodRef, events: number) => {
    const period = (await findPeriod(run.pool, ref.customer_id, ref.start_date))!;
    for (;;) {
      const totals = await pricePeriod(run, period.period_id);
      if (totals?.events === events) return totals;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };

  it('is passed by pricing when it was voided before it was priced: the relay asks no more for it', async () => {
    await customer(run.pool, 'passed');
    await run.append([event('passed', 'a')]);
    await price(october('passed'), 1);
    await run.pool.query(`UPDATE periods SET opened_at = now() WHERE customer_id = 'passed'`);
    // An open transaction keeps the usage behind the horizon; the void is an input of pricing at once.
    const open = await run.pool.connect();
    await open.query('BEGIN; SELECT pg_current_xact_id()');
    await run.append([event('passed', 'b')]);
    await voidUsage(run.pool, 'passed', 'b', by);
    const period = (await findPeriod(run.pool, 'passed', '2026-10-01'))!;
    expect(await pricePeriod(run, period.period_id)).toMatchObject({ events: 1 });
    await open.query('ROLLBACK');
    open.release();

    const { rows } = await run.pool.query<{ newest: string }>(
      'SELECT max(chunk::text::bigint)::text AS newest FROM usage_chunks',
    );
    const waits = async () => {
      const horizon = await readHorizon(run.pool);
      const unpriced = await readUnpriced(run.pool, horizon, 60);
      return horizon <= BigInt(rows[0]!.newest) || unpriced.some(({ period_id }) => period_id === period.period_id);
    };
    for (let tries = 0; tries < 200 && (await waits()); tries++) {
      expect(await pricePeriod(run, period.period_id)).toMatchObject({ events: 1, charge: '3.75' });
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(await waits()).toBe(false);
  });

  it('is left out of an open period, priced before or not', async () => {
    await customer(run.pool, 'open');
    await run.append([
      event('open', 'a'),
      event('open', 'b'),
      event('open', 'held', undefined, { model_id: 'unknown' }),
    ]);
    expect(await price(october('open'), 3)).toMatchObject({ events: 3, held_events: 1, charge: '7.5' });
    expect(await voidUsage(run.pool, 'open', 'a', by)).toMatchObject({ rebill_needed: false, applied: true });
    await run.append([event('open', 'c')]);
    await voidUsage(run.pool, 'open', 'c', by);
    await voidUsage(run.pool, 'open', 'held', by);
    expect(await price(october('open'), 1)).toMatchObject({ events: 1, held_events: 0, charge: '3.75' });
    expect(await price(october('open'), 1)).toMatchObject({ events: 1, charge: '3.75' });
    await run.close(october('open'));
    const invoice = await run.newest(october('open'));
    expect(invoice).toMatchObject({ total: '3.75', events: 1 });
    // Derived from nothing it is the same.
    await run.pool.query('DELETE FROM pricing_runs');
    await run.rebill(october('open'));
    expect((await run.newest(october('open'))).total).toBe('3.75');
  });

  it('asks for a re-bill in a sealed period, and nothing changes until then', async () => {
    await customer(run.pool, 'sealed');
    await run.append([event('sealed', 'a'), event('sealed', 'b')]);
    await run.close(october('sealed'));
    expect(await voidUsage(run.pool, 'sealed', 'a', by)).toMatchObject({
      period: { start_date: '2026-10-01', status: 'invoiced' },
      rebill_needed: true,
    });
    expect(await view(october('sealed'))).toMatchObject({ voided_since: 1, totals: { charge: '7.5' } });
    expect((await run.newest(october('sealed'))).total).toBe('7.50');
    await run.rebill(october('sealed'));
    expect(await view(october('sealed'))).toMatchObject({ voided_since: 0, totals: { charge: '3.75', events: 1 } });
    expect(run.books(october('sealed'))).toBe(375);
  });

  it('is voided once, for ever, with the reason of the first time', async () => {
    await customer(run.pool, 'once');
    await run.append([event('once', 'a')]);
    const first = await voidUsage(run.pool, 'once', 'a', by);
    const again = await voidUsage(run.pool, 'once', 'a', { ...by, reason: 'another' });
    expect(again).toEqual({ ...first, applied: false });
    await expect(run.pool.query(`DELETE FROM usage_voids`)).rejects.toThrow(/immutable/);
    // The id stays taken: the replacement has one of its own.
    expect(await run.append([event('once', 'a'), event('once', 'a2')])).toEqual(['duplicate', 'accepted']);
    const { rows } = await run.pool.query(
      `SELECT action FROM audit_log WHERE customer_id = 'once' AND action = 'usage.void'`,
    );
    expect(rows).toHaveLength(1);
    expect(await readUsageTrail(run, 'once', 'a')).toMatchObject({ voided: { by: 'finance', reason: 'a test run' } });
    await expect(voidUsage(run.pool, 'once', 'nobody', by)).rejects.toMatchObject({ code: 'unknown_event' });
  });

  it('leaves the period that carries it, where it was late', async () => {
    await customer(run.pool, 'late');
    await run.append([event('late', 'a'), event('late', 'n', '2026-11-02T00:00:00Z')]);
    await run.close(october('late'));
    await run.append([event('late', 'carried'), event('late', 'early')]);
    // Voided before it is carried: nobody bills it.
    expect(await voidUsage(run.pool, 'late', 'early', by)).toMatchObject({ period: null, rebill_needed: false });
    await run.close(november('late'));
    expect((await run.newest(november('late'))).total).toBe('7.50');
    expect(await voidUsage(run.pool, 'late', 'carried', by)).toMatchObject({
      period: { start_date: '2026-11-01' },
      rebill_needed: true,
    });
    await run.rebill(november('late'));
    const rebilled = await run.newest(november('late'));
    expect(rebilled.total).toBe('3.75');
    expect(run.books(november('late'))).toBe(375);
  });

  it('of a void and a seal at the same moment, the seal has it whole or not at all', async () => {
    for (let i = 0; i < 8; i++) {
      const id = `race-${i}`;
      await customer(run.pool, id);
      await run.append([event(id, 'a'), event(id, 'b')]);
      const [, voided] = await Promise.all([run.close(october(id)), voidUsage(run.pool, id, 'a', by)]);
      expect((await run.newest(october(id))).total).toBe(voided.rebill_needed ? '7.50' : '3.75');
    }
  });
});
