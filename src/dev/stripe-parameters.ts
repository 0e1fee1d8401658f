import { z } from 'zod';
import { LINE_DESCRIPTION_CHARS } from '../limits.js';
import { badParameter } from './stripe-answer.js';
import type { FormParams } from './stripe-form.js';

/** The parameters of the calls that the stand-in answers, as texts of a form; anything else is refused like at Stripe. */
export const integer = z
  .string()
  .regex(/^-?\d{1,15}$/, 'Invalid integer')
  .transform(Number);
export const count = z
  .string()
  .regex(/^\d{1,12}$/, 'Invalid integer')
  .transform(Number);
export const flag = z.enum(['true', 'false']).transform((text) => text === 'true');
export const metadata = z
  .union([z.literal('').transform(() => ({})), z.record(z.string().max(40), z.string().max(500))])
  .refine((pairs) => Object.keys(pairs).length <= 50, 'You can only specify 50 metadata keys');
export const expand = z.array(z.string()).optional();
export const range = z.union([
  count.transform((at) => ({ gte: at, lte: at })),
  z.strictObject({ gt: count.optional(), gte: count.optional(), lt: count.optional(), lte: count.optional() }),
]);
export const page = {
  limit: count.pipe(z.number().min(1).max(100)).default(10),
  starting_after: z.string().optional(),
  expand,
};

/** One line of a credit note: an amount or a quantity of a line of the invoice, or something of its own. */
const creditNoteLine = z.discriminatedUnion('type', [
  z
    .strictObject({
      type: z.literal('invoice_line_item'),
      invoice_line_item: z.string().min(1),
      amount: integer.optional(),
      quantity: count.optional(),
    })
    .refine((it) => (it.amount === undefined) !== (it.quantity === undefined), {
      message: 'You must specify one of amount and quantity',
    }),
  z.strictObject({
    type: z.literal('custom_line_item'),
    description: z.string().min(1),
    quantity: count.default(1),
    unit_amount: count,
  }),
]);
const creditNote = z
  .strictObject({
    invoice: z.string().min(1),
    amount: count.pipe(z.number().min(1)).optional(),
    lines: z.array(creditNoteLine).min(1).max(250).optional(),
    credit_amount: count.optional(),
    refund_amount: count.optional(),
    out_of_band_amount: count.optional(),
    reason: z.enum(['duplicate', 'fraudulent', 'order_change', 'product_unsatisfactory']).optional(),
    memo: z.string().max(5000).optional(),
    metadata: metadata.optional(),
    expand,
  })
  .refine((it) => (it.amount === undefined) !== (it.lines === undefined), {
    message: 'One of amount, lines, or shipping_cost must be provided.',
    path: ['amount'],
  });

