import { z } from 'zod';
import type { OpeningChange } from '../contracts/balances.js';
import { dateSchema, idSchema, instantSchema } from '../contracts/ids.js';
import type { IssuedRevision } from '../contracts/invoice.js';
import { LATE_OUTCOMES, type WaitingLateView } from '../contracts/period.js';
import type { RebillPreview } from '../invoicing/rebill-preview.js';
import type { InvoiceProof } from '../invoicing/verify-invoice.js';
import type { VoidedUsage } from '../ledger/void-usage.js';
import { plansInForce } from './invoice-views.js';
import { subscriptionLinesView } from './subscription-lines-view.js';

export const openingChangeView: z.ZodType<OpeningChange> = z.strictObject({
  kind: z.enum(['rollover', 'advance', 'commitment', 'credits']),
  name: z.string(),
  was: z.string(),
  now: z.string(),
});

const count = z.number().int().nonnegative();
const revision = z.number().int().positive();
const decimal = z.string();

export const issuedRevisionView: z.ZodType<IssuedRevision> = z.strictObject({
  revision,
  content_hash: z.string(),
  currency: z.string(),
  total: decimal,
  reason: z.string(),
  issued_at: instantSchema,
  stripe_invoice_id: z.string().nullable(),
  stripe_status: z.string().nullable(),
  payment_status: z.string().nullable(),
  subscription: subscriptionLinesView.nullable(),
  correction: z
    .strictObject({
      refund: z.enum(['balance', 'refund']),
      status: z.enum(['begun', 'settled', 'completed']),
      difference: decimal.nullable(),
      invoice: z.enum(['whole', 'supplement', 'none']).nullable(),
      credit_notes: z.array(
        z.strictObject({
          stripe_credit_note_id: z.string().nullable(),
          stripe_invoice_id: z.string(),
          amount: decimal,
          total: decimal.nullable(),
        }),
      ),
    })
    .nullable(),
});

export const rebillPreviewView: z.ZodType<RebillPreview> = z.strictObject({
  revision,
  currency: z.string(),
  late_events: count,
  before: z.strictObject({ revision: revision.nullable(), total: decimal, plans: plansInForce }),
  after: z.strictObject({ total: decimal, plans: plansInForce }),
  difference: decimal,
  lines: z.array(z.strictObject({ description: z.string(), before: decimal, after: decimal })),
  stripe: z.array(
    z.strictObject({
      stripe_invoice_id: z.string(),
      stripe_status: z.string(),
      paid: decimal.nullable(),
      action: z.enum(['delete', 'void', 'keep', 'none']),
    }),
  ),
  tax: z.enum(['stripe', 'none']),
  subscription: z.strictObject({ deleted_lines: count, standing: decimal }).nullable(),
  next_period: z.strictObject({ start_date: dateSchema, changes: z.array(openingChangeView) }).nullable(),
  follows: z.strictObject({
    kind: z.enum(['invoice', 'supplementary_invoice', 'credit_note', 'subscription_lines', 'meter_events', 'nothing']),
    amount: decimal,
  }),
});

export const invoiceProofView: z.ZodType<InvoiceProof> = z.strictObject({
  customer_id: idSchema,
  start_date: dateSchema,
  revision,
  matches: z.boolean(),
  issued_hash: z.string(),
  derived_hash: z.string(),
  difference: z.strictObject({ path: z.string(), issued: z.string(), derived: z.string() }).nullable(),
});

export const voidedUsageView: z.ZodType<VoidedUsage> = z.strictObject({
  customer_id: idSchema,
  event_id: idSchema,
  voided_at: instantSchema,
  reason: z.string(),
  period: z.strictObject({ start_date: dateSchema, status: z.string() }).nullable(),
  rebill_needed: z.boolean(),
  applied: z.boolean(),
});

export const waitingLateView: z.ZodType<WaitingLateView> = z.strictObject({
  customer_id: idSchema,
  start_date: dateSchema,
  policy: z.enum(['carry', 'rebill', 'hold']),
  events: count,
  released: count,
  first_received_at: instantSchema,
  last_received_at: instantSchema,
  rebill_until: instantSchema.nullable(),
  becomes: z.enum(LATE_OUTCOMES),
});
export const waitingLateListView = z.strictObject({ data: z.array(waitingLateView) });
export const lateReleaseView = z.strictObject({ released: count });
