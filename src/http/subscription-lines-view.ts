import { z } from 'zod';
import type { SubscriptionLines } from '../contracts/subscription-lines.js';

const count = z.number().int().nonnegative();

export const subscriptionLinesView: z.ZodType<SubscriptionLines> = z.strictObject({
  stripe_subscription_id: z.string().nullable(),
  pending_lines: count,
  deleted_lines: count,
  invoices: z.array(
    z.strictObject({
      stripe_invoice_id: z.string(),
      stripe_status: z.string(),
      stripe_number: z.string().nullable(),
      hosted_invoice_url: z.string().nullable(),
      payment_status: z.string(),
      lines: count,
      amount: z.string(),
    }),
  ),
});
