import type { Catalog } from '../catalog/catalog.js';
import type { CatalogCache } from '../catalog/catalog-cache.js';
import { currentCatalogVersion } from '../catalog/catalog-store.js';
import { contentHash } from '../contracts/canonical-json.js';
import type { Totals } from '../contracts/period.js';
import { type Client, type Pool, withSession } from '../database/pool.js';
import { inTurn } from '../database/turns.js';
import { CostplusError } from '../errors/error.js';
import { PRICING_SLICE_EVENTS_COUNT, REPORTED_COST_TOLERANCE_DEFAULT_FRACTION } from '../limits.js';
import { mergeResults } from '../pricing/merge-results.js';
import type { PricingResult, ReportedGroup } from '../pricing/pricing-result.js';
import { type ActionCounts, chargesActions, countActions } from './action-counts.js';
import { readHorizon } from './horizon.js';
import { type PeriodInputs, readPricingInputs } from './pricing-inputs.js';
import {
  hasChunks,
  type PricingHead,
  type PricingRun,
  priceRange,
  readHead,
  readResult,
  refreshTotals,
  writeRun,
} from './pricing-runs.js';
import { cutSlice, keepRepricing, readRepricing } from './pricing-slices.js';
import { noteDrifts } from './reported-drift.js';
import { readSeal, readSealablePeriod } from './seal.js';
import { readStaleTotals, readTotals, type TotalsTerms } from './totals.js';
import { openTotalsTerms, sealedTotalsTerms } from './totals-terms.js';
import { decidedModels, touchedModels } from './touched-models.js';
import { readVoided } from './voided-usage.js';

export interface PriceDeps {
  pool: Pool;
  catalogs: CatalogCache;
  /** Hears how many events were read so far. */
  onProgress?: (events: number) => void;
  /** How many events a slice has; PRICING_SLICE_EVENTS_COUNT if left out. */
  sliceEvents?: number;
  /** Hears how many events a run added. */
  onPriced?: (events: number) => void;
  /** How far reported costs may be from the catalog's, as a share of it; REPORTED_COST_TOLERANCE_DEFAULT_FRACTION if left out. */
  reportedCostTolerance?: string;
  /** Hears, once a period, of each model and source whose reported costs are beyond it. */
  onDrift?: (drift: ReportedGroup) => void;
}

/**
 * Prices what is settled and unpriced of a period and returns its totals (null while there is nothing). An open period
 * is priced up to the horizon at the newest catalog version and the plans assigned now; a sealed one up to its seal's
 * transaction at the pinned inputs. Where the inputs changed, what they touch is priced again. It goes slice by slice of
 * about PRICING_SLICE_EVENTS_COUNT events, each committed by itself: an attempt that ends early leaves its slices to the
 * next one, and into how many slices a period fell cannot be seen in its sums. Safe to repeat and to
 * run twice at once: the attempt that was overtaken throws `stale_inputs` (retryable) and wrote nothing.
 */
export async function pricePeriod(deps: PriceDeps, periodId: number): Promise<Totals | null> {
  // Compiled before a session is taken: what many periods need is loaded once, and not in each of their sessions.
  await deps.catalogs.at(await currentCatalogVersion(deps.pool));
  const progress = countOver(deps.onProgress);
  // One session reads the horizon and writes the slice: transaction ids that a crash of the server took back are given
  // out again, and what the horizon promised before the crash must not be written after it.
  const slice = () => withSession(deps.pool, (session) => priceSlice({ ...deps, ...progress() }, session, periodId));
  while (!(await inTurn(deps.pool, slice)));
  return readTotals(deps.pool, periodId);
}

/** Tells how many events all slices read so far. */
function countOver(onProgress: PriceDeps['onProgress']): () => Pick<PriceDeps, 'onProgress'> {
  if (onProgress === undefined) return () => ({});
  let all = 0;
  return () => {
    const before = all;
    return {
      onProgress: (events) => {
        all = before + events;
        onProgress(all);
      },
    };
  };
}

