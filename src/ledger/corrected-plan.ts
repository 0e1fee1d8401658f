import type { NextPeriod } from '../contracts/balances.js';
import type { NamedPlan } from '../contracts/engine.js';
import type { Plan } from '../contracts/plan.js';
import type { Queryable } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { readPlan } from '../plans/plan-store.js';
import { toPeriodInputs } from './pricing-inputs.js';
import { readSeal, type Seal, type SealablePeriod, type SealInputs } from './seal.js';

/**
 * What a seal would say of plans if this one had been in force in all of its period. Throws `unknown_plan`, and
 * `invalid_plan` for a plan in another currency than the invoice.
 */
export async function correctedPlan(
  database: Queryable,
  { inputs, catalog_version }: Pick<Seal, 'inputs' | 'catalog_version'>,
  named: NamedPlan,
): Promise<Pick<SealInputs, 'pricing' | 'plans'>> {
  const { plan, version } = await readPlan(database, named.plan_id, named.version);
  const { currency } = inputs.customer;
  if (plan.currency !== currency) {
    throw new CostplusError(
      'invalid_plan',
      `Plan ${plan.plan_id} version ${version} is in ${plan.currency}, and the invoice in ${currency}.`,
      { field: 'plan' },
    );
  }
  const assigned = toPeriodInputs([{ plan, version, from: null }], catalog_version);
  return { pricing: assigned.inputs, plans: assigned.plans };
}

/**
 * What follows a period whose plan is corrected. While the next one is not sealed, it is what it would be now: a fee in
 * advance is that of the plan which it has by now. Once it is sealed, the fee that it was asked for in advance stays; but
 * whether a commitment goes on in it is a matter of the plan that it was billed under last, which may be corrected too.
 */
export async function followingNow(
  database: Queryable,
  period: Pick<SealablePeriod, 'customer_id' | 'ends_at'>,
  plan: Plan,
  pinned: SealInputs,
  now: SealInputs,
): Promise<NextPeriod | null> {
  const { rows } = await database.query<{ period_id: number }>(
    'SELECT period_id FROM periods WHERE customer_id = $1 AND starts_at = $2 AND sealed_at IS NOT NULL',
    [period.customer_id, period.ends_at],
  );
  if (rows[0] === undefined) return now.next ?? null;
  const { next } = pinned;
  const isCommitted = plan.commitment !== undefined || now.opening?.commitment?.plan_id === plan.plan_id;
  if (!next || !isCommitted) return next ?? null;
  const { pricing, plans } = (await readSeal(database, rows[0].period_id))!.inputs;
  const { plan_id, version } = pricing.assignments[0]!;
  return plan_id === next.plan_id ? next : { ...next, plan_id, version, plan_name: plans[0]!.name ?? null };
}
