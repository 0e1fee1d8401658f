import { REPORTED_COST_EVENTS_COUNT } from '../limits.js';
import {
  add,
  compare,
  divide,
  type Fraction,
  fromExactText,
  isZero,
  ONE,
  parseDecimal,
  subtract,
} from '../money/fraction.js';
import type { ReportedGroup } from './pricing-result.js';

/**
 * Reported cost / catalog cost, exact: 1 is no drift. Null where the two have no ratio: other currencies, a catalog cost
 * of zero.
 */
export function driftFactor(
  group: Pick<ReportedGroup, 'catalog_currency' | 'reported_currency' | 'catalog_cost' | 'reported_cost'>,
): Fraction | null {
  if (group.catalog_currency !== group.reported_currency) return null;
  const catalog = fromExactText(group.catalog_cost);
  return isZero(catalog) ? null : divide(fromExactText(group.reported_cost), catalog);
}

/**
 * Whether the two costs of a group are further apart than the tolerance, a share of the catalog's cost such as "0.02".
 * A few events tell nothing: gateways round each cost by itself.
 */
export function isBeyondTolerance(group: ReportedGroup, tolerance: string): boolean {
  if (group.events < REPORTED_COST_EVENTS_COUNT) return false;
  const factor = driftFactor(group);
  if (factor === null) {
    return group.catalog_currency === group.reported_currency && !isZero(fromExactText(group.reported_cost));
  }
  const allowed = parseDecimal(tolerance);
  return compare(factor, add(ONE, allowed)) > 0 || compare(factor, subtract(ONE, allowed)) < 0;
}
