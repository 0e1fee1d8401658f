import { meterUnit } from '../contracts/meters.js';
import { countUsage } from '../ledger/count-usage.js';
import { type DeriveDeps, derivePricing } from '../ledger/derive-pricing.js';
import { LatePricer } from '../ledger/late-pricer.js';
import type { LateOrigin } from '../ledger/late-usage.js';
import { readResult } from '../ledger/pricing-runs.js';
import { readSeal, type Seal, setOf } from '../ledger/seal.js';
import { type CarriedUsage, readCarried } from '../ledger/usage-set.js';
import { roundToMinor } from '../money/currency.js';
import { type Fraction, fromExactText, parseDecimal, subtract } from '../money/fraction.js';
import { mergeResults } from '../pricing/merge-results.js';
import { type PricingResult, REPORTED_COST_METER } from '../pricing/pricing-result.js';
import type { ComposedInvoice } from './compose.js';
import { addUnits, type LateLine } from './compose-late.js';
import { composeSeal } from './compose-seal.js';

/** The last step of composing before late usage and credits: what a period comes to by its own usage and terms. */
const OWN_TERMS_STEP = 'commitment';

/**
 * The lines of late usage that a seal carries: for each period in which it happened, what that period's revision would
 * have been with it minus what it was, late usage that earlier invoices carried included on both sides. A pure function
 * of the seal and of what it names. `fromLedger`: pricing runs are not asked (a proof).
 */
export async function deriveLateLines(
  deps: DeriveDeps,
  seal: Pick<Seal, 'period_id' | 'inputs'>,
  fromLedger = false,
): Promise<LateLine[]> {
  const lines: LateLine[] = [];
  for (const origin of seal.inputs.late?.origins ?? []) lines.push(await lineOf(deps, seal, origin, fromLedger));
  return lines;
}

async function lineOf(
  deps: DeriveDeps,
  { period_id, inputs }: Pick<Seal, 'period_id' | 'inputs'>,
  origin: LateOrigin,
  fromLedger: boolean,
): Promise<LateLine> {
  const base = (await readSeal(deps.pool, origin.period_id, origin.revision))!;
  const carried = { period_id: origin.period_id, voided_to: inputs.pricing.voided_to ?? 0 };
  const earlier = { ...carried, from: 0, to: origin.decided_from, billed_in: null };
  const added = {
    ...carried,
    from: origin.decided_from,
    to: inputs.late!.decided_to + 1,
    billed_in: period_id,
    pending: origin.pending,
  };
  const price = async (range: CarriedUsage) => {
    const pricer = await LatePricer.open(deps.catalogs, base.inputs, origin.resolver);
    await readCarried(deps.pool, range, (rows) => {
      for (const row of rows) pricer.add(row, true);
    });
    return pricer.result();
  };
  const own = await price(added);
  const billed = mergeResults(await pricingOf(deps, base, fromLedger), await price(earlier));
  const count = (...ranges: CarriedUsage[]) =>
    countUsage(deps, base.inputs, setOf(base), { ranges, resolver: origin.resolver });
  const without = composeSeal(base, billed, [], await count(earlier));
  const withIt = composeSeal(base, mergeResults(billed, own), [], await count(earlier, added));
  const units = new Map<string, Fraction>();
  for (const { meter, quantity } of own.groups) {
    // An amount of money stands in it, no quantity of anything.
    if (meter !== REPORTED_COST_METER) addUnits(units, meterUnit(meter), fromExactText(quantity));
  }
  const { currency } = base.inputs.customer;
  return {
    start_date: origin.start_date,
    units,
    events: own.groups.reduce((events, group) => events + group.events, 0),
    // Costs of one catalog currency stay in it, here as there.
    cost: subtract(parseDecimal(withIt.content.cost), parseDecimal(without.content.cost)),
    charge: subtract(amountAfter(withIt, 'exchange'), amountAfter(without, 'exchange')),
    amount: roundToMinor(subtract(amountAfter(withIt, OWN_TERMS_STEP), amountAfter(without, OWN_TERMS_STEP)), currency),
  };
}

/** The pricing of a base revision: the newest one's stands in its runs once it is composed, any other is derived. */
async function pricingOf(deps: DeriveDeps, seal: Seal, fromLedger: boolean): Promise<PricingResult> {
  if (!fromLedger) {
    const { rows } = await deps.pool.query<{ current: boolean }>(
      `SELECT EXISTS (SELECT FROM invoices WHERE period_id = $1 AND revision = $2)
          AND NOT EXISTS (SELECT FROM seals WHERE period_id = $1 AND revision > $2) AS current`,
      [seal.period_id, seal.revision],
    );
    if (rows[0]?.current) return readResult(deps.pool, seal.period_id, seal.inputs_hash);
  }
  return derivePricing(deps, seal);
}

function amountAfter(invoice: ComposedInvoice, step: string): Fraction {
  return parseDecimal(invoice.content.steps.find((one) => one.step === step)!.amount);
}
