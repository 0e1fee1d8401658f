import { z } from 'zod';
import { readPlace, writeCursor } from '../contracts/cursor.js';
import type { DryRunChange, DryRunPage, DryRunPeriod, DryRunRequest } from '../contracts/dry-run.js';
import { dateSchema, idSchema } from '../contracts/ids.js';
import type { Queryable } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { DRY_RUN_CURSOR_CHARS, DRY_RUN_PAGE_EVENTS_COUNT, DRY_RUN_PERIOD_EVENTS_COUNT } from '../limits.js';
import { type Currency, formatMinor, parseMinor } from '../money/currency.js';
import { PERIOD_COLUMNS, type Period } from '../periods/period.js';
import { findPeriod } from '../periods/period-store.js';
import { checkPlan } from '../plans/plan-rules.js';
import { newestPlanVersion, readPlan } from '../plans/plan-store.js';
import { parseUsageEvent } from '../usage/parse-event.js';
import { toUsageEvent } from '../usage/usage-event.js';
import { type ChainLink, chainLinkSchema } from './chain-link.js';
import { type ChainLinks, type DryRunDeps, type DryRunTerms, dryRunPeriod, NO_LINKS } from './dry-run.js';

/**
 * What invoices would be under other terms: of one period, or of the periods that start in a range, in pages. Of a range
 * each customer's periods are a chain: one opens with what the one before it would have left, unless the request says
 * `real`. A page ends early where its periods have much usage; the cursor holds the links to the next one. Nothing is
 * written.
 * Throws `unknown_period`, `unknown_plan`, `not_found` (a catalog version), `invalid_plan`, `invalid_event`,
 * `invalid_request` (a foreign cursor, a period with more usage than a dry run reads); of a range what fails with one
 * period stands with that period.
 */
export async function dryRun(deps: DryRunDeps, request: DryRunRequest): Promise<DryRunPage> {
  const terms = await readTerms(deps, request.change);
  const { customer_id, start_date } = request;
  if (start_date !== undefined) {
    const period = await findPeriod(deps.pool, customer_id!, start_date);
    if (!period) {
      throw new CostplusError('unknown_period', `Customer ${customer_id} has no period that starts on ${start_date}.`);
    }
    await expectBounded(deps.pool, period);
    const data = [(await dryRunPeriod(deps, period, terms)).result];
    return { data, next_cursor: null, totals: totalsOf(data) };
  }
  return dryRunPage(deps, request, terms);
}

async function dryRunPage(deps: DryRunDeps, request: DryRunRequest, terms: DryRunTerms): Promise<DryRunPage> {
  const place = readPlaceOf(request.cursor);
  const periods = await readRange(deps.pool, request, place);
  const isChain = request.openings === 'chain';
  const data: DryRunPeriod[] = [];
  let events = 0;
  let next: DryRunPlace | null = place;
  let done = 0;
  for (const period of periods.slice(0, request.limit)) {
    let read = 0;
    const onProgress = (count: number) => {
      read = count;
    };
    let links = NO_LINKS;
    try {
      await expectBounded(deps.pool, period);
      const chain = isChain ? linksTo(period, next) : null;
      const run = await dryRunPeriod({ ...deps, onProgress }, period, terms, chain);
      data.push({ ...run.result, invoice: null });
      links = run.links;
    } catch (error) {
      if (!(error instanceof CostplusError) || error.retryable) throw error;
      data.push(failed(period, await currencyOf(deps.pool, period), error));
    }
    next = { customer_id: period.customer_id, start_date: period.start_date, ...(isChain ? links : NO_LINKS) };
    done++;
    events += read;
    if (events >= DRY_RUN_PAGE_EVENTS_COUNT) break;
  }
  const cursor = done < periods.length && next !== null ? writePlace(next) : null;
  return { data, next_cursor: cursor, totals: totalsOf(data) };
}

/** Where a page ended, and what its last period leaves. */
const placeSchema = z.strictObject({
  customer_id: idSchema,
  start_date: dateSchema,
  after: chainLinkSchema.nullable(),
  before: chainLinkSchema.nullable(),
});
type DryRunPlace = z.infer<typeof placeSchema>;

/** What the period run last leaves to this one: nothing where it is another customer's, or not the one before. */
function linksTo({ customer_id, starts_at }: Period, last: DryRunPlace | null): ChainLinks {
  if (last === null || last.customer_id !== customer_id) return NO_LINKS;
  const isNext = (link: ChainLink | null) => (link?.end === starts_at.toISOString() ? link : null);
  return { after: isNext(last.after), before: isNext(last.before) };
}

/** Links that are too much for a cursor are left out: the next period opens as it really did, and says so. */
function writePlace(place: DryRunPlace): string {
  const cursor = writeCursor(JSON.stringify(place));
  return cursor.length <= DRY_RUN_CURSOR_CHARS ? cursor : writeCursor(JSON.stringify({ ...place, ...NO_LINKS }));
}

