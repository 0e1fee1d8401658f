import { canonicalJson, contentHash } from '../contracts/canonical-json.js';
import type { CatalogVersionBody } from '../contracts/catalog.js';
import type { PriceCandidates, PriceDiff, PriceSourceName, Proposal } from '../contracts/price-proposal.js';
import { lockKey } from '../database/locks.js';
import { type Client, inTransaction, type Pool, type Queryable } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { BUNDLED_SOURCE } from './bundled-catalog.js';
import type { Catalog } from './catalog.js';
import type { CatalogCache } from './catalog-cache.js';
import { instantIso } from './catalog-data.js';
import { currentCatalogVersion } from './catalog-store.js';
import { slotKey } from './model-prices.js';
import { newestProposal, readProposal } from './proposal-store.js';
import { isEmptyBody, onlyProviders, proposePrices } from './propose.js';
import { lockCatalog, publishNext } from './publish.js';
import { readCandidates } from './read-candidates.js';

export interface ProposalDeps {
  pool: Pool;
  catalogs: CatalogCache;
}

/** A source's document and what is asked of it. */
export interface ProposalRequest {
  source: PriceSourceName;
  document: unknown;
  /** From when the prices are to apply, RFC 3339. */
  effective_from: string;
  /** Null: the providers that the catalog has. */
  providers: string[] | null;
  withdraw_removed: boolean;
}

/** What a document would change in the newest catalog; nothing is kept. Throws `invalid_price_document`. */
export async function previewPrices(deps: ProposalDeps, request: ProposalRequest): Promise<PriceDiff> {
  const catalog = await newestCatalog(deps);
  return (await compareWith(deps.pool, catalog, request, candidatesOf(catalog, request))).diff;
}

/**
 * Keeps what a document would change as a proposal and supersedes the open ones of the same source. Idempotent: the same
 * document and request as those of the newest proposal of the source answer that one; with `onlyNews` the same document
 * does, whatever became of its proposal. One that changes nothing is superseded at once. Throws `invalid_price_document`.
 */
export async function proposeImport(
  deps: ProposalDeps,
  request: ProposalRequest,
  by: string,
  onlyNews = false,
): Promise<{ proposal: Proposal; created: boolean }> {
  const effective_from = instantIso(request.effective_from);
  const document_hash = contentHash(request.document);
  const catalog = await newestCatalog(deps);
  const candidates = candidatesOf(catalog, request);
  const isNewest = (newest: Proposal, diffs: boolean) =>
    newest.document_hash === document_hash &&
    (onlyNews || (newest.status === 'proposed' && newest.effective_from === effective_from && diffs));
  const { diff, body } = await compareWith(deps.pool, catalog, request, candidates);
  return inTransaction(deps.pool, async (client) => {
    await client.query('SELECT pg_advisory_xact_lock($1::bigint)', [lockKey('proposals')]);
    const newest = await newestProposal(client, request.source);
    if (newest && isNewest(newest, canonicalJson(newest.body) === canonicalJson(body))) {
      return { proposal: newest, created: false };
    }
    await client.query(
      `UPDATE catalog_proposals SET status = 'superseded', decided_by = $2, decided_at = now(), reason = 'a newer document'
       WHERE source = $1 AND status = 'proposed'`,
      [request.source, by],
    );
    const empty = isEmptyBody(body);
    const { rows } = await client.query<{ proposal_id: number }>(
      `INSERT INTO catalog_proposals (source, created_by, document_hash, catalog_version, effective_from, withdraw_removed,
         candidates, diff, body, status, decided_by, decided_at, reason)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, CASE WHEN $11::text IS NULL THEN NULL ELSE now() END, $12)
       RETURNING proposal_id`,
      [
        request.source,
        by,
        document_hash,
        catalog.version,
        effective_from,
        request.withdraw_removed,
        JSON.stringify(candidates),
        JSON.stringify(diff),
        JSON.stringify(body),
        empty ? 'superseded' : 'proposed',
        empty ? 'costplus' : null,
        empty ? 'the catalog says the same' : null,
      ],
    );
    const proposal = await readProposal(client, rows[0]!.proposal_id);
    await audit(client, by, 'catalog.propose', proposal);
    return { proposal, created: true };
  });
}

/**
 * Publishes a proposal as the next catalog version. Where versions were published since it was made, it is compared
 * again: it still goes out if it would replace the very same prices by the very same. `without_suspicious` leaves out
 * what looks wrong. Throws `not_found`, `proposal_decided`, `stale_proposal`, and
 * what publishing throws; nothing is changed then.
 */
