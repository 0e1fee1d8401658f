import { z } from 'zod';
import { readInvoice } from '../../invoicing/invoice-view.js';
import { readLineUsage } from '../../invoicing/line-usage.js';
import { previewInvoice } from '../../invoicing/preview.js';
import type { HttpDeps } from '../deps.js';
import { invoiceView, lineUsageView } from '../invoice-views.js';
import { pageOf, pageQuery } from '../paging.js';
import { problemResponses } from '../problem-view.js';
import type { HttpServer } from '../server.js';
import { pageView } from '../view-values.js';
import { periodParams } from './periods.js';

export const revisionNumber = z.coerce.number().int().positive().max(2_147_483_647);
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
        params: periodParams.extend({ revision: revisionNumber }),
        response: { 200: invoiceView, ...problemResponses },
      },
    },
    (request) => {
      const { customer_id, start_date, revision } = request.params;
      return readInvoice(deps.pool, customer_id, start_date, revision);
    },
  );

  server.get(
    '/v1/periods/:customer_id/:start_date/invoices/:revision/lines/:line/usage',
    {
      config: { access: 'ops' },
      schema: {
        summary: 'The usage events behind a line',
        tags,
        params: periodParams.extend({ revision: revisionNumber, line: revisionNumber }),
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
