import type { CatalogVersionBody } from '../contracts/catalog.js';
import type { Page, PageRequest } from '../contracts/page.js';
import type {
  DiffCounts,
  PriceDiff,
  PriceSourceName,
  Proposal,
  ProposalStatus,
  ProposalSummary,
} from '../contracts/price-proposal.js';
import type { Queryable } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';

interface ProposalRow {
  proposal_id: number;
  source: PriceSourceName;
  status: ProposalStatus;
  created_at: Date;
  created_by: string;
  document_hash: string;
  catalog_version: number;
  effective_from: Date;
  counts: DiffCounts;
  published_version: number | null;
  decided_by: string | null;
  decided_at: Date | null;
  reason: string | null;
}
type WholeRow = ProposalRow & { diff: PriceDiff; body: CatalogVersionBody };

const SUMMARY = `proposal_id, source, status, created_at, created_by, document_hash, catalog_version, effective_from,
  diff->'counts' AS counts, published_version, decided_by, decided_at, reason`;

function toSummary(row: ProposalRow): ProposalSummary {
  return {
    ...row,
    created_at: row.created_at.toISOString(),
    effective_from: row.effective_from.toISOString(),
    decided_at: row.decided_at?.toISOString() ?? null,
  };
}

function toProposal({ diff, body, ...row }: WholeRow): Proposal {
  return { ...toSummary(row), diff, body };
}

/** A proposal with its diff. Throws `not_found`. */
export async function readProposal(database: Queryable, proposalId: number): Promise<Proposal> {
  const { rows } = await database.query<WholeRow>(
    `SELECT ${SUMMARY}, diff, body FROM catalog_proposals WHERE proposal_id = $1`,
    [proposalId],
  );
  if (!rows[0]) throw new CostplusError('not_found', `There is no price proposal ${proposalId}.`);
  return toProposal(rows[0]);
}

/** The newest proposal of a source, or null. */
export async function newestProposal(database: Queryable, source: PriceSourceName): Promise<Proposal | null> {
  const { rows } = await database.query<WholeRow>(
    `SELECT ${SUMMARY}, diff, body FROM catalog_proposals WHERE source = $1 ORDER BY proposal_id DESC LIMIT 1`,
    [source],
  );
  return rows[0] ? toProposal(rows[0]) : null;
}

/** Proposals, the newest first. The cursor is the last proposal of the page before. */
export async function listProposals(
  database: Queryable,
  asked: { source: PriceSourceName | null; status: ProposalStatus | null; page: PageRequest },
): Promise<Page<ProposalSummary>> {
  const { cursor, limit } = asked.page;
  if (cursor !== null && !/^\d{1,15}$/.test(cursor)) {
    throw new CostplusError('invalid_request', 'The cursor is not one of this list.', { field: 'cursor' });
  }
  const { rows } = await database.query<ProposalRow>(
    `SELECT ${SUMMARY} FROM catalog_proposals
     WHERE ($1::text IS NULL OR source = $1) AND ($2::text IS NULL OR status = $2)
       AND ($3::bigint IS NULL OR proposal_id < $3)
     ORDER BY proposal_id DESC LIMIT $4`,
    [asked.source, asked.status, cursor === null ? null : Number(cursor), limit + 1],
  );
  const data = rows.slice(0, limit).map(toSummary);
  return { data, next_cursor: rows.length > limit ? String(data.at(-1)!.proposal_id) : null };
}
