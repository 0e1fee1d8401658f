import type { CatalogCache } from '../catalog/catalog-cache.js';
import { currentCatalogVersion } from '../catalog/catalog-store.js';
import { readPlace, writeCursor } from '../contracts/cursor.js';
import type { Page, PageRequest } from '../contracts/page.js';
import type { Pool } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { findPeriod } from '../periods/period-store.js';
import { createPricer } from '../pricing/price-events.js';
import { UNPLACED_HELD_SQL } from './held-usage.js';
import { readPricingInputs } from './pricing-inputs.js';
import { readHead, readResult } from './pricing-runs.js';
import { type StoredUsageRow, toUsageRow, USAGE_ROW_COLUMNS } from './usage-reader.js';

/** One event that waits. */
export interface HeldEvent {
  event_id: string;
  occurred_at: string;
  reason: string;
  provider: string | null;
  model_id: string;
  meter: string | null;
  /** Null where the counts are impossible. */
  usage: Record<string, number | string> | null;
}

/**
 * Events of a customer that wait, by event id: of the period that starts on a date, or those that no period takes. What
 * waits is decided by the newest catalog and decisions, so that an event which was resolved a moment ago is not in it. A
 * page can be short of its limit; follow `next_cursor`. Throws `unknown_period`, `invalid_request` for a foreign cursor.
 */
export async function listHeldEvents(
  deps: { pool: Pool; catalogs: CatalogCache },
  customerId: string,
  startDate: string | null,
  modelId: string | null,
  page: PageRequest,
): Promise<Page<HeldEvent>> {
  const after = readCursor(page.cursor);
  if (startDate === null) return listUnplaced(deps.pool, customerId, modelId, after, page.limit);
  const period = await findPeriod(deps.pool, customerId, startDate);
  if (!period) {
    throw new CostplusError('unknown_period', `Customer ${customerId} has no period that starts on ${startDate}.`);
  }
  const head = await readHead(deps.pool, period.period_id);
  const held = head ? (await readResult(deps.pool, period.period_id, head.inputs_hash)).held : [];
  const models = [...new Set(held.map((group) => group.model_id))].filter((id) => modelId === null || id === modelId);
  const { rows } = await deps.pool.query<StoredUsageRow>(
    `SELECT ${USAGE_ROW_COLUMNS} FROM usage_events
     WHERE customer_id = $1 AND period_id = $2 AND NOT late AND model_id = ANY($3::text[]) AND event_id > $4
     ORDER BY event_id LIMIT $5`,
    [customerId, period.period_id, models, after, page.limit + 1],
  );
  const { inputs, plans, decisions } = await readPricingInputs(
    deps.pool,
    period,
    await currentCatalogVersion(deps.pool),
  );
  const catalog = await deps.catalogs.at(inputs.catalog_version);
  const data: HeldEvent[] = [];
  for (const stored of rows.slice(0, page.limit)) {
    const pricer = createPricer(catalog, inputs, { plans, decisions });
    pricer.add(toUsageRow(stored));
    const [group] = pricer.result().held;
    if (group) data.push(toHeldEvent(stored, group.reason, group.meter));
  }
  return { data, next_cursor: nextCursor(rows, page.limit) };
}

async function listUnplaced(
  pool: Pool,
  customerId: string,
  modelId: string | null,
  after: string,
  limit: number,
): Promise<Page<HeldEvent>> {
  const { rows } = await pool.query<StoredUsageRow & { reason: string }>(
    `SELECT e.*, h.reason FROM (SELECT customer_id, ${USAGE_ROW_COLUMNS} FROM usage_events WHERE period_id IS NULL) AS e
     JOIN (${UNPLACED_HELD_SQL}) AS h USING (customer_id, event_id)
     WHERE customer_id = $1 AND ($2::text IS NULL OR e.model_id = $2) AND event_id > $3 ORDER BY event_id LIMIT $4`,
    [customerId, modelId, after, limit + 1],
  );
  const data = rows.slice(0, limit).map((row) => toHeldEvent(row, row.reason, null));
  return { data, next_cursor: nextCursor(rows, limit) };
}

function toHeldEvent(row: StoredUsageRow, reason: string, meter: string | null): HeldEvent {
  const { event_id, occurred_at, provider, model_id, usage } = row;
  return { event_id, occurred_at: occurred_at.toISOString(), reason, provider, model_id, meter, usage };
}

function nextCursor(rows: { event_id: string }[], limit: number): string | null {
  const last = rows.length > limit ? rows[limit - 1] : undefined;
  return last ? writeCursor(`h${last.event_id}`) : null;
}

function readCursor(cursor: string | null): string {
  if (cursor === null) return '';
  return readPlace(cursor, /^h[A-Za-z0-9._:-]{1,128}$/).slice(1);
}
