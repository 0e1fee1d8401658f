import type { Queryable } from '../database/pool.js';
import { DECISION_PREFIX, type PricingResult } from '../pricing/pricing-result.js';

/**
 * The models (as events name them) whose events have to be priced again when the catalog moves from one version to a
 * later one: those with a changed price row or multiplier, by their own name or the name they were priced as, those of a
 * provider with a changed multiplier for all its models, and all that were held. `all` when the versions between change
 * how models are found (aliases, match rules, fallbacks, models) or which book prices a source, since then any event may
 * meet other rows. A superset is harmless: what is priced again without need gives the same result.
 */
export async function touchedModels(
  database: Queryable,
  result: PricingResult,
  fromVersion: number,
  toVersion: number,
): Promise<Set<string> | 'all'> {
  const { rows } = await database.query<{ all: boolean; models: string[]; providers: string[] }>(
    `SELECT EXISTS (SELECT FROM catalog_aliases WHERE version > $1 AND version <= $2)
         OR EXISTS (SELECT FROM catalog_match_rules WHERE version > $1 AND version <= $2)
         OR EXISTS (SELECT FROM catalog_models WHERE version > $1 AND version <= $2)
         OR EXISTS (SELECT FROM catalog_fallback_providers WHERE version > $1 AND version <= $2)
         OR EXISTS (SELECT FROM catalog_source_books WHERE version > $1 AND version <= $2) AS all,
       ARRAY(SELECT model_id FROM catalog_prices WHERE version > $1 AND version <= $2
             UNION SELECT model_id FROM catalog_multipliers
                   WHERE version > $1 AND version <= $2 AND model_id IS NOT NULL) AS models,
       ARRAY(SELECT DISTINCT provider FROM catalog_multipliers
             WHERE version > $1 AND version <= $2 AND model_id IS NULL) AS providers`,
    [fromVersion, toVersion],
  );
  const { all, models, providers } = rows[0]!;
  if (all) return 'all';
  const changed = new Set(models);
  const multiplied = new Set(providers);
  const touched = new Set(result.held.map((group) => group.model_id));
  const touch = ({ provider, model_id }: { provider: string; model_id: string }, priced_as: string) => {
    // `provider/model` names a model by its last part.
    const names = [model_id, priced_as, model_id.slice(model_id.indexOf('/') + 1)];
    if (multiplied.has(provider) || names.some((name) => changed.has(name))) touched.add(model_id);
  };
  for (const group of result.groups) touch(group, group.priced_as);
  // Reported costs are compared with the catalog's.
  for (const group of result.reported ?? []) touch(group, group.model_id);
  return touched;
}

/** The models whose events a decision about held usage was made for already: a newer one may replace it. */
export function decidedModels(result: PricingResult): Set<string> {
  const billed = result.groups.filter(({ price_id }) => price_id.startsWith(DECISION_PREFIX));
  return new Set([...billed, ...(result.written_off ?? [])].map(({ model_id }) => model_id));
}
