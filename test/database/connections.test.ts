import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CatalogCache } from '../../src/catalog/catalog-cache.js';
import { publishCatalogVersion } from '../../src/catalog/publish.js';
import { applyCommand } from '../../src/closing/commands.js';
import { catalogVersionSchema } from '../../src/contracts/catalog.js';
import { createPool, type Pool } from '../../src/database/pool.js';
import { inTurn } from '../../src/database/turns.js';
import { pricePeriod } from '../../src/ledger/price-period.js';
import { sealPeriod } from '../../src/ledger/seal-period.js';
import { readRows } from '../../src/ledger/usage-reader.js';
import { findPeriod } from '../../src/periods/period-store.js';
import { type BillingRun, openBillingRun } from '../support/billing-run.js';
import { cloneDatabase } from '../support/database.js';
import { customer, publishBasics } from '../support/ledger.js';

const CUSTOMERS = Array.from({ length: 12 }, (_, i) => `customer-${i}`);

/** Work that held a connection while it waited for another one would stop here, until it is refused after 5 s. */
describe('on two connections', () => {
  let database: Awaited<ReturnType<typeof cloneDatabase>>;
  let run: BillingRun;
  let narrow: Pool;
  const periods = new Map<string, number>();

  /** Each customer: October billed, with late usage; November closing. Its inputs stand at two catalog versions. */
  beforeAll(async () => {
    database = await cloneDatabase();
    run = await openBillingRun(database.pool);
    narrow = createPool(database.url, { max: 2 });
    await publishBasics(database.pool);
    const usage = (customer_id: string, event_id: string, occurred_at: string) => ({
      customer_id,
      event_id,
      occurred_at,
      usage: { input_tokens: 1_000_000 },
    });
    for (const id of CUSTOMERS) {
      await customer(database.pool, id);
      await run.append([usage(id, 'a', '2026-10-10T00:00:00Z'), usage(id, 'b', '2026-11-10T00:00:00Z')]);
      await run.close({ customer_id: id, start_date: '2026-10-01' });
      await run.append([usage(id, 'late', '2026-10-11T00:00:00Z')]);
      periods.set(id, (await findPeriod(database.pool, id, '2026-11-01'))!.period_id);
    }
    const price = { provider: 'other', model_id: 'x', meter: 'input_tokens', price: '1', per: 1, currency: 'usd' };
    const prices = [{ ...price, effective_from: '2026-01-01T00:00:00Z' }];
    const body = catalogVersionSchema.parse({ note: 'more', prices });
    await publishCatalogVersion(database.pool, body, { actor: 'test', source: 'test' });
  });
  afterAll(async () => {
    await narrow?.end();
    await run?.end();
    await database?.drop();
  });

  it('many periods are priced and sealed at once, each with late usage to price', async () => {
    const deps = { pool: narrow, catalogs: new CatalogCache(narrow) };
    await Promise.all([...periods.values()].map((id) => pricePeriod(deps, id)));
    for (const id of CUSTOMERS) await run.command({ customer_id: id, start_date: '2026-11-01' }, 'close');
    // A process that has just started: no catalog is in memory.
    const started = { pool: narrow, catalogs: new CatalogCache(narrow) };
    const seals = await Promise.all([...periods.values()].map((id) => sealPeriod(started, id, 'test')));
    expect(seals.map((seal) => seal?.inputs.late?.origins.length)).toEqual(CUSTOMERS.map(() => 1));
  });

  it('many periods are billed again at once', async () => {
    for (const id of CUSTOMERS) {
      await run.drive({ customer_id: id, start_date: '2026-11-01' });
      await run.append([
        { customer_id: id, event_id: 'later', occurred_at: '2026-10-12T00:00:00Z', usage: { input_tokens: 1 } },
      ]);
    }
    const deps = { pool: narrow, catalogs: new CatalogCache(narrow) };
    const answers = await Promise.all(
      CUSTOMERS.map((customer_id) =>
        applyCommand(deps, { customer_id, start_date: '2026-10-01' }, 'rebill', {
          request_id: `rebill-${customer_id}`,
          actor: 'test',
          reason: 'late usage',
        }),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(CUSTOMERS.map(() => 'sealed'));
  });

  it('long reads take turns, and leave a connection to what is short', async () => {
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const order: string[] = [];
    const read = (name: string) =>
      readRows(narrow, { text: 'SELECT 1 AS one', values: [] }, () => order.push(name)).then(() => undefined);
    const first = inTurn(narrow, async () => {
      const client = await narrow.connect();
      await released;
      client.release();
      order.push('first');
    });
    const others = [read('second'), read('third')];
    const { rows } = await narrow.query('SELECT 2 AS two');
    expect([rows, order]).toEqual([[{ two: 2 }], []]);
    release();
    await Promise.all([first, ...others]);
    expect(order).toEqual(['first', 'second', 'third']);
  });

  it('a read that fails hands its turn on', async () => {
    const failing = Promise.allSettled(
      [1, 2].map(() => readRows(narrow, { text: 'SELECT 1/0', values: [] }, () => {})),
    );
    expect((await failing).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(await readRows(narrow, { text: 'SELECT 1 AS one', values: [] }, () => {})).toBe(1);
  });
});
