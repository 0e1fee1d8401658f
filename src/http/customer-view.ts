import { z } from 'zod';
import { customerSchema, PERIOD_INTERVALS } from '../contracts/customer.js';
import { idSchema, instantSchema, labelSchema } from '../contracts/ids.js';
import { budgetSchema } from '../contracts/plan.js';

/** A customer as it is read back: decided where the body may leave open, and without what it does not have. */
export const customerView = customerSchema.omit({ plan_effective: true }).extend({
  customer_id: idSchema,
  name: labelSchema.optional(),
  time_zone: z.string(),
  interval: z.enum(PERIOD_INTERVALS),
  anchor_day: z.number().int(),
  anchor_month: z.number().int().optional(),
  anchor_weekday: z.number().int().optional(),
  plan_version: z.number().int().positive(),
  plan_effective_from: instantSchema.optional(),
  stripe_customer_id: z.string().optional(),
  stripe_subscription_id: z.string().optional(),
  budgets: z.array(budgetSchema),
  starts_at: instantSchema.optional(),
  ends_at: instantSchema.optional(),
  revision: z.number().int().positive(),
  created_at: instantSchema,
  updated_at: instantSchema,
});
