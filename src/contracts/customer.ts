import { z } from 'zod';
import { currencySchema, idSchema, instantSchema, labelSchema } from './ids.js';
import { budgetSchema } from './plan.js';

/** How long a billing period is. */
export const PERIOD_INTERVALS = ['month', 'week', 'quarter', 'year'] as const;
export type PeriodInterval = (typeof PERIOD_INTERVALS)[number];

/** `PUT /v1/customers/{id}`: the whole customer; keys left out take their defaults. */
export const customerSchema = z.strictObject({
  name: labelSchema.optional(),
  currency: currencySchema,
  time_zone: z.string().min(1).max(64).default('UTC'),
  interval: z.enum(PERIOD_INTERVALS).default('month'),
  /** The day on which months, quarters and years begin; the last day of a shorter month where it has no such day. */
  anchor_day: z.number().int().min(1).max(31).default(1),
  /** Of `quarter` and `year`: the month in which one begins; January where it is left out. */
  anchor_month: z.number().int().min(1).max(12).optional(),
  /** Of `week`: the day on which one begins, 1 is Monday (where it is left out), 7 is Sunday. */
  anchor_weekday: z.number().int().min(1).max(7).optional(),
  plan_id: idSchema,
  /** A version of the plan; the newest one where it is left out. */
  plan_version: z.number().int().positive().optional(),
  /**
   * When a changed plan takes effect: `now` (default), with the `next_period`, or at an instant inside the open period.
   * Not kept: a PUT that leaves it out and names the plan assigned last changes nothing of it.
   */
  plan_effective: z
    .union([z.enum(['now', 'next_period']), instantSchema], 'must be "now", "next_period" or an RFC 3339 time')
    .optional(),
  stripe_customer_id: z
    .string()
    .regex(/^cus_[A-Za-z0-9_]{1,64}$/, 'must be a Stripe customer id (cus_...)')
    .optional(),
  /**
   * The subscription whose invoices bill this customer's periods, for plans with `invoice_on: "subscription"`. Left out: the
   * known one stays; null: there is none any more.
   */
  stripe_subscription_id: z
    .string()
    .regex(/^sub_[A-Za-z0-9_]{1,64}$/, 'must be a Stripe subscription id (sub_...)')
    .nullable()
    .optional(),
  /** Replace the plan's budgets. */
  budgets: z.array(budgetSchema).max(20).default([]),
  starts_at: instantSchema.optional(),
  ends_at: instantSchema.optional(),
});
export type CustomerInput = z.input<typeof customerSchema>;
export type CustomerBody = z.infer<typeof customerSchema>;

/** A customer as it is read back. */
export interface Customer extends Omit<CustomerBody, 'plan_effective'> {
  customer_id: string;
  plan_version: number;
  /** From when the plan holds (it may be yet to come); left out where it has since the beginning. */
  plan_effective_from?: string;
  revision: number;
  created_at: string;
  updated_at: string;
}
