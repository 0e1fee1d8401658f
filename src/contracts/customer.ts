import { z } from 'zod';
import { currencySchema, idSchema, instantSchema, labelSchema } from './ids.js';
import { type Budget, budgetSchema } from './plan.js';

/** How long a billing period is. */
export const PERIOD_INTERVALS = ['month', 'week', 'quarter', 'year'] as const;
export type PeriodInterval = (typeof PERIOD_INTERVALS)[number];

/**
 * `PUT /v1/customers/{id}`. A key that is left out stays as it is; null (of `budgets` also an empty list) takes the default
 * again, which is what a new customer has where the key is left out.
 */
export const customerSchema = z.strictObject({
  name: labelSchema.nullable().optional(),
  currency: currencySchema,
  /** `UTC` by default. */
  time_zone: z.string().min(1).max(64).nullable().optional(),
  /** `month` by default. */
  interval: z.enum(PERIOD_INTERVALS).nullable().optional(),
  /** The day on which months, quarters and years begin (1 by default); the last day of a shorter month where it has no such day. */
  anchor_day: z.number().int().min(1).max(31).nullable().optional(),
  /** Of `quarter` and `year`: the month in which one begins; January by default. */
  anchor_month: z.number().int().min(1).max(12).nullable().optional(),
  /** Of `week`: the day on which one begins, 1 is Monday (the default), 7 is Sunday. */
  anchor_weekday: z.number().int().min(1).max(7).nullable().optional(),
  plan_id: idSchema,
  /**
   * A version of the plan. Left out: the version that the customer has of this plan, the newest one of another plan;
   * null: the newest one.
   */
  plan_version: z.number().int().positive().nullable().optional(),
  /**
   * When a changed plan takes effect: `now` (default), with the `next_period`, or at an instant inside the open period.
   * Not kept: a PUT that leaves it out and names the plan assigned last changes nothing of it.
   */
  plan_effective: z
    .union([z.enum(['now', 'next_period']), instantSchema], 'must be "now", "next_period" or an RFC 3339 time')
    .optional(),
  /** null: the next invoice makes another one. */
  stripe_customer_id: z
    .string()
    .regex(/^cus_[A-Za-z0-9_]{1,64}$/, 'must be a Stripe customer id (cus_...)')
    .nullable()
    .optional(),
  /** The subscription whose invoices bill this customer's periods, for plans with `invoice_on: "subscription"`. */
  stripe_subscription_id: z
    .string()
    .regex(/^sub_[A-Za-z0-9_]{1,64}$/, 'must be a Stripe subscription id (sub_...)')
    .nullable()
    .optional(),
  /** Replace the plan's budgets. */
  budgets: z.array(budgetSchema).max(20).nullable().optional(),
  /** Billing takes what is used from then on. Where the body names one that has passed, the periods since then are opened. */
  starts_at: instantSchema.nullable().optional(),
  /** Billing takes what is used before; the period that it falls into ends with it. */
  ends_at: instantSchema.nullable().optional(),
});
export type CustomerInput = z.input<typeof customerSchema>;
export type CustomerBody = z.infer<typeof customerSchema>;

/** A customer as it is read back; what it does not have is left out. */
export interface Customer {
  customer_id: string;
  name?: string;
  currency: string;
  time_zone: string;
  interval: PeriodInterval;
  anchor_day: number;
  anchor_month?: number;
  anchor_weekday?: number;
  plan_id: string;
  plan_version: number;
  /** From when the plan holds (it may be yet to come); left out where it has since the beginning. */
  plan_effective_from?: string;
  stripe_customer_id?: string;
  stripe_subscription_id?: string;
  budgets: Budget[];
  starts_at?: string;
  ends_at?: string;
  revision: number;
  created_at: string;
  updated_at: string;
}
