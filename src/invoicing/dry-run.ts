import type { CatalogCache } from '../catalog/catalog-cache.js';
import { currentCatalogVersion } from '../catalog/catalog-store.js';
import { NO_OPENING, type OpeningBalances } from '../contracts/balances.js';
import { canonicalJson, contentHash } from '../contracts/canonical-json.js';
import type { DryRunPeriod, DryRunSide } from '../contracts/dry-run.js';
import type { InvoiceContent } from '../contracts/invoice.js';
import type { Plan } from '../contracts/plan.js';
import type { UsageEvent } from '../contracts/usage-event.js';
import { inTransaction, type Pool } from '../database/pool.js';
import { countUsage } from '../ledger/count-usage.js';
import { derivePricing } from '../ledger/derive-pricing.js';
import { previewLateUsage } from '../ledger/late-usage.js';
import { toPeriodInputs } from '../ledger/pricing-inputs.js';
import {
  END_OF_TRANSACTIONS,
  readSeal,
  readSealablePeriod,
  readSealInputs,
  type Seal,
  type SealInputs,
  setOf,
} from '../ledger/seal.js';
import { readTotals } from '../ledger/totals.js';
import { type Currency, formatMinor, parseMinor } from '../money/currency.js';
import type { Period } from '../periods/period.js';
import { baseFeeOf } from '../plans/plan-parts.js';
import type { PricingResult } from '../pricing/pricing-result.js';
import { type ChainLink, lessLate, linkFrom, openingAfter } from './chain-link.js';
import type { LateLine } from './compose-late.js';
import { leftBeside } from './compose-rollover.js';
import { composeSeal } from './compose-seal.js';
import { compareLines } from './correction-plan.js';
import { addableEvents } from './dry-run-events.js';
import { deriveLateLines } from './late-lines.js';
import { type ComparedLine, identifyLines } from './line-identity.js';
import { previewInvoice } from './preview.js';

/** What is supposed to be different, read from where it is kept and checked. */
export interface DryRunTerms {
  plan: { plan: Plan; version: number } | null;
  catalog_version: number | null;
  events: UsageEvent[];
}

export interface DryRunDeps {
  pool: Pool;
  catalogs: CatalogCache;
  /** Hears how many events were read so far. */
  onProgress?: (events: number) => void;
}

/** What the periods before leave to the one at hand: as supposed, and as they stand; null: what they really left. */
export interface ChainLinks {
  after: ChainLink | null;
  /** Only of periods that are not composed: their own closing balances are not there yet. */
  before: ChainLink | null;
}

export const NO_LINKS: ChainLinks = { after: null, before: null };
const NO_CHANGE: DryRunTerms = { plan: null, catalog_version: null, events: [] };

/**
 * What a period's invoice would be under other terms, and how it differs from what it is: of a sealed period from the set
 * and the inputs of its newest seal, of any other from what is committed now. The same deriving and composing as the real
 * one; nothing is written. `chain`: what the periods before it leave, where they were run too; left out for a period by
 * itself. Answers the links to the next one. Throws what composing throws (`invalid_plan` for a plan in another currency,
 * `no_exchange_rate`).
 */
export async function dryRunPeriod(
  deps: DryRunDeps,
  period: Period,
  terms: DryRunTerms,
  chain: ChainLinks | null = null,
): Promise<{ result: DryRunPeriod; links: ChainLinks }> {
  const { customer_id, start_date, status } = period;
  const isComposed = (await newestRevision(deps.pool, period.period_id)) !== null;
  const before = chain?.before
    ? (await composeUnder(deps, period, NO_CHANGE, chain.before)).content
    : await previewInvoice(deps, customer_id, start_date);
  const {
    content: after,
    pricing,
    added,
    left_out,
  } = await composeUnder(deps, period, terms, chain?.after ?? null, chain !== null);
  const { currency } = after;
  const known = await readTotals(deps.pool, period.period_id);
  const result: DryRunPeriod = {
    customer_id,
    start_date,
    period: after.period,
    status,
    currency,
    before: { ...sideOf(before, known?.held_events ?? 0), revision: isComposed ? before.revision : null },
    after: sideOf(after, heldEvents(pricing)),
    difference: differenceOf(before.total, after.total, currency),
    opens_after: chain?.after?.start_date ?? null,
    balances: after.balances,
    events_added: added.length,
    events_left_out: left_out,
    lines: differingLines(before, after),
    invoice: after,
    error: null,
  };
  const links: ChainLinks = {
    after: linkFrom(period, after.balances.closing, chain?.after ?? null),
    before: isComposed ? null : linkFrom(period, before.balances.closing, chain?.before ?? null),
  };
  return { result, links };
}

/** Composes a period under the terms, opening after a link or as it really did. `chained`: the next period is of no concern. */
async function composeUnder(
  deps: DryRunDeps,
  period: Period,
  terms: DryRunTerms,
  link: ChainLink | null,
  chained = true,
) {
  const real = await readSealOrNow(deps, period);
  const late = await deriveLateLines(deps, real);
  const opening = await openingOf(deps.pool, period, real, late, link);
  const seal = changed(withOpening(real, opening, chained), terms);
  const { added, left_out } = await addableEvents(deps.pool, period, terms.events);
  const pricing = await derivePricing(deps, seal, { ...setOf(seal), added });
  const counts = await countUsage(deps, seal.inputs, { ...setOf(seal), added });
  // What late usage takes of a period's allowances stands in the link's opening already.
  const lines = link === null ? late : late.map(({ left: _left, ...line }) => line);
  return { content: composeSeal(seal, pricing, lines, counts).content, pricing, added, left_out };
}

