import { z } from 'zod';
import { type DryRunPage, EVENT_LEFT_OUT } from '../contracts/dry-run.js';
import { dateSchema, idSchema, instantSchema } from '../contracts/ids.js';
import { PERIOD_STATUSES } from '../contracts/period.js';
import { balancesView, invoiceContentView, plansInForce } from './invoice-views.js';
import { count, decimal } from './view-values.js';

const side = {
  total: decimal,
  plans: plansInForce,
  catalog_version: z.number().int().positive(),
  held_events: count,
};

export const dryRunPageView: z.ZodType<DryRunPage> = z.strictObject({
  data: z.array(
    z.strictObject({
      customer_id: idSchema,
      start_date: dateSchema,
      period: z.strictObject({ start: instantSchema, end: instantSchema }),
      status: z.enum(PERIOD_STATUSES),
      currency: z.string(),
      before: z.strictObject({ ...side, revision: z.number().int().positive().nullable() }).nullable(),
      after: z.strictObject(side).nullable(),
      difference: decimal.nullable(),
      opens_after: dateSchema.nullable(),
      balances: balancesView.nullable(),
      events_added: count,
      events_left_out: z.array(z.strictObject({ reason: z.enum(EVENT_LEFT_OUT), events: count })),
      lines: z.array(z.strictObject({ description: z.string(), before: decimal, after: decimal, difference: decimal })),
      invoice: invoiceContentView.nullable(),
      error: z.strictObject({ code: z.string(), detail: z.string() }).nullable(),
    }),
  ),
  next_cursor: z.string().nullable(),
  totals: z.array(
    z.strictObject({
      currency: z.string(),
      periods: count,
      failed: count,
      before: decimal,
      after: decimal,
      difference: decimal,
    }),
  ),
});
