import { z } from 'zod';
import { instantSchema } from '../contracts/ids.js';
import { count, decimal } from './view-values.js';

export const catalogVersionView = z.strictObject({
  version: z.number().int().positive(),
  note: z.string(),
  source: z.string(),
  published_by: z.string(),
  published_at: instantSchema,
  content_hash: z.string(),
  prices: count,
});

export const priceRowView = z.strictObject({
  price_id: z.string(),
  version: z.number().int().positive(),
  provider: z.string(),
  model_id: z.string(),
  meter: z.string(),
  price: decimal.nullable(),
  per: z.number().int().positive(),
  currency: z.string(),
  same_as: z.string().nullable(),
  free: z.boolean(),
  per_event: z.boolean(),
  effective_from: instantSchema,
  effective_to: instantSchema.nullable(),
  context_over: count.nullable(),
  daily_window: z.strictObject({ from: z.string(), to: z.string() }).nullable(),
  service_tier: z.string().nullable(),
  region: z.string().nullable(),
  book: z.string().nullable(),
});
const multiplierView = z.strictObject({
  multiplier_id: z.string(),
  version: z.number().int().positive(),
  provider: z.string(),
  model_id: z.string().nullable(),
  service_tier: z.string().nullable(),
  region: z.string().nullable(),
  book: z.string().nullable(),
  meters: z.array(z.string()).nullable(),
  multiplier: decimal.nullable(),
  effective_from: instantSchema,
  effective_to: instantSchema.nullable(),
});
export const pricesView = z.strictObject({
  catalog_version: z.number().int().positive(),
  provider: z.string(),
  model_id: z.string(),
  priced_as: z.string(),
  how: z.enum(['exact', 'alias', 'rule', 'fallback_provider']),
  at: instantSchema,
  name: z.string().nullable(),
  deprecated: z.boolean(),
  successor: z.string().nullable(),
  rows: z.array(priceRowView),
  multipliers: z.array(multiplierView),
});
export const catalogModelView = z.strictObject({
  provider: z.string(),
  model_id: z.string(),
  name: z.string().nullable(),
  deprecated: z.boolean(),
  successor: z.string().nullable(),
  free: z.boolean(),
  meters: z.array(z.string()),
});
