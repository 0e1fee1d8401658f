import type { RuleMatch } from './plan-rule.js';
import type { AppliesTo } from './plan-terms.js';

/*
 * What a period takes over from those before it, and what it leaves. Pinned by the seal, so that composing stays a pure
 * function; amounts are exact texts (money/fraction.ts) in the invoice's currency unless they say otherwise.
 */

/** What is left of an allowance with rollover: an amount of charge or credits, or a quantity. */
export interface RolledOver {
  plan_id: string;
  /** Which allowance of the plan: its kind, and what it counts. */
  key: string;
  amount: string;
}

/** A base fee that the invoice of the period before carried for this one. */
export interface AdvanceFee {
  plan_id: string;
  version: number;
  amount: string;
}

/** A commitment under way, with the terms that it was begun under. */
export interface CommitmentState {
  plan_id: string;
  amount: string;
  periods: number;
  early_end: 'prorated' | 'full';
  /** Periods that are over, and their time in whole periods (less where billing began inside one). */
  over: number;
  elapsed: string;
  spent: string;
}

/** A grant of prepaid credits with what is left of it; the order of the list is the order of burning. */
export interface OpenCredit {
  grant_id: number;
  name: string;
  amount: string;
  remaining: string;
  priority: number;
  expires_at: string | null;
  applies_to: AppliesTo;
  /** What the usage must be that it pays for; left out where the grant does not say. */
  match?: RuleMatch;
  /** What the customer paid for one unit of credit; null: nothing. */
  cost_basis: string | null;
}

export interface OpeningBalances {
  rollover: RolledOver[];
  advance: AdvanceFee | null;
  commitment: CommitmentState | null;
  credits: OpenCredit[];
}

/** What a grant paid for, and what of it expired at the period's end; decimal strings. */
export interface CreditUse {
  grant_id: number;
  burned: string;
  expired: string;
  remaining: string;
}

export interface ClosingBalances {
  rollover: RolledOver[];
  advance: AdvanceFee | null;
  commitment: CommitmentState | null;
  credits: CreditUse[];
}

/** What an invoice took of an allowance of a plan version: an amount of charge, or a quantity. Exact text. */
export interface AllowanceUse {
  plan_id: string;
  version: number;
  key: string;
  used: string;
}

/** What of a period's allowances other sealed invoices have: it is not there for an invoice of this one. */
export interface HeldElsewhere {
  /** What the sealed period that follows opened with: at least that much has to be left. */
  passed_on: RolledOver[];
  /** What usage of this period took that other invoices carry. */
  taken: AllowanceUse[];
}

/** How a sealed period's opening balance differs from what it would be by now; amounts are decimal strings. */
export interface OpeningChange {
  kind: 'rollover' | 'advance' | 'commitment' | 'credits';
  /** Of what: the allowance's key, the plan, or the grant's name. */
  name: string;
  /** What it opened with: what is left of an allowance or grant, the fee that was paid, or what was spent. */
  was: string;
  now: string;
}

export const NO_OPENING: OpeningBalances = { rollover: [], advance: null, commitment: null, credits: [] };

/** A one-off amount on an invoice, decided by a person; `amount` is a decimal string, negative for a credit. */
export interface Adjustment {
  adjustment_id: number;
  kind: 'adjustment' | 'goodwill';
  amount: string;
  description: string;
}

/** The period that follows and the plan in force at its start: whose fee in advance rides on this invoice. */
export interface NextPeriod {
  start_date: string;
  start: string;
  end: string;
  calendar_from: string;
  calendar_to: string;
  plan_id: string;
  version: number;
  plan_name: string | null;
  /** Null where the plan takes no fee in advance. */
  advance_fee: string | null;
}

/**
 * What the sums of pricing cannot say: distinct actions, and the largest quantity that one event reported. By plan
 * version, for all its time in the period.
 */
export interface UsageCounts {
  /** `of`: `rule <index>` or `allowance <index>` of the plan. */
  actions: { plan_id: string; version: number; of: string; actions: number }[];
  /** Decimal strings; `meter` is the seats' meter. */
  largest: { plan_id: string; version: number; meter: string; quantity: string }[];
}

export const NO_COUNTS: UsageCounts = { actions: [], largest: [] };
