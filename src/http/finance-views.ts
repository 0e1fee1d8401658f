import { z } from 'zod';
import type { AdjustmentView } from '../contracts/adjustment.js';
import type { ExchangeRate, PublishedRates } from '../contracts/exchange-rate.js';
import { instantSchema } from '../contracts/ids.js';
import { takenBackView } from './credit-views.js';
import { count, decimal } from './view-values.js';

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
  withdrawn: takenBackView.nullable(),
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

export const publishedRatesView: z.ZodType<PublishedRates> = z.strictObject({
  data: z.array(exchangeRateView),
  unchanged: count,
});
