import type { CatalogCache } from '../catalog/catalog-cache.js';
import type { AllowanceUse, RolledOver } from '../contracts/balances.js';
import { durationMs } from '../contracts/ids.js';
import { type LatePolicy, REBILL_WINDOW_DEFAULT } from '../contracts/late-options.js';
import type { Plan } from '../contracts/plan.js';
import type { Client, Queryable } from '../database/pool.js';
import { LATE_DECISIONS_COUNT } from '../limits.js';
import { type CarryingPeriod, pinOrigins } from './late-origins.js';
import { LatePricer, type PricingTerms } from './late-pricer.js';
import { readWaiting, UNDECIDED_SQL, type WaitingRow } from './late-waiting.js';
import { readOpening } from './opening.js';
import { readPricingInputs } from './pricing-inputs.js';
import { readSeal, readSealablePeriod, type Seal } from './seal.js';

/** A sealed period whose late usage another seal bills; pinned by that seal. */
export interface LateOrigin {
  period_id: number;
  start_date: string;
  /** The revision that the amount is compared with: the newest one then. */
  revision: number;
  /** Decisions below this one had been carried elsewhere before. */
  decided_from: number;
  /** In a preview: the usage that would be decided for; nothing is decided yet. */
  pending?: string[];
  /** Prices what the inputs of that revision hold. */
  resolver: PricingTerms;
  /** What other sealed invoices had of its allowances; left out of seals of the first days, and where it has none. */
  held?: OriginHeld;
  /** It is the period before: what it leaves with this usage is what the carrying period opens with. */
  opens?: true;
  /** What the usage adds to its commitment counts in the carrying period: both are of the one under way. */
  committed?: true;
}

/** What others had of a late origin's allowances: the next period, and invoices that carry other late usage of it. */
export interface OriginHeld {
  /** What it opened with itself, by its revision. */
  opening: RolledOver[];
  passed_on: RolledOver[];
  taken_before: AllowanceUse[];
  taken_after: AllowanceUse[];
}

/** What a seal pins of late usage; left out of seals before which none was decided. */
export interface SealedLate {
  /** Decisions of this customer up to this one are part of what is sealed. */
  decided_to: number;
  origins: LateOrigin[];
  /** Prices late usage of the period itself that the seal's own inputs hold (a re-bill). */
  resolver?: PricingTerms;
}

/** A sealed period, as far as its late usage needs it. */
export interface SealedPeriod {
  period_id: number;
  customer_id: string;
  start_date: string;
  starts_at: Date;
  ends_at: Date;
  sealed_at: Date;
}

/** What a plan does with late usage, and until when after the seal it is billed again. */
export function latePolicy(plan: Pick<Plan, 'late_usage' | 'rebill_window'>): {
  policy: LatePolicy;
  window_ms: number;
} {
  return { policy: plan.late_usage ?? 'carry', window_ms: durationMs(plan.rebill_window ?? REBILL_WINDOW_DEFAULT) };
}

/** The terms that price what a sealed period's own hold: the same plans, the given catalog, what was decided since. */
export async function resolverTerms(
  database: Queryable,
  period: { period_id: number; customer_id: string; starts_at: Date; ends_at: Date },
  { pricing, plans }: PricingTerms,
  catalogVersion: number,
): Promise<PricingTerms> {
  const { inputs, decisions } = await readPricingInputs(database, period, catalogVersion);
  const { assignments, attributes } = pricing;
  return {
    pricing: { ...inputs, assignments, attributes },
    plans,
    ...(decisions.length === 0 ? {} : { decisions }),
  };
}

/** Earlier sealed periods of a customer that have usage which waits: late, or held when they were sealed. */
async function readOrigins(client: Client, customerId: string, before: Date): Promise<SealedPeriod[]> {
  const { rows } = await client.query<SealedPeriod>(
    `SELECT p.period_id, p.customer_id, p.start_date, p.starts_at, p.ends_at, p.sealed_at
     FROM periods p LEFT JOIN period_totals t USING (period_id)
     WHERE p.customer_id = $1 AND p.starts_at < $2 AND p.sealed_at IS NOT NULL
       AND (t.held_events > 0 OR EXISTS (SELECT FROM usage_events e WHERE e.period_id = p.period_id AND e.late AND ${UNDECIDED_SQL}))
     ORDER BY p.starts_at`,
    [customerId, before],
  );
  return rows;
}

/** Whether the plan lets this usage go into another period. */
function isCarried(waiting: WaitingRow, period: SealedPeriod, plan: Plan, nowMs: number): boolean {
  if (waiting.released) return true;
  const { policy, window_ms } = latePolicy(plan);
  if (policy !== 'rebill') return policy === 'carry';
  const end = period.sealed_at.getTime() + window_ms;
  return (waiting.late ? waiting.received_at.getTime() : nowMs) > end;
}

/**
 * Which late usage is asked for: what its plan or a person lets go into another period, or what a re-bill takes: all,
 * what no person let go, or just what one did.
 */
export type Billable = 'carried' | 'all' | 'not_released' | 'released';

