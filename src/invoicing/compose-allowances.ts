import { meterUnit } from '../contracts/meters.js';
import { ALLOWANCES_COUNT } from '../limits.js';
import { type Currency, fromMinor, roundToMinor } from '../money/currency.js';
import { add, type Fraction, fromInteger, multiply, negate, subtract, ZERO } from '../money/fraction.js';
import { allowanceKey, allowancesOf } from '../plans/plan-parts.js';
import { feeLine } from './compose-fees.js';
import { reachOf } from './compose-held.js';
import { type Draft, type DraftLine, foldLines } from './compose-lines.js';
import { type Terms, termOf } from './compose-parts.js';
import { smaller } from './compose-sums.js';
import { chargeAllowanceDescription, overageDescription, quantityAllowanceDescription } from './fee-wording.js';

/**
 * Step "allowance": negative lines, of each part at most its own usage; fees are never covered. An allowance of quantity
 * takes off the lines that it includes (less what a discount took of them), one of charge as much as is left of usage.
 * Each kind is one line, the sum of the parts.
 */
export function applyAllowances(draft: Draft, terms: Terms): Draft {
  const withQuantities = applyQuantities(draft, terms);
  const { draft: covered, charged } = applyCharges(withQuantities, terms);
  return showOverage(covered, terms, charged);
}

function applyQuantities(draft: Draft, { parts, currency }: Terms): Draft {
  const usage = [...draft.usage];
  const lines = new Map<string, { line: DraftLine; included: Fraction; available: Fraction; name: string }>();
  for (const use of draft.included) {
    const part = parts[use.part]!;
    const allowance = allowancesOf(part.plan)[use.allowance]!;
    if (use.included.n === 0n || !('quantity' in allowance)) continue;
    const whole = draft.rounded[use.part]!;
    // A discount took its share of what is included too.
    const left = whole === 0n ? 0n : draft.usage[use.part]!;
    const exact = whole === 0n ? ZERO : multiply(fromMinor(use.amount, currency), { n: left, d: whole });
    const amount = smaller(roundToMinor(exact, currency), usage[use.part]!);
    usage[use.part]! -= amount;
    const key = allowanceKey(allowance);
    const meter = [allowance.match?.meter ?? []].flat()[0] ?? '';
    const name = allowance.name ?? (allowance.count === 'units' ? meterUnit(meter) : allowance.count);
    const known = lines.get(key) ?? {
      line: feeLine('allowance', '', parts.length > 1 ? null : part, ZERO, 0n),
      included: ZERO,
      available: ZERO,
      name,
    };
    lines.set(key, {
      name,
      included: add(known.included, use.included),
      available: add(known.available, use.available),
      line: {
        ...known.line,
        plan: null,
        charge: subtract(known.line.charge, fromMinor(amount, currency)),
        amount: known.line.amount - amount,
      },
    });
  }
  const shown = [...lines.values()].map(({ line, included, available, name }) => ({
    ...line,
    description: quantityAllowanceDescription(included, available, name),
  }));
  return {
    ...draft,
    usage,
    lines: [...draft.lines, ...foldLines(shown, ALLOWANCES_COUNT, () => 'Further included usage')],
  };
}

/** What an allowance of charge took of each part, in minor units. */
function applyCharges(draft: Draft, terms: Terms): { draft: Draft; charged: bigint[] } {
  const { parts, currency } = terms;
  const usage = [...draft.usage];
  const charged = parts.map(() => 0n);
  let { rollover } = draft;
  let [exact, minor, available, prorated, rolls]: [Fraction, bigint, bigint, boolean, boolean] = [
    ZERO,
    0n,
    0n,
    false,
    false,
  ];
  parts.forEach((part, index) => {
    const allowance = allowancesOf(part.plan).find((one) => 'charge' in one);
    if (allowance === undefined || !('charge' in allowance)) return;
    const granted = termOf(part, allowance.charge, currency);
    if (granted === null) return;
    const { plan_id } = part.plan;
    const key = allowanceKey(allowance);
    const carried = rollover.carried(plan_id, key);
    const whole = { exact: add(granted.exact, carried), minor: granted.minor + roundToMinor(carried, currency) };
    const wanted = fromMinor(usage[index]!, currency);
    const reach = reachOf(terms, index, key, fromMinor(whole.minor, currency), wanted);
    const [usable, taken] = [roundToMinor(reach.usable, currency), roundToMinor(reach.taken, currency)];
    const covered = smaller(usable, usage[index]!);
    exact = add(exact, covered === whole.minor ? whole.exact : fromMinor(covered, currency));
    minor += covered;
    available += usable;
    prorated ||= part.in_force_ms < part.calendar_ms;
    rolls ||= allowance.rollover === true;
    charged[index] = covered;
    usage[index]! -= covered;
    const left = whole.minor - taken - covered;
    rollover = rollover
      .keep(plan_id, key, allowance, fromMinor(left > 0n ? left : 0n, currency))
      .use(part, key, fromMinor(covered, currency), wanted);
  });
  if (minor === 0n) return { draft: { ...draft, rollover }, charged };
  const description = chargeAllowanceDescription({ covered: minor, available, rolls, prorated }, currency);
  const only = parts.length === 1 ? parts[0]! : null;
  const line = { ...feeLine('allowance', description, only, negate(exact), -minor), plan: null };
  return { draft: { ...draft, usage, rollover, lines: [...draft.lines, line] }, charged };
}

/**
 * Where the plan asks for it, usage beyond an allowance of charge stands on lines of its own: the part's lines are
 * covered in their order, the one in which the allowance ends is cut.
 */
function showOverage(draft: Draft, { parts, currency }: Terms, charged: bigint[]): Draft {
  const left = [...charged];
  const lines = draft.lines.flatMap((line): DraftLine[] => {
    const { part } = line;
    if (part === null || parts[part]!.plan.lines.overage !== true) return [line];
    // What an allowance of quantity includes is taken off already; what goes beyond one is an overage as it stands.
    if (line.kind === 'overage') left[part]! -= smaller(left[part]!, line.amount);
    if (line.kind !== 'usage' || line.allowance !== null) return [line];
    if (line.amount <= left[part]!) {
      left[part]! -= line.amount;
      return [line];
    }
    const inside = left[part]!;
    left[part] = 0n;
    const beyond = { ...line, kind: 'overage' as const, description: overageDescription(line.description) };
    return inside === 0n ? [beyond] : cutLine(line, beyond, inside, currency);
  });
  return { ...draft, lines };
}

/** A line in two: quantities and cost in proportion, so that both say the same of a unit; events stay with the first. */
function cutLine(line: DraftLine, beyond: DraftLine, inside: bigint, currency: Currency): DraftLine[] {
  const share = { n: inside, d: line.amount };
  const rest = subtract(fromInteger(1), share);
  const part = (of: DraftLine, by: Fraction): DraftLine => ({
    ...of,
    units: new Map([...line.units].map(([unit, quantity]) => [unit, multiply(quantity, by)])),
    cost: multiply(line.cost, by),
  });
  const covered = fromMinor(inside, currency);
  return [
    { ...part(line, share), charge: covered, amount: inside },
    { ...part(beyond, rest), charge: subtract(line.charge, covered), amount: line.amount - inside, events: 0 },
  ];
}
