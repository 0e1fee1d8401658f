import { HELD_REASONS, type HeldReason } from '../contracts/held-request.js';

export { HELD_REASONS, type HeldReason };

/** The documents that pricing makes and that seals and invoices read. Plain JSON: they are stored as they are. */

/** Everything beside the events that decides a price and a group. Its RFC 8785 SHA-256 is `inputs_hash`. */
export interface PricingInputs {
  catalog_version: number;
  /** Plan versions in force in the period, in order; `from` null: since before the period began. */
  assignments: { plan_id: string; version: number; from: string | null }[];
  /** Attributes beside provider, model and meter that rules or lines of these plans name, sorted. */
  attributes: string[];
  /** Ids of the decisions about held usage that count in the period, ascending; left out where there are none. */
  decisions?: number[];
  /** Voids of the customer up to this one leave their usage out; left out where there is none. */
  voided_to?: number;
}

/** The sum of one meter over events that share price row, plan segment and attributes. */
export interface CostGroup {
  /** Index into `PricingInputs.assignments`. */
  segment: number;
  /** The provider whose catalog priced it. */
  provider: string;
  /** The model as the events name it. */
  model_id: string;
  /** The catalog's model that priced it. */
  priced_as: string;
  meter: string;
  /** The price row, with what the sum needs of it: cost = quantity x price x multiplier / per, in `currency`. */
  price_id: string;
  price: string;
  /** The product of the multipliers that apply (tier, region, price book), an exact decimal; left out where none does. */
  multiplier?: string;
  per: number;
  currency: string;
  /** Values of `PricingInputs.attributes`, in their order. */
  attributes: (string | null)[];
  /** Exact text (money/fraction.ts) of the summed quantity. */
  quantity: string;
  /** Events whose first meter by name stands in this group: sums over groups count each event once. */
  events: number;
}

/** Events that wait for a price or a person. They cost nothing yet, and never zero. */
export interface HeldGroup {
  reason: HeldReason;
  provider: string | null;
  model_id: string;
  /** The meter without a price, where that is the reason. */
  meter: string | null;
  events: number;
}

/** Events that would be held and that a person wrote off: never charged. */
export interface WrittenOffGroup extends HeldGroup {
  decision_id: number;
}

/** What the catalog and what the senders say that events with a reported cost, paid by us, cost. Exact texts. */
export interface ReportedGroup {
  provider: string;
  model_id: string;
  source: string | null;
  catalog_currency: string;
  reported_currency: string;
  events: number;
  catalog_cost: string;
  reported_cost: string;
}

/** Events that are priced and whose price a person should look at: what found it was not the exact name. */
export interface ReviewGroup {
  /** Whose prices they have. */
  provider: string;
  /** The model as the events name it. */
  model_id: string;
  priced_as: string;
  how: 'exact' | 'alias' | 'rule' | 'fallback_provider';
  /** The service tier for which base prices stand in; null where the tier has prices, or is the standard one. */
  unpriced_tier: string | null;
  events: number;
}

/** `price_id` of usage that a provider key of the customer paid for: it costs us nothing. */
export const PAID_BY_CUSTOMER = 'paid_by_customer';
/** `price_id` of usage that is charged on the cost that was reported with it. */
export const AS_REPORTED = 'as_reported';
/** The meter that such a cost stands in, 1 unit of the currency each. No event can have it: it is no meter's name. */
export const REPORTED_COST_METER = 'reported-cost';
/** `price_id` of usage that is billed at a price which a person stated, before the decision's id. */
export const DECISION_PREFIX = 'decision:';

export interface PricingResult {
  /**
   * Ordered by segment, provider, model_id, meter, price_id, attributes, multiplier, priced_as, currency (code unit
   * order): one set, one document.
   */
  groups: CostGroup[];
  held: HeldGroup[];
  /** All events of the range, held and written-off ones included. */
  events: number;
  /** Left out where there are none, like `reported`. */
  written_off?: WrittenOffGroup[];
  reported?: ReportedGroup[];
  review?: ReviewGroup[];
}

/** What pricing reads of one event of the ledger. */
export interface UsageRow {
  event_id: string;
  occurred_at_ms: number;
  source_id: string | null;
  provider: string | null;
  provider_hint: string | null;
  model_id: string;
  usage: Record<string, number | string> | null;
  held_reason: string | null;
  feature: string | null;
  subscription_item_id: string | null;
  region: string | null;
  service_tier: string | null;
  dimensions: Record<string, string> | null;
  /** What the event is known to lack (contracts/event-mark.ts); null for most. */
  marks: readonly string[] | null;
  /** `customer`: a provider key of the customer paid for it. Null: we did. */
  paid_by: 'customer' | null;
  /** What the provider or gateway says it cost, exact decimal. */
  reported_cost: { amount: string; currency: string } | null;
  /** When the ledger received it: a decision covers what was there then. Left out for what is in no ledger. */
  received_at_ms?: number;
  /** The action that it was a part of; left out where nobody asks. */
  action_id?: string | null;
}
