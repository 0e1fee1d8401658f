import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { publishCatalogVersion } from '../../src/catalog/publish.js';
import { catalogVersionSchema } from '../../src/contracts/catalog.js';
import { inTransaction } from '../../src/database/pool.js';
import { listWaitingLate } from '../../src/ledger/late-store.js';
import { decideLate, findBillable } from '../../src/ledger/late-usage.js';
import { readSeal } from '../../src/ledger/seal.js';
import { findPeriod } from '../../src/periods/period-store.js';
import { type BillingRun, openBillingRun } from '../support/billing-run.js';
import { customer, publishBasics } from '../support/ledger.js';

const OCTOBER = '2026-10-01';
const NOVEMBER = '2026-11-01';

describe('late usage that waits', () => {
  let run: BillingRun;
  beforeAll(async () => {
    run = await openBillingRun();
    await publishBasics(run.pool);
  });
  afterAll(() => run.end());

  const event = (customer_id: string, event_id: string, day: string, more = {}) => ({
    customer_id,
    event_id,
    occurred_at: `${day}T12:00:00Z`,
    usage: { input_tokens: 1_000_000 },
    ...more,
  });
  /** What a seal of November finds of October, at most so much of it, and decides for. */
  async function take(id: string, limit: number): Promise<string[]> {
    const october = (await findPeriod(run.pool, id, OCTOBER))!;
    const november = (await findPeriod(run.pool, id, NOVEMBER))!;
    const seal = (await readSeal(run.pool, october.period_id))!;
    return inTransaction(run.pool, async (client) => {
      const sealed = { ...october, sealed_at: october.sealed_at! };
      const events = await findBillable(client, run.catalogs, sealed, seal, seal.inputs, 'carried', limit);
      const decision = { period_id: october.period_id, billed_in: november.period_id, revision: 1 };
      if (events.length > 0) await decideLate(client, id, events, decision);
      return events;
    });
  }

  it('is taken by the next seal where it is more than one takes, and is listed until then', async () => {
    await customer(run.pool, 'many');
    await run.append([event('many', 'own', '2026-10-10'), event('many', 'next', '2026-11-02')]);
    await run.close({ customer_id: 'many', start_date: OCTOBER });
    await run.append(Array.from({ length: 7 }, (_, i) => event('many', `late-${i}`, '2026-10-11')));
    const waits = async () => (await listWaitingLate(run.pool, { customer_id: 'many' }))[0]?.events ?? 0;
    expect(await take('many', 3)).toEqual(['late-0', 'late-1', 'late-2']);
    expect(await waits()).toBe(4);
    expect(await take('many', 3)).toEqual(['late-3', 'late-4', 'late-5']);
    expect(await take('many', 3)).toEqual(['late-6']);
    expect([await waits(), await take('many', 3)]).toEqual([0, []]);
  });

  it('does not stand behind usage that nothing can price', async () => {
    await customer(run.pool, 'held');
    const unknown = { model_id: 'nobody-knows' };
    const early = Array.from({ length: 6 }, (_, i) => event('held', `a-${i}`, '2026-10-10', unknown));
    await run.append([...early, event('held', 'next', '2026-11-02')]);
    await run.close({ customer_id: 'held', start_date: OCTOBER });
    const late = Array.from({ length: 6 }, (_, i) => event('held', `b-${i}`, '2026-10-10', unknown));
    await run.append([...late, event('held', 'z', '2026-10-11')]);
    expect(await take('held', 2)).toEqual(['z']);
    expect(await take('held', 2)).toEqual([]);
  });

  it('that was held at the seal comes after what came late, once it can be priced', async () => {
    const unknown = { model_id: 'soon-known' };
    await customer(run.pool, 'resolved');
    await run.append([event('resolved', 'a', '2026-10-10', unknown), event('resolved', 'next', '2026-11-02')]);
    await run.close({ customer_id: 'resolved', start_date: OCTOBER });
    await run.append([event('resolved', 'b', '2026-10-11')]);
    const price = {
      provider: 'anthropic',
      meter: 'input_tokens',
      price: '1.00',
      per: 1_000_000,
      currency: 'usd',
      effective_from: '2020-01-01T00:00:00Z',
    };
    await publishCatalogVersion(
      run.pool,
      catalogVersionSchema.parse({ note: 'it is known', prices: [{ ...price, ...unknown }] }),
      { actor: 'test', source: 'test' },
    );
    await run.close({ customer_id: 'resolved', start_date: NOVEMBER });
    const { rows } = await run.pool.query<{ event_id: string }>(
      `SELECT event_id FROM late_billings WHERE customer_id = 'resolved' ORDER BY event_id`,
    );
    expect(rows.map(({ event_id }) => event_id)).toEqual(['a', 'b']);
  });
});