/** Prices the next slice, and tells whether there is nothing left of what was settled when it began. */
async function priceSlice(deps: PriceDeps, session: Client, periodId: number): Promise<boolean> {
  const target = await readTarget(session, periodId);
  const head = await readHead(session, periodId);
  const catalog = await deps.catalogs.at(target.inputs.catalog_version, session);
  if (head && head.inputs_hash !== target.inputs_hash)
    return repriceSlice(deps, session, periodId, head, target, catalog);
  if (head && head.priced_to >= target.to_xid) return refresh(deps, session, periodId, head, target, catalog);

  const range = { period_id: periodId, from_xid: head?.priced_to ?? 0n, to_xid: target.to_xid };
  const slice = await cutSlice(session, range, sliceEvents(deps));
  const isLast = slice.to_xid === range.to_xid;
  const result = await priceRange(session, catalog, target.inputs, target, slice, deps.onProgress);
  deps.onPriced?.(result.events);
  // No run for nothing: the head stays, and the next horizon covers this range too. Usage that was voided before it was
  // priced is something: the relay asks for as long as the head has not passed its chunk.
  const { from_xid, to_xid } = slice;
  if (head && isLast && result.events === 0 && !(await hasChunks(session, periodId, from_xid, to_xid))) {
    return refresh(deps, session, periodId, head, target, catalog);
  }
  const actions = await countActions(session, catalog, target, slice, null, deps.onProgress);
  await write(deps, session, { ...slice, result }, head, target, actions);
  return isLast;
}

function sliceEvents(deps: PriceDeps): number {
  return deps.sliceEvents ?? PRICING_SLICE_EVENTS_COUNT;
}

async function write(
  deps: PriceDeps,
  session: Client,
  run: Pick<PricingRun, 'period_id' | 'from_xid' | 'to_xid' | 'result'>,
  head: PricingHead | null,
  target: Target,
  actions: ActionCounts,
): Promise<void> {
  const { inputs_hash, inputs } = target;
  const named = { ...run, inputs_hash, catalog_version: inputs.catalog_version };
  const whole = await writeRun(session, named, head, target, actions);
  const tolerance = deps.reportedCostTolerance ?? REPORTED_COST_TOLERANCE_DEFAULT_FRACTION;
  for (const drift of await noteDrifts(session, run.period_id, whole, tolerance)) deps.onDrift?.(drift);
}

/** Nothing is to be priced: the totals are computed anew where the exchange rates moved. Answers that all is done. */
async function refresh(
  deps: PriceDeps,
  session: Client,
  periodId: number,
  head: PricingHead,
  target: Target,
  catalog: Catalog,
): Promise<true> {
  const known = await readStaleTotals(session, periodId, target);
  if (!known.stale) return true;
  const range = { period_id: periodId, to_xid: head.priced_to };
  const actions = known.actions ?? (await countActions(session, catalog, target, range, null, deps.onProgress));
  await refreshTotals(session, periodId, head, target, actions);
  return true;
}

interface Target extends PeriodInputs, TotalsTerms {
  to_xid: bigint;
}

async function readTarget(session: Client, periodId: number): Promise<Target> {
  const seal = await readSeal(session, periodId);
  if (seal) {
    const { decisions = [] } = seal.inputs;
    return { ...sealedTotalsTerms(seal.inputs), inputs_hash: seal.inputs_hash, decisions, to_xid: seal.sealed_xid };
  }
  const period = await readSealablePeriod(session, periodId);
  if (!period) throw new CostplusError('unknown_period', `There is no period ${periodId}.`);
  // The horizon first: what it promises settled is visible to every later statement.
  const horizon = await readHorizon(session);
  const version = await currentCatalogVersion(session);
  const inputs = await readPricingInputs(session, period, version);
  return { ...inputs, ...(await openTotalsTerms(session, period, inputs)), to_xid: horizon };
}

