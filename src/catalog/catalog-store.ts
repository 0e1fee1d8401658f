import type { CatalogVersionSummary, MatchClause, MultiplierRow, PriceRow } from '../contracts/catalog.js';
import type { Page, PageRequest } from '../contracts/page.js';
import type { Queryable } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { Catalog } from './catalog.js';
import type { AliasEntry, CatalogData, FallbackEntry, MatchRule, ModelEntry, SourceBook } from './catalog-data.js';

/** The newest version's number; 0 before anything was published. */
export async function currentCatalogVersion(database: Queryable): Promise<number> {
  const { rows } = await database.query<{ version: number }>(
    'SELECT coalesce(max(version), 0) AS version FROM catalog_versions',
  );
  return rows[0]!.version;
}

/** The catalog as a version says (the newest where none is named), compiled. Throws `not_found` for a version to come. */
export async function readCatalog(database: Queryable, version?: number): Promise<Catalog> {
  const newest = await currentCatalogVersion(database);
  const wanted = version ?? newest;
  if (wanted > newest || wanted < 0) throw new CostplusError('not_found', `There is no catalog version ${wanted}.`);
  return new Catalog({
    version: wanted,
    prices: await readPrices(database, wanted, null),
    models: await readModelEntries(database, wanted, null),
    aliases: await readAliases(database, wanted),
    match_rules: await readMatchRules(database, wanted),
    fallback_providers: await readFallbacks(database, wanted),
    multipliers: await readMultipliers(database, wanted),
    source_books: await readSourceBooks(database, wanted),
  });
}

/** What versions up to one hold of some models, and all multipliers, for the check of the next version. */
export async function readModels(
  database: Queryable,
  version: number,
  named: { provider: string; model_id: string }[],
): Promise<CatalogData> {
  const models = [...new Map(named.map((model) => [`${model.provider}\n${model.model_id}`, model])).values()];
  return {
    version,
    prices: await readPrices(database, version, models),
    models: await readModelEntries(database, version, models),
    aliases: [],
    match_rules: [],
    fallback_providers: [],
    multipliers: await readMultipliers(database, version),
    source_books: [],
  };
}

/** Versions, the newest first. The cursor is the last version of the page before. */
export async function listCatalogVersions(
  database: Queryable,
  { cursor, limit }: PageRequest,
): Promise<Page<CatalogVersionSummary>> {
  if (cursor !== null && !/^\d{1,9}$/.test(cursor)) {
    throw new CostplusError('invalid_request', 'The cursor is not one of this list.', { field: 'cursor' });
  }
  const { rows } = await database.query<Omit<CatalogVersionSummary, 'published_at'> & { published_at: Date }>(
    `SELECT version, note, source, published_by, published_at, content_hash,
            (SELECT count(*) FROM catalog_prices WHERE catalog_prices.version = catalog_versions.version) AS prices
     FROM catalog_versions WHERE $1::integer IS NULL OR version < $1 ORDER BY version DESC LIMIT $2`,
    [cursor === null ? null : Number(cursor), limit + 1],
  );
  const data = rows.slice(0, limit).map((row) => ({ ...row, published_at: row.published_at.toISOString() }));
  return { data, next_cursor: rows.length > limit ? String(data.at(-1)!.version) : null };
}

type Models = { provider: string; model_id: string }[] | null;

/** Condition and parameters that restrict a query to versions up to $1, and to some models where they are named. */
function upTo(version: number, models: Models): { where: string; values: unknown[] } {
  if (models === null) return { where: 'version <= $1', values: [version] };
  return {
    where: 'version <= $1 AND (provider, model_id) IN (SELECT * FROM unnest($2::text[], $3::text[]))',
    values: [version, models.map((model) => model.provider), models.map((model) => model.model_id)],
  };
}

interface PriceRecord {
  price_id: number;
  version: number;
  provider: string;
  model_id: string;
  meter: string;
  price: string | null;
  per: number;
  currency: string;
  same_as: string | null;
  is_free: boolean;
  per_event: boolean;
  effective_from: Date;
  effective_to: Date | null;
  context_over: number | null;
  daily_from: string | null;
  daily_to: string | null;
  service_tier: string | null;
  region: string | null;
  book: string | null;
}

