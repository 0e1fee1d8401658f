import type { DiffCounts, PriceSourceName, ProposalStatus } from '../contracts/price-proposal.js';
import { CostplusError } from '../errors/error.js';
import { fetchDocument } from './fetch-document.js';
import type { PriceSource } from './price-sources.js';
import { type ProposalDeps, proposeImport, publishProposal } from './proposals.js';

/** What becomes of an import's proposal without a person: nothing, or publishing where nothing looks wrong. */
export const PRICE_POLICIES = ['propose', 'publish_unsuspicious'] as const;
export type PricePolicy = (typeof PRICE_POLICIES)[number];

export interface ImportDeps extends ProposalDeps {
  sources: readonly PriceSource[];
  policy: PricePolicy;
}

/** What an import came to, in few words: it stands in a workflow's history. */
export interface ImportOutcome {
  source: PriceSourceName;
  /** Null where the document is the one of the newest proposal. */
  proposal_id: number | null;
  status: ProposalStatus | 'unchanged';
  counts: DiffCounts | null;
  published_version: number | null;
}

/** Who proposes and publishes for the schedule. */
const ACTOR = 'costplus:import-prices';

/**
 * Fetches a configured source's document and proposes its prices from `at` on; publishes them where the policy says so
 * and nothing is suspicious. The same document again does nothing. An attempt that died after it proposed is taken up:
 * the open proposal is published by the next one. Throws `configuration` for a source that is configured no more.
 */
export async function importSource(
  deps: ImportDeps,
  name: string,
  at: string,
  signal?: AbortSignal,
): Promise<ImportOutcome> {
  const source = deps.sources.find((configured) => configured.source === name);
  if (source === undefined) {
    throw new CostplusError('configuration', 'PRICE_SOURCES of this worker does not name the source.');
  }
  const document = await fetchDocument(source.from, signal);
  const { providers } = source;
  const request = { source: source.source, document, effective_from: at, providers, withdraw_removed: false };
  const { proposal, created } = await proposeImport(deps, request, ACTOR, true);
  const { proposal_id, status, counts } = proposal;
  const outcome = { source: source.source, proposal_id, status, counts, published_version: null };
  if (status !== 'proposed') {
    return created ? outcome : { ...outcome, proposal_id: null, status: 'unchanged', counts: null };
  }
  // A person's proposal of the same document is theirs to decide.
  const own = proposal.created_by === ACTOR;
  if (own && deps.policy === 'publish_unsuspicious' && counts.suspicious === 0) {
    const published = await publishProposal(deps, proposal_id, ACTOR);
    return { ...outcome, status: published.status, published_version: published.published_version };
  }
  return created ? outcome : { ...outcome, proposal_id: null, status: 'unchanged', counts: null };
}
