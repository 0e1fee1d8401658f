import type { Page, PageRequest } from '../contracts/page.js';
import { CostplusError } from '../errors/error.js';
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
  const after = asked.page.cursor === null ? null : readCursor(asked.page.cursor);
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
  return { data, next_cursor: wanted.length > data.length && last ? writeCursor(last) : null };
}

function writeCursor({ provider, model_id }: ListedModel): string {
  return Buffer.from(`${provider}\n${model_id}`).toString('base64url');
}

function readCursor(cursor: string): [provider: string, modelId: string] {
  const [provider, modelId, ...rest] = Buffer.from(cursor, 'base64url').toString().split('\n');
  if (provider === undefined || modelId === undefined || rest.length > 0) {
    throw new CostplusError('invalid_request', 'The cursor is not one of this list.', { field: 'cursor' });
  }
  return [provider, modelId];
}
