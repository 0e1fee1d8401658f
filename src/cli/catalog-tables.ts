import type { ListedAlias } from '../catalog/list-aliases.js';
import type { CatalogVersionSummary, MultiplierRow, PriceRow } from '../contracts/catalog.js';
import { METERS } from '../contracts/meters.js';
import type { DiffEntry, DiffPrice, PriceDiff, Proposal, ProposalSummary } from '../contracts/price-proposal.js';
import { format, parseDecimal } from '../money/fraction.js';
import { fields, table } from './output.js';

/** Prices of tokens by the million, whatever the source writes them by: so the two sides of a change can be read. */
function priceText(price: DiffPrice | null, meter: string): string {
  if (price === null) return '-';
  if (price.same_as !== null || price.price === null) return `as ${price.same_as}`;
  const per = METERS[meter]?.unit === 'tokens' ? 1_000_000 : price.per;
  const { n, d } = parseDecimal(price.price);
  return `${format({ n: n * BigInt(per), d: d * BigInt(price.per) })} ${price.currency} / ${per}`;
}

function conditionText(entry: DiffEntry): string {
  const parts = [
    entry.context_over === null ? '' : `over ${entry.context_over}`,
    entry.daily_window === null ? '' : `${entry.daily_window.from}-${entry.daily_window.to}`,
    entry.service_tier ?? '',
  ];
  return parts.filter((part) => part !== '').join(', ') || '-';
}

/** What a price source would change. */
export function renderDiff(diff: PriceDiff): string {
  const { counts, entries, deprecated, skipped } = diff;
  const head = fields({
    source: diff.source,
    'catalog version': diff.catalog_version,
    'effective from': diff.effective_from,
    new: counts.new,
    changed: counts.changed,
    removed: counts.removed,
    unchanged: counts.unchanged,
    suspicious: counts.suspicious,
    'not taken': counts.skipped,
  });
  const rows = entries.map((entry) => [
    entry.kind,
    `${entry.provider}/${entry.model_id}`,
    entry.meter,
    conditionText(entry),
    priceText(entry.old, entry.meter),
    priceText(entry.new, entry.meter),
    entry.factor ?? '-',
    entry.suspicions.map(({ reason, detail }) => `${reason}: ${detail}`).join('; '),
  ]);
  const changes = rows.length === 0 ? '' : `\n${table(CHANGE_HEAD, rows)}`;
  const retired = deprecated.map(({ provider, model_id }) => [provider, model_id]);
  const retiring = retired.length === 0 ? '' : `\n${table(['deprecated', 'model'], retired)}`;
  const left = skipped.map((price) => [`${price.provider}/${price.model_id}`, price.key, price.reason]);
  return `${head}${changes}${retiring}${left.length === 0 ? '' : `\n${table(['not taken', 'key', 'why'], left)}`}`;
}

const CHANGE_HEAD = ['change', 'model', 'meter', 'condition', 'old', 'new', 'factor', 'suspicious'];

/** A proposal and what became of it, without its diff. */
export function renderHead(proposal: ProposalSummary): string {
  return fields({
    proposal: proposal.proposal_id,
    status: proposal.status,
    'made by': proposal.created_by,
    'made at': proposal.created_at,
    'document hash': proposal.document_hash,
    'published as': proposal.published_version === null ? null : `version ${proposal.published_version}`,
    'decided by': proposal.decided_by,
    reason: proposal.reason,
  });
}

/** A proposal with its diff. */
export function renderProposal(proposal: Proposal): string {
  return `${renderHead(proposal)}\n${renderDiff(proposal.diff)}`;
}

/** Proposals, one a line. */
export function renderProposals(proposals: ProposalSummary[]): string {
  const rows = proposals.map(({ proposal_id, source, status, effective_from, counts }) => [
    proposal_id,
    source,
    status,
    effective_from,
    counts.new,
    counts.changed,
    counts.removed,
    counts.suspicious,
  ]);
  return table(['proposal', 'source', 'status', 'from', 'new', 'changed', 'removed', 'suspicious'], rows);
}

/** Catalog versions, one a line. */
export function renderVersions(versions: CatalogVersionSummary[]): string {
  const rows = versions.map((row) => [
    row.version,
    row.published_at,
    row.source,
    row.published_by,
    row.prices,
    row.note,
  ]);
  return table(['version', 'published at', 'source', 'by', 'prices', 'note'], rows);
}

/** A model as `GET /v1/catalog/models` answers it. */
export interface ListedModel {
  provider: string;
  model_id: string;
  deprecated: boolean;
  successor: string | null;
  meters: string[];
}

/** Models, one a line. */
export function renderModels(models: ListedModel[]): string {
  const rows = models.map((model) => [
    model.provider,
    model.model_id,
    model.deprecated ? 'deprecated' : null,
    model.successor,
    model.meters.join(', '),
  ]);
  return table(['provider', 'model', 'state', 'successor', 'meters'], rows);
}

/** Alias rows, one a line. */
export function renderAliases(aliases: ListedAlias[]): string {
  if (aliases.length === 0) return 'No aliases.\n';
  const rows = aliases.map((row) => [
    row.provider,
    row.alias,
    row.model_id,
    row.effective_from,
    row.effective_to,
    row.version,
    row.published_by,
    row.note,
  ]);
  return table(['provider', 'alias', 'means', 'from', 'to', 'version', 'by', 'note'], rows);
}

/** What `GET /v1/catalog/price` answers. */
export interface PricesInForce {
  catalog_version: number;
  provider: string;
  priced_as: string;
  how: string;
  at: string;
  deprecated: boolean;
  successor: string | null;
  rows: PriceRow[];
  multipliers: MultiplierRow[];
}

/** The prices of a model in force. */
export function renderPrices(found: PricesInForce): string {
  const head = fields({
    model: `${found.provider}/${found.priced_as} (${found.how})`,
    at: found.at,
    'catalog version': found.catalog_version,
    deprecated: found.deprecated ? 'yes' : 'no',
    successor: found.successor,
  });
  const condition = (row: PriceRow | MultiplierRow) =>
    [row.service_tier, row.region, row.book && `book ${row.book}`].filter(Boolean).join(', ') || '-';
  const rows = found.rows.map((row) => [
    row.meter,
    row.same_as === null ? row.price : `as ${row.same_as}`,
    row.per,
    row.currency,
    row.context_over,
    row.daily_window && `${row.daily_window.from}-${row.daily_window.to}`,
    condition(row),
    row.effective_from,
    row.version,
  ]);
  const prices = table(
    ['meter', 'price', 'per', 'currency', 'input over', 'time of day', 'condition', 'from', 'version'],
    rows,
  );
  if (found.multipliers.length === 0) return `${head}\n${prices}`;
  const times = found.multipliers.map((row) => [
    row.multiplier,
    condition(row),
    row.model_id ?? 'all models',
    row.meters?.join(', ') ?? 'all meters',
    row.effective_from,
  ]);
  return `${head}\n${prices}\n${table(['times', 'condition', 'of', 'meters', 'from'], times)}`;
}
