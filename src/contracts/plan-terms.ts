import { z } from 'zod';
import { ALLOWANCES_COUNT, COMMITMENT_PERIODS_COUNT, DISCOUNTS_COUNT, SEATS_INCLUDED_COUNT } from '../limits.js';
import { instantSchema, labelSchema, meterSchema, unsignedDecimalSchema } from './ids.js';
import { COUNTED, ruleMatchSchema } from './plan-rule.js';

/** An amount for each whole period: in arrears, or in advance with the invoice of the period before. */
export const baseFeeSchema = z.union([
  unsignedDecimalSchema,
  z.strictObject({ amount: unsignedDecimalSchema, timing: z.enum(['arrears', 'advance']).default('arrears') }),
]);

/** A price for each seat: the largest quantity of the meter that one event of the period reports. */
export const seatsSchema = z.strictObject({
  meter: meterSchema,
  price: unsignedDecimalSchema,
  included: z.number().int().min(0).max(SEATS_INCLUDED_COUNT).default(0),
});

/** What is left at the period's end is lost, or with `rollover` kept for the next one, up to `rollover_limit`. */
const rollover = { rollover: z.boolean().optional(), rollover_limit: unsignedDecimalSchema.optional() };

export const allowanceSchema = z.union(
  [
    /** An amount of usage charges. */
    z.strictObject({ charge: unsignedDecimalSchema, ...rollover }),
    /** A quantity of usage that `match` takes; `name` is what the counted thing is called after a number. */
    z.strictObject({
      quantity: unsignedDecimalSchema,
      count: z.enum(COUNTED).default('units'),
      match: ruleMatchSchema.optional(),
      name: labelSchema.optional(),
      ...rollover,
    }),
    /** Credits that every period grants; they pay for whatever the invoice comes to. */
    z.strictObject({ credits: unsignedDecimalSchema, ...rollover }),
  ],
  'must have exactly one of charge, quantity and credits',
);
export type Allowance = z.infer<typeof allowanceSchema>;
export type QuantityAllowance = Extract<Allowance, { quantity: string }>;
export const allowancesSchema = z.union([allowanceSchema, z.array(allowanceSchema).min(1).max(ALLOWANCES_COUNT)]);

/** A minimum over several periods; what is missing at the end of the last one is charged there. */
export const commitmentSchema = z.strictObject({
  amount: unsignedDecimalSchema,
  periods: z.number().int().min(1).max(COMMITMENT_PERIODS_COUNT),
  /** What is asked for when the plan or billing ends earlier: the share of the time, or all of it. */
  early_end: z.enum(['prorated', 'full']).default('prorated'),
});

/** What charges a discount or a credit grant is for. */
export const APPLIES_TO = ['all', 'usage', 'fees'] as const;
export type AppliesTo = (typeof APPLIES_TO)[number];

const discountHead = {
  name: labelSchema,
  /** In force from (inclusive) and to (exclusive); a period that is half inside gets half of it. */
  from: instantSchema.optional(),
  to: instantSchema.optional(),
  on: z.enum(APPLIES_TO).default('all'),
};
export const discountSchema = z.union(
  [
    z.strictObject({ ...discountHead, percent: unsignedDecimalSchema }),
    z.strictObject({ ...discountHead, amount: unsignedDecimalSchema }),
  ],
  'must have exactly one of percent and amount',
);
export type Discount = z.infer<typeof discountSchema>;
export const discountsSchema = z.array(discountSchema).max(DISCOUNTS_COUNT);
