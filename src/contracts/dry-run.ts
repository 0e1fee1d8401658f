import { z } from 'zod';
import { DRY_RUN_CURSOR_CHARS, DRY_RUN_EVENTS_COUNT, DRY_RUN_PERIODS_COUNT } from '../limits.js';
import type { ClosingBalances, OpeningBalances } from './balances.js';
import { dateSchema, idSchema } from './ids.js';
import type { InvoiceContent } from './invoice.js';
import type { PeriodStatus } from './period.js';
import { namedPlanSchema, planSchema } from './plan.js';

/** What is supposed to be different; at least one of it. */
const changeSchema = z
  .strictObject({
    /** A published version of a plan, the newest where none is named, for all of the period. */
    plan: namedPlanSchema.optional(),
    /** A plan that is not published. */
    inline_plan: planSchema.optional(),
    catalog_version: z.number().int().positive().optional(),
    /** Usage events as `POST /v1/usage` takes them, added to what is there; they are not kept. */
    events: z.array(z.unknown()).min(1).max(DRY_RUN_EVENTS_COUNT).optional(),
  })
  .refine((change) => Object.values(change).some((value) => value !== undefined), 'must change something')
  .refine((change) => change.plan === undefined || change.inline_plan === undefined, {
    error: 'must not stand beside plan',
    path: ['inline_plan'],
  });

/** `POST /v1/previews`: one period by its name, or the periods that start in a range, page by page. */
export const dryRunSchema = z
  .strictObject({
    customer_id: idSchema.optional(),
    start_date: dateSchema.optional(),
    /** Start dates from (inclusive) and to (exclusive); a month from `from` where `to` is left out. */
    from: dateSchema.optional(),
    to: dateSchema.optional(),
    /** Only periods whose customer has this plan at their end. */
    on_plan: idSchema.optional(),
    change: changeSchema,
    /**
     * What periods of a range open with: `chain` (default), each with what the one before it would have left under the
     * change; `real`, each with what it really opened with.
     */
    openings: z.enum(['chain', 'real']).default('chain'),
    cursor: z.string().min(1).max(DRY_RUN_CURSOR_CHARS).optional(),
    limit: z.number().int().min(1).max(DRY_RUN_PERIODS_COUNT).default(DRY_RUN_PERIODS_COUNT),
  })
  .refine((body) => (body.start_date === undefined) !== (body.from === undefined), {
    error: 'must stand where there is no start_date, and only there',
    path: ['from'],
  })
  .refine((body) => body.start_date === undefined || body.customer_id !== undefined, {
    error: 'must name the customer of the period',
    path: ['customer_id'],
  });
export type DryRunRequest = z.infer<typeof dryRunSchema>;
export type DryRunChange = DryRunRequest['change'];

/** Why events of a request are not in a period; the first that holds. */
export const EVENT_LEFT_OUT = ['other_customer', 'other_period', 'repeated', 'in_ledger'] as const;
export type EventLeftOut = (typeof EVENT_LEFT_OUT)[number];

/** One side of a comparison; `total` in major units of the period's currency. */
export interface DryRunSide {
  total: string;
  plans: InvoiceContent['plans'];
  catalog_version: number;
  /** Usage that is not in the total: nothing prices it. */
  held_events: number;
}

/** What one period's invoice is, what it would be, and where the two differ. */
export interface DryRunPeriod {
  customer_id: string;
  start_date: string;
  period: { start: string; end: string };
  status: PeriodStatus;
  currency: string;
  /** The newest revision as composed, or where there is none what it would be now; `revision` null then. */
  before: (DryRunSide & { revision: number | null }) | null;
  after: DryRunSide | null;
  /** `after` minus `before`. */
  difference: string | null;
  /**
   * The period whose closing balances (rollover, fee in advance, commitment, credits) `after` opens with, as they would have
   * been; null: it opens as it really did.
   */
  opens_after: string | null;
  /** Of `after`. */
  balances: { opening: OpeningBalances; closing: ClosingBalances } | null;
  /** Events of the request that are in `after`: those of this customer and period that the ledger does not have. */
  events_added: number;
  /** The other events of the request: how many are not in `after`, by reason. */
  events_left_out: { reason: EventLeftOut; events: number }[];
  /** Lines that differ; wording as it would be. */
  lines: { description: string; before: string; after: string; difference: string }[];
  /** What would be composed; of a single period only. */
  invoice: InvoiceContent | null;
  /** Why there is nothing to compare: the plan is in another currency, no rate is known. */
  error: { code: string; detail: string } | null;
}

export interface DryRunPage {
  data: DryRunPeriod[];
  next_cursor: string | null;
  /** The page's sums by currency; periods with an error are counted and not summed. */
  totals: { currency: string; periods: number; failed: number; before: string; after: string; difference: string }[];
}
