import type { Catalog } from '../catalog/catalog.js';
import type { CatalogCache } from '../catalog/catalog-cache.js';
import { currentCatalogVersion } from '../catalog/catalog-store.js';
import { contentHash } from '../contracts/canonical-json.js';
import type { Totals } from '../contracts/period.js';
import { type Client, type Pool, withSession } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { REPORTED_COST_TOLERANCE_DEFAULT_FRACTION } from '../limits.js';
import { mergeResults } from '../pricing/merge-results.js';
import type { PricingResult, ReportedGroup } from '../pricing/pricing-result.js';
import { readHorizon } from './horizon.js';
import { type PeriodInputs, readPricingInputs } from './pricing-inputs.js';
import { hasChunks, type PricingHead, priceRange, readHead, readResult, writeRun } from './pricing-runs.js';
import { noteDrifts } from './reported-drift.js';
import { readSeal, readSealablePeriod } from './seal.js';
import { readTotals } from './totals.js';
import { decidedModels, touchedModels } from './touched-models.js';
import { readVoided } from './voided-usage.js';

export interface PriceDeps {
  pool: Pool;
  catalogs: CatalogCache;
  /** Hears how many events were read so far. */
  onProgress?: (events: number) => void;
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
 * transaction at the pinned inputs. Where the inputs changed, what they touch is priced again. Safe to repeat and to
 * run twice at once: the attempt that was overtaken throws `stale_inputs` (retryable) and wrote nothing.
 */
export async function pricePeriod(deps: PriceDeps, periodId: number): Promise<Totals | null> {
  // Compiled before a session is taken: sessions that wait for the pool's last connection would wait for one another.
  await deps.catalogs.at(await currentCatalogVersion(deps.pool));
  // One session reads the horizon and writes the run: transaction ids that a crash of the server took back are given
  // out again, and what the horizon promised before the crash must not be written after it.
  return withSession(deps.pool, (session) => priceInSession(deps, session, periodId));
}

async function priceInSession(deps: PriceDeps, session: Client, periodId: number): Promise<Totals | null> {
  const target = await readTarget(session, periodId);
  const head = await readHead(session, periodId);
  const sameInputs = head?.inputs_hash === target.inputs_hash;
  if (head && sameInputs && head.priced_to >= target.to_xid) return readTotals(session, periodId);

  const catalog = await deps.catalogs.at(target.inputs.catalog_version);
  const kept = head && !sameInputs ? await reprice(deps, session, periodId, head, target, catalog) : null;
  const from = head && (sameInputs || kept) ? head.priced_to : 0n;
  const to = head && head.priced_to > target.to_xid ? head.priced_to : target.to_xid;
  const fresh = await priceRange(
    session,
    catalog,
    target.inputs,
    target,
    { period_id: periodId, from_xid: from, to_xid: to },
    deps.onProgress,
  );
  deps.onPriced?.(fresh.events);
  // No run for nothing: the head stays, and the next horizon covers this range too. Usage that was voided before it was
  // priced is something: the relay asks for as long as the head has not passed its chunk.
  if (sameInputs && fresh.events === 0 && !(await hasChunks(session, periodId, from, to))) {
    return readTotals(session, periodId);
  }

  const whole = await writeRun(
    session,
    {
      period_id: periodId,
      inputs_hash: target.inputs_hash,
      from_xid: sameInputs ? from : 0n,
      to_xid: to,
      catalog_version: target.inputs.catalog_version,
      result: kept ? mergeResults(kept, fresh) : fresh,
    },
    head,
    target,
  );
  const tolerance = deps.reportedCostTolerance ?? REPORTED_COST_TOLERANCE_DEFAULT_FRACTION;
  for (const drift of await noteDrifts(session, periodId, whole, tolerance)) deps.onDrift?.(drift);
  return readTotals(session, periodId);
}

interface Target extends PeriodInputs {
  to_xid: bigint;
}

async function readTarget(session: Client, periodId: number): Promise<Target> {
  const seal = await readSeal(session, periodId);
  if (seal) {
    const { pricing, plans, decisions = [] } = seal.inputs;
    return { inputs: pricing, inputs_hash: seal.inputs_hash, plans, decisions, to_xid: seal.sealed_xid };
  }
  const period = await readSealablePeriod(session, periodId);
  if (!period) throw new CostplusError('unknown_period', `There is no period ${periodId}.`);
  // The horizon first: what it promises settled is visible to every later statement.
  const horizon = await readHorizon(session);
  const version = await currentCatalogVersion(session);
  return { ...(await readPricingInputs(session, period, version)), to_xid: horizon };
}

/**
 * The period's results up to the head at the new inputs, where only the catalog, the decisions about held usage or the
 * voids moved: groups of models that they leave alone stay, events of the others are priced again. Null when
 * everything has to be priced again.
 */
async function reprice(
  deps: PriceDeps,
  session: Client,
  periodId: number,
  head: PricingHead,
  target: Target,
  catalog: Catalog,
): Promise<PricingResult | null> {
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
  const again = await priceRange(
    session,
    catalog,
    target.inputs,
    target,
    { period_id: periodId, from_xid: 0n, to_xid: head.priced_to, model_ids: [...touched] },
    deps.onProgress,
  );
  const isUntouched = (group: { model_id: string }) => !touched.has(group.model_id);
  const untouched = {
    groups: old.groups.filter(isUntouched),
    held: [],
    events: 0,
    reported: (old.reported ?? []).filter(isUntouched),
    review: (old.review ?? []).filter(isUntouched),
  };
  // The range's events are the same ones but for those voided, whatever they are grouped as.
  return { ...mergeResults(untouched, again), events: old.events - voided.events };
}
