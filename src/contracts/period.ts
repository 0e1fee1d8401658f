/** Pure types and names: workflows import this file. */
import type { OpeningChange } from './balances.js';
import type { IssuedRevision } from './invoice.js';
import type { LatePolicy } from './late-options.js';
import type { MeterEventsView } from './meter-submission.js';
import type { StripeAlertView } from './stripe-alert.js';

export const PERIOD_STATUSES = [
  'open',
  'closing',
  'sealed',
  'awaiting_approval',
  'on_hold',
  'submitting',
  'invoiced',
  'nothing_to_bill',
  'parked',
] as const;
export type PeriodStatus = (typeof PERIOD_STATUSES)[number];

/** Statuses in which nothing is left to do. */
export const FINISHED_STATUSES: readonly PeriodStatus[] = ['invoiced', 'nothing_to_bill'];

export interface Totals {
  events: number;
  held_events: number;
  /** Exact decimal strings; 18 places where the expansion does not end. */
  cost: string;
  /** What the rules of the plan charge, before fees, allowances and rounding. */
  charge: string;
  /** The plan's. */
  currency: string;
  /** What is in neither, since no exchange rate is known; the rate that an invoice needs is the one in force at its end. */
  without_rate: AmountWithoutRate[];
  /** Late usage of earlier periods that the period would carry, and what it charges; in none of the above. */
  late_events: number;
  late_charge: string;
  catalog_version: number;
  priced_at: string;
}

/** Exact decimal strings in a catalog's currency; `charge` is before floors and caps of a unit. */
export interface AmountWithoutRate {
  currency: string;
  cost: string;
  charge: string;
}

export interface BudgetState {
  budget_id: string;
  measure: 'cost' | 'charge';
  amount: string;
  /** A charge has late usage in it that the period would carry. */
  spent: string;
  currency: string;
  /** Currencies that usage is priced in and that no exchange rate is known from: `spent` lacks it. */
  without_rate: string[];
  thresholds: { threshold: string; reached: boolean; raised_at: string | null }[];
}

export interface TimelineEntry {
  at: string;
  kind: string;
  detail: Record<string, unknown>;
}

export interface HeldSummary {
  reason: string;
  provider: string | null;
  model_id: string;
  events: number;
}

/** What becomes of late usage that waits, if nobody does anything. */
export const LATE_OUTCOMES = ['carried', 'rebilled', 'waits_for_person'] as const;
export type LateOutcome = (typeof LATE_OUTCOMES)[number];

/** Late usage of one sealed period that waits: for the customer's next seal, a re-bill, or a person. */
export interface WaitingLateView {
  customer_id: string;
  start_date: string;
  policy: LatePolicy;
  events: number;
  /** Events that a person let go into the next period to be sealed. */
  released: number;
  first_received_at: string;
  last_received_at: string;
  /** Until when arrivals are billed again in their own period: where that is the policy, or no later period can carry it. */
  rebill_until: string | null;
  becomes: LateOutcome;
}

export interface PeriodView {
  customer_id: string;
  period: { start: string; end: string };
  start_date: string;
  seals_at: string;
  status: PeriodStatus;
  status_reason: string | null;
  payment_status: string | null;
  /** The period that has to be composed before this one is sealed, as it stands now; null where it waits for none. */
  waits_for: { start_date: string; status: PeriodStatus; status_reason: string | null } | null;
  /** Whether it would open with something else now than it did: billing it again takes that in. */
  opening_changed: boolean;
  opening_changes: OpeningChange[];
  plan: { plan_id: string; version: number } | null;
  totals: Totals | null;
  late_events: number;
  budgets: BudgetState[];
  held: HeldSummary[];
  /** Late usage that waits; null where none does. */
  late_usage: WaitingLateView | null;
  /** Usage of the newest revision that was voided since: the period has to be billed again. */
  voided_since: number;
  invoices: IssuedRevision[];
  /** Usage that goes to Stripe as meter events; null where the plan sends none. */
  meter_events: MeterEventsView | null;
  /** What at Stripe needs a person. */
  stripe_alerts: StripeAlertView[];
  timeline: TimelineEntry[];
}
