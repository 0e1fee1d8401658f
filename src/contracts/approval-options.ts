import { z } from 'zod';
import { durationSchema, unsignedDecimalSchema } from './ids.js';

/** How long an invoice waits for approval before somebody is reminded of it, where the plan does not say; then again. */
export const APPROVAL_REMINDER_DEFAULT = 'P1D';

/** When a composed invoice waits for a person of finance; one condition that holds is enough. */
export const approvalSchema = z.strictObject({
  /** The total is above this amount of the plan's currency. */
  above: unsignedDecimalSchema.optional(),
  /** The customer was never sent an invoice before. */
  first_invoice: z.boolean().optional(),
  /** The total is more than this many times the median of the customer's last invoices, or less than one over it. */
  deviates_by_factor: unsignedDecimalSchema.optional(),
  /** APPROVAL_REMINDER_DEFAULT where it is left out. */
  remind_after: durationSchema.optional(),
});
export type Approval = z.infer<typeof approvalSchema>;

export const approvalOptions = { approval: approvalSchema.optional() };

/** What an approver may name of the invoice that was looked at; another one that waits by now is not approved. */
export const expectedRevision = {
  revision: z.number().int().positive().optional(),
  total: z
    .string()
    .regex(/^-?\d{1,15}(\.\d{1,3})?$/, 'must be an amount such as "130.00"')
    .optional(),
  content_hash: z
    .string()
    .regex(/^[0-9a-f]{64}$/, 'must be 64 hexadecimal digits')
    .optional(),
};
