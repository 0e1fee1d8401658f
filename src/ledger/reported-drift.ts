import type { Queryable } from '../database/pool.js';
import { format } from '../money/fraction.js';
import type { PricingResult, ReportedGroup } from '../pricing/pricing-result.js';
import { driftFactor, isBeyondTolerance } from '../pricing/reported-drift.js';

/**
 * Writes into a period's timeline which models and sources report costs further from the catalog's than the tolerance,
 * each once a period. Returns those that are new.
 */
export async function noteDrifts(
  database: Queryable,
  periodId: number,
  result: PricingResult,
  tolerance: string,
): Promise<ReportedGroup[]> {
  const beyond = (result.reported ?? []).filter((group) => isBeyondTolerance(group, tolerance));
  const noted: ReportedGroup[] = [];
  for (const group of beyond) {
    const { provider, model_id, source } = group;
    const factor = driftFactor(group);
    const about = JSON.stringify({ provider, model_id, source });
    const measured = { events: group.events, factor: factor === null ? null : format(factor, 6), tolerance };
    const inserted = await database.query(
      `INSERT INTO period_timeline (period_id, kind, detail)
       SELECT $1, 'reported_cost_drift', $2::jsonb || $3::jsonb
       WHERE NOT EXISTS (SELECT FROM period_timeline
         WHERE period_id = $1 AND kind = 'reported_cost_drift' AND detail @> $2::jsonb)`,
      [periodId, about, JSON.stringify(measured)],
    );
    if (inserted.rowCount === 1) noted.push(group);
  }
  return noted;
}
