import { z } from 'zod';
import { LINE_DESCRIPTION_CHARS } from '../limits.js';
import { count, expand, flag, integer, metadata, page, range } from './stripe-parameters.js';

const currency = z.string().regex(/^[a-z]{3}$/, 'Invalid currency');
const period = z
  .strictObject({ start: count, end: count })
  .refine((it) => it.end >= it.start, 'The end must not be before the start');
const priceData = z.strictObject({ currency, product: z.string().min(1), unit_amount: count });

export const subscriptionSchemas = {
  create: z
    .strictObject({
      customer: z.string().min(1),
      items: z
        .array(
          z.strictObject({
            price_data: priceData.extend({
              recurring: z.strictObject({ interval: z.enum(['day', 'week', 'month', 'year']) }),
            }),
            quantity: count.default(1),
          }),
        )
        .min(1)
        .max(20),
      collection_method: z.enum(['charge_automatically', 'send_invoice']).default('charge_automatically'),
      days_until_due: count.optional(),
      metadata: metadata.optional(),
      expand,
    })
    .refine((it) => (it.collection_method === 'send_invoice') === (it.days_until_due !== undefined), {
      message: 'days_until_due belongs to collection_method=send_invoice.',
      path: ['days_until_due'],
    }),
  cancel: z.strictObject({ invoice_now: flag.optional(), prorate: flag.optional(), expand }),
  list: z.strictObject({
    ...page,
    customer: z.string().optional(),
    status: z.enum(['active', 'canceled', 'all']).optional(),
  }),
};

export const itemSchemas = {
  create: z
    .strictObject({
      customer: z.string().min(1),
      subscription: z.string().min(1).optional(),
      invoice: z.string().min(1).optional(),
      amount: integer.optional(),
      currency: currency.optional(),
      price_data: priceData.optional(),
      quantity: count.optional(),
      description: z.string().max(LINE_DESCRIPTION_CHARS).optional(),
      discountable: flag.optional(),
      discounts: z.literal('').optional(),
      period: period.optional(),
      tax_code: z
        .string()
        .regex(/^txcd_\d{8}$/, 'No such tax code')
        .optional(),
      metadata: metadata.optional(),
      expand,
    })
    .refine((it) => (it.amount === undefined) !== (it.price_data === undefined), {
      message: 'You must specify one of amount and price_data',
      path: ['amount'],
    })
    .refine((it) => it.amount === undefined || (it.currency !== undefined && it.quantity === undefined), {
      message: 'An amount needs its currency, and has no quantity.',
      path: ['currency'],
    }),
  update: z.strictObject({
    amount: integer.optional(),
    description: z.string().max(LINE_DESCRIPTION_CHARS).optional(),
    metadata: metadata.optional(),
    expand,
  }),
  list: z.strictObject({
    ...page,
    customer: z.string().optional(),
    invoice: z.string().optional(),
    pending: flag.optional(),
    created: range.optional(),
  }),
};
