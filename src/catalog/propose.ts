import type { CatalogVersionBody, PriceRow } from '../contracts/catalog.js';
import type { CandidateRow, DiffEntry, PriceCandidates, PriceDiff } from '../contracts/price-proposal.js';
import { PRICE_SKIPPED_SHOWN_COUNT } from '../limits.js';
import { compare, divide, type Fraction, format, parseDecimal, roundToInteger } from '../money/fraction.js';
import type { Catalog } from './catalog.js';
import { instantIso, instantMs } from './catalog-data.js';
import { slotKey } from './model-prices.js';
import { type OldPrice, suspicionsOf } from './suspicions.js';

/** What a proposal takes into account beside the catalog and the source. */
export interface ProposeOptions {
  /** From when the prices are to apply, RFC 3339. */
  effective_from: string;
  /** What the source does not list any more is withdrawn; else it is only shown. */
  withdraw_removed: boolean;
  /** What other sources say, to be told where they disagree. */
  others: PriceCandidates[];
  /** Versions published from this source before: only of their prices its silence says anything. */
  own_versions: ReadonlySet<number>;
}

/** A candidate beside what the catalog has in its slot. */
interface Compared {
  row: CandidateRow;
  old: PriceRow | null;
  /** `provider/model` of the prices that count now for the candidate's model, where it has none of its own. */
  resolved: string | null;
}

/**
 * A source's prices against the catalog at an instant: what is new, changed, removed, what of it looks wrong, and the
 * version that would be published. Pure. What the catalog says already is left out of the body; so is a price in another
 * currency than the model's, which a version could not hold. Prices of books are never compared: no source knows them.
 */
export function proposePrices(
  catalog: Catalog,
  candidates: PriceCandidates,
  options: ProposeOptions,
): { diff: PriceDiff; body: CatalogVersionBody } {
  const effective_from = instantIso(options.effective_from);
  const atMs = instantMs(effective_from);
  const slots = new Slots(catalog, atMs);
  const entries: DiffEntry[] = [];
  const prices: CatalogVersionBody['prices'] = [];
  let unchanged = 0;

  const otherPrices = options.others.map(({ source, rows }) => ({
    source,
    rows: new Map(rows.map((row) => [candidateKey(row), row])),
  }));
  const comparisons = candidates.rows.map((row) => {
    const compared = slots.compare(row);
    const old = compared.old && slots.priceOf(compared.old);
    return { ...compared, old, isSame: isSame(row, compared.old, old) };
  });
  // A model that gets rows of its own is no longer priced as another one: then it needs all of its rows.
  const separated = new Set(
    comparisons.filter(({ resolved, isSame }) => resolved !== null && !isSame).map(({ row }) => modelKey(row)),
  );
  for (const { row, resolved, old, isSame } of comparisons) {
    if (isSame && !(resolved !== null && separated.has(modelKey(row)))) {
      unchanged++;
      continue;
    }
    const disagreeing = otherPrices.flatMap(({ source, rows }) => {
      const other = rows.get(candidateKey(row));
      return other?.price === undefined ? [] : [{ source, price: other.price, per: other.per }];
    });
    const entry = entryOf(row, old);
    entry.suspicions = suspicionsOf(catalog, atMs, { row, old, resolved, others: disagreeing });
    entries.push(entry);
    if (entry.suspicions.every(({ reason }) => reason !== 'currency')) {
      prices.push({ ...row, effective_from, ...slots.endOf(row) });
    }
  }
  for (const old of slots.removed(candidates.rows, options.own_versions)) {
    entries.push(removedEntry(old));
    if (options.withdraw_removed) prices.push({ ...slotOf(old), price: null, effective_from, ...slots.endOf(old) });
  }
  const deprecated = candidates.deprecated.filter(({ provider, model_id }) => {
    return slots.knows(provider, model_id) && !(catalog.modelEntry(provider, model_id)?.deprecated ?? false);
  });

  const count = (kind: DiffEntry['kind']) => entries.filter((entry) => entry.kind === kind).length;
  const diff: PriceDiff = {
    source: candidates.source,
    catalog_version: catalog.version,
    effective_from,
    counts: {
      new: count('new'),
      changed: count('changed'),
      removed: count('removed'),
      unchanged,
      suspicious: entries.filter(({ suspicions }) => suspicions.length > 0).length,
      skipped: candidates.skipped.length,
    },
    entries: sorted(entries),
    deprecated,
    skipped: candidates.skipped.slice(0, PRICE_SKIPPED_SHOWN_COUNT),
  };
  const models = deprecated.map(({ provider, model_id }) => {
    const known = catalog.modelEntry(provider, model_id);
    return {
      provider,
      model_id,
      deprecated: true,
      // An entry stands for all that older ones said of the model.
      ...(known?.name ? { name: known.name } : {}),
      ...(known?.free ? { free: true } : {}),
      ...(known?.successor ? { successor: known.successor } : {}),
    };
  });
  const note = `Prices of ${candidates.source} from ${effective_from} on`;
  return { diff, body: { note, prices, models, aliases: [], match_rules: [], fallback_providers: [] } };
}