/**
 * Late usage of a sealed period that can be billed now; at most `limit`, what is beyond it waits for the next seal or
 * re-bill and is listed as waiting until then. Runs in a transaction under the billing lock of the customer.
 */
export async function findBillable(
  client: Client,
  catalogs: CatalogCache,
  period: SealedPeriod,
  seal: Seal,
  resolver: PricingTerms,
  which: Billable,
  limit: number = LATE_DECISIONS_COUNT,
): Promise<string[]> {
  const pricer = await LatePricer.open(catalogs, seal.inputs, resolver, client);
  const plan = seal.inputs.plans.at(-1)!;
  const nowMs = Date.now();
  const isMeant = (one: WaitingRow) =>
    which === 'carried'
      ? isCarried(one, period, plan, nowMs)
      : which === 'all' || one.released === (which === 'released');
  const found: string[] = [];
  for await (const waiting of readWaiting(client, period, seal)) {
    const billable = waiting.filter((one) => isMeant(one) && pricer.canBill(one.row, one.late));
    found.push(...billable.slice(0, limit - found.length).map(({ row }) => row.event_id));
    if (found.length >= limit) break;
  }
  return found;
}

/** Decides for ever where usage is billed. Returns the first decision. Throws where one was decided before. */
export async function decideLate(
  client: Client,
  customerId: string,
  eventIds: string[],
  decision: { period_id: number; billed_in: number; revision: number },
): Promise<number> {
  const { rows } = await client.query<{ decision_id: number }>(
    `INSERT INTO late_billings (customer_id, event_id, period_id, billed_in, revision)
     SELECT $1, event_id, $3, $4, $5 FROM unnest($2::text[]) AS event_id ORDER BY event_id RETURNING decision_id`,
    [customerId, eventIds, decision.period_id, decision.billed_in, decision.revision],
  );
  return Math.min(...rows.map(({ decision_id }) => decision_id));
}

/** The newest decision of a customer; 0 where there is none. */
export async function lastDecision(database: Queryable, customerId: string): Promise<number> {
  const { rows } = await database.query<{ last: number }>(
    'SELECT coalesce(max(decision_id), 0)::bigint AS last FROM late_billings WHERE customer_id = $1',
    [customerId],
  );
  return rows[0]!.last;
}

/**
 * Carries the customer's late usage of earlier periods into the period that is being sealed, as far as their plans let
 * it, and returns what the seal pins of it. Runs in the seal's transaction, under the customer's billing lock: an event
 * is carried once, whatever fails. Null where nothing late was ever decided for the customer.
 */
export async function carryLateUsage(
  client: Client,
  catalogs: CatalogCache,
  carrying: CarryingPeriod,
  catalogVersion: number,
): Promise<SealedLate | null> {
  const origins: LateOrigin[] = [];
  for (const { origin, events } of await findCarried(client, catalogs, carrying, catalogVersion)) {
    const decision = { period_id: origin.period_id, billed_in: carrying.period_id, revision: 1 };
    origins.push({ ...origin, decided_from: await decideLate(client, carrying.customer_id, events, decision) });
  }
  const decidedTo = await lastDecision(client, carrying.customer_id);
  return decidedTo === 0 ? null : { decided_to: decidedTo, origins: await pinOrigins(client, carrying, origins) };
}

/** What `carryLateUsage` would pin if the period were sealed now; nothing is decided. */
export async function previewLateUsage(
  client: Client,
  catalogs: CatalogCache,
  period: { period_id: number; customer_id: string; starts_at: Date },
  catalogVersion: number,
): Promise<SealedLate> {
  const decidedTo = await lastDecision(client, period.customer_id);
  const found = await findCarried(client, catalogs, period, catalogVersion);
  const origins = found.map(({ origin, events }) => ({ ...origin, decided_from: decidedTo + 1, pending: events }));
  if (origins.length === 0) return { decided_to: decidedTo, origins };
  const { opening, before } = await readOpening(client, (await readSealablePeriod(client, period.period_id))!, []);
  const carrying = { ...period, opening, before: before?.period_id ?? null };
  return { decided_to: decidedTo, origins: await pinOrigins(client, carrying, origins) };
}

/** Late usage of earlier periods that can be billed now and that their plans, or a person, let go. */
async function findCarried(
  client: Client,
  catalogs: CatalogCache,
  period: { customer_id: string; starts_at: Date },
  catalogVersion: number,
): Promise<{ origin: Omit<LateOrigin, 'decided_from' | 'pending'>; events: string[] }[]> {
  const found = [];
  for (const origin of await readOrigins(client, period.customer_id, period.starts_at)) {
    const { period_id, start_date } = origin;
    const seal = (await readSeal(client, period_id))!;
    const resolver = await resolverTerms(client, origin, seal.inputs, catalogVersion);
    const events = await findBillable(client, catalogs, origin, seal, resolver, 'carried');
    if (events.length > 0) found.push({ origin: { period_id, start_date, revision: seal.revision, resolver }, events });
  }
  return found;
}
