import type { HeldDecision } from '../contracts/held-decision.js';
import type { Queryable } from '../database/pool.js';

interface DecisionRow extends Omit<HeldDecision, 'decided_at'> {
  decided_at: Date;
}

/**
 * What was decided about held usage of a period, in the order of the decisions: those of the period itself, and those of
 * the customer's usage that no period took at the time.
 */
export async function readDecisions(
  database: Queryable,
  period: { period_id: number; customer_id: string },
): Promise<HeldDecision[]> {
  const { rows } = await database.query<DecisionRow>(
    `SELECT decision_id, decided_at, reason, provider, model_id, event_ids,
       period_id IS NULL AS unplaced, decision FROM held_decisions
     WHERE period_id = $1 OR (period_id IS NULL AND customer_id = $2) ORDER BY decision_id`,
    [period.period_id, period.customer_id],
  );
  return rows.map((row) => ({ ...row, decided_at: row.decided_at.toISOString() }));
}

/** The decision that wrote off an event which no period takes, or null. */
export async function readUnplacedDecision(
  database: Queryable,
  customerId: string,
  eventId: string,
): Promise<number | null> {
  const { rows } = await database.query<{ decision_id: number | null }>(
    `SELECT max(decision_id) AS decision_id FROM held_decisions
     WHERE customer_id = $1 AND period_id IS NULL AND $2 = ANY(event_ids)`,
    [customerId, eventId],
  );
  return rows[0]!.decision_id;
}
