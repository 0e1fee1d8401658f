/*
 * What an invoice comes to, found again event by event and unit by unit, with whole numbers only and none of src: slow,
 * and plain enough to be read against docs/explanation/money.md. One plan, one currency with cents.
 */

/** n / d */
type Ratio = [bigint, bigint];
const whole = (n: number | bigint): Ratio => [BigInt(n), 1n];
const plus = (a: Ratio, b: Ratio): Ratio => [a[0] * b[1] + b[0] * a[1], a[1] * b[1]];
const times = (a: Ratio, b: Ratio): Ratio => [a[0] * b[0], a[1] * b[1]];
const less = (a: Ratio, b: Ratio): boolean => a[0] * b[1] < b[0] * a[1];

/** Whole cents, half away from zero; the ratio is in cents. */
function cents([n, d]: Ratio): bigint {
  const size = n < 0n ? -n : n;
  const rounded = size / d + (2n * (size % d) >= d ? 1n : 0n);
  return n < 0n ? -rounded : rounded;
}

/** One event: what it cost in cents, how many pages it had, what it belonged to. */
export interface NaiveEvent {
  feature: string;
  action: string;
  cents: number;
  pages: number;
}

/** A plan in cents and hundredths; each rule is for one feature, the last for the others. */
export interface NaivePlan {
  rules: NaiveRule[];
  base_fee: number | null;
  discount: { hundredths: number; on: 'all' | 'usage' | 'fees' } | null;
  /** Actions of the feature that are included; only of a feature whose rule is on cost. */
  included_actions: { feature: string; actions: number } | null;
  included_cents: number | null;
  minimum: number | null;
  maximum: number | null;
  credits: { cents: number; on: 'all' | 'usage' | 'fees' }[];
  /** Days of 30 in which the plan was in force. */
  days: number;
}
export type NaiveRule = { feature: string | null } & (
  | { kind: 'markup'; hundredths: number }
  | { kind: 'unit_price'; cents: number; count: 'units' | 'events' | 'actions' }
  | { kind: 'package'; size: number; cents: number; count: 'units' | 'events' | 'actions' }
  | { kind: 'graduated' | 'volume'; tiers: NaiveTier[]; count: 'units' | 'events' | 'actions' }
  | { kind: 'flat'; cents: number }
);
export interface NaiveTier {
  up_to: number | null;
  cents: number;
  flat: number;
}

/** The total in cents. */
export function naiveTotal(plan: NaivePlan, events: NaiveEvent[]): bigint {
  const share: Ratio = [BigInt(plan.days), 30n];
  let usage = 0n;
  let included = 0n;
  for (const rule of plan.rules) {
    const named = plan.rules.map(({ feature }) => feature);
    const own = events.filter(({ feature }) =>
      rule.feature === null ? !named.includes(feature) : feature === rule.feature,
    );
    // Lines are grouped by feature: each feature that the last rule takes is a line of its own.
    for (const feature of new Set(own.map((event) => event.feature))) {
      const line = own.filter((event) => event.feature === feature);
      if (rule.kind === 'markup') {
        const charge = line.reduce(
          (sum, event) => plus(sum, times(whole(event.cents), [100n + BigInt(rule.hundredths), 100n])),
          whole(0),
        );
        const allowance = plan.included_actions;
        if (allowance === null || allowance.feature !== feature) {
          usage += cents(charge);
          continue;
        }
        const actions = new Set(line.map(({ action }) => action)).size;
        const available = times(whole(allowance.actions), share);
        const inside: Ratio = less(whole(actions), available) ? [1n, 1n] : times(available, [1n, BigInt(actions)]);
        const coveredCents = cents(times(charge, inside));
        usage += coveredCents + cents(plus(charge, times(charge, [-inside[0], inside[1]])));
        included += coveredCents;
      } else if (rule.kind === 'unit_price' && rule.count !== 'actions') {
        usage += cents(whole(counted(line, rule.count) * BigInt(rule.cents)));
      }
    }
    if (own.length === 0 || rule.kind === 'markup') continue;
    if (rule.kind === 'unit_price' && rule.count !== 'actions') continue;
    usage += pricedByTotal(rule, own, share);
  }

  const before = usage;
  let fees = plan.base_fee === null ? 0n : cents(times(whole(plan.base_fee), share));
  if (plan.discount !== null) {
    const part: Ratio = [BigInt(plan.discount.hundredths), 100n];
    if (plan.discount.on !== 'fees') usage -= cents(times(whole(usage), part));
    if (plan.discount.on !== 'usage') fees -= cents(times(whole(fees), part));
  }
  if (included > 0n && before > 0n) {
    const covered = cents([included * usage, before]);
    usage -= covered < usage ? covered : usage;
  }
  if (plan.included_cents !== null) {
    const covered = cents(times(whole(plan.included_cents), share));
    usage -= covered < usage ? covered : usage;
  }
  if (plan.minimum !== null) {
    const least = cents(times(whole(plan.minimum), share));
    if (usage + fees < least) fees = least - usage;
  }
  if (plan.maximum !== null) {
    const most = cents(times(whole(plan.maximum), share));
    // Cent by cent, of usage first.
    let over = usage + fees - most;
    while (over > 0n) {
      if (usage > 0n) usage--;
      else fees--;
      over--;
    }
  }
  for (const credit of plan.credits) {
    // Cent by cent, usage first.
    for (let left = credit.cents; left > 0; left--) {
      if (credit.on !== 'fees' && usage > 0n) usage--;
      else if (credit.on !== 'usage' && fees > 0n) fees--;
      else break;
    }
  }
  return usage + fees;
}

function counted(events: NaiveEvent[], count: 'units' | 'events' | 'actions'): bigint {
  if (count === 'units') return events.reduce((pages, event) => pages + BigInt(event.pages), 0n);
  return BigInt(count === 'events' ? events.length : new Set(events.map(({ action }) => action)).size);
}

/** Each line is rounded: a graduated price has one for each tier. */
function pricedByTotal(rule: NaiveRule, events: NaiveEvent[], share: Ratio): bigint {
  if (rule.kind === 'flat') return cents(times(whole(rule.cents), share));
  if (rule.kind === 'markup') return 0n;
  const quantity = counted(events, rule.count);
  if (quantity === 0n) return 0n;
  if (rule.kind === 'unit_price') return quantity * BigInt(rule.cents);
  if (rule.kind === 'package') {
    let packages = 0n;
    while (packages * BigInt(rule.size) < quantity) packages++;
    return packages * BigInt(rule.cents);
  }
  const bounds = rule.tiers.map(({ up_to }) => (up_to === null ? null : times(whole(up_to), share)));
  if (rule.kind === 'volume') {
    const tier = rule.tiers[bounds.findIndex((bound) => bound === null || !less(bound, whole(quantity)))]!;
    return cents(plus(whole(quantity * BigInt(tier.cents)), times(whole(tier.flat), share)));
  }
  let total = 0n;
  let above: Ratio = whole(0);
  for (const [index, tier] of rule.tiers.entries()) {
    if (!less(above, whole(quantity))) break;
    const bound = bounds[index] ?? null;
    const upTo = bound === null || less(whole(quantity), bound) ? whole(quantity) : bound;
    const inside = plus(upTo, [-above[0], above[1]]);
    total += cents(plus(times(inside, whole(tier.cents)), times(whole(tier.flat), share)));
    above = upTo;
  }
  return total;
}
