import type { InvoiceContent } from '../contracts/invoice.js';
import type { Queryable } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { type ComparedLine, identifyLines } from './line-identity.js';
import type { RevisionRef } from './submission-store.js';

/** The lines of an issued revision, as they are compared, in their order. Throws `internal` where there is none. */
export async function readComparedLines(database: Queryable, ref: RevisionRef): Promise<ComparedLine[]> {
  const { rows } = await database.query<{ content: string }>(
    'SELECT content FROM invoices WHERE period_id = $1 AND revision = $2',
    [ref.period_id, ref.revision],
  );
  if (!rows[0]) throw new CostplusError('internal', `Period ${ref.period_id} has no revision ${ref.revision}.`);
  return identifyLines(JSON.parse(rows[0].content) as InvoiceContent);
}
