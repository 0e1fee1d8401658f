import type { Client } from '../database/pool.js';

/**
 * Sets when unsealed periods that still run (and `changedPeriodId`) seal: their end, or now if that is later, plus the
 * grace of the plan assigned at their end. A change stands on the period's timeline.
 */
export async function setDeadlines(
  client: Client,
  customerId: string,
  nowMs: number,
  changedPeriodId: number | null = null,
): Promise<void> {
  await client.query(
    `WITH deadlines AS (
       SELECT p.period_id, p.seals_at AS was, greatest(p.ends_at, to_timestamp($2 / 1000.0)) + (
         SELECT (v.body->>'grace')::interval FROM plan_assignments a
         JOIN plan_versions v ON v.plan_id = a.plan_id AND v.version = a.plan_version
         WHERE a.customer_id = p.customer_id AND a.effective_from < p.ends_at
         ORDER BY a.effective_from DESC, a.assignment_id DESC LIMIT 1) AS seals_at
       FROM periods p
       WHERE p.customer_id = $1 AND p.sealed_at IS NULL AND (p.ends_at > to_timestamp($2 / 1000.0) OR p.period_id = $3)
     ), changed AS (
       -- As if no workflow had taken it up: the relay tells the one that has, and it keeps the new deadline.
       UPDATE periods p SET seals_at = d.seals_at, opened_at = NULL, updated_at = now()
       FROM deadlines d WHERE p.period_id = d.period_id AND p.sealed_at IS NULL AND d.seals_at <> d.was
       RETURNING p.period_id, d.was, p.seals_at
     )
     INSERT INTO period_timeline (period_id, kind, detail)
     SELECT period_id, 'deadline', jsonb_build_object('from', was, 'to', seals_at) FROM changed`,
    [customerId, nowMs, changedPeriodId],
  );
}
