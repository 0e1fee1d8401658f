import type { PlanRule, RuleMatch } from '../../../../src/contracts/plan.js';
import { allowancesOf, type NaiveEvent, type NaivePart, type NaivePeriod } from './period.js';
import {
  ALL,
  billable,
  isLess,
  larger,
  minus,
  NOTHING,
  over,
  plus,
  type Ratio,
  ratio,
  smaller,
  sumOf,
  times,
  whole,
} from './ratio.js';

/** One meter of one event. */
interface Use {
  event: NaiveEvent;
  /** An event counts where its first meter by name is. */
  counts: boolean;
  meter: string;
  quantity: Ratio;
  /** In the invoice's currency. */
  cost: Ratio;
}

export interface NaiveLine {
  kind: 'usage' | 'overage' | 'action_fee';
  exact: Ratio;
  amount: bigint;
  /** Index of the allowance of quantity that takes it. */
  allowance: number | null;
}

/** What an allowance of quantity takes, and what is left of it. */
export interface NaiveIncluded {
  allowance: number;
  included: Ratio;
  left: Ratio;
}

/** Step 1 to 3 for one part: its usage lines in their order, exact and rounded. `carried`: by key of allowance. */
export function chargeUsage(
  part: NaivePart,
  period: NaivePeriod,
  carried: ReadonlyMap<string, Ratio>,
): { lines: NaiveLine[]; included: NaiveIncluded[] } {
  const { plan, share } = part;
  const byRule = plan.rules.map((): Use[] => []);
  const byAllowance = allowancesOf(part).map((): Use[] => []);
  const byLine = new Map<string, { uses: { use: Use; rule: PlanRule }[]; allowance: number | null }>();
  for (const event of part.events) {
    for (const use of usesOf(event, part, period)) {
      if (isSeatReport(use, part)) continue;
      const index = plan.rules.findIndex(({ match }) => matches(match, use));
      const rule = plan.rules[index]!;
      byRule[index]!.push(use);
      // What is found on the total of a rule has its included part in its tiers.
      if (isByTotal(rule)) continue;
      const at = allowancesOf(part).findIndex(
        ({ allowance }) => 'quantity' in allowance && matches(allowance.match, use),
      );
      const allowance = at < 0 ? null : at;
      byAllowance[at]?.push(use);
      // Null before any value; the parts of an allowance after what no allowance takes.
      const key = [...plan.lines.group_by.map((name) => attributesOf(use)[name] ?? ''), `${at + 1}`].join('\u0000');
      const line = byLine.get(key) ?? { uses: [], allowance };
      line.uses.push({ use, rule });
      byLine.set(key, line);
    }
  }

  const included = allowancesOf(part).flatMap(({ allowance, key }, index) => {
    if (!('quantity' in allowance)) return [];
    const available = plus(times(ratio(allowance.quantity), share), carried.get(key) ?? NOTHING);
    const used = count(byAllowance[index]!, allowance.count);
    const taken = smaller(used, available);
    return [{ allowance: index, used, included: taken, left: minus(available, taken) }];
  });
  const line = (kind: NaiveLine['kind'], exact: Ratio, allowance: number | null = null): NaiveLine => ({
    kind,
    exact,
    amount: billable(exact, period.currency),
    allowance,
  });
  const grouped = [...byLine]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([, { uses, allowance }]) => {
      const charge = sumOf(uses.map(({ use, rule }) => chargeOf(use, rule)));
      const use = included.find((one) => one.allowance === allowance);
      // All that an allowance takes share alike; where nothing of it counts, nothing is included.
      if (use === undefined || use.used[0] === 0n) return [line('usage', charge, allowance)];
      const inside = times(charge, over(use.included, use.used));
      return [
        ...(use.included[0] === 0n ? [] : [line('usage', inside, allowance)]),
        ...(isLess(use.included, use.used) ? [line('overage', minus(charge, inside), allowance)] : []),
      ];
    });
  const totals = plan.rules.flatMap((rule, index) =>
    isByTotal(rule) && byRule[index]!.length > 0
      ? pricedByTotal(rule, byRule[index]!, share).map((exact) => line('usage', exact))
      : [],
  );
  const fees = plan.rules.flatMap((rule, index) =>
    'fee_per_action' in rule && rule.fee_per_action !== undefined
      ? [line('action_fee', times(ratio(rule.fee_per_action), count(byRule[index]!, 'actions')))]
      : [],
  );
  return { lines: [...grouped, ...totals, ...fees], included };
}

/** The distinct actions of a rule or an allowance, which pricing hands to the composer beside its sums. */
export function countActions(
  part: NaivePart,
  period: NaivePeriod,
  of: { rule: number } | { allowance: number },
): number {
  const { plan } = part;
  const uses = part.events
    .flatMap((event) => usesOf(event, part, period))
    .filter((use) => {
      if (isSeatReport(use, part)) return false;
      const rule = plan.rules.findIndex(({ match }) => matches(match, use));
      if ('rule' in of) return rule === of.rule;
      const at = allowancesOf(part).findIndex(
        ({ allowance }) => 'quantity' in allowance && matches(allowance.match, use),
      );
      return at === of.allowance && !isByTotal(plan.rules[rule]!);
    });
  return Number(count(uses, 'actions')[0]);
}

