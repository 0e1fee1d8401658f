import { add, type Fraction, fromExactText, toExactText } from '../money/fraction.js';
import type {
  CostGroup,
  HeldGroup,
  PricingResult,
  ReportedGroup,
  ReviewGroup,
  WrittenOffGroup,
} from './pricing-result.js';
import { ReportedCosts } from './reported-costs.js';

/** A group whose quantity is still being summed. */
export interface OpenGroup extends Omit<CostGroup, 'quantity'> {
  sum: Fraction;
}

/** The result of no events. */
export const EMPTY_RESULT: PricingResult = { groups: [], held: [], events: 0 };

/**
 * The result of both ranges of events together. Associative and commutative: in whatever parts a set of events was
 * priced, the merged document is the same.
 */
export function mergeResults(a: PricingResult, b: PricingResult): PricingResult {
  const open = [...a.groups, ...b.groups].map(({ quantity, ...group }) => ({ ...group, sum: fromExactText(quantity) }));
  return toResult(open, [...a.held, ...b.held], a.events + b.events, {
    written_off: [...(a.written_off ?? []), ...(b.written_off ?? [])],
    reported: [...(a.reported ?? []), ...(b.reported ?? [])],
    review: [...(a.review ?? []), ...(b.review ?? [])],
  });
}

/** What a document has beside groups and held events, in parts still. */
export interface Asides {
  written_off: readonly WrittenOffGroup[];
  reported: readonly ReportedGroup[];
  review: readonly ReviewGroup[];
}

/** The one document of a set of sums: equal groups added up, all of them in the order that PricingResult names. */
export function toResult(
  open: OpenGroup[],
  held: HeldGroup[],
  events: number,
  asides: Asides = { written_off: [], reported: [], review: [] },
): PricingResult {
  const groups = new Map<string, OpenGroup>();
  for (const group of open) {
    const key = JSON.stringify(groupOrder(group));
    const known = groups.get(key);
    if (known === undefined) groups.set(key, { ...group });
    else {
      known.sum = add(known.sum, group.sum);
      known.events += group.events;
    }
  }
  const writtenOff = summed(asides.written_off, (group) => [group.decision_id, ...heldOrder(group)]);
  const compared = new ReportedCosts();
  compared.merge(asides.reported);
  return {
    groups: sorted([...groups.values()], groupOrder).map(({ sum, ...group }) => ({
      segment: group.segment,
      provider: group.provider,
      model_id: group.model_id,
      priced_as: group.priced_as,
      meter: group.meter,
      price_id: group.price_id,
      price: group.price,
      ...(group.multiplier === undefined ? {} : { multiplier: group.multiplier }),
      per: group.per,
      currency: group.currency,
      attributes: group.attributes,
      quantity: toExactText(sum),
      events: group.events,
    })),
    held: summed(held, heldOrder).map(({ reason, provider, model_id, meter, events: count }) => ({
      reason,
      provider,
      model_id,
      meter,
      events: count,
    })),
    events,
    ...(writtenOff.length === 0 ? {} : { written_off: writtenOff }),
    ...(asides.reported.length === 0 ? {} : { reported: sorted(compared.groups(), reportedOrder) }),
    ...(asides.review.length === 0 ? {} : { review: reviewed(asides.review) }),
  };
}

/** Equal groups added up, in order. */
function summed<Group extends { events: number }>(groups: readonly Group[], order: (group: Group) => Order): Group[] {
  const sums = new Map<string, Group>();
  for (const group of groups) {
    const key = JSON.stringify(order(group));
    const known = sums.get(key);
    if (known === undefined) sums.set(key, { ...group });
    else known.events += group.events;
  }
  return sorted([...sums.values()], order);
}

type Order = (string | number | null)[];

function groupOrder(group: OpenGroup): Order {
  const { segment, provider, model_id, meter, price_id, attributes, multiplier, priced_as, currency } = group;
  // A price row says model and currency; what is not priced by a row does not.
  return [segment, provider, model_id, meter, price_id, ...attributes, multiplier ?? null, priced_as, currency];
}

function heldOrder(group: HeldGroup): Order {
  return [group.reason, group.provider, group.model_id, group.meter];
}

/** Members in one order, whatever part they came from: one set, one document. */
function reviewed(groups: readonly ReviewGroup[]): ReviewGroup[] {
  return summed(groups, reviewOrder).map(({ provider, model_id, priced_as, how, unpriced_tier, events }) => ({
    provider,
    model_id,
    priced_as,
    how,
    unpriced_tier,
    events,
  }));
}

function reviewOrder(group: ReviewGroup): Order {
  return [group.provider, group.model_id, group.priced_as, group.how, group.unpriced_tier];
}

function reportedOrder(group: ReportedGroup): Order {
  return [group.provider, group.model_id, group.source, group.catalog_currency, group.reported_currency];
}

function sorted<T>(items: T[], order: (item: T) => Order): T[] {
  return items
    .map((item) => ({ item, keys: order(item) }))
    .sort((a, b) => compareOrder(a.keys, b.keys))
    .map(({ item }) => item);
}

/** Null first, numbers by size, texts by code units: no locale has a say. */
function compareOrder(a: Order, b: Order): number {
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i] ?? null, b[i] ?? null];
    if (x === y) continue;
    if (x === null) return -1;
    if (y === null) return 1;
    return x < y ? -1 : 1;
  }
  return 0;
}
