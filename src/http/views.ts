import { z } from 'zod';
import { customerSchema } from '../contracts/customer.js';
import type { CommandAnswer } from '../contracts/engine.js';
import { dateSchema, idSchema, instantSchema } from '../contracts/ids.js';
import { type InvoiceView, LINE_KINDS } from '../contracts/invoice.js';
import { PAYERS } from '../contracts/patterns.js';
import { PERIOD_STATUSES, type PeriodView } from '../contracts/period.js';
import { planSchema, ruleSchema } from '../contracts/plan.js';
import { APPLIES_TO } from '../contracts/plan-terms.js';
import { STRIPE_ALERT_KINDS, type StripeAlertView } from '../contracts/stripe-alert.js';
import { EVENT_STATUSES } from '../contracts/usage-event.js';
import type { LineUsage } from '../invoicing/line-usage.js';
import type { UsageTrail } from '../invoicing/usage-trail.js';
import { issuedRevisionView, waitingLateView } from './correction-views.js';
import { PROBLEM_MEDIA_TYPE } from './problems.js';

/*
 * What the routes answer, for the OpenAPI document. Answers are not checked against these at run time (a description
 * that lags must not fail a request); the tests check every answer against them.
 */

const problemView = z.looseObject({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  detail: z.string(),
  field: z.string().optional(),
});
/** The errors of every route, as RFC 9457 documents. */
export const problemResponses = {
  '4xx': { description: 'Refused', content: { [PROBLEM_MEDIA_TYPE]: { schema: problemView } } },
  '5xx': { description: 'Failed', content: { [PROBLEM_MEDIA_TYPE]: { schema: problemView } } },
};

/** A page of a list. */
export const pageView = <T extends z.ZodType>(item: T) =>
  z.strictObject({ data: z.array(item), next_cursor: z.string().nullable() });

const decimal = z.string().regex(/^-?\d+(\.\d+)?$/);
const count = z.number().int().nonnegative();
const spanView = z.strictObject({ start: instantSchema, end: instantSchema });

export const aliveView = z.strictObject({ status: z.literal('alive') });
export const readyView = z.strictObject({
  status: z.literal('ready'),
  database: z.literal('ready'),
  migrations: z.literal('ready'),
  engine: z.literal('ready'),
});
export const webhookAnswerView = z.strictObject({ received: z.literal(true) });

export const usageResultsSchema = z.strictObject({
  results: z.array(
    z.strictObject({
      event_id: idSchema.nullable(),
      status: z.enum(EVENT_STATUSES),
      reason: z.string().optional(),
      detail: z.string().optional(),
      field: z.string().optional(),
    }),
  ),
});

/** The answer of OTLP: empty where every span with usage was taken. */
export const traceAnswerView = z.strictObject({
  partialSuccess: z.strictObject({ rejectedSpans: decimal, errorMessage: z.string() }).optional(),
});

/** Results of a door: entries that are no usage (spans of other kinds, answers out of a cache) have none. */
export const doorResultsSchema = usageResultsSchema.extend({ ignored: count });

export const customerView = customerSchema.omit({ plan_effective: true }).extend({
  customer_id: idSchema,
  plan_version: z.number().int().positive(),
  plan_effective_from: instantSchema.optional(),
  revision: z.number().int().positive(),
  created_at: instantSchema,
  updated_at: instantSchema,
});

export const planView = z.strictObject({
  plan_id: idSchema,
  version: z.number().int().positive(),
  content_hash: z.string(),
  published_at: instantSchema,
  plan: planSchema,
});

export const catalogVersionView = z.strictObject({
  version: z.number().int().positive(),
  note: z.string(),
  source: z.string(),
  published_by: z.string(),
  published_at: instantSchema,
  content_hash: z.string(),
  prices: count,
});

export const priceRowView = z.strictObject({
  price_id: z.string(),
  version: z.number().int().positive(),
  provider: z.string(),
  model_id: z.string(),
  meter: z.string(),
  price: decimal.nullable(),
  per: z.number().int().positive(),
  currency: z.string(),
  same_as: z.string().nullable(),
  free: z.boolean(),
  per_event: z.boolean(),
  effective_from: instantSchema,
  effective_to: instantSchema.nullable(),
  context_over: count.nullable(),
  daily_window: z.strictObject({ from: z.string(), to: z.string() }).nullable(),
  service_tier: z.string().nullable(),
  region: z.string().nullable(),
  book: z.string().nullable(),
});
const multiplierView = z.strictObject({
  multiplier_id: z.string(),
  version: z.number().int().positive(),
  provider: z.string(),
  model_id: z.string().nullable(),
  service_tier: z.string().nullable(),
  region: z.string().nullable(),
  book: z.string().nullable(),
  meters: z.array(z.string()).nullable(),
  multiplier: decimal.nullable(),
  effective_from: instantSchema,
  effective_to: instantSchema.nullable(),
});
export const pricesView = z.strictObject({
  catalog_version: z.number().int().positive(),
  provider: z.string(),
  model_id: z.string(),
  priced_as: z.string(),
  how: z.enum(['exact', 'alias', 'rule', 'fallback_provider']),
  at: instantSchema,
  name: z.string().nullable(),
  deprecated: z.boolean(),
  successor: z.string().nullable(),
  rows: z.array(priceRowView),
  multipliers: z.array(multiplierView),
});
export const catalogModelView = z.strictObject({
  provider: z.string(),
  model_id: z.string(),
  name: z.string().nullable(),
  deprecated: z.boolean(),
  successor: z.string().nullable(),
  free: z.boolean(),
  meters: z.array(z.string()),
});

