import type { ClosingBalances, OpeningBalances } from './balances.js';
import type { PeriodStatus } from './period.js';
import type { StripeReference } from './plan-rule.js';
import type { SubscriptionLines } from './subscription-lines.js';

/** Raised when the same seal would compose other bytes; a revision names the composer that made it. */
export const COMPOSER_VERSION = 1;

/**
 * `overage`: usage beyond an allowance. `action_fee`: fees for each action. `advance_fee`: the next period's base fee, and
 * what of this one's was paid before. `late_usage`: what a sealed period would have come to with usage that
 * came later. `credits`: paid with credits, prepaid or granted by the plan.
 */
export const LINE_KINDS = [
  'usage',
  'overage',
  'action_fee',
  'base_fee',
  'seats',
  'advance_fee',
  'discount',
  'allowance',
  'minimum_spend',
  'maximum_spend',
  'commitment',
  'adjustment',
  'late_usage',
  'credits',
  'rounding',
] as const;
export type LineKind = (typeof LINE_KINDS)[number];

export interface InvoiceLine {
  description: string;
  kind: LineKind;
  /** The values of the plan's group_by, e.g. {"model_id": "claude-sonnet-4-5"}; empty for fees and allowances. */
  group: Record<string, string | null>;
  /** The plan version that charged it; null for a line that stands for several (folded usage, allowance, bounds). */
  plan: { plan_id: string; version: number } | null;
  /** The rule of the plan that alone made the line (tiers, packages, flat prices, actions); null for all others. */
  rule: number | null;
  /** Units behind the line as an exact decimal string where all share one unit; else the number of events. */
  quantity: string | null;
  unit: string | null;
  events: number;
  /** What it cost us, exact, in the invoice's `cost_currency`. */
  cost: string;
  /** What it is charged, exact, in the invoice's currency, before the line's rounding. */
  charge: string;
  /** Rounded to the currency, major units, "12.34". */
  amount: string;
  /** What the charge is over the cost, both ways of saying it; null where there is no cost or no charge. */
  markup: string | null;
  margin: string | null;
  /** What the line is at Stripe; left out where the plan does not say. */
  stripe?: StripeReference;
}

/** What was composed from a seal: the bytes under `content_hash`. No Stripe ids, no status, no time of composing. */
export interface InvoiceContent {
  composer_version: number;
  customer_id: string;
  period: { start: string; end: string };
  start_date: string;
  revision: number;
  currency: string;
  catalog_version: number;
  plans: { plan_id: string; version: number; from: string | null }[];
  /** Rates that were used, from each catalog currency to the invoice's: decimal strings. */
  exchange_rates: Record<string, string>;
  /** What the invoice came to after each step of composing: exact up to `exchange`, whole minor units after it. */
  steps: { step: string; amount: string }[];
  lines: InvoiceLine[];
  events: number;
  /** The catalog's currency; the invoice's where the catalog priced in several. */
  cost_currency: string;
  cost: string;
  /** The total over the cost, both ways of saying it; null where either is zero. */
  markup: string | null;
  margin: string | null;
  /** What the period took over and what it leaves: credits, rollover, commitment, fees in advance. */
  balances: { opening: OpeningBalances; closing: ClosingBalances };
  subtotal: string;
  total: string;
}

/** An issued revision, or a preview of it (then `content_hash` is of what would be issued now). */
export interface InvoiceView extends InvoiceContent {
  status: PeriodStatus;
  payment_status: string | null;
  content_hash: string;
  stripe_invoice_id: string | null;
  stripe_status: string | null;
  stripe_number: string | null;
  hosted_invoice_url: string | null;
  /** Subtotal and tax, as Stripe issued it; null before. */
  stripe_total: string | null;
  /**
   * What it moved to the customer's balance at Stripe: above zero owed with the next invoice (too small to be charged) or
   * paid from credit, below zero owed to the customer. Null before it is issued.
   */
  stripe_to_balance: string | null;
  /** Where its lines stand on invoices of the customer's subscription; null for an invoice of its own. */
  subscription: SubscriptionLines | null;
}

/** A revision as it is listed: what it comes to, what it has at Stripe, and what brought Stripe from the one before. */
export interface IssuedRevision {
  revision: number;
  content_hash: string;
  currency: string;
  total: string;
  /** Why it was made. */
  reason: string;
  issued_at: string;
  /** Its own invoice: the whole, or the difference to what was paid before. */
  stripe_invoice_id: string | null;
  stripe_status: string | null;
  payment_status: string | null;
  /** Where its lines stand on invoices of the customer's subscription; null for an invoice of its own. */
  subscription: SubscriptionLines | null;
  /** Null for the first revision. */
  correction: {
    refund: 'balance' | 'refund';
    status: 'begun' | 'settled' | 'completed';
    /** The total minus what stood at Stripe; null until it is settled. */
    difference: string | null;
    invoice: 'whole' | 'supplement' | 'none' | null;
    credit_notes: {
      stripe_credit_note_id: string | null;
      stripe_invoice_id: string;
      /** Before tax. */
      amount: string;
      /** As it is at Stripe, with tax and discounts; null before it is issued. */
      total: string | null;
    }[];
  } | null;
}
