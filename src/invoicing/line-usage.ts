import type { CatalogCache } from '../catalog/catalog-cache.js';
import { readPlace, writeCursor } from '../contracts/cursor.js';
import type { InvoiceContent, InvoiceLine } from '../contracts/invoice.js';
import type { Page, PageRequest } from '../contracts/page.js';
import type { Pool } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import type { PricingTerms } from '../ledger/late-pricer.js';
import { readSeal, type Seal, setOf } from '../ledger/seal.js';
import { notVoided, type StoredUsageRow, toUsageRow } from '../ledger/usage-reader.js';
import { DECIDED_SQL, E_COLUMNS, SET_SQL, setParameters } from '../ledger/usage-set.js';
import { findPeriod } from '../periods/period-store.js';
import type { UsageRow } from '../pricing/pricing-result.js';
import { type ChargedEvent, chargeEvent } from './charge-event.js';
import { readInvoice } from './invoice-view.js';
import { lineOfUsage } from './line-of-usage.js';

interface Deps {
  pool: Pool;
  catalogs: CatalogCache;
}

/** An event behind a line, with what it adds to it. */
export interface LineUsage {
  event_id: string;
  occurred_at: string;
  model_id: string;
  usage: Record<string, number | string>;
  /** Exact decimal strings over the event's meters; one meter of it may stand in another line. */
  cost: string;
  /** Null where a rule charges on the total of the period: then no event has a charge of its own. */
  charge: string | null;
}

/** Columns that narrow the search in the database where the plan groups by them; the rest is decided by pricing. */
const COLUMN_OF: Record<string, string> = {
  model_id: 'model_id',
  feature: 'feature',
  subscription_item_id: 'subscription_item_id',
  region: 'region',
  service_tier: 'service_tier',
  source: 'source_id',
  action_id: 'action_id',
};

/**
 * The events behind a line of an issued revision, by event id. A page can be short of its limit where events have to be
 * left out; follow `next_cursor` until it is null. Throws `unknown_period`, `unknown_invoice`, `not_found` for a line
 * that the invoice does not have.
 */
export async function readLineUsage(
  deps: Deps,
  customerId: string,
  startDate: string,
  revision: number,
  lineNumber: number,
  request: PageRequest,
): Promise<Page<LineUsage>> {
  const { pool } = deps;
  const invoice: InvoiceContent = await readInvoice(pool, customerId, startDate, revision);
  const line = invoice.lines[lineNumber - 1];
  if (!line) {
    throw new CostplusError(
      'not_found',
      `The invoice has ${invoice.lines.length} lines; there is no line ${lineNumber}.`,
    );
  }
  const period = (await findPeriod(pool, customerId, startDate))!;
  const seal = (await readSeal(pool, period.period_id, revision))!;
  const page = { after: readCursor(request.cursor), limit: request.limit + 1 };
  if (line.kind === 'late_usage') return toPage(await readLate(deps, seal, line, page), request.limit, () => true);
  if (line.kind !== 'usage' && line.kind !== 'overage') return { data: [], next_cursor: null };
  const { plans, pricing } = seal.inputs;
  return toPage(await readOwn(deps, seal, line, page), request.limit, (charged) => {
    const { version } = pricing.assignments[charged.segment]!;
    return charged.attributes.some(
      (attributes) => lineOfUsage(invoice.lines, version, plans[charged.segment]!, attributes) === lineNumber - 1,
    );
  });
}

interface PageOfRows {
  after: string;
  limit: number;
}

/** A row with what it is charged; null: nothing (it is held, or written off). */
interface ChargedRow {
  row: UsageRow;
  charged: ChargedEvent | null;
}

