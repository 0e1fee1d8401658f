import { ActivityFailure } from '@temporalio/common';
import { isCancellation } from '@temporalio/workflow';
import type { ImportedSource, ImportPricesInput } from '../src/contracts/engine.js';
import { importPriceSource } from './activity-proxies.js';

/**
 * Looks at each configured price source once and proposes what it changes, from the run's own time on. A source that
 * fails does not keep the others from being looked at; the next run of the schedule tries it again.
 */
export async function importPrices(input: ImportPricesInput): Promise<ImportedSource[]> {
  const at = new Date().toISOString();
  const outcomes: ImportedSource[] = [];
  for (const source of input.sources) {
    try {
      outcomes.push(await importPriceSource(source, at));
    } catch (error) {
      if (isCancellation(error)) throw error;
      const cause = error instanceof ActivityFailure ? error.cause : error;
      const failure = cause instanceof Error ? cause.message : String(cause);
      const nothing = { proposal_id: null, published_version: null, counts: null };
      outcomes.push({ source, status: 'failed', ...nothing, failure });
    }
  }
  return outcomes;
}
