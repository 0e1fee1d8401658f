import { readPlace, writeCursor } from '../contracts/cursor.js';
import type { Page, PageRequest } from '../contracts/page.js';
import type { Catalog } from './catalog.js';

/** A model of the catalog as it is listed. */
export interface ListedModel {
  provider: string;
  model_id: string;
  name: string | null;
  deprecated: boolean;
  /** The model of the same provider to go over to. */
  successor: string | null;
  free: boolean;
  /** The meters with a price in force at the asked instant, sorted. */
  meters: string[];
}

/**
 * The models of a catalog, by provider and id, page by page; `deprecated` and `provider` narrow the list. Throws
 * `invalid_request` for a cursor of another list.
 */
export function listModels(
  catalog: Catalog,
  asked: { atMs: number; provider: string | null; deprecated: boolean | null; page: PageRequest },
): Page<ListedModel> {
  const { cursor } = asked.page;
  const after = cursor === null ? null : (readPlace(cursor, /^[^\n]+\n[^\n]+$/).split('\n') as [string, string]);
  const wanted = catalog.models().filter(({ provider, model_id }) => {
    if (asked.provider !== null && provider !== asked.provider) return false;
    const deprecated = catalog.modelEntry(provider, model_id)?.deprecated ?? false;
    if (asked.deprecated !== null && deprecated !== asked.deprecated) return false;
    return after === null || provider > after[0] || (provider === after[0] && model_id > after[1]);
  });
  const data = wanted.slice(0, asked.page.limit).map(({ provider, model_id }) => {
    const entry = catalog.modelEntry(provider, model_id);
    const { rows } = catalog.allPrices(provider, model_id).spanAt(asked.atMs);
    return {
      provider,
      model_id,
      name: entry?.name ?? null,
      deprecated: entry?.deprecated ?? false,
      successor: entry?.successor ?? null,
      free: entry?.free ?? false,
      meters: [...new Set(rows.map(({ meter }) => meter))].sort(),
    };
  });
  const last = data.at(-1);
  const isMore = wanted.length > data.length && last !== undefined;
  return { data, next_cursor: isMore ? writeCursor(`${last.provider}\n${last.model_id}`) : null };
}
