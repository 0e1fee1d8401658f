import type { CatalogVersionBody, MultiplierRow, PriceRow } from '../contracts/catalog.js';
import { CATALOG_RESOLUTIONS_CACHED_COUNT } from '../limits.js';
import { type AliasEntry, type CatalogData, EMPTY_CATALOG, extendCatalog, type ModelEntry } from './catalog-data.js';
import { compileClause } from './match-clause.js';
import { ModelPrices } from './model-prices.js';
import {
  type ConditionedUsage,
  ConditionIndex,
  conditionsKey,
  meetsConditions,
  NO_CONDITIONS,
  type PriceConditions,
} from './price-conditions.js';

/** How an event names what it used. */
export interface ModelName {
  provider: string | null;
  /** The provider to take where none is named: the source's default, else the owner of the usage format. */
  provider_hint: string | null;
  model_id: string;
}

/** The catalog's model for an event, and how it was found; what is not `exact` is listed for review. */
export interface ResolvedModel {
  /** The provider whose prices count. */
  provider: string;
  /** The model whose prices count. */
  priced_as: string;
  /** `fallback_provider`: the prices are another provider's than the one that the event names or hints at. */
  how: 'exact' | 'alias' | 'rule' | 'fallback_provider';
}
export type Resolution = ResolvedModel | { held: 'unknown_model' | 'ambiguous_provider' };

/** A resolution with the span of time in which it is the same. */
export interface ResolutionSpan {
  fromMs: number;
  toMs: number;
  resolution: Resolution;
}

interface ProviderModels {
  models: Set<string>;
  /** Aliases by name, the one to try first in front: newest version, then latest start. */
  aliases: Map<string, AliasEntry[]>;
  /** Newest version's rules first, each version's in its order. */
  rules: { matches: (modelId: string) => boolean; model_id: string }[];
  fallbacks: string[];
}

/**
 * What the catalog of a version says: which model an event's name means, and which rows price it at an instant.
 * Immutable and pure; compiled from the rows of all versions up to its own. It remembers what it has looked up.
 */
export class Catalog {
  readonly version: number;
  readonly #providers = new Map<string, ProviderModels>();
  readonly #rows = new Map<string, PriceRow[]>();
  readonly #prices = new Map<string, ModelPrices>();
  readonly #free = new Map<string, PriceRow>();
  /** What the newest entry of a model says. */
  readonly #entries = new Map<string, ModelEntry>();
  readonly #conditions: ConditionIndex;
  readonly #multipliers = new Map<string, MultiplierRow[]>();
  /** Instants at which any alias begins or ends. */
  readonly #aliasInstants: number[];
  readonly #resolutions = new Map<string, ResolutionSpan[]>();

  constructor(data: CatalogData) {
    this.version = data.version;
    this.#conditions = new ConditionIndex(data);
    for (const row of data.multipliers) {
      const rows = this.#multipliers.get(row.provider);
      if (rows) rows.push(row);
      else this.#multipliers.set(row.provider, [row]);
    }
    for (const entry of data.models) {
      this.#provider(entry.provider).models.add(entry.model_id);
      const key = modelKey(entry.provider, entry.model_id);
      // Oldest first: what the newest entry of a model says stands.
      this.#entries.set(key, entry);
      if (entry.free) this.#free.set(key, freeRow(entry.provider, entry.model_id, entry.version));
      else this.#free.delete(key);
    }
    for (const row of data.prices) {
      this.#provider(row.provider).models.add(row.model_id);
      const key = modelKey(row.provider, row.model_id);
      const rows = this.#rows.get(key);
      if (rows) rows.push(row);
      else this.#rows.set(key, [row]);
    }
    for (const alias of [...data.aliases].sort((a, b) => b.version - a.version || b.from_ms - a.from_ms)) {
      const { aliases } = this.#provider(alias.provider);
      const entries = aliases.get(alias.alias);
      if (entries) entries.push(alias);
      else aliases.set(alias.alias, [alias]);
    }
    for (const rule of [...data.match_rules].sort((a, b) => b.version - a.version)) {
      this.#provider(rule.provider).rules.push({ matches: compileClause(rule.clause), model_id: rule.model_id });
    }
    // Oldest first: the newest entry of a provider stands.
    for (const entry of data.fallback_providers) this.#provider(entry.provider).fallbacks = entry.fallback_providers;
    this.#aliasInstants = [...new Set(data.aliases.flatMap((alias) => [alias.from_ms, alias.to_ms]))]
      .filter(Number.isFinite)
      .sort((a, b) => a - b);
  }

