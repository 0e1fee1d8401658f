import { z } from 'zod';
import type { AdjustmentView, CreditGrant } from '../contracts/adjustment.js';
import type { ExchangeRate } from '../contracts/exchange-rate.js';
import { instantSchema } from '../contracts/ids.js';
import { APPLIES_TO } from '../contracts/plan-terms.js';

const decimal = z.string().regex(/^-?\d+(\.\d+)?$/);
const id = z.number().int().positive();

export const adjustmentView: z.ZodType<AdjustmentView> = z.strictObject({
  adjustment_id: id,
  kind: z.enum(['adjustment', 'goodwill']),
  amount: decimal,
  currency: z.string(),
  description: z.string(),
  reason: z.string(),
  created_by: z.string(),
  created_at: instantSchema,
});

export const creditGrantView: z.ZodType<CreditGrant> = z.strictObject({
  grant_id: id,
  name: z.string(),
  amount: decimal,
  currency: z.string(),
  priority: z.number().int(),
  cost_basis: decimal.nullable(),
  applies_to: z.enum(APPLIES_TO),
  effective_from: instantSchema,
  expires_at: instantSchema.nullable(),
  burned: decimal,
  expired: decimal,
  remaining: decimal,
  created_by: z.string(),
  created_at: instantSchema,
});

export const exchangeRateView: z.ZodType<ExchangeRate> = z.strictObject({
  rate_id: id,
  from: z.string(),
  to: z.string(),
  rate: decimal,
  effective_from: instantSchema,
  source: z.string(),
  published_by: z.string(),
  published_at: instantSchema,
});
