import type { Queryable } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { isOwnPrice } from '../plans/plan-parts.js';
import { readHead, readResult } from './pricing-runs.js';
import type { SealInputs } from './seal.js';

/**
 * Refuses to seal a period whose usage is priced in a currency without a rate: once pinned, a missing rate is missing for
 * good. Looks at what is priced so far. Throws `no_exchange_rate`.
 */
export async function expectRates(
  database: Queryable,
  period: { period_id: number; currency: string; start_date: string },
  { plans, exchange_rates: rates }: SealInputs,
): Promise<void> {
  // Prices of the plan's own need no rate; the cost beside them stays in the catalog's currency.
  if (plans.every(({ rules }) => rules.every(isOwnPrice))) return;
  const head = await readHead(database, period.period_id);
  if (!head) return;
  const { groups } = await readResult(database, period.period_id, head.inputs_hash);
  const missing = [...new Set(groups.map(({ currency }) => currency))].filter((from) => !Object.hasOwn(rates, from));
  if (missing.length === 0) return;
  throw new CostplusError(
    'no_exchange_rate',
    `Publish an exchange rate from ${missing.sort().join(', ')} to ${period.currency} that is in force at the period's end.`,
  );
}
