import { z } from 'zod';
import { idSchema, instantSchema } from '../contracts/ids.js';
import { planSchema } from '../contracts/plan.js';

export const planView = z.strictObject({
  plan_id: idSchema,
  version: z.number().int().positive(),
  content_hash: z.string(),
  published_at: instantSchema,
  plan: planSchema,
});
