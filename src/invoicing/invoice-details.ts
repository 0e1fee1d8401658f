import type { DeriveDeps } from '../ledger/derive-pricing.js';
import { format, fromExactText } from '../money/fraction.js';
import { groupCost } from '../pricing/group-cost.js';
import { type CsvCell, csvChunks } from './csv-rows.js';
import { type DetailGroup, readInvoiceGroups } from './detail-groups.js';

const HEAD = ['line', 'plan_id', 'plan_version', 'rule', 'provider', 'model_id', 'priced_as', 'meter'];
const TAIL = [
  'quantity',
  'events',
  'price',
  'multiplier',
  'per',
  'price_currency',
  'cost',
  'charge',
  'charge_currency',
  'priced_by',
];

/**
 * Every group of usage behind an issued revision as CSV (RFC 4180), for us: what it was, what it cost and what its rule
 * charges for it, exact, and the line that it stands in. A chunk of text at a time. Throws `unknown_period`,
 * `unknown_invoice`.
 */
export async function readInvoiceDetails(
  deps: DeriveDeps,
  customerId: string,
  startDate: string,
  revision: number,
): Promise<Iterable<string>> {
  const { groups, attribute_names: names } = await readInvoiceGroups(deps, customerId, startDate, revision);
  return csvChunks([...HEAD, ...names, ...TAIL], rowsOf(groups, names));
}

function* rowsOf(groups: readonly DetailGroup[], names: readonly string[]): Generator<CsvCell[]> {
  for (const { group, attributes, plan, plan_version, rule, line, charges, priced_by } of groups) {
    yield [
      line === null ? '' : line + 1,
      plan.plan_id,
      plan_version,
      rule + 1,
      group.provider,
      group.model_id,
      group.priced_as,
      group.meter,
      ...names.map((name) => attributes[name] ?? ''),
      format(fromExactText(group.quantity)),
      group.events,
      group.price,
      group.multiplier ?? '1',
      group.per,
      group.currency,
      format(groupCost(group)),
      charges.map(([, amount]) => format(amount)).join(' + '),
      charges.map(([currency]) => currency).join(' + '),
      priced_by,
    ];
  }
}