/** Throws `invalid_request` for a cursor that is not one of a dry run. */
function readPlaceOf(cursor: string | undefined): DryRunPlace | null {
  if (cursor === undefined) return null;
  const parsed = placeSchema.safeParse(parseJson(readPlace(cursor, /^\{.*\}$/)));
  if (parsed.success) return parsed.data;
  throw new CostplusError('invalid_request', 'The cursor is not one that this list gave.', { field: 'cursor' });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** What the change asks for, read and checked: a plan, a catalog version, events. */
async function readTerms({ pool, catalogs }: DryRunDeps, change: DryRunChange): Promise<DryRunTerms> {
  const { plan, inline_plan: inline, catalog_version: version, events = [] } = change;
  if (version !== undefined) await catalogs.at(version);
  if (inline !== undefined) checkPlan(inline);
  return {
    plan: inline
      ? { plan: inline, version: (await newestPlanVersion(pool, inline.plan_id)) + 1 }
      : plan
        ? await readPlan(pool, plan.plan_id, plan.version)
        : null,
    catalog_version: version ?? null,
    events: events.map((value, index) => {
      const path = `change.events[${index}]`;
      const parsed = parseUsageEvent(value, path);
      if ('rejected' in parsed) {
        const { field, reason } = parsed.rejected;
        throw new CostplusError('invalid_event', `${field}: ${reason}.`, { field });
      }
      return toUsageEvent(parsed.event, { source_id: null, default_provider: null });
    }),
  };
}

/** The periods of a range after the place, each customer's in order; one more than a page holds. */
async function readRange(database: Queryable, request: DryRunRequest, place: DryRunPlace | null): Promise<Period[]> {
  const { rows } = await database.query<Period>(
    `SELECT ${PERIOD_COLUMNS} FROM periods p
     WHERE start_date >= $1::date AND start_date < coalesce($2::date, ($1::date + interval '1 month')::date)
       AND ($3::text IS NULL OR customer_id = $3)
       AND ($4::text IS NULL OR (customer_id, start_date) > ($4::text COLLATE "C", $5::date))
       AND ($6::text IS NULL OR $6 = (
         SELECT a.plan_id FROM plan_assignments a WHERE a.customer_id = p.customer_id AND a.effective_from < p.ends_at
         ORDER BY a.effective_from DESC, a.assignment_id DESC LIMIT 1))
     ORDER BY customer_id, start_date LIMIT $7`,
    [
      request.from,
      request.to ?? null,
      request.customer_id ?? null,
      place?.customer_id ?? null,
      place?.start_date ?? null,
      request.on_plan ?? null,
      request.limit + 1,
    ],
  );
  return rows;
}

/** Throws `invalid_request` for a period whose usage a dry run would read for minutes. */
async function expectBounded(database: Queryable, { period_id, start_date }: Period): Promise<void> {
  const { rows } = await database.query<{ events: number }>('SELECT events FROM period_totals WHERE period_id = $1', [
    period_id,
  ]);
  const events = rows[0]?.events ?? 0;
  if (events <= DRY_RUN_PERIOD_EVENTS_COUNT) return;
  throw new CostplusError(
    'invalid_request',
    `Period ${start_date} has ${events} events; a dry run reads at most ${DRY_RUN_PERIOD_EVENTS_COUNT} of one period.`,
  );
}

async function currencyOf(database: Queryable, { customer_id }: Period): Promise<Currency> {
  const { rows } = await database.query<{ currency: string }>('SELECT currency FROM customers WHERE customer_id = $1', [
    customer_id,
  ]);
  return rows[0]!.currency;
}

function failed(period: Period, currency: Currency, error: CostplusError): DryRunPeriod {
  return {
    customer_id: period.customer_id,
    start_date: period.start_date,
    period: { start: period.starts_at.toISOString(), end: period.ends_at.toISOString() },
    status: period.status,
    currency,
    before: null,
    after: null,
    difference: null,
    events_added: 0,
    events_left_out: [],
    opens_after: null,
    balances: null,
    lines: [],
    invoice: null,
    error: { code: error.code, detail: error.message },
  };
}

/** Sums by currency, in code unit order. */
export function totalsOf(periods: readonly DryRunPeriod[]): DryRunPage['totals'] {
  const currencies = [...new Set(periods.map(({ currency }) => currency))].sort();
  return currencies.map((currency) => {
    const own = periods.filter((period) => period.currency === currency);
    const sumOf = (side: 'before' | 'after') =>
      own.reduce((sum, period) => sum + parseMinor(period[side]?.total ?? '0', currency), 0n);
    const [before, after] = [sumOf('before'), sumOf('after')];
    return {
      currency,
      periods: own.length,
      failed: own.filter(({ error }) => error !== null).length,
      before: formatMinor(before, currency),
      after: formatMinor(after, currency),
      difference: formatMinor(after - before, currency),
    };
  });
}
