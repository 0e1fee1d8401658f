import { z } from 'zod';
import { customerSchema } from '../contracts/customer.js';
import { idSchema, instantSchema } from '../contracts/ids.js';

export const customerView = customerSchema.omit({ plan_effective: true }).extend({
  customer_id: idSchema,
  plan_version: z.number().int().positive(),
  plan_effective_from: instantSchema.optional(),
  revision: z.number().int().positive(),
  created_at: instantSchema,
  updated_at: instantSchema,
});
