import { z } from 'zod';
import { dateSchema, idSchema, instantSchema } from '../contracts/ids.js';
import { type InvoiceView, LINE_KINDS } from '../contracts/invoice.js';
import { PERIOD_STATUSES } from '../contracts/period.js';
import { ruleMatchSchema } from '../contracts/plan-rule.js';
import { APPLIES_TO } from '../contracts/plan-terms.js';
import type { LineUsage } from '../invoicing/line-usage.js';
import { subscriptionLinesView } from './subscription-lines-view.js';
import { count, decimal, quantities, spanView } from './view-values.js';

const carriedViews = {
  rollover: z.array(z.strictObject({ plan_id: idSchema, key: z.string(), amount: z.string() })),
  advance: z.strictObject({ plan_id: idSchema, version: z.number().int().positive(), amount: decimal }).nullable(),
  commitment: z
    .strictObject({
      plan_id: idSchema,
      amount: decimal,
      periods: z.number().int().positive(),
      early_end: z.enum(['prorated', 'full']),
      over: count,
      elapsed: z.string(),
      spent: z.string(),
    })
    .nullable(),
};
const openingView = z.strictObject({
  ...carriedViews,
  credits: z.array(
    z.strictObject({
      grant_id: z.number().int().positive(),
      name: z.string(),
      amount: decimal,
      remaining: decimal,
      priority: count,
      expires_at: instantSchema.nullable(),
      applies_to: z.enum(APPLIES_TO),
      match: ruleMatchSchema.exactOptional(),
      cost_basis: decimal.nullable(),
    }),
  ),
});
const closingView = z.strictObject({
  ...carriedViews,
  credits: z.array(
    z.strictObject({ grant_id: z.number().int().positive(), burned: decimal, expired: decimal, remaining: decimal }),
  ),
});

export const balancesView = z.strictObject({ opening: openingView, closing: closingView });

/** Plan versions, each from its instant on. */
export const plansInForce = z.array(
  z.strictObject({ plan_id: idSchema, version: z.number().int().positive(), from: z.string().nullable() }),
);

/** What was composed, or would be. */
export const invoiceContentView = z.strictObject({
  composer_version: z.number().int().positive(),
  customer_id: idSchema,
  period: spanView,
  start_date: dateSchema,
  revision: z.number().int().positive(),
  currency: z.string(),
  catalog_version: z.number().int().positive(),
  plans: plansInForce,
  exchange_rates: z.record(z.string(), decimal),
  steps: z.array(z.strictObject({ step: z.string(), amount: decimal })),
  lines: z.array(
    z.strictObject({
      description: z.string(),
      kind: z.enum(LINE_KINDS),
      group: z.record(z.string(), z.string().nullable()),
      plan: z.strictObject({ plan_id: idSchema, version: z.number().int().positive() }).nullable(),
      rule: count.nullable(),
      quantity: decimal.nullable(),
      unit: z.string().nullable(),
      events: count,
      cost: decimal,
      charge: decimal,
      amount: decimal,
      markup: decimal.nullable(),
      margin: decimal.nullable(),
      stripe: z
        .strictObject({ product: z.string().exactOptional(), tax_code: z.string().exactOptional() })
        .exactOptional(),
    }),
  ),
  events: count,
  cost_currency: z.string(),
  cost: decimal,
  markup: decimal.nullable(),
  margin: decimal.nullable(),
  balances: balancesView,
  subtotal: decimal,
  total: decimal,
});

export const invoiceView: z.ZodType<InvoiceView> = invoiceContentView.extend({
  status: z.enum(PERIOD_STATUSES),
  payment_status: z.string().nullable(),
  content_hash: z.string(),
  stripe_invoice_id: z.string().nullable(),
  stripe_status: z.string().nullable(),
  stripe_number: z.string().nullable(),
  hosted_invoice_url: z.string().nullable(),
  stripe_total: z.string().nullable(),
  stripe_to_balance: z.string().nullable(),
  subscription: subscriptionLinesView.nullable(),
});

export const lineUsageView: z.ZodType<LineUsage> = z.strictObject({
  event_id: idSchema,
  occurred_at: instantSchema,
  model_id: z.string(),
  usage: quantities,
  cost: decimal,
  charge: decimal.nullable(),
});

/** A link to the customer's detail file: under the address that customers reach, and on this API. */
export const detailsLinkView = z.strictObject({
  revision: z.number().int().positive(),
  current_revision: z.number().int().positive(),
  path: z.string(),
  url: z.string().nullable(),
});
