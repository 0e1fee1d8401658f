import { CostplusError } from '../errors/error.js';
import type { DeriveDeps } from '../ledger/derive-pricing.js';
import { readSeal } from '../ledger/seal.js';
import { findPeriod } from '../periods/period-store.js';
import { deriveInvoice } from './derive-invoice.js';

/** What a proof of an issued revision found. */
export interface InvoiceProof {
  customer_id: string;
  start_date: string;
  revision: number;
  matches: boolean;
  /** SHA-256 of what was issued, and of what its seal and the ledger give. */
  issued_hash: string;
  derived_hash: string;
  /** The first place in which they differ; null where they are the same, byte by byte. */
  difference: { path: string; issued: string; derived: string } | null;
}

/**
 * Derives an issued revision again, from its seal and the events of the ledger alone (not from pricing runs), and
 * compares it with what was issued, byte by byte (invariant 2). Throws `unknown_period`, `unknown_invoice`.
 */
export async function verifyInvoice(
  deps: DeriveDeps,
  customerId: string,
  startDate: string,
  revision: number,
): Promise<InvoiceProof> {
  const period = await findPeriod(deps.pool, customerId, startDate);
  if (!period) {
    throw new CostplusError('unknown_period', `Customer ${customerId} has no period that starts on ${startDate}.`);
  }
  const { rows } = await deps.pool.query<{ content: string; content_hash: string }>(
    'SELECT content, content_hash FROM invoices WHERE period_id = $1 AND revision = $2',
    [period.period_id, revision],
  );
  const issued = rows[0];
  if (!issued) {
    throw new CostplusError('unknown_invoice', `There is no revision ${revision} of this period's invoice yet.`);
  }
  const seal = (await readSeal(deps.pool, period.period_id, revision))!;
  const derived = await deriveInvoice(deps, seal);
  const matches = derived.text === issued.content && derived.content_hash === issued.content_hash;
  return {
    customer_id: customerId,
    start_date: startDate,
    revision,
    matches,
    issued_hash: issued.content_hash,
    derived_hash: derived.content_hash,
    difference: matches
      ? null
      : (firstDifference(JSON.parse(issued.content), derived.content, '') ?? {
          path: 'content_hash',
          issued: issued.content_hash,
          derived: derived.content_hash,
        }),
  };
}

/** The first place, in the order of the issued document, in which two JSON values differ; null where none does. */
export function firstDifference(issued: unknown, derived: unknown, path: string): InvoiceProof['difference'] {
  if (isContainer(issued) && isContainer(derived) && Array.isArray(issued) === Array.isArray(derived)) {
    for (const key of new Set([...Object.keys(issued), ...Object.keys(derived)])) {
      const [a, b] = [issued[key], derived[key]];
      const inside = Array.isArray(issued) ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`;
      const found = firstDifference(a, b, inside);
      if (found) return found;
    }
    return null;
  }
  if (issued === derived) return null;
  return { path, issued: JSON.stringify(issued) ?? 'nothing', derived: JSON.stringify(derived) ?? 'nothing' };
}

function isContainer(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