  /** The catalog of one body alone, as version 1: what a file of prices means without a database. */
  static fromBody(body: CatalogVersionBody): Catalog {
    return new Catalog(extendCatalog(EMPTY_CATALOG, body, 1));
  }

  /** Which model of which provider prices an event of this name at an instant, or why it has to wait. */
  resolveModel(name: ModelName, atMs: number): Resolution {
    return this.resolveSpan(name, atMs).resolution;
  }

  /** `resolveModel` with the span of time in which the answer stays the same (aliases have dates). */
  resolveSpan(name: ModelName, atMs: number): ResolutionSpan {
    const key = `${name.provider ?? ''}\n${name.provider_hint ?? ''}\n${name.model_id}`;
    const known = this.#resolutions.get(key);
    const span = known?.find(({ fromMs, toMs }) => fromMs <= atMs && atMs < toMs);
    if (span) return span;
    const fresh = { ...this.#aliasSpan(atMs), resolution: this.#resolve(name, atMs) };
    // Clients choose the names: start afresh rather than grow for ever.
    if (this.#resolutions.size >= CATALOG_RESOLUTIONS_CACHED_COUNT) this.#resolutions.clear();
    this.#resolutions.set(key, known ? [...known, fresh] : [fresh]);
    return fresh;
  }

  /** What of an event chooses among prices beside its model, at an instant; the same object for the same conditions. */
  conditionsOf(usage: ConditionedUsage, atMs: number): PriceConditions {
    return this.#conditions.of(usage, atMs);
  }

  /** The compiled prices of a catalog model that events of these conditions meet; of an unknown model there are none. */
  modelPrices(provider: string, modelId: string, conditions: PriceConditions = NO_CONDITIONS): ModelPrices {
    return this.#compiled(provider, modelId, conditionsKey(conditions), (row) => meetsConditions(row, conditions));
  }

  /** All price rows of a catalog model, of whatever conditions: for showing and comparing them, not for pricing. */
  allPrices(provider: string, modelId: string): ModelPrices {
    return this.#compiled(provider, modelId, '*', () => true);
  }

  /** Clients choose names, so only what the catalog has is kept compiled. */
  #compiled(
    provider: string,
    modelId: string,
    conditions: string,
    applies: (row: PriceConditions) => boolean,
  ): ModelPrices {
    const model = modelKey(provider, modelId);
    const key = `${model}\n${conditions}`;
    let prices = this.#prices.get(key);
    if (prices === undefined) {
      const multipliers = (this.#multipliers.get(provider) ?? []).filter(
        (row) => row.model_id === null || row.model_id === modelId,
      );
      prices = new ModelPrices((this.#rows.get(model) ?? []).filter(applies), multipliers.filter(applies));
      if (this.#rows.has(model)) this.#prices.set(key, prices);
    }
    return prices;
  }

  /** What the catalog says of a model beside its prices; null for one that it only has prices of. */
  modelEntry(provider: string, modelId: string): ModelEntry | null {
    return this.#entries.get(modelKey(provider, modelId)) ?? null;
  }

  /** All models with prices or an entry, ordered by provider and id (code units). */
  models(): { provider: string; model_id: string }[] {
    const models = [...this.#providers].flatMap(([provider, known]) =>
      [...known.models].map((model_id) => ({ provider, model_id })),
    );
    return models.sort((a, b) => compareText(a.provider, b.provider) || compareText(a.model_id, b.model_id));
  }

  /** The row that says a model's every meter costs nothing on purpose, or null. A priced meter of it is charged still. */
  freeModel(provider: string, modelId: string): PriceRow | null {
    return this.#free.get(modelKey(provider, modelId)) ?? null;
  }

  /** The rows of a catalog model that apply at an instant, those of cliffs and conditions included; none: no price. */
  priceRowsInForce(provider: string, modelId: string, atMs: number): PriceRow[] {
    const rows = this.allPrices(provider, modelId).spanAt(atMs).rowsAt(atMs);
    const free = this.freeModel(provider, modelId);
    return free ? [...rows, free] : rows;
  }

  /** The multipliers of a catalog model that are in force at an instant, of whatever conditions. */
  multipliersInForce(provider: string, modelId: string, atMs: number): readonly MultiplierRow[] {
    return this.allPrices(provider, modelId).spanAt(atMs).multipliers;
  }

  #provider(provider: string): ProviderModels {
    let models = this.#providers.get(provider);
    if (models === undefined) {
      models = { models: new Set(), aliases: new Map(), rules: [], fallbacks: [] };
      this.#providers.set(provider, models);
    }
    return models;
  }

  #aliasSpan(atMs: number): { fromMs: number; toMs: number } {
    let fromMs = Number.NEGATIVE_INFINITY;
    for (const instant of this.#aliasInstants) {
      if (instant > atMs) return { fromMs, toMs: instant };
      fromMs = instant;
    }
    return { fromMs, toMs: Number.POSITIVE_INFINITY };
  }

  #resolve({ provider, provider_hint, model_id }: ModelName, atMs: number): Resolution {
    if (provider !== null) return this.#within(provider, model_id, atMs) ?? { held: 'unknown_model' };
    const slash = model_id.indexOf('/');
    if (slash > 0) {
      const prefixed = this.#within(model_id.slice(0, slash), model_id.slice(slash + 1), atMs);
      if (prefixed) return prefixed;
    }
    if (provider_hint !== null) {
      const hinted = this.#within(provider_hint, model_id, atMs);
      if (hinted) return hinted;
    }
    const only = this.#onlyProvider(model_id, atMs);
    if ('held' in only || provider_hint === null) return only;
    // A format's owner is not always who answered: many speak its format. It is priced, marked and listed for review.
    return { ...only, how: 'fallback_provider' };
  }

  /** The model in the only provider that has it by name; where none has, in the only one whose rules match. */
  #onlyProvider(modelId: string, atMs: number): Resolution {
    for (const find of [this.#byName, this.#byRule]) {
      const found: ResolvedModel[] = [];
      for (const provider of this.#providers.keys()) {
        const model = find.call(this, provider, modelId, atMs);
        if (model) found.push(model);
      }
      if (found.length === 1) return found[0]!;
      if (found.length > 1) return { held: 'ambiguous_provider' };
    }
    return { held: 'unknown_model' };
  }

  #within(provider: string, modelId: string, atMs: number): ResolvedModel | null {
    const own = this.#byName(provider, modelId, atMs) ?? this.#byRule(provider, modelId);
    if (own) return own;
    for (const fallback of this.#providers.get(provider)?.fallbacks ?? []) {
      const model = this.#byName(fallback, modelId, atMs) ?? this.#byRule(fallback, modelId);
      if (model) return { ...model, how: 'fallback_provider' };
    }
    return null;
  }