export async function publishProposal(
  deps: ProposalDeps,
  proposalId: number,
  by: string,
  options: { without_suspicious: boolean } = { without_suspicious: false },
): Promise<Proposal> {
  return inTransaction(deps.pool, async (client) => {
    await lockCatalog(client);
    const { proposal, candidates, withdraw_removed } = await lockOpen(client, proposalId);
    const current = await currentCatalogVersion(client);
    if (current !== proposal.catalog_version) {
      const catalog = await deps.catalogs.at(current, client);
      const request = { source: proposal.source, effective_from: proposal.effective_from, withdraw_removed };
      const again = await compareWith(client, catalog, request, candidates);
      if (!isSameChange(again, proposal)) {
        throw new CostplusError(
          'stale_proposal',
          `Version ${current} changed prices that the proposal names; it was made on version ${proposal.catalog_version}.`,
          { extra: { proposed_on: proposal.catalog_version, current_version: current } },
        );
      }
    }
    const body = options.without_suspicious ? withoutSuspicious(proposal) : proposal.body;
    if (isEmptyBody(body)) {
      throw new CostplusError('invalid_request', 'Without what is suspicious the proposal changes nothing.', {
        field: 'without_suspicious',
      });
    }
    const { version } = await publishNext(client, body, { actor: by, source: proposal.source });
    await client.query(
      `UPDATE catalog_proposals SET status = 'published', published_version = $2, decided_by = $3, decided_at = now()
       WHERE proposal_id = $1`,
      [proposalId, version, by],
    );
    return readProposal(client, proposalId);
  });
}

/** Rejects a proposal. Throws `not_found` and `proposal_decided`. */
export async function rejectProposal(
  pool: Pool,
  proposalId: number,
  by: string,
  reason: string | null,
): Promise<Proposal> {
  return inTransaction(pool, async (client) => {
    await lockOpen(client, proposalId);
    await client.query(
      `UPDATE catalog_proposals SET status = 'rejected', decided_by = $2, decided_at = now(), reason = $3
       WHERE proposal_id = $1`,
      [proposalId, by, reason],
    );
    const proposal = await readProposal(client, proposalId);
    await audit(client, by, 'catalog.reject', proposal);
    return proposal;
  });
}

async function newestCatalog({ pool, catalogs }: ProposalDeps): Promise<Catalog> {
  return catalogs.at(await currentCatalogVersion(pool));
}

function candidatesOf(catalog: Catalog, request: ProposalRequest): PriceCandidates {
  const providers = request.providers ?? catalog.models().map(({ provider }) => provider);
  const all = readCandidates(request.source, request.document, request.effective_from);
  return onlyProviders(all, new Set(providers));
}

async function compareWith(
  database: Queryable,
  catalog: Catalog,
  request: Pick<ProposalRequest, 'source' | 'effective_from' | 'withdraw_removed'>,
  candidates: PriceCandidates,
): Promise<{ diff: PriceDiff; body: CatalogVersionBody }> {
  const { source } = request;
  const names = source === 'genai-prices' ? [source, BUNDLED_SOURCE] : [source];
  const own = await database.query<{ version: number }>('SELECT version FROM catalog_versions WHERE source = ANY($1)', [
    names,
  ]);
  const others = await database.query<{ candidates: PriceCandidates }>(
    `SELECT DISTINCT ON (source) candidates FROM catalog_proposals WHERE source <> $1 ORDER BY source, proposal_id DESC`,
    [source],
  );
  return proposePrices(catalog, candidates, {
    effective_from: request.effective_from,
    withdraw_removed: request.withdraw_removed,
    others: others.rows.map((row) => row.candidates),
    own_versions: new Set(own.rows.map(({ version }) => version)),
  });
}

async function lockOpen(
  client: Client,
  proposalId: number,
): Promise<{ proposal: Proposal; candidates: PriceCandidates; withdraw_removed: boolean }> {
  const { rows } = await client.query<{ candidates: PriceCandidates; withdraw_removed: boolean }>(
    'SELECT candidates, withdraw_removed FROM catalog_proposals WHERE proposal_id = $1 FOR UPDATE',
    [proposalId],
  );
  const proposal = await readProposal(client, proposalId);
  if (proposal.status !== 'proposed') {
    throw new CostplusError('proposal_decided', `The proposal is ${proposal.status}.`, {
      extra: { proposal_status: proposal.status },
    });
  }
  return { proposal, ...rows[0]! };
}

function withoutSuspicious({ body, diff }: Proposal): CatalogVersionBody {
  const key = (row: { provider: string; model_id: string; meter: string }) =>
    `${row.provider}\n${row.model_id}\n${slotKey(row)}`;
  const suspicious = new Set(diff.entries.filter(({ suspicions }) => suspicions.length > 0).map(key));
  return { ...body, prices: body.prices.filter((row) => !suspicious.has(key(row))) };
}

type Change = { diff: PriceDiff; body: CatalogVersionBody };

/** Whether two proposals replace the same prices by the same: whoever decides has seen what goes out of force too. */
function isSameChange(a: Change, b: Change): boolean {
  const [one, other] = [a, b].map(({ diff, body }) =>
    canonicalJson([diff.entries.map(({ kind, old, factor }) => ({ kind, old, factor })), body.prices, body.models]),
  );
  return one === other;
}

async function audit(client: Client, actor: string, action: string, proposal: Proposal): Promise<void> {
  const { proposal_id, source, document_hash, counts, reason } = proposal;
  await client.query('INSERT INTO audit_log (actor, action, subject, detail) VALUES ($1, $2, $3, $4)', [
    actor,
    action,
    `proposal/${proposal_id}`,
    { source, document_hash, ...counts, ...(reason === null ? {} : { reason }) },
  ]);
}
