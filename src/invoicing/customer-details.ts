import type { InvoiceLine } from '../contracts/invoice.js';
import { meterUnit } from '../contracts/meters.js';
import type { Queryable } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import type { DeriveDeps } from '../ledger/derive-pricing.js';
import { add, type Fraction, format, fromExactText, multiply, ZERO } from '../money/fraction.js';
import { exchangeRate } from '../pricing/group-charge.js';
import { REPORTED_COST_METER } from '../pricing/pricing-result.js';
import { type CsvCell, csvChunks } from './csv-rows.js';
import {
  type DetailGroup,
  type InvoiceGroups,
  isSeatReport,
  MODEL_ATTRIBUTES,
  readInvoiceGroups,
} from './detail-groups.js';
import type { DetailsLinks, RevisionName } from './details-link.js';

const HEAD = ['record', 'line', 'description', 'kind', 'provider', 'model_id', 'meter'];
const TAIL = ['quantity', 'unit', 'events', 'charge', 'amount', 'currency', 'priced_by'];

/** The detail file of a revision, and which revision of the invoice stands now. */
export interface CustomerDetails {
  current_revision: number;
  csv: Iterable<string>;
}

/**
 * What a customer bought and was charged, as CSV (RFC 4180), a chunk of text at a time: a `line` for each line of the
 * invoice, whose `amount`s sum to it, and below it the `usage` in it. Usage with the same name is one row, however many
 * provider prices it took, and nothing says what it cost us; reports of seats are left out, their line has the number. `charge` is exact and in the invoice's currency, before the
 * line's rounding; usage that is priced on a total has none. A revision that was replaced says so in a `notice` first.
 * Throws `unknown_period`, `unknown_invoice`.
 */
export async function readCustomerDetails(
  deps: DeriveDeps,
  name: RevisionName,
  links: DetailsLinks,
): Promise<CustomerDetails> {
  const { customer_id, start_date, revision } = name;
  const current = await currentRevision(deps.pool, name);
  const read = await readInvoiceGroups(deps, customer_id, start_date, revision);
  const names = read.grouped_by.filter((attribute) => !MODEL_ATTRIBUTES.has(attribute));
  const replaced = current === revision ? null : replacedNotice(name, current, links);
  return { current_revision: current, csv: csvChunks([...HEAD, ...names, ...TAIL], rowsOf(read, names, replaced)) };
}

/**
 * The revision that stands for the period: the newest, or the one before while that one is on its way. A revision that is
 * newer than what stands counts for itself. Throws `unknown_invoice`.
 */
export async function currentRevision(
  database: Queryable,
  { customer_id, start_date, revision }: RevisionName,
): Promise<number> {
  const { rows } = await database.query<{ known: boolean; current: number | null }>(
    `SELECT bool_or(i.revision = $3) AS known, max(i.revision) FILTER (
       WHERE p.status IN ('invoiced', 'nothing_to_bill')
         OR i.revision < (SELECT max(s.revision) FROM seals s WHERE s.period_id = p.period_id)) AS current
     FROM invoices i JOIN periods p USING (period_id) WHERE p.customer_id = $1 AND p.start_date = $2`,
    [customer_id, start_date, revision],
  );
  if (!rows[0]?.known) {
    throw new CostplusError('unknown_invoice', `There is no revision ${revision} of this period's invoice yet.`);
  }
  return Math.max(rows[0].current ?? revision, revision);
}

function replacedNotice(name: RevisionName, current: number, links: DetailsLinks): string {
  const url = links.urlOf({ ...name, revision: current });
  const where = url === null ? '' : `: ${url}`;
  return `This is revision ${name.revision} of the invoice, which was replaced. Revision ${current} is current${where}`;
}

function* rowsOf(
  { invoice, groups }: InvoiceGroups,
  names: readonly string[],
  replaced: string | null,
): Generator<CsvCell[]> {
  const none = names.map(() => '');
  if (replaced !== null) yield ['notice', '', replaced, '', '', '', '', ...none, '', '', '', '', '', '', ''];
  const behind = new Map<number | null, Map<string, UsageOfLine>>();
  for (const detail of groups) {
    if (isSeatReport(detail)) continue;
    const usage = behind.get(detail.line) ?? new Map<string, UsageOfLine>();
    behind.set(detail.line, usage);
    gather(usage, detail, names, { currency: invoice.currency, rates: invoice.exchange_rates });
  }
  for (const [index, line] of invoice.lines.entries()) {
    yield lineRow(index, line, invoice.currency, none);
    for (const usage of behind.get(index)?.values() ?? []) yield usageRow(index, usage, invoice.currency);
  }
  // Usage that came to nothing has no line.
  for (const usage of behind.get(null)?.values() ?? []) yield usageRow(null, usage, invoice.currency);
}

/** Usage of one name within a line, whatever prices it took. */
interface UsageOfLine {
  values: string[];
  /** Null where what was counted is an amount of cost. */
  quantity: Fraction | null;
  unit: string;
  events: number;
  charge: Fraction | null;
  priced_by: string;
}

function gather(
  usage: Map<string, UsageOfLine>,
  { group, attributes, charges, priced_by }: DetailGroup,
  names: readonly string[],
  to: { currency: string; rates: Record<string, string> },
): void {
  const isCost = group.meter === REPORTED_COST_METER;
  const values = [
    group.provider,
    group.model_id,
    isCost ? '' : group.meter,
    ...names.map((one) => attributes[one] ?? ''),
  ];
  const key = JSON.stringify([priced_by, ...values]);
  const known = usage.get(key) ?? {
    values,
    quantity: isCost ? null : ZERO,
    unit: isCost ? '' : meterUnit(group.meter),
    events: 0,
    charge: priced_by === 'group' || priced_by === 'group, before its allowance' ? ZERO : null,
    priced_by,
  };
  usage.set(key, known);
  if (known.quantity !== null) known.quantity = add(known.quantity, fromExactText(group.quantity));
  known.events += group.events;
  for (const [currency, amount] of charges) {
    known.charge = add(known.charge ?? ZERO, multiply(amount, exchangeRate(currency, to)));
  }
}

function lineRow(index: number, line: InvoiceLine, currency: string, none: string[]): CsvCell[] {
  const { description, kind, quantity, unit, events, charge, amount } = line;
  const head = ['line', index + 1, description, kind, '', '', '', ...none];
  return [...head, quantity ?? '', unit ?? '', events, charge, amount, currency, ''];
}

function usageRow(index: number | null, usage: UsageOfLine, currency: string): CsvCell[] {
  const { values, quantity, unit, events, charge, priced_by } = usage;
  const tail = [
    quantity === null ? '' : format(quantity),
    unit,
    events,
    charge === null ? '' : format(charge),
    '',
    charge === null ? '' : currency,
    priced_by,
  ];
  return ['usage', index === null ? '' : index + 1, '', '', ...values, ...tail];
}
