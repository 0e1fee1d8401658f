import { NO_OPENING } from '../contracts/balances.js';
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
import { NO_BOUNDS } from './compose-held.js';
import { addUnits, type LateLine } from './compose-late.js';
import { addUses, lessUses } from './compose-rollover.js';
import { composeSeal } from './compose-seal.js';

/** The last step of composing before late usage and credits: what a period comes to by its own usage and terms. */
const OWN_TERMS_STEP = 'commitment';

/**
 * The lines of late usage that a seal carries: for each period in which it happened, what that period's revision would
 * have been with it minus what it was, late usage that earlier invoices carried included on both sides. Of the period's
 * allowances it takes what is left: neither what other invoices took, nor what the next period opened with. A pure
 * function of the seal and of what it names. `fromLedger`: pricing runs are not asked (a proof).
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
  const base = asIssued((await readSeal(deps.pool, origin.period_id, origin.revision))!, origin);
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
  const count = (...ranges: CarriedUsage[]) =>
    countUsage(deps, base.inputs, setOf(base), { ranges, resolver: origin.resolver });
  const [before, own] = [await price(earlier), await price(added)];
  const issued = await pricingOf(deps, base, fromLedger);
  const billed = mergeResults(issued, before);
  const countsBefore = await count(earlier);
  const { held } = origin;
  // What the period's own invoice took, and those that carried late usage of it before: both stay as they are billed.
  const booked =
    held &&
    addUses(
      composeSeal(base, issued, [], before.groups.length === 0 ? countsBefore : await count()).allowances,
      held.taken_before,
    );
  const without = composeSeal(base, billed, [], countsBefore, booked && { ...NO_BOUNDS, booked, only_booked: true });
  const bounds = booked && {
    passed_on: held.passed_on,
    // Usage that was voided since keeps what it took until the invoice that carries it is billed again.
    taken: addUses(held.taken_after, lessUses(booked, without.allowances)),
    booked: [...without.allowances],
    only_booked: false,
    uncovered: without.allowances.map(({ uncovered, ...use }) => ({ ...use, used: uncovered })),
  };
  const withIt = composeSeal(base, mergeResults(billed, own), [], await count(earlier, added), bounds);
  const units = new Map<string, Fraction>();
  for (const { meter, quantity } of own.groups) {
    // An amount of money stands in it, no quantity of anything.
    if (meter !== REPORTED_COST_METER) addUnits(units, meterUnit(meter), fromExactText(quantity));
  }
  const { currency } = base.inputs.customer;
  const run = origin.committed ? inputs.opening?.commitment : null;
  return {
    start_date: origin.start_date,
    units,
    events: own.groups.reduce((events, group) => events + group.events, 0),
    // Costs of one catalog currency stay in it, here as there.
    cost: subtract(parseDecimal(withIt.content.cost), parseDecimal(without.content.cost)),
    charge: subtract(amountAfter(withIt, 'exchange'), amountAfter(without, 'exchange')),
    amount: roundToMinor(subtract(amountAfter(withIt, OWN_TERMS_STEP), amountAfter(without, OWN_TERMS_STEP)), currency),
    ...(run ? { committed: { plan_id: run.plan_id, spent: subtract(spentOf(withIt), spentOf(without)) } } : {}),
    ...(bounds === undefined
      ? {}
      : {
          left: {
            period_id: origin.period_id,
            opens: origin.opens === true,
            taken: lessUses(withIt.allowances, without.allowances),
            // Credits of that period do not pay for it; those of the period that carries it do.
            rollover: withIt.content.balances.closing.rollover.filter(({ key }) => key !== 'credits'),
          },
        }),
  };
}

/** The seal of a base revision with what it opened with in the end: late usage that it carries itself may have taken some. */
function asIssued(seal: Seal, { held }: LateOrigin): Seal {
  if (held === undefined) return seal;
  const opening = { ...(seal.inputs.opening ?? NO_OPENING), rollover: held.opening };
  return { ...seal, inputs: { ...seal.inputs, opening } };
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

function spentOf({ content }: ComposedInvoice): Fraction {
  return fromExactText(content.balances.closing.commitment?.spent ?? '0');
}