/** Whether a proposal would change anything. */
export function isEmptyBody(body: CatalogVersionBody): boolean {
  return body.prices.length === 0 && body.models.length === 0;
}

/** Cuts a source down to some providers; the rest is counted as skipped, once for each provider. */
export function onlyProviders(candidates: PriceCandidates, providers: ReadonlySet<string>): PriceCandidates {
  const left = new Map<string, number>();
  for (const { provider } of candidates.rows) {
    if (!providers.has(provider)) left.set(provider, (left.get(provider) ?? 0) + 1);
  }
  return {
    source: candidates.source,
    rows: candidates.rows.filter(({ provider }) => providers.has(provider)),
    deprecated: candidates.deprecated.filter(({ provider }) => providers.has(provider)),
    skipped: [
      ...candidates.skipped.filter(({ provider }) => providers.has(provider)),
      ...[...left].map(([provider, rows]) => ({
        provider,
        model_id: '*',
        key: '*',
        reason: `${rows} prices of a provider that was not asked for`,
      })),
    ],
  };
}

function modelKey({ provider, model_id }: { provider: string; model_id: string }): string {
  return `${provider}\n${model_id}`;
}

function candidateKey(row: CandidateRow): string {
  return `${modelKey(row)}\n${slotKey(row)}`;
}

/** The catalog's rows at the instant, by model and slot; each model is read once. */
class Slots {
  readonly #catalog: Catalog;
  readonly #atMs: number;
  readonly #models = new Map<string, Map<string, PriceRow>>();
  readonly #listed: Set<string>;

  constructor(catalog: Catalog, atMs: number) {
    this.#catalog = catalog;
    this.#atMs = atMs;
    this.#listed = new Set(catalog.models().map(({ provider, model_id }) => `${provider}\n${model_id}`));
  }

  knows(provider: string, modelId: string): boolean {
    return this.#listed.has(`${provider}\n${modelId}`);
  }

  /** A model that is priced as another one is compared with that one: the same price is no news then. */
  compare(row: CandidateRow): Compared {
    const { provider, model_id } = row;
    let model = { provider, model_id };
    if (!this.knows(provider, model_id)) {
      const found = this.#catalog.resolveModel({ provider, provider_hint: null, model_id }, this.#atMs);
      if ('priced_as' in found) model = { provider: found.provider, model_id: found.priced_as };
    }
    const isOther = model.provider !== provider || model.model_id !== model_id;
    return {
      row,
      resolved: isOther ? `${model.provider}/${model.model_id}` : null,
      old: this.#rows(model.provider, model.model_id).get(slotKey(row)) ?? null,
    };
  }

  /** What a row says, its own price or, for a fallback, that of the row it leads to in the same place. */
  priceOf(row: PriceRow): OldPrice {
    const rows = this.#rows(row.provider, row.model_id);
    let target: PriceRow | undefined = row;
    for (const seen = new Set<PriceRow>(); target?.same_as && !seen.has(target); ) {
      seen.add(target);
      const meter: string = target.same_as;
      target = rows.get(slotKey({ ...target, meter })) ?? rows.get(slotKey({ meter }));
    }
    const unit = target?.price ? unitOf({ price: target.price, per: target.per }) : null;
    const { price, same_as, per, currency } = row;
    return { price, same_as, per, currency, unit };
  }

