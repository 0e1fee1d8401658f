import { currentCatalogVersion } from '../catalog/catalog-store.js';
import type { Adjustment, HeldElsewhere, NextPeriod, OpeningBalances } from '../contracts/balances.js';
import type { HeldDecision } from '../contracts/held-decision.js';
import type { Plan } from '../contracts/plan.js';
import type { Queryable } from '../database/pool.js';
import { CostplusError } from '../errors/error.js';
import type { PricingInputs } from '../pricing/pricing-result.js';
import { readExchangeRates } from './exchange-rates.js';
import type { SealedLate } from './late-usage.js';
import { type ReadOpening, readOpening } from './opening.js';
import { readPricingInputs } from './pricing-inputs.js';
import type { UsageSet } from './usage-set.js';

/** Everything beside the set of events that the invoice is a function of (invariant 2). */
export interface SealInputs {
  pricing: PricingInputs;
  plans: Plan[];
  /** What was decided about held usage; left out where nothing was. */
  decisions?: HeldDecision[];
  customer: { customer_id: string; name: string | null; currency: string };
  period: { start_date: string; start: string; end: string; calendar_from: string; calendar_to: string };
  /** Rates from a catalog currency to the invoice's, decimal strings; the invoice's own currency is "1". */
  exchange_rates: Record<string, string>;
  /** What the periods before leave, the period that follows, and one-off amounts; left out of seals of the first days. */
  opening?: OpeningBalances;
  next?: NextPeriod | null;
  adjustments?: Adjustment[];
  /** What of the allowances other sealed invoices had; left out where they had nothing. */
  held?: HeldElsewhere;
  /**
   * The plan in force at the end, where it was in force before, left and taken up again. Seals of the first days are
   * without: the plan that came into force last for the first time then stands for it.
   */
  plan_at_end?: string;
  /** Late usage; left out where none was ever decided for the customer. */
  late?: SealedLate;
}

export interface Seal {
  period_id: number;
  revision: number;
  sealed_at: Date;
  sealed_xid: bigint;
  catalog_version: number;
  inputs_hash: string;
  inputs: SealInputs;
  composer_version: number;
}

/** Above every transaction id that a database can reach: a set of all that is there. */
export const END_OF_TRANSACTIONS = 2n ** 63n;

/** The usage of a seal (src/ledger/usage-set.ts). */
export function setOf({ period_id, sealed_xid, inputs }: Pick<Seal, 'period_id' | 'sealed_xid' | 'inputs'>): UsageSet {
  return {
    period_id,
    sealed_xid,
    voided_to: inputs.pricing.voided_to ?? 0,
    decided_to: inputs.late?.decided_to ?? 0,
  };
}

interface SealRow extends Omit<Seal, 'sealed_xid'> {
  sealed_xid: string;
}

/** A period's newest seal (or the given revision's), or null while it is unsealed. */
export async function readSeal(database: Queryable, periodId: number, revision?: number): Promise<Seal | null> {
  const { rows } = await database.query<SealRow>(
    `SELECT period_id, revision, sealed_at, sealed_xid::text, catalog_version, inputs_hash, inputs, composer_version
     FROM seals WHERE period_id = $1 AND ($2::int IS NULL OR revision = $2) ORDER BY revision DESC LIMIT 1`,
    [periodId, revision ?? null],
  );
  const row = rows[0];
  return row ? { ...row, sealed_xid: BigInt(row.sealed_xid) } : null;
}

export interface SealablePeriod {
  period_id: number;
  customer_id: string;
  start_date: string;
  starts_at: Date;
  ends_at: Date;
  calendar_from: Date;
  calendar_to: Date;
  status: string;
  name: string | null;
  currency: string;
}

/** What a seal would pin, and what it has to know beside it. */
export interface ReadSealInputs extends Pick<ReadOpening, 'waits_for' | 'busy' | 'before'> {
  inputs: SealInputs;
  inputs_hash: string;
}

/**
 * What a seal at this catalog version would pin now; the preview composes from the same. `waits_for`: the start date of
 * an earlier period that is not composed yet and that leaves something to this one; a seal has to wait for it, and for
 * one that is `busy`.
 */
export async function readSealInputs(
  database: Queryable,
  period: SealablePeriod,
  catalogVersion: number,
): Promise<ReadSealInputs> {
  const { inputs, inputs_hash, plans, decisions } = await readPricingInputs(database, period, catalogVersion);
  const { waits_for, busy, before, ...opening } = await readOpening(database, period, plans);
  return {
    inputs_hash,
    waits_for,
    busy,
    before,
    inputs: {
      pricing: inputs,
      plans,
      ...(decisions.length === 0 ? {} : { decisions }),
      customer: { customer_id: period.customer_id, name: period.name, currency: period.currency },
      period: {
        start_date: period.start_date,
        start: period.starts_at.toISOString(),
        end: period.ends_at.toISOString(),
        calendar_from: period.calendar_from.toISOString(),
        calendar_to: period.calendar_to.toISOString(),
      },
      exchange_rates: await readExchangeRates(database, period.currency, period.ends_at),
      ...opening,
    },
  };
}

/** A period's row with its customer, as a seal needs it; null where there is none. `forUpdate` locks the row. */
export async function readSealablePeriod(
  database: Queryable,
  periodId: number,
  forUpdate = false,
): Promise<SealablePeriod | null> {
  const { rows } = await database.query<SealablePeriod>(
    `SELECT p.period_id, p.customer_id, p.start_date, p.starts_at, p.ends_at, p.calendar_from, p.calendar_to, p.status, c.name, c.currency
     FROM periods p JOIN customers c USING (customer_id) WHERE p.period_id = $1 ${forUpdate ? 'FOR UPDATE OF p' : ''}`,
    [periodId],
  );
  return rows[0] ?? null;
}

/**
 * The start date of the period that has to be composed before this one is sealed; null where it can be sealed now, and
 * where nothing can be said (a customer without a plan).
 */
export async function findWait(database: Queryable, periodId: number): Promise<string | null> {
  const period = (await readSealablePeriod(database, periodId))!;
  try {
    const { waits_for, busy } = await readSealInputs(database, period, await currentCatalogVersion(database));
    return waits_for ?? busy;
  } catch (error) {
    if (error instanceof CostplusError) return null;
    throw error;
  }
}
