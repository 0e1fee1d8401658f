/** What crosses Temporal: names and types only, no imports that run (workflows import this file). */
import type { PeriodStatus, TimelineEntry, Totals } from './period.js';
import type { EventResult } from './usage-event.js';

export const TASK_QUEUE = 'costplus';
export const BILLING_PERIOD_WORKFLOW = 'billingPeriod';
export const IMPORT_PRICES_WORKFLOW = 'importPrices';
/** The schedule that starts it where price sources are configured. */
export const IMPORT_PRICES_SCHEDULE = 'import-prices';

export const SIGNAL_USAGE = 'usage';
export const QUERY_STATUS = 'status';
export const QUERY_TIMELINE = 'timeline';
export const QUERY_BATCH_RESULTS = 'batchResults';
export const UPDATE_CLOSE = 'close';
export const UPDATE_HOLD = 'hold';
export const UPDATE_RELEASE = 'release';
export const UPDATE_REBILL = 'rebill';
export const UPDATE_APPROVE = 'approve';

/** Search attributes, registered at start (src/worker). */
export const SEARCH_CUSTOMER = 'CostplusCustomer';
export const SEARCH_PERIOD = 'CostplusPeriod';
export const SEARCH_STATUS = 'CostplusStatus';

/** `billing-period/{customer_id}/{start_date}`. */
export function billingPeriodWorkflowId(customerId: string, startDate: string): string {
  return `billing-period/${customerId}/${startDate}`;
}

/** The relay's nudge: a reference and counts, never events. */
export interface UsageNudge {
  kind: 'nudge';
  /** Everything below this transaction is settled (decimal string of an xid8). */
  horizon: string;
  /** The newest catalog version at that moment: a later one than the run knows makes it look the catalog up. */
  catalog_version: number;
}

/** A small batch of signed events from a service that speaks Temporal itself. */
export interface UsageBatch {
  kind: 'batch';
  batch_id: string;
  source: string;
  /** Standard Webhooks headers over the JSON text of `body`. */
  headers: { 'webhook-id': string; 'webhook-timestamp': string; 'webhook-signature': string };
  /** JSON text `{"events": [...]}`, exactly as it was signed. */
  body: string;
}
export type UsageSignal = UsageNudge | UsageBatch;

/** What finance asks for; `request_id` is deduped by Postgres. */
export interface PeriodCommand {
  request_id: string;
  actor: string;
  reason: string | null;
  /** Of `rebill` alone. */
  rebill?: RebillOptions;
  /** Of `approve` alone: what the approver saw. */
  expected?: ExpectedRevision;
}

/** The invoice that an approver saw: what waits has to be the same in everything that is named. */
export interface ExpectedRevision {
  revision?: number;
  /** A decimal string in the invoice's currency. */
  total?: string;
  content_hash?: string;
}

/** What a re-bill takes anew beside the usage, and where the money of a credit note goes. */
export interface RebillOptions {
  catalog: 'pinned' | 'newest';
  plans: 'pinned' | 'assigned';
  /** The plan that should have been in force in all of the period: instead of what `plans` says. */
  plan?: NamedPlan;
  refund: 'balance' | 'refund';
  /** Late usage that is taken in: all that waits, or just what a person let go; all where it is left out. */
  late_usage?: 'all' | 'released';
}

/** A published version of a plan; the newest one where none is named. */
export interface NamedPlan {
  plan_id: string;
  version?: number | undefined;
}

export interface CommandAnswer {
  status: PeriodStatus;
  /** Grows with each change of the period's status. */
  status_version: number;
  /** False when the same request id was answered before. */
  applied: boolean;
  /** Of `close`: the start date of the period that has to be composed first; left out where none has. */
  waits_for?: string | undefined;
}

/** Names one period; what every activity is given. */
export interface PeriodRef {
  customer_id: string;
  start_date: string;
}

export interface BillingPeriodInput extends PeriodRef {
  /** History events after which the run continues as new although the server does not suggest it yet (tests). */
  continue_after_events?: number;
  /** Carried over continue-as-new. */
  carried?: CarriedState;
}

export interface CarriedState {
  timeline: TimelineEntry[];
  batch_results: Record<string, EventResult[]>;
  /** Until when the submission under way is tried again, ms; left out while none is. */
  submit_until_ms?: number;
}

/** A period's row as the run sees it, with absolute deadlines (calendars are never computed in workflows). */
export interface PeriodState {
  status: PeriodStatus;
  /** Grows with each change: an answer that was read before a change and arrives after it is told by this. */
  status_version: number;
  status_reason: string | null;
  seals_at_ms: number;
  /** How long submission is tried again before the period is parked. */
  retry_for_ms: number;
  /** When somebody is reminded of an invoice that awaits approval; null where it never did. */
  remind_at_ms?: number | null;
  /** The start date of another period that a closing one waits for; left out where it waits for none. */
  waits_for?: string;
  totals: Totals | null;
}

export interface PriceUsageAnswer extends PeriodState {
  /** Whether a budget threshold may have been crossed: only then checkBudgets runs. */
  budgets_may_be_crossed: boolean;
}

export interface SubmitAnswer extends PeriodState {
  stripe_invoice_id: string | null;
}

export type CommandName = 'close' | 'approve' | 'hold' | 'release' | 'rebill';

/** The activities of `billingPeriod`; activities/ implements exactly these. */
export interface BillingPeriodActivities {
  openPeriod(ref: PeriodRef): Promise<PeriodState>;
  lookUpCatalog(ref: PeriodRef): Promise<number>;
  priceUsage(ref: PeriodRef): Promise<PriceUsageAnswer>;
  checkBudgets(ref: PeriodRef): Promise<number>;
  sendAlerts(ref: PeriodRef): Promise<void>;
  appendBatch(ref: PeriodRef, batch: UsageBatch): Promise<EventResult[]>;
  applyCommand(ref: PeriodRef, name: CommandName, command: PeriodCommand): Promise<CommandAnswer>;
  /** `nowMs` is the workflow's time: the one its timer was kept by. */
  beginClosing(ref: PeriodRef, nowMs: number): Promise<PeriodState>;
  sealPeriod(ref: PeriodRef): Promise<PeriodState>;
  composeInvoice(ref: PeriodRef): Promise<PeriodState>;
  /** `nowMs` is the workflow's time. */
  remindApproval(ref: PeriodRef, nowMs: number): Promise<PeriodState>;
  submitInvoice(ref: PeriodRef): Promise<SubmitAnswer>;
  parkPeriod(ref: PeriodRef, reason: string): Promise<PeriodState>;
  openNextPeriod(ref: PeriodRef): Promise<string | null>;
}

export interface StatusAnswer {
  customer_id: string;
  start_date: string;
  status: PeriodStatus;
  status_reason: string | null;
  seals_at: string | null;
  totals: Totals | null;
}

/** Which configured price sources a run looks at: names only, since addresses can hold tokens and history is kept. */
export interface ImportPricesInput {
  sources: string[];
}

/** What became of one source. */
export interface ImportedSource {
  source: string;
  status: 'proposed' | 'published' | 'rejected' | 'superseded' | 'unchanged' | 'failed';
  proposal_id: number | null;
  published_version: number | null;
  counts: Record<string, number> | null;
  /** Why it failed; null where it did not. */
  failure: string | null;
}

/** The activity of `importPrices`; activities/ implements exactly this. */
export interface PriceActivities {
  /** Fetches a source and proposes its prices from `at` (RFC 3339) on. */
  importPriceSource(source: string, at: string): Promise<ImportedSource>;
}
