import { CatalogCache } from '../../src/catalog/catalog-cache.js';
import { publishCatalogVersion } from '../../src/catalog/publish.js';
import { type CatalogVersionInput, catalogVersionSchema } from '../../src/contracts/catalog.js';
import { type CustomerInput, customerSchema } from '../../src/contracts/customer.js';
import type { PlanInput } from '../../src/contracts/plan.js';
import type { ReceivedUsageEvent, UsageEvent } from '../../src/contracts/usage-event.js';
import { CustomerCache } from '../../src/customers/customer-cache.js';
import { putCustomer } from '../../src/customers/customer-store.js';
import type { Pool } from '../../src/database/pool.js';
import { type Appender, createAppender } from '../../src/ledger/append.js';
import { readHorizon } from '../../src/ledger/horizon.js';
import { publishPlan } from '../../src/plans/plan-store.js';
import { toUsageEvent } from '../../src/usage/usage-event.js';

/** The instant at which database tests of the ledger stand: in the middle of a month. */
export const NOW_MS = Date.parse('2026-11-16T12:00:00Z');

/** One model with input and output prices, and a plan `pro` in dollars that seals an hour after the period's end. */
export async function publishBasics(pool: Pool, plan: Partial<PlanInput> = {}): Promise<void> {
  const price = (meter: string, amount: string) => ({
    provider: 'anthropic',
    model_id: 'claude-x',
    meter,
    price: amount,
    per: 1_000_000,
    currency: 'usd',
    effective_from: '2020-01-01T00:00:00Z',
  });
  const catalog: CatalogVersionInput = {
    note: 'prices of the test',
    prices: [price('input_tokens', '3.00'), price('output_tokens', '15.00')],
  };
  await publishCatalogVersion(pool, catalogVersionSchema.parse(catalog), { actor: 'test', source: 'test' });
  await publishPlan(pool, { plan_id: 'pro', currency: 'usd', rules: [{ markup: '0.25' }], ...plan }, 'test');
}

/** Puts a customer on plan `pro` at `nowMs`. */
export async function customer(pool: Pool, id: string, body: Partial<CustomerInput> = {}, nowMs: number = NOW_MS) {
  const parsed = customerSchema.parse({ currency: 'usd', plan_id: 'pro', ...body });
  return putCustomer(pool, id, parsed, 'test', nowMs);
}

/** A usage event of the priced model, an hour before NOW_MS, with what differs. */
export function usageEvent(
  received: Partial<ReceivedUsageEvent> & { event_id: string; customer_id: string },
): UsageEvent {
  return toUsageEvent(
    {
      provider: 'anthropic',
      model_id: 'claude-x',
      occurred_at: '2026-11-16T11:00:00Z',
      usage: { input_tokens: 1_000, output_tokens: 200 },
      ...received,
    },
    { source_id: null, default_provider: null },
  );
}

/** An appender on a pool, as a process of its own would have it. */
export function appenderOn(pool: Pool, options: { eventAgeDays?: number; now?: () => number } = {}): Appender {
  return createAppender({
    pool,
    catalogs: new CatalogCache(pool),
    customers: new CustomerCache(),
    eventAgeDays: 35,
    now: () => NOW_MS,
    ...options,
  });
}

/** Marks a customer's period as the seal does; answers the seal's transaction id. Runs in the caller's transaction. */
export async function markSealed(database: Pick<Pool, 'query'>, periodId: number): Promise<bigint> {
  const { rows } = await database.query<{ xid: string }>(
    `UPDATE periods SET status = 'sealed', sealed_at = now() WHERE period_id = $1 RETURNING pg_current_xact_id()::text AS xid`,
    [periodId],
  );
  return BigInt(rows[0]!.xid);
}

/**
 * Waits until everything appended so far is below the horizon, so that pricing sees it: transactions of other databases
 * of the server hold it back as well.
 */
export async function settle(pool: Pool): Promise<void> {
  const { rows } = await pool.query<{ newest: string | null }>(
    'SELECT max(chunk::text::numeric)::text AS newest FROM usage_events',
  );
  const newest = BigInt(rows[0]!.newest ?? '0');
  while ((await readHorizon(pool)) <= newest) await new Promise((resolve) => setTimeout(resolve, 5));
}
