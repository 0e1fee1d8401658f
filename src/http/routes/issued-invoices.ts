import { z } from 'zod';
import { dateSchema, idSchema, instantSchema } from '../../contracts/ids.js';
import type { IssuedInvoice } from '../../contracts/issued-invoice.js';
import { PERIOD_STATUSES } from '../../contracts/period.js';
import { listIssuedInvoices } from '../../invoicing/issued-invoices.js';
import type { HttpDeps } from '../deps.js';
import { pageOf, pageQuery } from '../paging.js';
import { problemResponses } from '../problem-view.js';
import type { HttpServer } from '../server.js';
import { decimal, pageView, spanView } from '../view-values.js';

const issuedInvoiceView: z.ZodType<IssuedInvoice> = z.strictObject({
  customer_id: idSchema,
  start_date: dateSchema,
  period: spanView,
  revision: z.number().int().positive(),
  current: z.boolean(),
  status: z.enum(PERIOD_STATUSES),
  payment_status: z.string().nullable(),
  currency: z.string(),
  subtotal: decimal,
  total: decimal,
  books: decimal.nullable(),
  issued_at: instantSchema,
  content_hash: z.string(),
  stripe_invoice_id: z.string().nullable(),
  stripe_number: z.string().nullable(),
  stripe_status: z.string().nullable(),
  stripe_subtotal: decimal.nullable(),
  stripe_total: decimal.nullable(),
  credited: decimal.nullable(),
});

/** Issued revisions of all customers, for accounting. */
export function issuedInvoiceRoutes(server: HttpServer, deps: HttpDeps): void {
  server.get(
    '/v1/invoices',
    {
      config: { access: 'ops' },
      schema: {
        summary: 'List issued revisions with what they come to and what they have at Stripe',
        tags: ['invoices'],
        querystring: z.strictObject({
          ...pageQuery,
          customer_id: idSchema.optional(),
          from: dateSchema.optional(),
          to: dateSchema.optional(),
          status: z.enum(PERIOD_STATUSES).optional(),
          current: z.enum(['true', 'false']).optional(),
        }),
        response: { 200: pageView(issuedInvoiceView), ...problemResponses },
      },
    },
    (request) => {
      const { customer_id, from, to, status, current } = request.query;
      const filter = { customer_id, from, to, status, current: current === 'true' };
      return listIssuedInvoices(deps.pool, pageOf(request.query), filter);
    },
  );
}
