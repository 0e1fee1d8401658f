import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CatalogCache } from '../../src/catalog/catalog-cache.js';
import { publishCatalogVersion } from '../../src/catalog/publish.js';
import { catalogVersionSchema } from '../../src/contracts/catalog.js';
import type { Totals } from '../../src/contracts/period.js';
import { createPool, type Pool } from '../../src/database/pool.js';
import { pricePeriod } from '../../src/ledger/price-period.js';
import { cloneDatabase } from '../support/database.js';
import { appenderOn, customer, publishBasics, usageEvent } from '../support/ledger.js';

describe('pricing', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  let narrow: Pool;

  beforeAll(async () => {
    database = await cloneDatabase();
    narrow = createPool(database.url, { max: 1 });
    await publishBasics(database.pool);
    await customer(database.pool, 'acme');
    const appender = appenderOn(database.pool);
    await appender.append([usageEvent({ customer_id: 'acme', event_id: 'a' })], { may_backfill: false });
    await appender.close();
  });
  afterAll(async () => {
    await narrow?.end();
    await database?.drop();
  });

  it('gets along with one connection, so that many at once do not wait for one another', async () => {
    const deps = { pool: narrow, catalogs: new CatalogCache(narrow) };
    const { rows } = await narrow.query<{ period_id: number }>('SELECT period_id FROM periods');
    const price = async (holds: (totals: Totals | null) => boolean) => {
      // Transactions of other tests hold the horizon back.
      for (;;) {
        const all = await Promise.allSettled([1, 2, 3].map(() => pricePeriod(deps, rows[0]!.period_id)));
        const refused = all.flatMap((one) => (one.status === 'rejected' ? [one.reason.code] : []));
        expect(refused.filter((code) => code !== 'stale_inputs')).toEqual([]);
        const totals = await pricePeriod(deps, rows[0]!.period_id);
        if (holds(totals)) return totals;
      }
    };
    // 1,000 x $3 + 200 x $15 per million.
    expect(await price((totals) => totals?.events === 1)).toMatchObject({ cost: '0.006' });
    const row = { provider: 'anthropic', model_id: 'claude-x', meter: 'input_tokens', price: '4.00', per: 1_000_000 };
    const prices = [{ ...row, currency: 'usd', effective_from: '2026-11-01T00:00:00Z' }];
    const body = catalogVersionSchema.parse({ note: 'dearer', prices });
    await publishCatalogVersion(database.pool, body, { actor: 'test', source: 'test' });
    expect(await price((totals) => totals?.catalog_version === 2)).toMatchObject({ cost: '0.007', events: 1 });
  });
});
