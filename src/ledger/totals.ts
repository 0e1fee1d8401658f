import { canonicalJson } from '../contracts/canonical-json.js';
import type { Totals } from '../contracts/period.js';
import type { Plan } from '../contracts/plan.js';
import type { Queryable } from '../database/pool.js';
import type { Currency } from '../money/currency.js';
import { format } from '../money/fraction.js';
import type { PeriodSpan } from '../plans/plan-times.js';
import type { PricingInputs, PricingResult } from '../pricing/pricing-result.js';
import { periodTotals } from '../pricing/totals.js';
import { type ActionCounts, chargesActions } from './action-counts.js';

/** What a period's totals depend on beside its priced events. */
export interface TotalsTerms {
  inputs: PricingInputs;
  /** In the order of `inputs.assignments`. */
  plans: Plan[];
  span: PeriodSpan;
  currency: Currency;
  /** The rates that its invoice would have: in force at its end, as far as they are published; pinned ones once sealed. */
  rates: Record<Currency, string>;
}

/** Where the priced events are, beside what they sum up to. */
export interface TotalsHead {
  period_id: number;
  to_xid: bigint;
  inputs_hash: string;
  catalog_version: number;
}

interface TotalsRow extends Omit<Totals, 'priced_at' | 'late_events' | 'late_charge'> {
  period_id: number;
  priced_at: Date;
  late_events: number | null;
  late_charge: string | null;
}

/**
 * The totals of periods as pricing left them, in one query; a period of which nothing is priced, and that would carry no
 * late usage, is not in it.
 */
export async function readTotalsOf(database: Queryable, periodIds: number[]): Promise<Map<number, Totals>> {
  const { rows } = await database.query<TotalsRow>(
    `SELECT period_id, coalesce(t.events, 0)::bigint AS events, coalesce(t.held_events, 0)::bigint AS held_events,
            coalesce(t.cost, '0') AS cost, coalesce(t.charge, '0') AS charge, coalesce(t.currency, l.currency) AS currency,
            coalesce(t.without_rate, '[]') AS without_rate, l.events AS late_events, l.charge AS late_charge,
            coalesce(t.catalog_version, l.catalog_version) AS catalog_version, coalesce(t.priced_at, l.at) AS priced_at
     FROM unnest($1::bigint[]) AS period_id LEFT JOIN period_totals t USING (period_id)
       LEFT JOIN period_late_totals l USING (period_id)
     WHERE t.period_id IS NOT NULL OR l.events > 0`,
    [periodIds],
  );
  return new Map(
    rows.map(({ period_id, priced_at, late_events, late_charge, ...totals }) => [
      period_id,
      {
        ...totals,
        late_events: late_events ?? 0,
        late_charge: late_charge ?? '0',
        priced_at: priced_at.toISOString(),
      },
    ]),
  );
}

/** One period's totals, or null while nothing of it is priced. */
export async function readTotals(database: Queryable, periodId: number): Promise<Totals | null> {
  return (await readTotalsOf(database, [periodId])).get(periodId) ?? null;
}

/** Writes what a period comes to, and moves the head of its pricing there, in the transaction that holds its lock. */
export async function writeTotals(
  database: Queryable,
  { period_id, to_xid, inputs_hash, catalog_version }: TotalsHead,
  whole: PricingResult,
  { inputs, plans, span, currency, rates }: TotalsTerms,
  actions: ActionCounts,
): Promise<void> {
  const terms = { inputs, plans, span, counts: { actions }, to: { currency, rates } };
  const totals = periodTotals(terms, whole);
  const without = totals.without_rate.map((one) => ({
    currency: one.currency,
    cost: format(one.cost),
    charge: format(one.charge),
  }));
  await database.query(
    `INSERT INTO period_totals (period_id, priced_to, inputs_hash, catalog_version, events, held_events, cost, charge, currency,
       decisions, voided_to, without_rate, rates, actions)
     VALUES ($1, $2::text::xid8, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
     ON CONFLICT (period_id) DO UPDATE SET priced_to = excluded.priced_to, inputs_hash = excluded.inputs_hash,
       catalog_version = excluded.catalog_version, events = excluded.events, held_events = excluded.held_events,
       cost = excluded.cost, charge = excluded.charge, currency = excluded.currency, decisions = excluded.decisions,
       voided_to = excluded.voided_to, without_rate = excluded.without_rate, rates = excluded.rates,
       actions = excluded.actions, priced_at = now()`,
    [
      period_id,
      to_xid.toString(),
      inputs_hash,
      catalog_version,
      whole.events,
      whole.held.reduce((events, group) => events + group.events, 0),
      format(totals.cost),
      format(totals.charge),
      totals.currency,
      inputs.decisions ?? [],
      inputs.voided_to ?? 0,
      JSON.stringify(without),
      JSON.stringify(rates),
      JSON.stringify(actions),
    ],
  );
}

/**
 * Whether the totals were computed with other rates than these, or without the actions that their plans charge: they are
 * computed anew although nothing was priced. The actions that they were computed with, where they were.
 */
export async function readStaleTotals(
  database: Queryable,
  periodId: number,
  { plans, rates }: TotalsTerms,
): Promise<{ stale: boolean; actions: ActionCounts | null }> {
  const { rows } = await database.query<{ rates: Record<string, string>; actions: ActionCounts | null }>(
    'SELECT rates, actions FROM period_totals WHERE period_id = $1',
    [periodId],
  );
  if (!rows[0]) return { stale: false, actions: null };
  const { rates: known, actions } = rows[0];
  const isCounted = !chargesActions(plans) || actions !== null;
  return {
    stale: !isCounted || canonicalJson(known) !== canonicalJson(rates),
    actions: isCounted ? (actions ?? []) : null,
  };
}
