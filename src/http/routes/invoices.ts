import { z } from 'zod';
import { readInvoiceDetails } from '../../invoicing/invoice-details.js';
import { readInvoice } from '../../invoicing/invoice-view.js';
import { readLineUsage } from '../../invoicing/line-usage.js';
import { previewInvoice } from '../../invoicing/preview.js';
import type { HttpDeps } from '../deps.js';
import { pageOf, pageQuery } from '../paging.js';
import type { HttpServer } from '../server.js';
import { invoiceView, lineUsageView, pageView, problemResponses } from '../views.js';
import { periodParams } from './periods.js';

const number = z.coerce.number().int().positive().max(2_147_483_647);
const tags = ['invoices'];

/** Invoices of a billing period: what it would be now, what was issued, which usage is behind a line. */
export function invoiceRoutes(server: HttpServer, deps: HttpDeps): void {
  server.get(
    '/v1/periods/:customer_id/:start_date/preview',
    {
      config: { access: 'ops' },
      schema: {
        summary: 'What the invoice would be now',
        tags,
        params: periodParams,
        response: { 200: invoiceView, ...problemResponses },
      },
    },
    (request) => previewInvoice(deps, request.params.customer_id, request.params.start_date),
  );

  server.get(
    '/v1/periods/:customer_id/:start_date/invoices/:revision',
    {
      config: { access: 'ops' },
      schema: {
        summary: 'An issued revision of the invoice',
        tags,
        params: periodParams.extend({ revision: number }),
        response: { 200: invoiceView, ...problemResponses },
      },
    },
    (request) => {
      const { customer_id, start_date, revision } = request.params;
      return readInvoice(deps.pool, customer_id, start_date, revision);
    },
  );

  server.get(
    '/v1/periods/:customer_id/:start_date/invoices/:revision/details.csv',
    {
      config: { access: 'ops' },
      schema: {
        summary: 'Every group of usage behind an issued revision, as CSV',
        tags,
        params: periodParams.extend({ revision: number }),
        response: {
          200: { description: 'CSV by RFC 4180', content: { 'text/csv': { schema: z.string() } } },
          ...problemResponses,
        },
      },
      serializerCompiler: () => String,
    },
    async (request, reply) => {
      const { customer_id, start_date, revision } = request.params;
      const csv = await readInvoiceDetails(deps, customer_id, start_date, revision);
      const name = `${customer_id}-${start_date}-${revision}.csv`.replaceAll(':', '_');
      return reply
        .type('text/csv; charset=utf-8')
        .header('content-disposition', `attachment; filename="${name}"`)
        .send(csv);
    },
  );

  server.get(
    '/v1/periods/:customer_id/:start_date/invoices/:revision/lines/:line/usage',
    {
      config: { access: 'ops' },
      schema: {
        summary: 'The usage events behind a line',
        tags,
        params: periodParams.extend({ revision: number, line: number }),
        querystring: z.strictObject(pageQuery),
        response: { 200: pageView(lineUsageView), ...problemResponses },
      },
    },
    (request) => {
      const { customer_id, start_date, revision, line } = request.params;
      return readLineUsage(deps, customer_id, start_date, revision, line, pageOf(request.query));
    },
  );
}