/** What the period opens with: what was pinned, or what the link says less what late usage of the period before takes. */
async function openingOf(
  database: Pool,
  period: Period,
  { inputs: { opening: pinned = NO_OPENING } }: SealLike,
  late: readonly LateLine[],
  link: ChainLink | null,
): Promise<OpeningBalances> {
  if (link === null) return pinned;
  const opening = await openingAfter(database, period, pinned, link);
  const before = late.find(({ left }) => left?.opens)?.left;
  if (before === undefined) return opening;
  const opened = leftBeside(pinned.rollover, before.rollover);
  return { ...opening, rollover: lessLate(opening.rollover, pinned.rollover, opened) };
}

/** The seal with this opening; in a chain what the next period really opened with binds nobody. */
function withOpening(seal: SealLike, opening: OpeningBalances, chained: boolean): SealLike {
  const { held, ...inputs } = seal.inputs;
  const free = held === undefined || !chained ? held : { ...held, passed_on: [] };
  return { ...seal, inputs: { ...inputs, ...(free === undefined ? {} : { held: free }), opening } };
}

type SealLike = Omit<Seal, 'sealed_at' | 'composer_version'>;

/** The newest seal; where there is none, what a seal would pin now, of all that is committed. */
async function readSealOrNow({ pool, catalogs }: DryRunDeps, period: Period): Promise<SealLike> {
  const { period_id } = period;
  const seal = await readSeal(pool, period_id);
  if (seal) return seal;
  const catalogVersion = await currentCatalogVersion(pool);
  const { inputs, inputs_hash } = await readSealInputs(
    pool,
    (await readSealablePeriod(pool, period_id))!,
    catalogVersion,
  );
  const late = await inTransaction(pool, (client) => previewLateUsage(client, catalogs, period, catalogVersion));
  return {
    period_id,
    revision: 1,
    sealed_xid: END_OF_TRANSACTIONS,
    catalog_version: catalogVersion,
    inputs_hash,
    inputs: { ...inputs, late },
  };
}

function changed(seal: SealLike, { plan, catalog_version: version }: DryRunTerms): SealLike {
  const catalogVersion = version ?? seal.catalog_version;
  const inputs = plan === null ? seal.inputs : withPlan(seal.inputs, plan);
  const pricing = { ...inputs.pricing, catalog_version: catalogVersion };
  return {
    ...seal,
    catalog_version: catalogVersion,
    inputs_hash: contentHash(pricing),
    inputs: { ...inputs, pricing },
  };
}

/** The inputs with one plan for all of the period, and for the one that follows. */
function withPlan(inputs: SealInputs, { plan, version }: { plan: Plan; version: number }): SealInputs {
  const { catalog_version, voided_to } = inputs.pricing;
  const assigned = toPeriodInputs(
    [{ plan, version, from: null }],
    catalog_version,
    inputs.decisions ?? [],
    voided_to ?? 0,
    (inputs.opening?.credits ?? []).flatMap(({ match }) => match ?? []),
  );
  const fee = baseFeeOf(plan);
  return {
    ...inputs,
    pricing: assigned.inputs,
    plans: assigned.plans,
    ...(inputs.next
      ? {
          next: {
            ...inputs.next,
            plan_id: plan.plan_id,
            version,
            plan_name: plan.name ?? null,
            advance_fee: fee?.timing === 'advance' ? fee.amount : null,
          },
        }
      : {}),
  };
}

async function newestRevision(pool: Pool, periodId: number): Promise<number | null> {
  const { rows } = await pool.query<{ revision: number | null }>(
    'SELECT max(revision) AS revision FROM invoices WHERE period_id = $1',
    [periodId],
  );
  return rows[0]!.revision;
}

function sideOf({ total, plans, catalog_version }: InvoiceContent, held: number): DryRunSide {
  return { total, plans, catalog_version, held_events: held };
}

function heldEvents({ held }: PricingResult): number {
  return held.reduce((events, group) => events + group.events, 0);
}

/** Lines that differ: what stands for the same is compared, whatever plan versions charged it. */
function differingLines(before: InvoiceContent, after: InvoiceContent): DryRunPeriod['lines'] {
  const { currency } = after;
  const show = (minor: number) => formatMinor(BigInt(minor), currency);
  return compareLines(sumOverPlans(before), sumOverPlans(after)).map((line) => ({
    description: line.description,
    before: show(line.before),
    after: show(line.after),
    difference: show(line.after - line.before),
  }));
}

/** An invoice's lines, the parts of plans that followed each other added up under the wording of the first. */
function sumOverPlans(content: InvoiceContent): ComparedLine[] {
  const sums = new Map<string, ComparedLine>();
  const seen = new Map<string, number>();
  identifyLines(content).forEach((line, at) => {
    const { plan } = content.lines[at]!;
    const name = canonicalJson([line.across_plans, plan]);
    const times = (seen.get(name) ?? 0) + 1;
    seen.set(name, times);
    const key = canonicalJson([line.across_plans, times]);
    const known = sums.get(key)?.amount ?? 0;
    sums.set(key, { ...(sums.get(key) ?? line), what: line.across_plans, amount: known + line.amount });
  });
  return [...sums.values()];
}

/** `after` minus `before`, amounts in major units of the currency. */
export function differenceOf(before: string, after: string, currency: Currency): string {
  return formatMinor(parseMinor(after, currency) - parseMinor(before, currency), currency);
}
