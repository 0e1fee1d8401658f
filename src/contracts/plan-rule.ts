import { z } from 'zod';
import { METERS_PER_EVENT_COUNT, PRICE_TIERS_COUNT } from '../limits.js';
import { idSchema, labelSchema, meterSchema, modelSchema, unsignedDecimalSchema } from './ids.js';
import { PAYERS } from './patterns.js';
import { ruleOptions } from './rule-options.js';

export const oneOrMore = <T extends z.ZodType>(schema: T) => z.union([schema, z.array(schema).min(1).max(100)]);

/** What a rule applies to; every key that is there must match, an absent key matches all. */
export const ruleMatchSchema = z.strictObject({
  provider: oneOrMore(modelSchema).optional(),
  model_id: oneOrMore(modelSchema).optional(),
  meter: oneOrMore(meterSchema).optional(),
  feature: oneOrMore(labelSchema).optional(),
  subscription_item_id: oneOrMore(idSchema).optional(),
  region: oneOrMore(labelSchema).optional(),
  service_tier: oneOrMore(labelSchema).optional(),
  source: oneOrMore(idSchema).optional(),
  paid_by: z.enum(PAYERS).optional(),
});
export type RuleMatch = z.infer<typeof ruleMatchSchema>;

/** How many units a price is for. */
export const perSchema = z.number().int().min(1).max(1_000_000_000_000);

/** What a line is at Stripe: a product of its catalog, or a tax code for a product that is made for the line. */
export const stripeReferenceSchema = z.strictObject({
  product: z
    .string()
    .regex(/^[A-Za-z0-9_.-]{1,128}$/, 'must be the id of a Stripe product (prod_...)')
    .optional(),
  tax_code: z
    .string()
    .regex(/^txcd_\d{8}$/, 'must be a Stripe tax code (txcd_ and 8 digits)')
    .optional(),
});
export type StripeReference = z.infer<typeof stripeReferenceSchema>;

/** What every rule can say: what it applies to, how its own lines are called, what they are at Stripe. */
const ruleHead = {
  match: ruleMatchSchema.optional(),
  name: labelSchema.optional(),
  stripe: stripeReferenceSchema.optional(),
};

/** A price of one unit: `price` for `per` of them, in the plan's currency. */
const unitBoundSchema = z.strictObject({ price: unsignedDecimalSchema, per: perSchema.default(1) });

/** Options of cost-plus rules. Amounts are in the plan's currency. */
const costPlus = {
  ...ruleHead,
  ...ruleOptions,
  /** The least and the most that a unit of the rule's meters is charged. */
  floor_per_unit: unitBoundSchema.optional(),
  cap_per_unit: unitBoundSchema.optional(),
  /** Added once for each distinct action (`action_id`) of the period; an event without one is an action of its own. */
  fee_per_action: unsignedDecimalSchema.optional(),
};

/** What an own price counts: units of the rule's meters, events, or distinct actions. */
export const COUNTED = ['units', 'events', 'actions'] as const;
const countSchema = z.enum(COUNTED).default('units');

/** Options of own prices, which do not depend on cost. `unit`: what the counted thing is called after a number. */
const ownPrice = { ...ruleHead, count: countSchema, unit: labelSchema.optional() };

/** `price` for `per` units up to and including `up_to`; `flat_fee` is added when the tier is reached. */
export const tierSchema = z.strictObject({
  up_to: unsignedDecimalSchema.optional(),
  price: unsignedDecimalSchema,
  per: perSchema.default(1),
  flat_fee: unsignedDecimalSchema.optional(),
});
export type Tier = z.infer<typeof tierSchema>;
const tiersSchema = z.array(tierSchema).min(1).max(PRICE_TIERS_COUNT);

/** The ways in which a rule can price; each rule has exactly one of them. */
export const RULE_KINDS = ['markup', 'margin', 'unit_price', 'package', 'graduated', 'volume', 'flat'] as const;

export const ruleSchema = z.union(
  [
    /** charge = cost x (1 + markup) */
    z.strictObject({ ...costPlus, markup: unsignedDecimalSchema }),
    /** charge = cost / (1 - margin), margin < 1 */
    z.strictObject({ ...costPlus, margin: unsignedDecimalSchema }),
    /** quantity x unit_price / per */
    z.strictObject({ ...ownPrice, unit_price: unsignedDecimalSchema, per: perSchema.default(1) }),
    /** price for each package of `size` that was begun */
    z.strictObject({
      ...ownPrice,
      package: z.strictObject({ size: unsignedDecimalSchema, price: unsignedDecimalSchema }),
    }),
    /** each tier's price for the units inside it */
    z.strictObject({ ...ownPrice, graduated: tiersSchema }),
    /** all units at the price of the tier that the period's quantity falls into */
    z.strictObject({ ...ownPrice, volume: tiersSchema }),
    /** one amount for all usage of the period, if there is any */
    z.strictObject({ ...ownPrice, flat: unsignedDecimalSchema }),
  ],
  `must have exactly one of ${RULE_KINDS.slice(0, -1).join(', ')} and ${RULE_KINDS.at(-1)}`,
);
export type PlanRule = z.infer<typeof ruleSchema>;
export type CostPlusRule = Extract<PlanRule, { markup: string } | { margin: string }>;
export type OwnPriceRule = Exclude<PlanRule, CostPlusRule>;

/** How a meter's quantity is shown: in multiples of `per`, called `name`. */
export const lineUnitSchema = z.strictObject({ meter: meterSchema, name: labelSchema, per: perSchema.default(1) });
export const lineUnitsSchema = z.union([lineUnitSchema, z.array(lineUnitSchema).min(1).max(METERS_PER_EVENT_COUNT)]);
