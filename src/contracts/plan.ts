import { z } from 'zod';
import { approvalOptions } from './approval-options.js';
import { currencySchema, durationSchema, idSchema, labelSchema, unsignedDecimalSchema } from './ids.js';
import { LINE_KINDS } from './invoice.js';
import { lateOptions } from './late-options.js';
import { meterSubmissionSchema } from './meter-submission.js';
import { lineUnitsSchema, ruleSchema, stripeReferenceSchema } from './plan-rule.js';
import { allowancesSchema, baseFeeSchema, commitmentSchema, discountsSchema, seatsSchema } from './plan-terms.js';
import { heldOptions } from './rule-options.js';
import { stripeOptions } from './stripe-options.js';

export { type PlanRule, type RuleMatch, ruleMatchSchema, ruleSchema } from './plan-rule.js';

export const budgetSchema = z.strictObject({
  budget_id: idSchema,
  /** What is watched: our cost, or the customer's charge before allowances. */
  measure: z.enum(['cost', 'charge']).default('charge'),
  amount: unsignedDecimalSchema,
  /** Shares of the amount at which an alert is raised. */
  thresholds: z.array(unsignedDecimalSchema).min(1).max(20).default(['0.5', '0.8', '1']),
});
export type Budget = z.infer<typeof budgetSchema>;

/** Attributes of events that rules match. */
export const GROUP_ATTRIBUTES = [
  'provider',
  'model_id',
  'meter',
  'feature',
  'subscription_item_id',
  'region',
  'service_tier',
  'source',
  'paid_by',
] as const;
/** What lines can be grouped by: these, the action, or `dimensions.<key>`. */
const groupAttributeSchema = z.union([
  z.enum([...GROUP_ATTRIBUTES, 'action_id']),
  z.string().regex(/^dimensions\.[A-Za-z0-9._:-]{1,128}$/),
]);

export const planSchema = z.strictObject({
  plan_id: idSchema,
  name: labelSchema.optional(),
  currency: currencySchema,
  rules: z.array(ruleSchema).min(1).max(500),
  base_fee: baseFeeSchema.optional(),
  seats: seatsSchema.optional(),
  /** Included usage, in the plan's currency or in units. */
  allowance: allowancesSchema.optional(),
  discounts: discountsSchema.optional(),
  minimum_spend: unsignedDecimalSchema.optional(),
  maximum_spend: unsignedDecimalSchema.optional(),
  commitment: commitmentSchema.optional(),
  lines: z
    .strictObject({
      group_by: z.array(groupAttributeSchema).max(6).default(['model_id']),
      /** How quantities are shown: one meter's unit, or a list of them. */
      unit: lineUnitsSchema.optional(),
      /** Usage beyond an allowance of charge on lines of its own (beyond one of quantity it always is). */
      overage: z.boolean().optional(),
      /** Stripe product or tax code by kind of line; a rule's own comes before it. */
      stripe: z.partialRecord(z.enum(LINE_KINDS), stripeReferenceSchema).optional(),
    })
    .default({ group_by: ['model_id'] }),
  /** Whether invoices are of their own, or lines of the customer's Stripe subscription invoice. */
  invoice_on: z.enum(['own', 'subscription']).optional(),
  grace: durationSchema.default('PT1H'),
  aggregation_window: durationSchema.default('PT5S'),
  budgets: z.array(budgetSchema).max(20).default([]),
  submission: z.enum(['none', 'draft', 'stripe', 'meter_events']).default('stripe'),
  /** With `submission: "meter_events"`: how usage is counted at Stripe, instead of an invoice. */
  meter_events: meterSubmissionSchema.optional(),
  collection: z
    .union([
      z.strictObject({ method: z.literal('charge_automatically') }),
      z.strictObject({ method: z.literal('send_invoice'), days_until_due: z.number().int().min(1).max(365) }),
    ])
    .default({ method: 'charge_automatically' }),
  /** How long submission is tried again before the period is parked. */
  retry_for: durationSchema.default('P7D'),
  ...heldOptions,
  ...lateOptions,
  ...approvalOptions,
  ...stripeOptions,
});
export type Plan = z.infer<typeof planSchema>;
/** A plan as a client may write it: everything with a default may be left out. */
export type PlanInput = z.input<typeof planSchema>;

/** Names a published version; the newest one where none is named. */
export const namedPlanSchema = z.strictObject({ plan_id: idSchema, version: z.number().int().positive().optional() });

/** One immutable version. */
export interface PlanVersion {
  plan_id: string;
  version: number;
  content_hash: string;
  published_at: string;
  plan: Plan;
}