function usesOf(event: NaiveEvent, { plan }: NaivePart, { currency, rates, prices }: NaivePeriod): Use[] {
  const inCurrency = (amount: Ratio, from: string) => (from === currency ? amount : times(amount, ratio(rates[from]!)));
  const meters = Object.keys(event.usage).sort();
  const use = (meter: string, quantity: Ratio, cost: Ratio, counts: boolean): Use => ({
    event,
    counts,
    meter,
    quantity,
    cost,
  });
  const atNoCost = (counts: boolean) =>
    meters.map((meter, index) => use(meter, ratio(event.usage[meter]!), NOTHING, counts && index === 0));
  if (event.paid_by === 'customer') return atNoCost(true);
  if (event.reported !== null) {
    // The rule is found for the whole event: one that names meters never matches.
    const amount = use('reported-cost', ratio(event.reported), inCurrency(ratio(event.reported), 'usd'), true);
    const rule = plan.rules.find(({ match }) => matches(match, amount))!;
    if ('cost_basis' in rule && rule.cost_basis === 'reported') return [amount, ...atNoCost(false)];
  }
  return meters.map((meter, index) => {
    const quantity = ratio(event.usage[meter]!);
    const row = prices
      .filter((one) => one.model === event.model && one.meter === meter && one.from <= event.at)
      .reduce((a, b) => (a.from > b.from ? a : b));
    const cost = times(quantity, over(ratio(row.price), whole(row.per)));
    return use(meter, quantity, inCurrency(cost, row.currency), index === 0);
  });
}

/** A report of seats that costs nothing is no usage. */
function isSeatReport({ meter, cost }: Use, { plan }: NaivePart): boolean {
  return meter === plan.seats?.meter && cost[0] === 0n;
}

function attributesOf({ event, meter }: Use): Record<string, string | null> {
  const { model, feature, region, paid_by, action } = event;
  return { provider: 'p', model_id: model, feature, region, paid_by, meter, action_id: action };
}

function matches(match: RuleMatch | undefined, use: Use): boolean {
  return Object.entries(match ?? {}).every(([name, wanted]) =>
    [wanted].flat().includes(attributesOf(use)[name] as string),
  );
}

/** Tiers, packages, flat prices and prices of actions; not a unit price of units or events. */
function isByTotal(rule: PlanRule): boolean {
  if ('markup' in rule || 'margin' in rule) return false;
  return !('unit_price' in rule) || rule.count === 'actions';
}

function count(uses: Use[], what: 'units' | 'events' | 'actions'): Ratio {
  if (what === 'units') return sumOf(uses.map(({ quantity }) => quantity));
  if (what === 'events') return whole(uses.filter(({ counts }) => counts).length);
  return whole(new Set(uses.map(({ event }) => event.action ?? event)).size);
}

/** One meter of one event under a rule on cost, or at a unit price of units or events. */
function chargeOf({ cost, quantity, counts }: Use, rule: PlanRule): Ratio {
  const each = ({ price, per }: { price: string; per: number }) => times(quantity, over(ratio(price), whole(per)));
  if ('unit_price' in rule) {
    const counted = rule.count === 'units' ? quantity : whole(counts ? 1 : 0);
    return times(counted, over(ratio(rule.unit_price), whole(rule.per)));
  }
  if (!('markup' in rule) && !('margin' in rule)) throw new Error('this price is found on a total');
  let charge =
    'markup' in rule ? times(cost, plus(ALL, ratio(rule.markup))) : over(cost, minus(ALL, ratio(rule.margin)));
  if (rule.floor_per_unit !== undefined) charge = larger(charge, each(rule.floor_per_unit));
  if (rule.cap_per_unit !== undefined) charge = smaller(charge, each(rule.cap_per_unit));
  return plus(charge, rule.fee_per_event !== undefined && counts ? ratio(rule.fee_per_event) : NOTHING);
}

/** The exact charge of each line: graduated prices have one for each tier that is reached. */
function pricedByTotal(rule: PlanRule, uses: Use[], share: Ratio): Ratio[] {
  if ('flat' in rule) return [times(ratio(rule.flat), share)];
  if (!('count' in rule)) throw new Error('a rule on cost has no total');
  const quantity = count(uses, rule.count);
  if (quantity[0] === 0n) return [];
  if ('unit_price' in rule) return [times(quantity, over(ratio(rule.unit_price), whole(rule.per)))];
  if ('package' in rule) {
    let packages = 0;
    while (isLess(times(whole(packages), ratio(rule.package.size)), quantity)) packages++;
    return [times(whole(packages), ratio(rule.package.price))];
  }
  const tiers = ('graduated' in rule ? rule.graduated : rule.volume).map((tier) => ({
    end: tier.up_to === undefined ? null : times(ratio(tier.up_to), share),
    charge: (of: Ratio) =>
      plus(times(of, over(ratio(tier.price), whole(tier.per))), times(ratio(tier.flat_fee ?? '0'), share)),
  }));
  if ('volume' in rule) {
    return [tiers.find(({ end }) => end === null || !isLess(end, quantity))!.charge(quantity)];
  }
  const lines: Ratio[] = [];
  let above = NOTHING;
  for (const { end, charge } of tiers) {
    if (!isLess(above, quantity)) break;
    const to = end === null ? quantity : smaller(end, quantity);
    lines.push(charge(minus(to, above)));
    above = to;
  }
  return lines;
}
