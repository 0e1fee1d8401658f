import { durationMs } from '../contracts/ids.js';
import type { Plan } from '../contracts/plan.js';
import { APPROVAL_REMINDER_MIN_SECONDS } from '../limits.js';
import { compare, isZero, ONE, parseDecimal } from '../money/fraction.js';
import { checkCounted } from './check-prices.js';
import { invalidPlan, refuseRepeats } from './invalid-plan.js';
import { allowanceKey, allowancesOf } from './plan-parts.js';

/** Refuses fees, allowances, bounds and wording that contradict each other. Throws `invalid_plan` with the field. */
export function checkTerms(plan: Plan): void {
  // GET /v1/plans/schema answers something else.
  if (plan.plan_id === 'schema') throw invalidPlan('plan_id', 'This name is taken: it is a route of the API.');
  checkAllowances(plan);
  checkSeats(plan);
  checkDiscounts(plan);
  checkSpend(plan);
  checkLines(plan);
  checkApproval(plan);
  checkMeterEvents(plan);
}

/** Stripe counts either a charge, which has no parts, or a quantity, of which late usage stays in its own period. */
function checkMeterEvents({ submission, meter_events: events, late_usage, lines }: Plan): void {
  if ((submission === 'meter_events') !== (events !== undefined)) {
    throw invalidPlan('meter_events', 'It belongs to submission "meter_events", and has to be there with it.');
  }
  if (events === undefined) return;
  if (events.value === 'charge_minor') {
    if (events.dimensions.length === 0) return;
    throw invalidPlan('meter_events.dimensions', 'A charge is one number: only a meter has dimensions.');
  }
  if (late_usage !== 'rebill') {
    throw invalidPlan('late_usage', 'A quantity is counted in its own period: late_usage must be "rebill".');
  }
  events.dimensions.forEach((name, index) => {
    if (name === 'provider' || name === 'model_id') return;
    if ((lines.group_by as string[]).includes(name) && name !== 'action_id' && name !== 'meter') return;
    throw invalidPlan(
      `meter_events.dimensions[${index}]`,
      'It must be provider, model_id, or stand in lines.group_by.',
    );
  });
}

function checkAllowances(plan: Plan): void {
  const allowances = allowancesOf(plan);
  const isList = Array.isArray(plan.allowance);
  const at = (index: number) => (isList ? `allowance[${index}]` : 'allowance');
  refuseRepeats(allowances.map(allowanceKey), at);
  allowances.forEach((one, index) => {
    if (one.rollover_limit !== undefined && one.rollover !== true) {
      throw invalidPlan(`${at(index)}.rollover_limit`, 'Nothing rolls over without rollover: true.');
    }
    if ('quantity' in one) {
      if (isZero(parseDecimal(one.quantity))) {
        throw invalidPlan(`${at(index)}.quantity`, 'An allowance of nothing includes nothing: leave it out.');
      }
      checkCounted(one.count, one.match, at(index));
    }
  });
}

/** A seat that is reported every day is one quantity, not thirty: no rule may charge the sum of what is reported. */
function checkSeats({ seats, rules, allowance }: Plan): void {
  if (seats === undefined) return;
  const takes = (match: { meter?: string | string[] | undefined } | undefined) =>
    match?.meter !== undefined && [match.meter].flat().includes(seats.meter);
  const index = rules.findIndex((rule) => takes(rule.match));
  if (index >= 0) throw invalidPlan(`rules[${index}].match.meter`, 'This meter reports seats and is charged as such.');
  if ([allowance ?? []].flat().some((one) => 'match' in one && takes(one.match))) {
    throw invalidPlan('seats.meter', 'Seats are included by seats.included, not by an allowance.');
  }
}

function checkDiscounts({ discounts = [] }: Plan): void {
  discounts.forEach((discount, index) => {
    const at = `discounts[${index}]`;
    if ('percent' in discount && compare(parseDecimal(discount.percent), ONE) > 0) {
      throw invalidPlan(`${at}.percent`, 'A share of the charge, "0.20" for 20%: it must not be above 1.');
    }
    const { from, to } = discount;
    if (from !== undefined && to !== undefined && Date.parse(from) >= Date.parse(to)) {
      throw invalidPlan(`${at}.to`, 'A discount ends after it begins.');
    }
  });
}

function checkSpend({ minimum_spend: minimum, maximum_spend: maximum, commitment }: Plan): void {
  if (minimum !== undefined && maximum !== undefined && compare(parseDecimal(minimum), parseDecimal(maximum)) > 0) {
    throw invalidPlan('minimum_spend', 'The minimum spend must not be above the maximum spend.');
  }
  if (maximum === undefined || commitment === undefined) return;
  const { n, d } = parseDecimal(maximum);
  if (compare(parseDecimal(commitment.amount), { n: n * BigInt(commitment.periods), d }) > 0) {
    throw invalidPlan('commitment.amount', 'Periods at their maximum spend could never reach this commitment.');
  }
}

function checkApproval({ approval }: Plan): void {
  if (approval === undefined) return;
  const { above, first_invoice, deviates_by_factor: factor, remind_after: after } = approval;
  if (above === undefined && first_invoice !== true && factor === undefined) {
    throw invalidPlan('approval', 'Name a condition: above, first_invoice or deviates_by_factor.');
  }
  if (factor !== undefined && compare(parseDecimal(factor), ONE) <= 0) {
    throw invalidPlan('approval.deviates_by_factor', 'Every total deviates by a factor of one: it must be above 1.');
  }
  if (after !== undefined && durationMs(after) < APPROVAL_REMINDER_MIN_SECONDS * 1_000) {
    throw invalidPlan('approval.remind_after', `It must be ${APPROVAL_REMINDER_MIN_SECONDS} seconds or more.`);
  }
}

function checkLines({ lines, allowance }: Plan): void {
  const units = [lines.unit ?? []].flat();
  refuseRepeats(
    units.map(({ meter }) => meter),
    (index) => (Array.isArray(lines.unit) ? `lines.unit[${index}].meter` : 'lines.unit.meter'),
  );
  if (lines.overage === true && ![allowance ?? []].flat().some((one) => 'charge' in one)) {
    throw invalidPlan('lines.overage', 'There is no allowance of charge that usage could go beyond.');
  }
  for (const [kind, { product, tax_code }] of Object.entries(lines.stripe ?? {})) {
    if (product !== undefined && tax_code !== undefined) {
      throw invalidPlan(`lines.stripe.${kind}`, 'A product has its own tax code at Stripe: name one of the two.');
    }
  }
}
