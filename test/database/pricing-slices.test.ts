import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CatalogCache } from '../../src/catalog/catalog-cache.js';
import { publishCatalogVersion } from '../../src/catalog/publish.js';
import { catalogVersionSchema } from '../../src/contracts/catalog.js';
import { derivePricing, derivePricingInSlices } from '../../src/ledger/derive-pricing.js';
import { type PriceDeps, pricePeriod } from '../../src/ledger/price-period.js';
import { readHead, readResult } from '../../src/ledger/pricing-runs.js';
import { readSeal } from '../../src/ledger/seal.js';
import { readTotals } from '../../src/ledger/totals.js';
import { openBillingRun } from '../support/billing-run.js';
import { cloneDatabase } from '../support/database.js';
import { appenderOn, customer, publishBasics, settle, usageEvent } from '../support/ledger.js';

const EVENTS = 40;

describe('a backlog', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  let catalogs: CatalogCache;
  let customers = 0;
  let periodId: number;

  beforeAll(async () => {
    database = await cloneDatabase();
    catalogs = new CatalogCache(database.pool);
    await publishBasics(database.pool);
  });
  afterAll(() => database.drop());

  /** A customer with a chunk for each of EVENTS events, none of them priced. */
  beforeEach(async () => {
    const customer_id = `customer-${++customers}`;
    await customer(database.pool, customer_id);
    const appender = appenderOn(database.pool);
    for (let i = 0; i < EVENTS; i++) {
      await appender.append([usageEvent({ customer_id, event_id: `e${i}` })], { may_backfill: false });
    }
    await appender.close();
    await settle(database.pool);
    const { rows } = await database.pool.query<{ period_id: number }>(
      'SELECT period_id FROM periods WHERE customer_id = $1',
      [customer_id],
    );
    periodId = rows[0]!.period_id;
  });

  /** Prices in slices of ten; `dies` ends the attempt once it has read so many events. */
  const price = async (dies = Number.POSITIVE_INFINITY) => {
    let read = 0;
    const deps: PriceDeps = {
      pool: database.pool,
      catalogs,
      sliceEvents: 10,
      onProgress: (events) => {
        read = events;
        if (events > dies) throw new Error('the worker was killed');
      },
    };
    const outcome = await pricePeriod(deps, periodId).catch((error: Error) => error.message);
    return { outcome, read };
  };
  const publish = (amount: string) => {
    const row = { provider: 'anthropic', model_id: 'claude-x', meter: 'input_tokens', price: amount, per: 1_000_000 };
    const prices = [{ ...row, currency: 'usd', effective_from: '2026-11-01T00:00:00Z', supersede: true }];
    const body = catalogVersionSchema.parse({ note: 'another price', prices });
    return publishCatalogVersion(database.pool, body, { actor: 'test', source: 'test' });
  };

  it('is priced slice by slice; an attempt that ends goes on where it stood', async () => {
    expect(await price(25)).toMatchObject({ outcome: 'the worker was killed' });
    expect(await readTotals(database.pool, periodId)).toMatchObject({ events: 20 });
    // What is left, and nothing a second time.
    expect(await price()).toMatchObject({ outcome: { events: EVENTS }, read: 20 });
  });

  it('has the same sums in whatever slices', async () => {
    await price();
    const head = (await readHead(database.pool, periodId))!;
    const sliced = await readResult(database.pool, periodId, head.inputs_hash);
    await database.pool.query('DELETE FROM pricing_runs WHERE period_id = $1', [periodId]);
    await database.pool.query('DELETE FROM period_totals WHERE period_id = $1', [periodId]);
    await pricePeriod({ pool: database.pool, catalogs }, periodId);
    expect(JSON.stringify(await readResult(database.pool, periodId, head.inputs_hash))).toBe(JSON.stringify(sliced));
  });

  it('is priced again slice by slice, and nobody sees the sums of a part', async () => {
    await price();
    const before = (await readTotals(database.pool, periodId))!;
    const version = (await publish(`${customers + 4}.00`)).version;
    expect(await price(25)).toMatchObject({ outcome: 'the worker was killed' });
    expect(await readTotals(database.pool, periodId)).toEqual(before);
    expect(await price()).toMatchObject({ outcome: { events: EVENTS, catalog_version: version }, read: 20 });
    const { rows } = await database.pool.query('SELECT FROM repricings WHERE period_id = $1', [periodId]);
    expect(rows).toEqual([]);
  });

  it('begins again where the prices change once more in between', async () => {
    await price();
    await publish(`${customers + 40}.00`);
    await price(25);
    await publish(`${customers + 50}.00`);
    expect(await price()).toMatchObject({ outcome: { events: EVENTS }, read: EVENTS });
    const head = (await readHead(database.pool, periodId))!;
    const { groups } = await readResult(database.pool, periodId, head.inputs_hash);
    expect(groups.find(({ meter }) => meter === 'input_tokens')).toMatchObject({
      price: `${customers + 50}.00`,
      quantity: '40000',
    });
  });

  it('that two attempts price at once is counted once', async () => {
    const both = await Promise.all([price(), price()]);
    for (const { outcome } of both) if (typeof outcome === 'string') expect(outcome).toContain('priced meanwhile');
    expect(await price()).toMatchObject({ outcome: { events: EVENTS } });
  });

  it('that is billed again is derived slice by slice, the same as at once', async () => {
    const run = await openBillingRun(database.pool);
    const ref = { customer_id: `customer-${customers}`, start_date: '2026-11-01' };
    await run.close(ref);
    await run.append([{ customer_id: ref.customer_id, event_id: 'late', occurred_at: '2026-11-12T00:00:00Z' }]);
    await run.command(ref, 'rebill');
    const seal = (await readSeal(database.pool, periodId))!;
    const whole = await derivePricing(run, seal);
    expect(whole.events).toBe(EVENTS + 1);
    let read = 0;
    const attempt = (dies: number) =>
      derivePricingInSlices(
        {
          ...run,
          sliceEvents: 10,
          onProgress: (events) => {
            read += events;
            if (read > dies) throw new Error('the worker was killed');
          },
        },
        seal,
      );
    await expect(attempt(25)).rejects.toThrow('the worker was killed');
    read = 0;
    expect(JSON.stringify(await attempt(Number.POSITIVE_INFINITY))).toBe(JSON.stringify(whole));
    // Two slices stand from the first attempt.
    expect(read).toBe(EVENTS + 1 - 20);
    expect(await run.drive(ref)).toBe('invoiced');
    expect(await readTotals(database.pool, periodId)).toMatchObject({ events: EVENTS + 1 });
    await run.end();
  });
});
