import { z } from 'zod';
import { idSchema, labelSchema, noteSchema } from './ids.js';

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
  /** Null while it stands; only before the period's seal it can be taken back. */
  withdrawn: { at: string; by: string; reason: string } | null;
}

/** Why what was left of a grant, or an adjustment, is taken back. */
export const takeBackSchema = z.strictObject({ reason: noteSchema });
