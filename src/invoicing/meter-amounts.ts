import { canonicalJson } from '../contracts/canonical-json.js';
import type { MeterSubmission } from '../contracts/meter-submission.js';
import type { Plan } from '../contracts/plan.js';
import type { Queryable } from '../database/pool.js';
import { readPricingInputs } from '../ledger/pricing-inputs.js';
import { readHead, readResult } from '../ledger/pricing-runs.js';
import { readSeal, readSealablePeriod } from '../ledger/seal.js';
import { readTotals } from '../ledger/totals.js';
import { type Currency, parseMinor } from '../money/currency.js';
import { add, type Fraction, fromExactText, fromInteger, ZERO } from '../money/fraction.js';
import type { CostGroup, PricingInputs } from '../pricing/pricing-result.js';

/** A plan that sends meter events. */
export type MeteredPlan = Plan & { meter_events: MeterSubmission };

export function isMetered(plan: Plan | null | undefined): plan is MeteredPlan {
  return plan?.submission === 'meter_events' && plan.meter_events !== undefined;
}

/**
 * What a period has come to in the ledger, by series (the canonical text of its dimensions): what it is charged in minor
 * units, or the quantity of the meter. Null while it is being priced anew.
 */
export async function readMeterAmounts(
  database: Queryable,
  periodId: number,
  { meter_events, currency }: MeteredPlan,
): Promise<Map<string, Fraction> | null> {
  if (meter_events.value === 'charge_minor') return readCharge(database, periodId, currency);
  const head = await readHead(database, periodId);
  if (head === null) return new Map();
  const inputs = await inputsOf(database, periodId, head.inputs_hash, head.catalog_version);
  if (inputs === null) return null;
  const { groups } = await readResult(database, periodId, head.inputs_hash);
  const amounts = new Map<string, Fraction>();
  for (const group of groups) {
    if (group.meter !== meter_events.value) continue;
    const series = canonicalJson(dimensionsOf(group, inputs, meter_events.dimensions));
    amounts.set(series, add(amounts.get(series) ?? ZERO, fromExactText(group.quantity)));
  }
  return amounts;
}

/**
 * What the period's newest invoice comes to, with its fees, allowances, minimums and the late usage that it carries, from when
 * that is let go; before, the charge of its usage so far. Null while no exchange rate says it in the plan's currency.
 */
async function readCharge(
  database: Queryable,
  periodId: number,
  currency: Currency,
): Promise<Map<string, Fraction> | null> {
  const { rows } = await database.query<{ subtotal: number | null }>(
    `SELECT (SELECT i.subtotal_minor FROM invoices i WHERE i.period_id = p.period_id AND (
         p.status IN ('submitting', 'invoiced', 'nothing_to_bill')
         OR i.revision < (SELECT max(revision) FROM seals s WHERE s.period_id = p.period_id))
       ORDER BY i.revision DESC LIMIT 1) AS subtotal
     FROM periods p WHERE p.period_id = $1`,
    [periodId],
  );
  const subtotal = rows[0]?.subtotal ?? null;
  if (subtotal !== null) return new Map([['{}', fromInteger(subtotal)]]);
  const totals = await readTotals(database, periodId);
  if (totals === null) return new Map();
  if (totals.currency !== currency) return null;
  return new Map([['{}', fromInteger(parseMinor(totals.charge, totals.currency))]]);
}

/** The inputs behind a period's results: of its seal, or as they are now; null where those changed since the pricing. */
async function inputsOf(
  database: Queryable,
  periodId: number,
  inputsHash: string,
  catalogVersion: number,
): Promise<PricingInputs | null> {
  const seal = await readSeal(database, periodId);
  if (seal?.inputs_hash === inputsHash) return seal.inputs.pricing;
  const period = await readSealablePeriod(database, periodId);
  const now = await readPricingInputs(database, period!, catalogVersion);
  return now.inputs_hash === inputsHash ? now.inputs : null;
}

/** Keys that Stripe takes, with texts; a value that the usage does not have is empty. */
function dimensionsOf(group: CostGroup, { attributes }: PricingInputs, names: string[]): Record<string, string> {
  const value = (name: string): string => {
    if (name === 'provider' || name === 'model_id') return group[name];
    return group.attributes[attributes.indexOf(name)] ?? '';
  };
  return Object.fromEntries(names.map((name) => [name.replaceAll(/[^A-Za-z0-9_]/g, '_'), value(name)]));
}
