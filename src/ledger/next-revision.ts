import type { CatalogCache } from '../catalog/catalog-cache.js';
import { currentCatalogVersion } from '../catalog/catalog-store.js';
import { contentHash } from '../contracts/canonical-json.js';
import type { RebillOptions } from '../contracts/engine.js';
import type { Client, Queryable } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { decideLate, findBillable, lastDecision, resolverTerms, type SealedPeriod } from './late-usage.js';
import { readSeal, readSealablePeriod, readSealInputs, type Seal, type SealInputs } from './seal.js';
import { insertSeal } from './seal-period.js';

/** What the next revision of a sealed period would be made of now. */
export interface NextRevision {
  period_id: number;
  revision: number;
  catalog_version: number;
  inputs_hash: string;
  inputs: SealInputs;
  /** Late usage that it takes in. */
  events: string[];
}

/**
 * What the next revision would pin now: the newest revision's terms with what was decided, voided and resolved since;
 * prices or plans of today only where finance says so. Late usage that waits is taken in, but for what a person let go
 * into another period. Throws `wrong_status` for a period that was never sealed.
 */
export async function prepareRevision(
  client: Client,
  catalogs: CatalogCache,
  periodId: number,
  terms: Pick<RebillOptions, 'catalog' | 'plans'>,
): Promise<NextRevision> {
  const prior = await readSeal(client, periodId);
  const period = await readSealablePeriod(client, periodId);
  if (!prior || !period) throw new CostplusError('wrong_status', 'Only a period that was sealed is billed again.');
  const newest = await currentCatalogVersion(client);
  const version = terms.catalog === 'newest' ? newest : prior.catalog_version;
  const now = (await readSealInputs(client, period, version)).inputs;
  const pinned = prior.inputs;
  const kept = terms.plans === 'assigned' ? now : pinned;
  const pricing = { ...now.pricing, assignments: kept.pricing.assignments, attributes: kept.pricing.attributes };
  const { decisions: _decisions, late: _late, adjustments: _adjustments, ...others } = pinned;
  const inputs: SealInputs = {
    ...others,
    pricing,
    plans: kept.plans,
    ...(now.decisions === undefined ? {} : { decisions: now.decisions }),
    ...(now.adjustments === undefined ? {} : { adjustments: now.adjustments }),
    exchange_rates: { ...now.exchange_rates, ...pinned.exchange_rates },
    // What other periods took of credits by now is not there a second time; the period's own taking is given back.
    ...(pinned.opening === undefined ? {} : { opening: { ...pinned.opening, credits: now.opening?.credits ?? [] } }),
  };
  const resolver = version === newest ? inputs : await resolverTerms(client, period, inputs, newest);
  const sealed: SealedPeriod = { ...period, sealed_at: prior.sealed_at };
  const events = await findBillable(client, catalogs, sealed, { ...prior, inputs }, resolver, false);
  const decidedTo = await lastDecision(client, period.customer_id);
  if (decidedTo > 0 || events.length > 0) {
    const origins = await newestRevisions(client, pinned.late?.origins ?? []);
    inputs.late = { decided_to: decidedTo, origins, ...(version === newest ? {} : { resolver }) };
  }
  return {
    period_id: periodId,
    revision: prior.revision + 1,
    catalog_version: version,
    inputs_hash: contentHash(pricing),
    inputs,
    events,
  };
}

/** Seals the next revision, under the locks of billing and period that the caller holds. */
export async function sealRevision(
  client: Client,
  catalogs: CatalogCache,
  period: { period_id: number; customer_id: string },
  terms: Pick<RebillOptions, 'catalog' | 'plans'>,
  reason: string,
): Promise<Pick<Seal, 'revision' | 'catalog_version'> & { late_events: number }> {
  const next = await prepareRevision(client, catalogs, period.period_id, terms);
  const { period_id, revision, events } = next;
  if (events.length > 0) {
    await decideLate(client, period.customer_id, events, { period_id, billed_in: period_id, revision });
    next.inputs.late = { ...next.inputs.late!, decided_to: await lastDecision(client, period.customer_id) };
  }
  await insertSeal(client, { ...next, reason });
  return { revision, catalog_version: next.catalog_version, late_events: events.length };
}

/** Amounts of carried usage are compared with what the other period was billed last. */
async function newestRevisions<T extends { period_id: number }>(database: Queryable, origins: T[]): Promise<T[]> {
  const found = origins.map(async (origin) => ({
    ...origin,
    revision: (await readSeal(database, origin.period_id))!.revision,
  }));
  return Promise.all(found);
}
