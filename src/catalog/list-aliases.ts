import { readPlace, writeCursor } from '../contracts/cursor.js';
import type { Page, PageRequest } from '../contracts/page.js';
import type { Queryable } from '../database/pool.js';

/** An alias row: what it says, from when to when, and who published it. */
export interface ListedAlias {
  provider: string;
  alias: string;
  /** The model whose prices count. */
  model_id: string;
  effective_from: string;
  effective_to: string | null;
  note: string | null;
  /** The catalog version that it came with; of two rows for an instant the newer version's holds. */
  version: number;
  published_by: string;
  published_at: string;
}

type Row = Omit<ListedAlias, 'effective_from' | 'effective_to' | 'published_at'> & {
  effective_from: Date;
  effective_to: Date | null;
  published_at: Date;
};

/** Alias rows of all versions by provider and alias, superseded ones too. Throws `invalid_request` for a foreign cursor. */
export async function listAliases(
  database: Queryable,
  provider: string | null,
  page: PageRequest,
): Promise<Page<ListedAlias>> {
  const after = page.cursor === null ? [null, null, null, null] : readPlace(page.cursor, PLACE).split('\n');
  const { rows } = await database.query<Row>(
    `SELECT provider, alias, model_id, effective_from, effective_to, a.note, version, published_by, published_at
     FROM catalog_aliases a JOIN catalog_versions USING (version)
     WHERE ($1::text IS NULL OR provider = $1)
       AND ($2::text IS NULL OR (provider, alias, version, effective_from) > ($2, $3, $4::integer, $5::timestamptz))
     ORDER BY provider, alias, version, effective_from LIMIT $6`,
    [provider, ...after, page.limit + 1],
  );
  const data = rows.slice(0, page.limit).map((row) => ({
    ...row,
    effective_from: row.effective_from.toISOString(),
    effective_to: row.effective_to?.toISOString() ?? null,
    published_at: row.published_at.toISOString(),
  }));
  const last = rows.length > page.limit ? data.at(-1) : undefined;
  if (last === undefined) return { data, next_cursor: null };
  const { provider: of, alias, version, effective_from } = last;
  return { data, next_cursor: writeCursor([of, alias, version, effective_from].join('\n')) };
}

/** Provider, alias, version, instant. */
const PLACE = /^[^\n]{1,200}\n[^\n]{1,200}\n\d{1,9}\n\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