/**
 * Prices again, at the new inputs, a slice of what is priced up to the head: all of it, or the events of models that the
 * change touches. Slices are kept apart until the last one is there, so that nobody sees the sums of a part; then they
 * and what the change leaves alone become the period's run at the new inputs, and the head goes over to these.
 */
async function repriceSlice(
  deps: PriceDeps,
  session: Client,
  periodId: number,
  head: PricingHead,
  target: Target,
  catalog: Catalog,
): Promise<boolean> {
  const kept = await readKept(session, periodId, head, target);
  const stage = contentHash({ head: [head.inputs_hash, head.priced_to.toString()], target: target.inputs_hash });
  const known = await readRepricing(session, periodId, stage);
  const range = {
    period_id: periodId,
    from_xid: known.priced_to,
    to_xid: head.priced_to,
    ...(kept === null ? {} : { model_ids: kept.touched }),
  };
  const slice = await cutSlice(session, range, sliceEvents(deps));
  const again = await priceRange(session, catalog, target.inputs, target, slice, deps.onProgress);
  deps.onPriced?.(again.events);
  const repriced = mergeResults(known.result, again);
  if (slice.to_xid < range.to_xid) {
    if (kept === null) await countActions(session, catalog, target, slice, null, deps.onProgress);
    await keepRepricing(session, periodId, stage, { from: known.priced_to, to: slice.to_xid }, repriced);
    return false;
  }
  // The range's events are the same ones but for those voided, whatever they are grouped as.
  const result = kept === null ? repriced : { ...mergeResults(kept.untouched, repriced), events: kept.events };
  const run = { period_id: periodId, from_xid: 0n, to_xid: head.priced_to, result };
  const counted = kept === null ? null : { inputs_hash: head.inputs_hash, model_ids: kept.touched };
  const actions = await countActions(session, catalog, target, run, counted, deps.onProgress);
  await write(deps, session, run, head, target, actions);
  return head.priced_to >= target.to_xid;
}

/**
 * What a change of inputs leaves alone, where only the catalog, the decisions about held usage or the voids moved, and
 * the models whose events it touches. Null when everything has to be priced again.
 */
async function readKept(
  session: Client,
  periodId: number,
  head: PricingHead,
  target: Target,
): Promise<{ untouched: PricingResult; touched: string[]; events: number } | null> {
  const { decisions: _decisions, voided_to: voidedTo = 0, ...others } = target.inputs;
  const before = {
    ...others,
    catalog_version: head.catalog_version,
    ...(head.decisions.length === 0 ? {} : { decisions: head.decisions }),
    ...(head.voided_to === 0 ? {} : { voided_to: head.voided_to }),
  };
  const othersStayed = contentHash(before) === head.inputs_hash;
  if (!othersStayed || target.inputs.catalog_version < head.catalog_version) return null;
  const old = await readResult(session, periodId, head.inputs_hash);
  const touched = await touchedModels(session, old, head.catalog_version, target.inputs.catalog_version);
  if (touched === 'all') return null;
  for (const model of decidedModels(old)) touched.add(model);
  const voided = await readVoided(session, { period_id: periodId, to_xid: head.priced_to }, head.voided_to, voidedTo);
  for (const model of voided.models) touched.add(model);
  const isUntouched = (group: { model_id: string }) => !touched.has(group.model_id);
  // Actions are counted for good: one whose usage may go to another rule, or be voided, is counted with all others anew.
  if (chargesActions(target.plans) && !old.groups.every(isUntouched)) return null;
  const untouched = {
    groups: old.groups.filter(isUntouched),
    held: [],
    events: 0,
    reported: (old.reported ?? []).filter(isUntouched),
    review: (old.review ?? []).filter(isUntouched),
  };
  return { untouched, touched: [...touched], events: old.events - voided.events };
}
