import { z } from 'zod';
import {
  INVOICE_CUSTOM_FIELD_NAME_CHARS,
  INVOICE_CUSTOM_FIELD_VALUE_CHARS,
  INVOICE_CUSTOM_FIELDS_COUNT,
  INVOICE_FOOTER_CHARS,
  INVOICE_MEMO_CHARS,
} from '../limits.js';

/** What a plan says of its invoices at Stripe beside their lines. */
export const stripeOptionsSchema = z.strictObject({
  /** Stripe Tax computes tax on the invoice. Left out: Stripe's own default, none. */
  automatic_tax: z.boolean().optional(),
  /** At the bottom of the invoice, before the link to its details. */
  footer: z.string().min(1).max(INVOICE_FOOTER_CHARS).optional(),
  /** Shown to the customer above the lines. */
  memo: z.string().min(1).max(INVOICE_MEMO_CHARS).optional(),
  custom_fields: z
    .array(
      z.strictObject({
        name: z.string().min(1).max(INVOICE_CUSTOM_FIELD_NAME_CHARS),
        value: z.string().min(1).max(INVOICE_CUSTOM_FIELD_VALUE_CHARS),
      }),
    )
    .min(1)
    .max(INVOICE_CUSTOM_FIELDS_COUNT)
    .optional(),
  /** For lines that name neither a product nor a tax code of their own. */
  default_tax_code: z
    .string()
    .regex(/^txcd_[0-9]{8}$/, 'must be a tax code of Stripe, txcd_ and 8 digits')
    .optional(),
});
export type StripeOptions = z.infer<typeof stripeOptionsSchema>;

export const stripeOptions = { stripe: stripeOptionsSchema.optional() };
