import { z } from 'zod';
import { idSchema, instantSchema, labelSchema, noteSchema, unsignedDecimalSchema } from './ids.js';
import { APPLIES_TO } from './plan-terms.js';

const signedDecimalSchema = z
  .string()
  .regex(/^-?\d{1,15}(\.\d{1,24})?$/, 'must be a decimal string such as "-5.00"')
  .refine((amount) => /[1-9]/.test(amount), 'must not be zero');

/** A one-off amount on a period's invoice, in the customer's currency; negative: a credit. Goodwill is always one. */
export const adjustmentSchema = z
  .strictObject({
    /** The same id does nothing twice. */
    request_id: idSchema.optional(),
    kind: z.enum(['adjustment', 'goodwill']).default('adjustment'),
    amount: signedDecimalSchema,
    /** What the customer reads on the line. */
    description: labelSchema,
    /** Why, for the audit log. */
    reason: noteSchema,
  })
  .refine((one) => one.kind === 'adjustment' || one.amount.startsWith('-'), {
    error: 'goodwill is a credit: the amount must be negative',
    path: ['amount'],
  });
export type AdjustmentBody = z.infer<typeof adjustmentSchema>;

/** An adjustment as it is kept. */
export interface AdjustmentView {
  adjustment_id: number;
  kind: 'adjustment' | 'goodwill';
  amount: string;
  currency: string;
  description: string;
  reason: string;
  created_by: string;
  created_at: string;
}

/** A grant of prepaid credits in the customer's currency. */
export const creditGrantSchema = z.strictObject({
  request_id: idSchema.optional(),
  /** What the customer reads on the line. */
  name: labelSchema,
  amount: unsignedDecimalSchema.refine((amount) => /[1-9]/.test(amount), 'must be above zero'),
  /** Lower ones pay first; then what expires earlier, then what cost the customer less. */
  priority: z.number().int().min(0).max(1_000).default(100),
  /** What the customer paid for one unit of credit; left out: nothing. */
  cost_basis: unsignedDecimalSchema.optional(),
  applies_to: z.enum(APPLIES_TO).default('all'),
  /** From when on (now where it is left out), and until when it pays. */
  effective_from: instantSchema.optional(),
  expires_at: instantSchema.optional(),
});
export type CreditGrantBody = z.infer<typeof creditGrantSchema>;

/** A grant with what is left of it; `burned` and `expired` are what composed invoices took. */
export interface CreditGrant {
  grant_id: number;
  name: string;
  amount: string;
  currency: string;
  priority: number;
  cost_basis: string | null;
  applies_to: 'all' | 'usage' | 'fees';
  effective_from: string;
  expires_at: string | null;
  burned: string;
  expired: string;
  remaining: string;
  created_by: string;
  created_at: string;
}
