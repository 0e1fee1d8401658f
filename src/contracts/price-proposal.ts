/** What an import of prices says and what it would change; plain JSON, as it is stored and answered. */
import type { CatalogVersionBody } from './catalog.js';

/** The price sources with an importer (src/catalog/import-*.ts). */
export const PRICE_SOURCE_NAMES = ['litellm', 'models.dev', 'openrouter', 'genai-prices'] as const;
export type PriceSourceName = (typeof PRICE_SOURCE_NAMES)[number];

/** One price as a source gives it, in the words of the catalog; exactly one of `price` and `same_as`. */
export interface CandidateRow {
  provider: string;
  model_id: string;
  meter: string;
  price?: string;
  same_as?: string;
  per: number;
  currency: string;
  /** What the source wrote, where `price` is its rounding. */
  raw_price?: string;
  context_over?: number;
  daily_window?: { from: string; to: string };
  service_tier?: string;
  per_event?: boolean;
}

/** A model that a source says is deprecated. */
export interface DeprecatedModel {
  provider: string;
  model_id: string;
}

/** A price of the source that was not taken, and why: nothing is left out in silence. */
export interface SkippedPrice {
  provider: string;
  model_id: string;
  key: string;
  reason: string;
}

/** A source's document, normalised. Ordered by provider, model and slot (code units): one document, one list. */
export interface PriceCandidates {
  source: PriceSourceName;
  rows: CandidateRow[];
  deprecated: DeprecatedModel[];
  skipped: SkippedPrice[];
}

export const SUSPICIONS = [
  'large_move',
  'unit',
  'sources_disagree',
  'currency',
  'resolves_otherwise',
  'becomes_ambiguous',
] as const;
export interface Suspicion {
  reason: (typeof SUSPICIONS)[number];
  detail: string;
}

/** A price on one side of a change. */
export interface DiffPrice {
  price: string | null;
  same_as: string | null;
  per: number;
  currency: string;
}

export interface DiffEntry {
  kind: 'new' | 'changed' | 'removed';
  provider: string;
  model_id: string;
  meter: string;
  context_over: number | null;
  daily_window: { from: string; to: string } | null;
  service_tier: string | null;
  old: DiffPrice | null;
  new: DiffPrice | null;
  /** New price over old one, a decimal of at most 6 places; null where one side is missing. */
  factor: string | null;
  suspicions: Suspicion[];
}

export interface DiffCounts {
  new: number;
  changed: number;
  removed: number;
  unchanged: number;
  suspicious: number;
  skipped: number;
}

/** The readable difference between a source and the catalog at an instant. */
export interface PriceDiff {
  source: PriceSourceName;
  catalog_version: number;
  effective_from: string;
  counts: DiffCounts;
  /** Suspicious ones first, then by provider, model, meter and slot. */
  entries: DiffEntry[];
  /** Models that the source says are deprecated and the catalog does not yet. */
  deprecated: DeprecatedModel[];
  skipped: SkippedPrice[];
}

export const PROPOSAL_STATUSES = ['proposed', 'published', 'rejected', 'superseded'] as const;
export type ProposalStatus = (typeof PROPOSAL_STATUSES)[number];

/** A stored proposal as it is listed. */
export interface ProposalSummary {
  proposal_id: number;
  source: PriceSourceName;
  status: ProposalStatus;
  created_at: string;
  created_by: string;
  document_hash: string;
  catalog_version: number;
  effective_from: string;
  counts: DiffCounts;
  published_version: number | null;
  decided_by: string | null;
  decided_at: string | null;
  reason: string | null;
}

/** A stored proposal with what it would change. */
export interface Proposal extends ProposalSummary {
  diff: PriceDiff;
  /** The version that publishing makes. */
  body: CatalogVersionBody;
}
