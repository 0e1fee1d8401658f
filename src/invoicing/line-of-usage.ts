import type { InvoiceLine } from '../contracts/invoice.js';
import type { Plan } from '../contracts/plan.js';
import { isPricedByTotal } from '../plans/plan-parts.js';
import { type GroupAttributes, matchRule } from '../plans/plan-rules.js';

/**
 * The index of the line that usage stands in: the line of its plan version and group values (the first where an allowance
 * cuts it in two), or of the rule that prices it by its total (the first of its tiers); else the one that usage beyond
 * the invoice's room was folded into. Null where the invoice has none of them (its events were not in the seal).
 */
export function lineOfUsage(
  lines: readonly InvoiceLine[],
  version: number,
  plan: Pick<Plan, 'plan_id' | 'lines' | 'rules'>,
  attributes: GroupAttributes,
): number | null {
  const rule = matchRule(plan, attributes);
  const alone = isPricedByTotal(plan.rules[rule]!) ? rule : null;
  const own = lines.findIndex(
    (line) =>
      (line.kind === 'usage' || line.kind === 'overage') &&
      line.plan?.plan_id === plan.plan_id &&
      line.plan.version === version &&
      line.rule === alone &&
      (alone !== null || plan.lines.group_by.every((name) => (attributes[name] ?? null) === line.group[name])),
  );
  if (own >= 0) return own;
  const folded = lines.findIndex((line) => line.kind === 'usage' && line.plan === null);
  return folded >= 0 ? folded : null;
}