export const schemas = {
  none: z.strictObject({ expand }),
  customerCreate: z.strictObject({
    name: z.string().max(256).optional(),
    email: z.string().max(512).optional(),
    description: z.string().max(350).optional(),
    address: z.strictObject({ country: z.string().length(2) }).optional(),
    invoice_settings: z.strictObject({ default_payment_method: z.string() }).optional(),
    test_clock: z
      .string()
      .regex(/^clock_\d+$/)
      .optional(),
    metadata: metadata.optional(),
    expand,
  }),
  customerUpdate: z.strictObject({
    address: z.strictObject({ country: z.string().length(2) }).optional(),
    invoice_settings: z.strictObject({ default_payment_method: z.string() }).optional(),
    expand,
  }),
  customerList: z.strictObject({ ...page, created: range.optional(), email: z.string().optional() }),
  invoiceCreate: z
    .strictObject({
      customer: z.string().min(1),
      currency: z
        .string()
        .regex(/^[a-z]{3}$/i, 'Invalid currency')
        .transform((code) => code.toLowerCase())
        .default('usd'),
      auto_advance: flag.default(false),
      collection_method: z.enum(['charge_automatically', 'send_invoice']).default('charge_automatically'),
      days_until_due: count.optional(),
      due_date: count.optional(),
      pending_invoice_items_behavior: z.enum(['exclude', 'include']).default('exclude'),
      discounts: z.literal('').optional(),
      description: z.string().max(1500).optional(),
      footer: z.string().max(5000).optional(),
      automatic_tax: z.strictObject({ enabled: flag }).optional(),
      custom_fields: z
        .array(z.strictObject({ name: z.string().min(1).max(40), value: z.string().min(1).max(140) }))
        .max(4)
        .optional(),
      metadata: metadata.optional(),
      expand,
    })
    .refine((it) => it.days_until_due === undefined || it.collection_method === 'send_invoice', {
      message: 'You can only specify days_until_due if collection_method is send_invoice.',
      path: ['days_until_due'],
    })
    .refine((it) => it.collection_method !== 'send_invoice' || (it.days_until_due ?? it.due_date) !== undefined, {
      message: 'If collection_method is send_invoice, you must specify days_until_due or due_date.',
      path: ['days_until_due'],
    }),
  invoiceUpdate: z.strictObject({
    auto_advance: flag.optional(),
    description: z.string().max(1500).optional(),
    footer: z.string().max(5000).optional(),
    default_tax_rates: z.array(z.string()).optional(),
    discounts: z
      .array(z.strictObject({ coupon: z.string() }))
      .max(20)
      .optional(),
    metadata: metadata.optional(),
    expand,
  }),
  taxRateCreate: z.strictObject({
    display_name: z.string().min(1).max(50),
    percentage: z.string().regex(/^\d{1,3}(\.\d{1,2})?$/, 'Invalid percentage'),
    inclusive: flag,
    expand,
  }),
  couponCreate: z
    .strictObject({
      percent_off: z
        .string()
        .regex(/^\d{1,3}(\.\d{1,2})?$/, 'Invalid percentage')
        .optional(),
      amount_off: count.optional(),
      currency: z.string().optional(),
      duration: z.enum(['once', 'repeating', 'forever']).default('once'),
      expand,
    })
    .refine((it) => (it.percent_off === undefined) !== (it.amount_off === undefined), {
      message: 'You must pass one of percent_off and amount_off.',
    }),
  invoiceList: z.strictObject({
    ...page,
    customer: z.string().optional(),
    subscription: z.string().optional(),
    status: z.enum(['draft', 'open', 'paid', 'uncollectible', 'void']).optional(),
    collection_method: z.enum(['charge_automatically', 'send_invoice']).optional(),
    created: range.optional(),
  }),
  addLines: z.strictObject({
    lines: z
      .array(
        z
          .strictObject({
            amount: integer.optional(),
            price_data: z
              .strictObject({
                currency: z.string(),
                unit_amount: count,
                product: z.string().optional(),
                product_data: z.strictObject({ name: z.string().max(250), tax_code: z.string().optional() }).optional(),
              })
              .refine((it) => (it.product === undefined) !== (it.product_data === undefined), {
                message: 'You must specify one of product and product_data',
              })
              .optional(),
            quantity: count.optional(),
            description: z.string().max(LINE_DESCRIPTION_CHARS).optional(),
            discountable: flag.optional(),
            metadata: metadata.optional(),
            period: z
              .strictObject({ start: count, end: count })
              .refine((it) => it.end >= it.start, 'The end must not be before the start')
              .optional(),
          })
          .refine((it) => (it.amount === undefined) !== (it.price_data === undefined), {
            message: 'You must specify one of amount and price_data',
          }),
      )
      .min(1)
      .max(250),
    invoice_metadata: metadata.optional(),
    expand,
  }),
  lineList: z.strictObject(page),
  finalize: z.strictObject({ auto_advance: flag.optional(), expand }),
  pay: z.strictObject({
    paid_out_of_band: flag.optional(),
    payment_method: z.string().optional(),
    off_session: flag.optional(),
    expand,
  }),
  creditNote,
  meterCreate: z.strictObject({
    display_name: z.string().min(1).max(250),
    event_name: z.string().min(1).max(100),
    default_aggregation: z.strictObject({ formula: z.literal('sum') }),
    customer_mapping: z.strictObject({ event_payload_key: z.string().min(1), type: z.literal('by_id') }).optional(),
    value_settings: z.strictObject({ event_payload_key: z.string().min(1) }).optional(),
    expand,
  }),
  meterList: z.strictObject({ ...page, status: z.enum(['active', 'inactive']).optional() }),
  meterEventCreate: z.strictObject({
    event_name: z.string().min(1).max(100),
    payload: z.record(z.string().min(1).max(100), z.string().max(100)),
    identifier: z.string().min(1).max(100).optional(),
    timestamp: count.optional(),
    expand,
  }),
  eventSummaryList: z.strictObject({
    ...page,
    customer: z.string().min(1),
    start_time: count,
    end_time: count,
    value_grouping_window: z.enum(['day', 'hour']).optional(),
  }),
  creditNoteVoid: z.strictObject({ expand }),
  creditNoteList: z.strictObject({ ...page, invoice: z.string().optional(), customer: z.string().optional() }),
};

export type Created = z.infer<typeof range>;

/** The parsed parameters. Throws a refusal that was not executed: nothing is saved under the request's key. */
export function readParameters<S extends z.ZodType>(schema: S, params: FormParams): z.infer<S> {
  const parsed = schema.safeParse(params);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const keys = issue.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0]!] : issue.path;
  const [first, ...rest] = keys.map(String);
  const param = `${first ?? ''}${rest.map((key) => `[${key}]`).join('')}`;
  const unknown = issue.code === 'unrecognized_keys';
  throw badParameter(
    param,
    unknown ? `Received unknown parameter: ${param}` : issue.message,
    unknown ? 'parameter_unknown' : undefined,
  );
}

/** Whether an object made at this second lies in the range asked for. */
export function isWithin(created: number, asked: Created | undefined): boolean {
  if (asked === undefined) return true;
  const {
    gt,
    gte,
    lt,
    lte,
  }: { gt?: number | undefined; gte?: number | undefined; lt?: number | undefined; lte?: number | undefined } = asked;
  return (
    (gt === undefined || created > gt) &&
    (gte === undefined || created >= gte) &&
    (lt === undefined || created < lt) &&
    (lte === undefined || created <= lte)
  );
}