  /** Where an older row of the slot begins later, the new one ends there: an import does not bury announced prices. */
  endOf(row: CandidateRow | PriceRow): { effective_to?: string } {
    const prices = this.#catalog.allPrices(row.provider, row.model_id);
    for (const boundary of prices.boundaries) {
      if (boundary <= this.#atMs) continue;
      const winner = prices.winnerAt(slotKey(row), boundary);
      if (winner && instantMs(winner.effective_from) > this.#atMs) return { effective_to: winner.effective_from };
    }
    return {};
  }

  /** Rows of versions of this source that it does not list any more. */
  removed(candidates: CandidateRow[], ownVersions: ReadonlySet<number>): PriceRow[] {
    if (ownVersions.size === 0) return [];
    const listed = new Set(candidates.map(candidateKey));
    return this.#catalog.models().flatMap(({ provider, model_id }) =>
      [...this.#rows(provider, model_id).values()].filter((row) => {
        const key = `${provider}\n${model_id}\n${slotKey(row)}`;
        return ownVersions.has(row.version) && row.price !== null && !listed.has(key);
      }),
    );
  }

  #rows(provider: string, modelId: string): Map<string, PriceRow> {
    const key = `${provider}\n${modelId}`;
    let rows = this.#models.get(key);
    if (rows === undefined) {
      const { rows: inForce } = this.#catalog.allPrices(provider, modelId).spanAt(this.#atMs);
      rows = new Map(inForce.filter((row) => row.book === null).map((row) => [slotKey(row), row]));
      this.#models.set(key, rows);
    }
    return rows;
  }
}

function unitOf({ price, per }: { price: string; per: number }): Fraction {
  const { n, d } = parseDecimal(price);
  return { n, d: d * BigInt(per) };
}

/** A fallback of a source says nothing where the catalog has a price or a fallback already. */
function isSame(row: CandidateRow, known: PriceRow | null, old: OldPrice | null): boolean {
  if (row.price === undefined) return known !== null;
  if (known === null || !old?.unit) return false;
  const sameFee = known.per_event === (row.per_event ?? false);
  return (
    sameFee && known.currency === row.currency && compare(unitOf({ price: row.price, per: row.per }), old.unit) === 0
  );
}

function entryOf(row: CandidateRow, old: OldPrice | null): DiffEntry {
  const { price, same_as, per, currency } = row;
  const unit = price === undefined ? null : unitOf({ price, per });
  const factor = unit && old?.unit && old.unit.n > 0n && old.currency === currency ? divide(unit, old.unit) : null;
  return {
    kind: old === null ? 'new' : 'changed',
    provider: row.provider,
    model_id: row.model_id,
    meter: row.meter,
    context_over: row.context_over ?? null,
    daily_window: row.daily_window ?? null,
    service_tier: row.service_tier ?? null,
    old: old && { price: old.price, same_as: old.same_as, per: old.per, currency: old.currency },
    new: { price: price ?? null, same_as: same_as ?? null, per, currency },
    factor: factor && format({ n: roundToInteger({ n: factor.n * 1_000_000n, d: factor.d }), d: 1_000_000n }),
    suspicions: [],
  };
}

function removedEntry(row: PriceRow): DiffEntry {
  const { provider, model_id, meter, context_over, daily_window, service_tier, price, same_as, per, currency } = row;
  const slot = { provider, model_id, meter, context_over, daily_window, service_tier };
  return { kind: 'removed', ...slot, old: { price, same_as, per, currency }, new: null, factor: null, suspicions: [] };
}

function slotOf(row: PriceRow): Omit<CandidateRow, 'price'> {
  return {
    provider: row.provider,
    model_id: row.model_id,
    meter: row.meter,
    per: row.per,
    currency: row.currency,
    ...(row.context_over === null ? {} : { context_over: row.context_over }),
    ...(row.daily_window === null ? {} : { daily_window: row.daily_window }),
    ...(row.service_tier === null ? {} : { service_tier: row.service_tier }),
  };
}

function sorted(entries: DiffEntry[]): DiffEntry[] {
  const key = (entry: DiffEntry) =>
    [entry.suspicions.length > 0 ? 0 : 1, entry.provider, entry.model_id, slotKey(entry), entry.kind].join('\n');
  const keyed = entries.map((entry) => ({ entry, key: key(entry) }));
  return keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)).map(({ entry }) => entry);
}