const totalsView = z.strictObject({
  events: count,
  held_events: count,
  cost: decimal,
  charge: decimal,
  currency: z.string(),
  catalog_version: z.number().int(),
  priced_at: instantSchema,
});
const periodHead = {
  customer_id: idSchema,
  period: spanView,
  start_date: dateSchema,
  seals_at: instantSchema,
  status: z.enum(PERIOD_STATUSES),
  status_reason: z.string().nullable(),
  payment_status: z.string().nullable(),
  totals: totalsView.nullable(),
};
export const stripeAlertView: z.ZodType<StripeAlertView> = z.strictObject({
  kind: z.enum(STRIPE_ALERT_KINDS),
  customer_id: idSchema,
  start_date: dateSchema.nullable(),
  object_id: z.string(),
  detail: z.string(),
  raised_at: instantSchema,
});
export const periodSummaryView = z.strictObject(periodHead);
export const periodView: z.ZodType<PeriodView> = z.strictObject({
  ...periodHead,
  plan: z.strictObject({ plan_id: idSchema, version: z.number().int().positive() }).nullable(),
  late_events: count,
  budgets: z.array(
    z.strictObject({
      budget_id: idSchema,
      measure: z.enum(['cost', 'charge']),
      amount: decimal,
      spent: decimal,
      currency: z.string(),
      thresholds: z.array(
        z.strictObject({ threshold: decimal, reached: z.boolean(), raised_at: instantSchema.nullable() }),
      ),
    }),
  ),
  held: z.array(
    z.strictObject({ reason: z.string(), provider: z.string().nullable(), model_id: z.string(), events: count }),
  ),
  late_usage: waitingLateView.nullable(),
  voided_since: count,
  invoices: z.array(issuedRevisionView),
  meter_events: z
    .strictObject({
      event_name: z.string(),
      ledger: z.string(),
      sent: z.string(),
      pending: z.string(),
      unsendable: z.string(),
      uncertain: z.string(),
      counted: z.string().nullable(),
      counted_at: instantSchema.nullable(),
      equal: z.boolean().nullable(),
    })
    .nullable(),
  stripe_alerts: z.array(stripeAlertView),
  timeline: z.array(z.strictObject({ at: instantSchema, kind: z.string(), detail: z.record(z.string(), z.unknown()) })),
});
export const commandAnswerView: z.ZodType<CommandAnswer> = z.strictObject({
  status: z.enum(PERIOD_STATUSES),
  status_version: count,
  applied: z.boolean(),
});

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

/** What was composed, or would be. */
export const invoiceContentView = z.strictObject({
  composer_version: z.number().int().positive(),
  customer_id: idSchema,
  period: spanView,
  start_date: dateSchema,
  revision: z.number().int().positive(),
  currency: z.string(),
  catalog_version: z.number().int().positive(),
  plans: z.array(
    z.strictObject({ plan_id: idSchema, version: z.number().int().positive(), from: z.string().nullable() }),
  ),
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
  balances: z.strictObject({ opening: openingView, closing: closingView }),
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
});

const chargedRowView = z.strictObject({
  meter: z.string(),
  quantity: decimal,
  price_id: z.string(),
  price: decimal,
  multiplier: decimal.nullable(),
  per: z.number().int().positive(),
  currency: z.string(),
  cost: decimal,
});
const quantities = z.record(z.string(), z.union([count, decimal]));
const counts = z.record(z.string(), z.number());

export const lineUsageView: z.ZodType<LineUsage> = z.strictObject({
  event_id: idSchema,
  occurred_at: instantSchema,
  model_id: z.string(),
  usage: quantities,
  cost: decimal,
  charge: decimal,
});

export const usageTrailView: z.ZodType<UsageTrail> = z.strictObject({
  event: z.unknown(),
  status: z.enum(['accepted', 'held', 'late', 'written_off']),
  held_reason: z.string().nullable(),
  marks: z.array(z.string()),
  paid_by: z.enum(PAYERS),
  reported_cost: z.strictObject({ amount: decimal, currency: z.string() }).nullable(),
  decision: count.nullable(),
  received: z.strictObject({
    at: instantSchema,
    source: z.string().nullable(),
    payload_hash: z.string(),
    signature: z.string().nullable(),
  }),
  normalised: z.strictObject({
    occurred_at: instantSchema,
    usage: quantities.nullable(),
    info: counts.nullable(),
  }),
  period: z
    .strictObject({ start: instantSchema, end: instantSchema, start_date: dateSchema, status: z.string() })
    .nullable(),
  price: z
    .strictObject({
      catalog_version: z.number().int().positive(),
      provider: z.string(),
      priced_as: z.string(),
      how: z.string(),
      unpriced_tier: z.string().nullable(),
      rows: z.array(chargedRowView),
    })
    .nullable(),
  cost: decimal.nullable(),
  rule: z.array(z.strictObject({ meter: z.string(), index: count, rule: ruleSchema })).nullable(),
  charge: decimal.nullable(),
  billed_in: z.strictObject({ start_date: dateSchema }).nullable(),
  voided: z.strictObject({ at: instantSchema, by: z.string(), reason: z.string() }).nullable(),
  line: z.strictObject({ number: z.number().int().positive(), description: z.string(), amount: decimal }).nullable(),
  invoice: z
    .strictObject({
      revision: z.number().int().positive(),
      content_hash: z.string(),
      stripe_invoice_id: z.string().nullable(),
    })
    .nullable(),
});
