import { z } from 'zod';
import {
  currencySchema,
  idSchema,
  instantSchema,
  labelSchema,
  meterSchema,
  modelSchema,
  noteSchema,
  unsignedDecimalSchema,
} from './ids.js';

const timeOfDaySchema = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'must be a UTC time of day such as "16:30"');

/** One price row of a catalog version. Exactly one of `price`, `same_as`; `price: null` withdraws the slot. */
export const priceRowSchema = z
  .strictObject({
    provider: modelSchema,
    model_id: modelSchema,
    meter: meterSchema,
    price: unsignedDecimalSchema.nullable().optional(),
    /** Units that the price is for: 1000000 for a price per million tokens. */
    per: z.number().int().positive().max(Number.MAX_SAFE_INTEGER).default(1),
    currency: currencySchema.default('usd'),
    effective_from: instantSchema,
    effective_to: instantSchema.optional(),
    /** The meter of the same model whose price stands in: an explicit fallback. */
    same_as: meterSchema.optional(),
    /** A price of zero is only taken when it is said to be meant. */
    free: z.boolean().optional(),
    /** The row applies when the event's whole input is above this many tokens (a cliff: all its units take it). */
    context_over: z.number().int().nonnegative().optional(),
    /** The row applies at these UTC times of day, end exclusive; it may pass midnight. */
    daily_window: z.strictObject({ from: timeOfDaySchema, to: timeOfDaySchema }).optional(),
    /** Every event of the model counts as one unit of the meter unless it carries the meter itself: a fee for each call. */
    per_event: z.boolean().optional(),
    /** The row applies to events of exactly this service tier, region, price book; before rows that name none. */
    service_tier: labelSchema.optional(),
    region: labelSchema.optional(),
    book: idSchema.optional(),
    supersede: z.boolean().optional(),
    /** What the source of an import wrote, where `price` is its rounding: kept beside it, never computed with. */
    raw_price: z.string().min(1).max(64).optional(),
  })
  .refine(
    (row) => (row.price === undefined) !== (row.same_as === undefined),
    'must have exactly one of price and same_as',
  );
export type PriceRowInput = z.input<typeof priceRowSchema>;

/**
 * What the prices of a provider (or of one model of it) are multiplied by for a service tier, a region or a price book;
 * for none of them it is a discount on list prices. Of several conditions each has a multiplier of its own.
 */
export const multiplierSchema = z
  .strictObject({
    provider: modelSchema,
    model_id: modelSchema.optional(),
    service_tier: labelSchema.optional(),
    region: labelSchema.optional(),
    book: idSchema.optional(),
    /** The meters that it applies to; all where it is left out. */
    meters: z.array(meterSchema).min(1).max(64).optional(),
    /** `"0.5"` halves; null withdraws. Four of them and a price stay inside the digits of a decimal. */
    multiplier: z
      .string()
      .regex(/^\d{1,3}(\.\d{1,6})?$/, 'must be a decimal string such as "0.5", at most 6 places')
      .refine((text) => !/^[0.]+$/.test(text), 'must be above zero: what is free says so in its prices')
      .nullable(),
    effective_from: instantSchema,
    effective_to: instantSchema.optional(),
    supersede: z.boolean().optional(),
  })
  .refine(
    (row) => [row.service_tier, row.region, row.book].filter((condition) => condition !== undefined).length <= 1,
    'must name at most one of service_tier, region and book',
  );
export type MultiplierInput = z.input<typeof multiplierSchema>;

/** Whose usage is priced by which book, from an instant on; null: by none. */
export const sourceBookSchema = z.strictObject({
  source_id: idSchema,
  book: idSchema.nullable(),
  effective_from: instantSchema,
});

/** How a model id is matched; case-insensitive, but for `regex`. */
export type MatchClause =
  | { equals: string }
  | { starts_with: string }
  | { ends_with: string }
  | { contains: string }
  | { regex: string }
  | { or: MatchClause[] }
  | { and: MatchClause[] };
export const matchClauseSchema: z.ZodType<MatchClause> = z.lazy(() =>
  z.union([
    z.strictObject({ equals: z.string().min(1).max(200) }),
    z.strictObject({ starts_with: z.string().min(1).max(200) }),
    z.strictObject({ ends_with: z.string().min(1).max(200) }),
    z.strictObject({ contains: z.string().min(1).max(200) }),
    z.strictObject({ regex: z.string().min(1).max(200) }),
    z.strictObject({ or: z.array(matchClauseSchema).min(1).max(50) }),
    z.strictObject({ and: z.array(matchClauseSchema).min(1).max(50) }),
  ]),
);

export const catalogVersionSchema = z.strictObject({
  note: noteSchema,
  prices: z.array(priceRowSchema).max(50_000).default([]),
  aliases: z
    .array(
      z.strictObject({
        provider: modelSchema,
        alias: modelSchema,
        model_id: modelSchema,
        effective_from: instantSchema.optional(),
        effective_to: instantSchema.optional(),
        note: noteSchema.optional(),
      }),
    )
    .max(10_000)
    .default([]),
  match_rules: z
    .array(z.strictObject({ provider: modelSchema, clause: matchClauseSchema, model_id: modelSchema }))
    .max(10_000)
    .default([]),
  models: z
    .array(
      z.strictObject({
        provider: modelSchema,
        model_id: modelSchema,
        name: z.string().max(200).optional(),
        deprecated: z.boolean().optional(),
        /** The model of the same provider to go over to. */
        successor: modelSchema.optional(),
        /** Every meter of the model costs nothing, and that is meant. */
        free: z.boolean().optional(),
      }),
    )
    .max(10_000)
    .default([]),
  fallback_providers: z
    .array(z.strictObject({ provider: modelSchema, fallback_providers: z.array(modelSchema).min(1).max(20) }))
    .max(200)
    .default([]),
  // Optional without a default: what never was in a body is not in its content hash.
  multipliers: z.array(multiplierSchema).max(5_000).optional(),
  source_books: z.array(sourceBookSchema).max(10_000).optional(),
});
export type CatalogVersionInput = z.input<typeof catalogVersionSchema>;
export type CatalogVersionBody = z.infer<typeof catalogVersionSchema>;

/** A published version as it is listed. */
export interface CatalogVersionSummary {
  version: number;
  note: string;
  source: string;
  published_by: string;
  published_at: string;
  content_hash: string;
  prices: number;
}

/** A price row as the catalog holds it, for trails and `GET /v1/catalog/price`. */
export interface PriceRow {
  /** `price_id` in the database; the row's place where a catalog is read from a file. */
  price_id: string;
  version: number;
  provider: string;
  model_id: string;
  meter: string;
  price: string | null;
  per: number;
  currency: string;
  same_as: string | null;
  free: boolean;
  per_event: boolean;
  effective_from: string;
  effective_to: string | null;
  context_over: number | null;
  daily_window: { from: string; to: string } | null;
  service_tier: string | null;
  region: string | null;
  book: string | null;
}

/** A multiplier as the catalog holds it. */
export interface MultiplierRow {
  multiplier_id: string;
  version: number;
  provider: string;
  /** Null: all models of the provider. */
  model_id: string | null;
  service_tier: string | null;
  region: string | null;
  book: string | null;
  meters: string[] | null;
  multiplier: string | null;
  effective_from: string;
  effective_to: string | null;
}
