import { contentHash } from '../contracts/canonical-json.js';
import type { HeldDecision } from '../contracts/held-decision.js';
import type { Plan, RuleMatch } from '../contracts/plan.js';
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
 * attributes that their rules and lines, or credits that can pay for the period, name, what was decided about held usage,
 * and which usage is voided. Throws `unknown_plan` when no plan covers the period.
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
  const { voided_to, matches } = await readOthers(database, period);
  return toPeriodInputs(
    rows.map((row, index) => ({
      plan: row.body,
      version: row.version,
      from: index === 0 ? null : instantText(row.from),
    })),
    catalogVersion,
    await readDecisions(database, period),
    voided_to,
    matches,
  );
}

/**
 * The inputs of plan versions in order; `from` null: since before the period began. `matches`: those of credits, whose
 * attributes are kept apart too.
 */
export function toPeriodInputs(
  assigned: { plan: Plan; version: number; from: string | null }[],
  catalogVersion: number,
  decisions: HeldDecision[] = [],
  voidedTo = 0,
  matches: readonly RuleMatch[] = [],
): PeriodInputs {
  const plans = assigned.map(({ plan }) => plan);
  const inputs: PricingInputs = {
    catalog_version: catalogVersion,
    assignments: assigned.map(({ plan, version, from }) => ({ plan_id: plan.plan_id, version, from })),
    attributes: neededAttributes(plans, matches),
    ...(decisions.length === 0 ? {} : { decisions: decisions.map(({ decision_id }) => decision_id) }),
    ...(voidedTo === 0 ? {} : { voided_to: voidedTo }),
  };
  return { inputs, inputs_hash: contentHash(inputs), plans, decisions };
}

/**
 * The customer's newest void (0 where there is none), and the matches of grants that could pay for the period, used up
 * or not: what other periods take of them must not move the inputs. All before are committed (the billing lock).
 */
async function readOthers(
  database: Queryable,
  period: { customer_id: string; starts_at: Date; ends_at: Date },
): Promise<{ voided_to: number; matches: RuleMatch[] }> {
  const { rows } = await database.query<{ voided_to: number; matches: RuleMatch[] }>(
    `SELECT (SELECT coalesce(max(void_id), 0)::bigint FROM usage_voids WHERE customer_id = $1) AS voided_to, (
       SELECT coalesce(jsonb_agg(DISTINCT g.match), '[]') FROM credit_grants g
       WHERE g.customer_id = $1 AND g.match IS NOT NULL AND g.effective_from < $3
         AND (g.expires_at IS NULL OR g.expires_at > $2)
         AND NOT EXISTS (SELECT FROM credit_revocations r WHERE r.grant_id = g.grant_id)
     ) AS matches`,
    [period.customer_id, period.starts_at, period.ends_at],
  );
  return rows[0]!;
}

function instantText(value: Date | number): string {
  return new Date(value).toISOString();
}