async function readPrices(database: Queryable, version: number, models: Models): Promise<PriceRow[]> {
  const { where, values } = upTo(version, models);
  const { rows } = await database.query<PriceRecord>(
    `SELECT price_id, version, provider, model_id, meter, price, per, currency, same_as, is_free, per_event,
            effective_from, effective_to, context_over, daily_from, daily_to, service_tier, region, book
     FROM catalog_prices WHERE ${where} ORDER BY version, ordinal`,
    values,
  );
  return rows.map(({ is_free, daily_from, daily_to, ...row }) => ({
    ...row,
    price_id: String(row.price_id),
    free: is_free,
    effective_from: row.effective_from.toISOString(),
    effective_to: row.effective_to?.toISOString() ?? null,
    daily_window:
      daily_from === null || daily_to === null ? null : { from: daily_from.slice(0, 5), to: daily_to.slice(0, 5) },
  }));
}

async function readModelEntries(database: Queryable, version: number, models: Models): Promise<ModelEntry[]> {
  const { where, values } = upTo(version, models);
  const { rows } = await database.query<ModelEntry>(
    `SELECT version, provider, model_id, name, is_free AS free, deprecated, successor FROM catalog_models WHERE ${where} ORDER BY version`,
    values,
  );
  return rows;
}

async function readAliases(database: Queryable, version: number): Promise<AliasEntry[]> {
  const { rows } = await database.query<
    Omit<AliasEntry, 'from_ms' | 'to_ms'> & { effective_from: Date; effective_to: Date | null }
  >(
    `SELECT version, provider, alias, model_id, effective_from, effective_to
     FROM catalog_aliases WHERE version <= $1 ORDER BY version`,
    [version],
  );
  return rows.map(({ effective_from, effective_to, ...alias }) => ({
    ...alias,
    from_ms: effective_from.getTime(),
    to_ms: effective_to?.getTime() ?? Number.POSITIVE_INFINITY,
  }));
}

async function readMatchRules(database: Queryable, version: number): Promise<MatchRule[]> {
  const { rows } = await database.query<{ version: number; provider: string; clause: MatchClause; model_id: string }>(
    'SELECT version, provider, clause, model_id FROM catalog_match_rules WHERE version <= $1 ORDER BY version, ordinal',
    [version],
  );
  return rows;
}

async function readFallbacks(database: Queryable, version: number): Promise<FallbackEntry[]> {
  const { rows } = await database.query<FallbackEntry>(
    `SELECT version, provider, array_agg(fallback_provider ORDER BY ordinal) AS fallback_providers
     FROM catalog_fallback_providers WHERE version <= $1 GROUP BY version, provider ORDER BY version`,
    [version],
  );
  return rows;
}

async function readMultipliers(database: Queryable, version: number): Promise<MultiplierRow[]> {
  const { rows } = await database.query<
    Omit<MultiplierRow, 'multiplier_id' | 'effective_from' | 'effective_to'> & {
      multiplier_id: number;
      effective_from: Date;
      effective_to: Date | null;
    }
  >(
    `SELECT multiplier_id, version, provider, model_id, service_tier, region, book, meters, multiplier, effective_from,
            effective_to
     FROM catalog_multipliers WHERE version <= $1 ORDER BY version, ordinal`,
    [version],
  );
  return rows.map((row) => ({
    ...row,
    multiplier_id: String(row.multiplier_id),
    effective_from: row.effective_from.toISOString(),
    effective_to: row.effective_to?.toISOString() ?? null,
  }));
}

async function readSourceBooks(database: Queryable, version: number): Promise<SourceBook[]> {
  const { rows } = await database.query<Omit<SourceBook, 'from_ms'> & { effective_from: Date }>(
    'SELECT version, source_id, book, effective_from FROM catalog_source_books WHERE version <= $1 ORDER BY version',
    [version],
  );
  return rows.map(({ effective_from, ...row }) => ({ ...row, from_ms: effective_from.getTime() }));
}
