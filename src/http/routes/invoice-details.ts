import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { CostplusError } from '../../errors/error.js';
import { currentRevision, readCustomerDetails } from '../../invoicing/customer-details.js';
import type { RevisionName } from '../../invoicing/details-link.js';
import { readInvoiceDetails } from '../../invoicing/invoice-details.js';
import type { HttpDeps } from '../deps.js';
import { detailsLinkView } from '../invoice-views.js';
import { problemResponses } from '../problem-view.js';
import type { HttpServer } from '../server.js';
import { revisionNumber } from './invoices.js';
import { periodParams } from './periods.js';

const tags = ['invoices'];
const revisionParams = periodParams.extend({ revision: revisionNumber });
const csvResponse = { 200: { description: 'CSV by RFC 4180', content: { 'text/csv': { schema: z.string() } } } };

/** Detail files of issued revisions: ours with costs, the customer's behind a signed link, and that link. */
export function invoiceDetailsRoutes(server: HttpServer, deps: HttpDeps): void {
  server.get(
    '/v1/periods/:customer_id/:start_date/invoices/:revision/details.csv',
    {
      config: { access: 'ops' },
      schema: {
        summary: 'Every group of usage behind an issued revision with its cost, as CSV',
        tags,
        params: revisionParams,
        response: { ...csvResponse, ...problemResponses },
      },
    },
    async (request, reply) => {
      const { customer_id, start_date, revision } = request.params;
      const csv = await readInvoiceDetails(deps, customer_id, start_date, revision);
      return sendCsv(reply, request.params, csv);
    },
  );

  server.get(
    '/v1/periods/:customer_id/:start_date/invoices/:revision/details-link',
    {
      config: { access: 'ops' },
      schema: {
        summary: "The link to the customer's detail file of an issued revision",
        description: 'Whoever has the link reads the file, without a key. It is the one in the footer of the invoice.',
        tags,
        params: revisionParams,
        response: { 200: detailsLinkView, ...problemResponses },
      },
    },
    async (request) => {
      const name = request.params;
      const current_revision = await currentRevision(deps.pool, name);
      const { detailsLinks: links } = deps;
      return { revision: name.revision, current_revision, path: links.pathOf(name), url: links.urlOf(name) };
    },
  );

  server.get(
    '/v1/invoice-details/:customer_id/:start_date/:revision/:token',
    {
      config: { access: 'signature' },
      schema: {
        summary: "The customer's detail file of an issued revision, as CSV",
        description: 'Authenticated by the token in the path. A revision that was replaced says which one is current.',
        tags,
        // Any text: what is no name of an invoice is answered like one that is not there.
        params: z.strictObject({
          customer_id: z.string(),
          start_date: z.string(),
          revision: z.string(),
          token: z.string(),
        }),
        response: { ...csvResponse, ...problemResponses },
      },
    },
    async (request, reply) => {
      const { customer_id, start_date, token } = request.params;
      const name = { customer_id, start_date, revision: Number(request.params.revision) };
      // The address is the secret: it must not travel on, and nobody lists it.
      void reply.headers({ 'x-robots-tag': 'noindex, nofollow, noarchive', 'referrer-policy': 'no-referrer' });
      if (!/^[1-9]\d{0,8}$/.test(request.params.revision) || !deps.detailsLinks.opens(name, token))
        throw nothingThere();
      const details = await readCustomerDetails(deps, name, deps.detailsLinks).catch((error: unknown) => {
        throw error instanceof CostplusError && error.status === 404 ? nothingThere() : error;
      });
      if (details.current_revision !== name.revision) {
        const current = deps.detailsLinks.urlOf({ ...name, revision: details.current_revision });
        if (current !== null) void reply.header('link', `<${current}>; rel="latest-version"`);
      }
      // Kept by the customer's own browser only; asked for again, since a revision can be replaced.
      return sendCsv(reply.header('cache-control', 'private, no-cache'), name, details.csv);
    },
  );
}

/** The same for a wrong token as for an invoice that is not there. */
function nothingThere(): CostplusError {
  return new CostplusError(
    'not_found',
    'There is nothing under this link. Ask whoever sent the invoice for a new one.',
  );
}

/** Sends a file as it is made. */
function sendCsv(reply: FastifyReply, { customer_id, start_date, revision }: RevisionName, csv: Iterable<string>) {
  const name = `${customer_id}-${start_date}-${revision}.csv`.replaceAll(':', '_');
  return reply
    .type('text/csv; charset=utf-8')
    .header('content-disposition', `attachment; filename="${name}"`)
    .send(Readable.from(csv, { objectMode: false }));
}