/** Usage of the seal's own set, narrowed by what the line groups by. */
async function readOwn(deps: Deps, seal: Seal, line: InvoiceLine, page: PageOfRows): Promise<ChargedRow[]> {
  const narrowing = Object.entries(line.group).flatMap(([name, value]) =>
    COLUMN_OF[name] === undefined ? [] : [{ column: COLUMN_OF[name], value }],
  );
  const { rows } = await deps.pool.query<StoredUsageRow & { decided: boolean }>(
    `SELECT ${E_COLUMNS}, ${DECIDED_SQL} AS decided ${SET_SQL} AND e.customer_id = $6 AND e.event_id > $7
       ${narrowing.map(({ column }, index) => `AND e.${column} IS NOT DISTINCT FROM $${index + 9}`).join(' ')}
     ORDER BY e.event_id LIMIT $8`,
    [
      ...setParameters(setOf(seal)),
      seal.inputs.customer.customer_id,
      page.after,
      page.limit,
      ...narrowing.map(({ value }) => value),
    ],
  );
  const charge = await chargerOf(deps, seal.inputs, seal.inputs.exchange_rates, seal.inputs.late?.resolver);
  return rows.map((stored) => ({ row: toUsageRow(stored), charged: charge(toUsageRow(stored), stored.decided) }));
}

/** Usage that the invoice carries for another period, charged by the terms of that one. */
async function readLate(deps: Deps, seal: Seal, line: InvoiceLine, page: PageOfRows): Promise<ChargedRow[]> {
  const origin = seal.inputs.late?.origins.find(({ start_date }) => start_date === line.group.late_usage_of);
  // Late usage of many periods in one line is listed by none of them.
  if (!origin) return [];
  const base = (await readSeal(deps.pool, origin.period_id, origin.revision))!;
  const { rows } = await deps.pool.query<StoredUsageRow>(
    `SELECT ${E_COLUMNS} FROM late_billings b JOIN usage_events e ON e.customer_id = b.customer_id AND e.event_id = b.event_id
     WHERE b.period_id = $1 AND b.billed_in = $2 AND b.decision_id <= $3 AND ${notVoided('$4')} AND e.event_id > $5
     ORDER BY e.event_id LIMIT $6`,
    [
      origin.period_id,
      seal.period_id,
      seal.inputs.late!.decided_to,
      seal.inputs.pricing.voided_to ?? 0,
      page.after,
      page.limit,
    ],
  );
  const charge = await chargerOf(deps, base.inputs, base.inputs.exchange_rates, origin.resolver);
  return rows.map((stored) => ({ row: toUsageRow(stored), charged: charge(toUsageRow(stored), true) }));
}

/** Charges single events by these terms; late ones that they hold by the resolver. */
async function chargerOf(
  { catalogs }: Deps,
  terms: PricingTerms,
  rates: Seal['inputs']['exchange_rates'],
  resolver: PricingTerms = terms,
) {
  const by = async ({ pricing, plans, decisions }: PricingTerms) => {
    const catalog = await catalogs.at(pricing.catalog_version);
    return (row: UsageRow) => chargeEvent(catalog, pricing, plans, row, decisions, rates);
  };
  const [own, late] = [await by(terms), await by(resolver)];
  return (row: UsageRow, decided: boolean): ChargedEvent | null => {
    let charged = own(row);
    if ('held' in charged && decided) charged = late(row);
    return 'held' in charged || 'written_off' in charged ? null : charged;
  };
}

function toPage(rows: ChargedRow[], limit: number, isInLine: (charged: ChargedEvent) => boolean): Page<LineUsage> {
  const data = rows.slice(0, limit).flatMap(({ row, charged }) =>
    charged === null || !isInLine(charged)
      ? []
      : [
          {
            event_id: row.event_id,
            occurred_at: new Date(row.occurred_at_ms).toISOString(),
            model_id: row.model_id,
            usage: row.usage ?? {},
            cost: charged.cost,
            charge: charged.charge,
          },
        ],
  );
  const last = rows.length > limit ? rows[limit - 1] : undefined;
  return { data, next_cursor: last ? writeCursor(`e${last.row.event_id}`) : null };
}

function readCursor(cursor: string | null): string {
  if (cursor === null) return '';
  return readPlace(cursor, /^e[A-Za-z0-9._:-]{1,128}$/).slice(1);
}
