import type { CatalogCache } from '../catalog/catalog-cache.js';
import { currentCatalogVersion } from '../catalog/catalog-store.js';
import type { OpeningBalances } from '../contracts/balances.js';
import { contentHash } from '../contracts/canonical-json.js';
import type { RebillOptions } from '../contracts/engine.js';
import type { Client, Queryable } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import { neededAttributes } from '../plans/plan-rules.js';
import { correctedPlan, followingNow } from './corrected-plan.js';
import { pinOrigins } from './late-origins.js';
import { hasPeriodToCome } from './late-outcome.js';
import { decideLate, findBillable, lastDecision, resolverTerms, type SealedPeriod } from './late-usage.js';
import { type PeriodBefore, takenUpAgain } from './opening.js';
import { expectRates } from './opening-rates.js';
import { readSeal, readSealablePeriod, readSealInputs, type Seal, type SealInputs } from './seal.js';
import { insertSeal } from './seal-period.js';

/** What a re-bill takes anew; `refund` is no part of what is sealed. */
type RevisionTerms = Omit<RebillOptions, 'refund'>;

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
 * prices or plans of today, or a plan that should have been in force, only where finance says so. Late usage that waits is
 * taken in, but for what a person let go into another period. It opens with what the period before leaves by now, and what
 * of its own allowances other invoices have is not there any more. Throws `wrong_status` for a period that was never sealed, and while an invoice of another
 * one is composed that it depends on; for a plan that is named `unknown_plan`, `invalid_plan` where it is in another
 * currency than the invoice, and `no_exchange_rate` where it charges on a cost that cannot be exchanged.
 */
export async function prepareRevision(
  client: Client,
  catalogs: CatalogCache,
  periodId: number,
  terms: RevisionTerms,
): Promise<NextRevision> {
  const prior = await readSeal(client, periodId);
  const period = await readSealablePeriod(client, periodId);
  if (!prior || !period) throw new CostplusError('wrong_status', 'Only a period that was sealed is billed again.');
  const newest = await currentCatalogVersion(client);
  const version = terms.catalog === 'newest' ? newest : prior.catalog_version;
  const { inputs: now, busy, before } = await readSealInputs(client, period, version);
  if (busy !== null) {
    throw new CostplusError(
      'wrong_status',
      `An invoice of the period ${busy} is being composed that this one depends on; send it again.`,
    );
  }
  const pinned = prior.inputs;
  const corrected = terms.plan === undefined ? null : await correctedPlan(client, prior, terms.plan);
  const kept = corrected ?? (terms.plans === 'assigned' ? now : pinned);
  // Credits that were granted since may tell usage apart by what the seal did not.
  const matches = (now.opening?.credits ?? []).flatMap(({ match }) => match ?? []);
  const attributes = new Set([...kept.pricing.attributes, ...neededAttributes([], matches)]);
  const pricing = { ...now.pricing, assignments: kept.pricing.assignments, attributes: [...attributes].sort() };
  const {
    decisions: _decisions,
    late: _late,
    adjustments: _adjustments,
    held: _held,
    plan_at_end: _atEnd,
    ...others
  } = pinned;
  const opening = pinned.opening && openingNow(pinned.opening, now.opening!, before);
  const inputs: SealInputs = {
    ...others,
    pricing,
    plans: kept.plans,
    ...(now.decisions === undefined ? {} : { decisions: now.decisions }),
    ...(now.adjustments === undefined ? {} : { adjustments: now.adjustments }),
    exchange_rates: { ...now.exchange_rates, ...pinned.exchange_rates },
    ...(opening === undefined ? {} : { opening }),
    ...(now.held === undefined ? {} : { held: now.held }),
    ...takenUpAgain(kept.plans),
  };
  if (corrected !== null) {
    // Seals of the first days do not know what follows.
    if (pinned.next !== undefined) inputs.next = await followingNow(client, period, corrected.plans[0]!, pinned, now);
    await expectRates(client, period, inputs);
  }
  const resolver = version === newest ? inputs : await resolverTerms(client, period, inputs, newest);
  const sealed: SealedPeriod = { ...period, sealed_at: prior.sealed_at };
  // What a person let go is carried, where there is a period to carry it.
  const toCome = await hasPeriodToCome(client, period.customer_id, period.ends_at);
  const which = terms.late_usage === 'released' ? 'released' : toCome ? 'not_released' : 'all';
  const events = await findBillable(client, catalogs, sealed, { ...prior, inputs }, resolver, which);
  const decidedTo = await lastDecision(client, period.customer_id);
  if (decidedTo > 0 || events.length > 0) {
    const carrying = { ...period, opening, before: before?.period_id ?? null };
    const origins = await pinOrigins(client, carrying, await newestRevisions(client, pinned.late?.origins ?? []));
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

/**
 * What the next revision opens with: what the period before leaves by now, as far as it is composed. What other periods
 * took of credits by now is not there a second time; the period's own taking is given back.
 */
function openingNow(pinned: OpeningBalances, now: OpeningBalances, before: PeriodBefore | null): OpeningBalances {
  return before !== null && before.closing === null ? { ...pinned, credits: now.credits } : now;
}

/** Seals the next revision, under the locks of billing and period that the caller holds. */
export async function sealRevision(
  client: Client,
  catalogs: CatalogCache,
  period: { period_id: number; customer_id: string },
  terms: RevisionTerms,
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
  const found = [];
  for (const origin of origins) {
    found.push({ ...origin, revision: (await readSeal(database, origin.period_id))!.revision });
  }
  return found;
}
