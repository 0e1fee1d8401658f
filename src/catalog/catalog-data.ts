import type { CatalogVersionBody, MatchClause, MultiplierRow, PriceRow } from '../contracts/catalog.js';
import { INSTANTS_CACHED_COUNT } from '../limits.js';

/** A model that a version names: known even where no price of it is. */
export interface ModelEntry {
  version: number;
  provider: string;
  model_id: string;
  name: string | null;
  free: boolean;
  deprecated: boolean;
  /** The model of the same provider to go over to. */
  successor: string | null;
}

/** Another name of a model, in force in `[from_ms, to_ms)`. */
export interface AliasEntry {
  version: number;
  provider: string;
  alias: string;
  model_id: string;
  from_ms: number;
  to_ms: number;
}

export interface MatchRule {
  version: number;
  provider: string;
  clause: MatchClause;
  model_id: string;
}

export interface FallbackEntry {
  version: number;
  provider: string;
  fallback_providers: string[];
}

/** Which book prices a source's usage, from an instant on. */
export interface SourceBook {
  version: number;
  source_id: string;
  book: string | null;
  from_ms: number;
}

/** Rows of the versions up to `version`, oldest version first, each version's rows in the order of its body. */
export interface CatalogData {
  version: number;
  prices: PriceRow[];
  models: ModelEntry[];
  aliases: AliasEntry[];
  match_rules: MatchRule[];
  fallback_providers: FallbackEntry[];
  multipliers: MultiplierRow[];
  source_books: SourceBook[];
}

/** The instant that stands for "always was": where an import knows no start, and for aliases without one. */
export const ALWAYS = '2020-01-01T00:00:00Z';

export const EMPTY_CATALOG: CatalogData = {
  version: 0,
  prices: [],
  models: [],
  aliases: [],
  match_rules: [],
  fallback_providers: [],
  multipliers: [],
  source_books: [],
};

const instants = new Map<string, { ms: number; iso: string }>();

/** An RFC 3339 instant, floored to the millisecond as all boundaries of prices are. Thousands of rows share a few. */
function instantOf(text: string): { ms: number; iso: string } {
  let instant = instants.get(text);
  if (instant === undefined) {
    const ms = Date.parse(text);
    instant = { ms, iso: new Date(ms).toISOString() };
    if (instants.size >= INSTANTS_CACHED_COUNT) instants.clear();
    instants.set(text, instant);
  }
  return instant;
}

/** Milliseconds since 1970 of an RFC 3339 instant. */
export function instantMs(text: string): number {
  return instantOf(text).ms;
}

/** An RFC 3339 instant in UTC with milliseconds. */
export function instantIso(text: string): string {
  return instantOf(text).iso;
}

/** The catalog that a body makes on top of its predecessor, as `version`. Rows without an id take their place as id. */
export function extendCatalog(before: CatalogData, body: CatalogVersionBody, version: number): CatalogData {
  return {
    version,
    prices: [
      ...before.prices,
      ...body.prices.map(
        (row, index): PriceRow => ({
          price_id: `${version}.${index}`,
          version,
          provider: row.provider,
          model_id: row.model_id,
          meter: row.meter,
          price: row.price ?? null,
          per: row.per,
          currency: row.currency,
          same_as: row.same_as ?? null,
          free: row.free ?? false,
          per_event: row.per_event ?? false,
          effective_from: instantIso(row.effective_from),
          effective_to: row.effective_to === undefined ? null : instantIso(row.effective_to),
          context_over: row.context_over ?? null,
          daily_window: row.daily_window ?? null,
          service_tier: row.service_tier ?? null,
          region: row.region ?? null,
          book: row.book ?? null,
        }),
      ),
    ],
    models: [
      ...before.models,
      ...body.models.map(({ provider, model_id, name, free, deprecated, successor }) => ({
        version,
        provider,
        model_id,
        name: name ?? null,
        free: free ?? false,
        deprecated: deprecated ?? false,
        successor: successor ?? null,
      })),
    ],
    aliases: [
      ...before.aliases,
      ...body.aliases.map(({ provider, alias, model_id, effective_from, effective_to }) => ({
        version,
        provider,
        alias,
        model_id,
        from_ms: instantMs(effective_from ?? ALWAYS),
        to_ms: effective_to === undefined ? Number.POSITIVE_INFINITY : instantMs(effective_to),
      })),
    ],
    match_rules: [...before.match_rules, ...body.match_rules.map((rule) => ({ version, ...rule }))],
    fallback_providers: [
      ...before.fallback_providers,
      ...body.fallback_providers.map((entry) => ({ version, ...entry })),
    ],
    multipliers: [
      ...before.multipliers,
      ...(body.multipliers ?? []).map((row, index) => ({
        multiplier_id: `${version}.${index}`,
        version,
        provider: row.provider,
        model_id: row.model_id ?? null,
        service_tier: row.service_tier ?? null,
        region: row.region ?? null,
        book: row.book ?? null,
        meters: row.meters ?? null,
        multiplier: row.multiplier,
        effective_from: instantIso(row.effective_from),
        effective_to: row.effective_to === undefined ? null : instantIso(row.effective_to),
      })),
    ],
    source_books: [
      ...before.source_books,
      ...(body.source_books ?? []).map(({ source_id, book, effective_from }) => ({
        version,
        source_id,
        book,
        from_ms: instantMs(effective_from),
      })),
    ],
  };
}