  #byName(provider: string, modelId: string, atMs: number): ResolvedModel | null {
    const known = this.#providers.get(provider);
    if (known === undefined) return null;
    if (known.models.has(modelId)) return { provider, priced_as: modelId, how: 'exact' };
    const alias = known.aliases.get(modelId)?.find(({ from_ms, to_ms }) => from_ms <= atMs && atMs < to_ms);
    return alias ? { provider, priced_as: alias.model_id, how: 'alias' } : null;
  }

  #byRule(provider: string, modelId: string): ResolvedModel | null {
    const rule = this.#providers.get(provider)?.rules.find(({ matches }) => matches(modelId));
    return rule ? { provider, priced_as: rule.model_id, how: 'rule' } : null;
  }
}

function modelKey(provider: string, modelId: string): string {
  return `${provider}\n${modelId}`;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function freeRow(provider: string, modelId: string, version: number): PriceRow {
  return {
    price_id: `free:${provider}/${modelId}`,
    version,
    provider,
    model_id: modelId,
    meter: '*',
    price: '0',
    per: 1,
    currency: 'usd',
    same_as: null,
    free: true,
    per_event: false,
    effective_from: new Date(0).toISOString(),
    effective_to: null,
    context_over: null,
    daily_window: null,
    service_tier: null,
    region: null,
    book: null,
  };
}
