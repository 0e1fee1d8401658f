import { canonicalJson } from '../contracts/canonical-json.js';
import { MODEL_PATTERN } from '../contracts/ids.js';
import type {
  CandidateRow,
  DeprecatedModel,
  PriceCandidates,
  PriceSourceName,
  SkippedPrice,
} from '../contracts/price-proposal.js';
import { CostplusError } from '../errors/error.js';
import { FIELD_NAME_CHARS } from '../limits.js';
import { slotKey } from './model-prices.js';
import { readPrice } from './published-price.js';

/** Where a price of a document belongs. */
export type CandidateSlot = Omit<CandidateRow, 'price' | 'same_as' | 'raw_price' | 'currency'>;

/** Gathers what an importer finds. A price that cannot be taken is kept with the reason. */
export class CandidateList {
  readonly #source: PriceSourceName;
  readonly #rows = new Map<string, CandidateRow>();
  readonly #disputed = new Set<string>();
  readonly #deprecated = new Map<string, DeprecatedModel>();
  readonly #skipped: SkippedPrice[] = [];

  constructor(source: PriceSourceName) {
    this.#source = source;
  }

  /** Takes the price that the document gives under `key`, in US dollars. */
  add(slot: CandidateSlot, key: string, value: unknown): void {
    const read = readPrice(value);
    if ('reason' in read) this.skip(slot, key, read.reason);
    else this.addRow({ ...slot, currency: 'usd', ...read }, key);
  }

  /** Takes a row. Two prices of one slot in one document: neither is taken, since nobody can say which one holds. */
  addRow(row: CandidateRow, key: string): void {
    if (!MODEL_PATTERN.test(row.model_id) || !MODEL_PATTERN.test(row.provider)) {
      this.skip(row, key, 'a name that the catalog cannot hold');
      return;
    }
    const slot = `${row.provider}\n${row.model_id}\n${slotKey(row)}`;
    const known = this.#rows.get(slot);
    if (this.#disputed.has(slot) || (known && canonicalJson(known) !== canonicalJson(row))) {
      this.#rows.delete(slot);
      this.#disputed.add(slot);
      this.skip(row, key, 'the document has two prices for it');
      return;
    }
    this.#rows.set(slot, row);
  }

  skip({ provider, model_id }: { provider: string; model_id: string }, key: string, reason: string): void {
    // Names of a document can be anything: an id that the catalog could not hold is shown by its beginning.
    const shown = (name: string) => name.slice(0, FIELD_NAME_CHARS);
    this.#skipped.push({ provider: shown(provider), model_id: shown(model_id), key: shown(key), reason });
  }

  deprecate(provider: string, model_id: string): void {
    this.#deprecated.set(`${provider}\n${model_id}`, { provider, model_id });
  }

  result(): PriceCandidates {
    return {
      source: this.#source,
      rows: byText([...this.#rows]).map(([, row]) => row),
      deprecated: byText([...this.#deprecated]).map(([, model]) => model),
      skipped: this.#skipped,
    };
  }
}

function byText<T>(entries: [string, T][]): [string, T][] {
  return entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

/** A document's object. Throws `invalid_price_document` for anything else; `where` says what was looked for. */
export function objectOf(value: unknown, where: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new CostplusError(
      'invalid_price_document',
      `${where} is not a JSON object: this is not the source’s document.`,
    );
  }
  return value as Record<string, unknown>;
}
