import { z } from 'zod';
import type { CreditBalance, CreditEntry, CreditGrant } from '../contracts/credit.js';
import { dateSchema, idSchema, instantSchema } from '../contracts/ids.js';
import { ruleMatchSchema } from '../contracts/plan-rule.js';
import { APPLIES_TO } from '../contracts/plan-terms.js';
import { decimal } from './view-values.js';

const grantId = z.number().int().positive();

/** Who took something back, when and why. */
export const takenBackView = z.strictObject({ at: instantSchema, by: z.string(), reason: z.string() });

export const creditGrantView: z.ZodType<CreditGrant> = z.strictObject({
  grant_id: grantId,
  name: z.string(),
  amount: decimal,
  currency: z.string(),
  priority: z.number().int(),
  cost_basis: decimal.nullable(),
  applies_to: z.enum(APPLIES_TO),
  match: ruleMatchSchema.nullable(),
  effective_from: instantSchema,
  expires_at: instantSchema.nullable(),
  burned: decimal,
  expired: decimal,
  revoked: decimal,
  remaining: decimal,
  revocation: takenBackView.nullable(),
  created_by: z.string(),
  created_at: instantSchema,
});

export const creditBalanceView: z.ZodType<CreditBalance> = z.strictObject({
  customer_id: idSchema,
  currency: z.string(),
  granted: decimal,
  burned: decimal,
  expired: decimal,
  revoked: decimal,
  remaining: decimal,
  available: decimal,
  available_for: z.strictObject({ all: decimal, usage: decimal, matched_usage: decimal, fees: decimal }),
  expiring: z.array(z.strictObject({ expires_at: instantSchema, remaining: decimal })),
});

export const creditEntryView: z.ZodType<CreditEntry> = z.strictObject({
  at: instantSchema,
  kind: z.enum(['granted', 'burned', 'expired', 'revoked']),
  grant_id: grantId,
  name: z.string(),
  amount: decimal,
  currency: z.string(),
  start_date: dateSchema.nullable(),
  revision: z.number().int().positive().nullable(),
});
