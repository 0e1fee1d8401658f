import { contentHash } from '../contracts/canonical-json.js';
import type { HeldDecision } from '../contracts/held-decision.js';
import type { Plan } from '../contracts/plan.js';
import type { Queryable } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { neededAttributes } from '../plans/plan-rules.js';
import type { PricingInputs } from '../pricing/pricing-result.js';
import { readDecisions } from './held-decisions.js';

export interface PeriodInputs {
  inputs: PricingInputs;
  /** RFC 8785 SHA-256 of `inputs`, hex. */
  inputs_hash: string;
  /** The plans of `inputs.assignments`, in their order. */
  plans: Plan[];
  /** The decisions of `inputs.decisions`, in their order. */
  decisions: HeldDecision[];
}

/**
 * What pricing of a period depends on beside its events, at a catalog version: the plan versions assigned to the
 * customer within the period, each from its instant on (of two at one instant the later assignment holds), and the
 * attributes their rules and lines name, what was decided about held usage, and which usage is voided. Throws
 * `unknown_plan` when no plan covers the period.
 */
export async function readPricingInputs(
  database: Queryable,
  period: { period_id: number; customer_id: string; starts_at: Date; ends_at: Date },
  catalogVersion: number,
): Promise<PeriodInputs> {
  const { rows } = await database.query<{ plan_id: string; version: number; from: Date | number; body: Plan }>(
    `WITH effective AS (
       SELECT DISTINCT ON (effective_from) effective_from, plan_id, plan_version
       FROM plan_assignments WHERE customer_id = $1 AND effective_from < $3
       ORDER BY effective_from, assignment_id DESC
     )
     SELECT e.plan_id, e.plan_version AS version,
            CASE WHEN e.effective_from <= $2 THEN '-infinity' ELSE e.effective_from END AS from, p.body
     FROM effective e JOIN plan_versions p ON p.plan_id = e.plan_id AND p.version = e.plan_version
     WHERE e.effective_from > $2
        OR e.effective_from = (SELECT max(effective_from) FROM effective WHERE effective_from <= $2)
     ORDER BY e.effective_from`,
    [period.customer_id, period.starts_at, period.ends_at],
  );
  if (rows.length === 0) {
    throw new CostplusError('unknown_plan', `Customer ${period.customer_id} has no plan in this period; assign one.`);
  }
  return toPeriodInputs(
    rows.map((row, index) => ({
      plan: row.body,
      version: row.version,
      from: index === 0 ? null : instantText(row.from),
    })),
    catalogVersion,
    await readDecisions(database, period),
    await lastVoid(database, period.customer_id),
  );
}

/** The inputs of plan versions in order; `from` null: since before the period began. */
export function toPeriodInputs(
  assigned: { plan: Plan; version: number; from: string | null }[],
  catalogVersion: number,
  decisions: HeldDecision[] = [],
  voidedTo = 0,
): PeriodInputs {
  const plans = assigned.map(({ plan }) => plan);
  const inputs: PricingInputs = {
    catalog_version: catalogVersion,
    assignments: assigned.map(({ plan, version, from }) => ({ plan_id: plan.plan_id, version, from })),
    attributes: neededAttributes(plans),
    ...(decisions.length === 0 ? {} : { decisions: decisions.map(({ decision_id }) => decision_id) }),
    ...(voidedTo === 0 ? {} : { voided_to: voidedTo }),
  };
  return { inputs, inputs_hash: contentHash(inputs), plans, decisions };
}

/** The customer's newest void; 0 where there is none. All before it are committed (the billing lock). */
async function lastVoid(database: Queryable, customerId: string): Promise<number> {
  const { rows } = await database.query<{ last: number }>(
    'SELECT coalesce(max(void_id), 0)::bigint AS last FROM usage_voids WHERE customer_id = $1',
    [customerId],
  );
  return rows[0]!.last;
}

function instantText(value: Date | number): string {
  return new Date(value).toISOString();
}
