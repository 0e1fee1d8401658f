/** Pure types and names: workflows import this file. */
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
  charge: string;
  currency: string;
  catalog_version: number;
  priced_at: string;
}

export interface BudgetState {
  budget_id: string;
  measure: 'cost' | 'charge';
  amount: string;
  spent: string;
  currency: string;
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
  /** Until when arrivals are billed again in their own period, where that is the policy. */
  rebill_until: string | null;
}

export interface PeriodView {
  customer_id: string;
  period: { start: string; end: string };
  start_date: string;
  seals_at: string;
  status: PeriodStatus;
  status_reason: string | null;
  payment_status: string | null;
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
