import { z } from 'zod';
import { takeBackSchema } from '../../contracts/adjustment.js';
import { creditGrantSchema } from '../../contracts/credit.js';
import { dateSchema, idSchema } from '../../contracts/ids.js';
import { readCreditBalance, readCreditLedger } from '../../ledger/credit-ledger.js';
import { grantCredits, listCredits, revokeCredits } from '../../ledger/credits.js';
import { actorOf } from '../access.js';
import { creditBalanceView, creditEntryView, creditGrantView } from '../credit-views.js';
import type { HttpDeps } from '../deps.js';
import { pageOf, pageQuery } from '../paging.js';
import { problemResponses } from '../problem-view.js';
import type { HttpServer } from '../server.js';
import { pageView } from '../view-values.js';

const customerParams = z.strictObject({ customer_id: idSchema });
const grantIdSchema = z.coerce.number().int().positive().max(Number.MAX_SAFE_INTEGER);
const tags = ['credits'];

/** Prepaid credits of a customer: grants, what is left of them, and what invoices took. */
export function creditRoutes(server: HttpServer, deps: HttpDeps): void {
  server.post(
    '/v1/customers/:customer_id/credits',
    {
      config: { access: 'finance' },
      schema: {
        summary: 'Grant prepaid credits',
        description: 'For all charges, for usage or fees alone, or for the usage that `match` says.',
        tags,
        params: customerParams,
        body: creditGrantSchema,
        response: { 201: creditGrantView, ...problemResponses },
      },
    },
    async (request, reply) =>
      reply.code(201).send(await grantCredits(deps.pool, request.params.customer_id, request.body, actorOf(request))),
  );

  server.get(
    '/v1/customers/:customer_id/credits',
    {
      config: { access: 'ops' },
      schema: {
        summary: 'Grants of prepaid credits with what is left of them, the newest first',
        tags,
        params: customerParams,
        response: { 200: z.strictObject({ data: z.array(creditGrantView) }), ...problemResponses },
      },
    },
    async (request) => ({ data: await listCredits(deps.pool, request.params.customer_id) }),
  );

  server.get(
    '/v1/customers/:customer_id/credits/balance',
    {
      config: { access: 'ops' },
      schema: {
        summary: 'What a customer has left of all prepaid credits, for what, and until when',
        tags,
        params: customerParams,
        response: { 200: creditBalanceView, ...problemResponses },
      },
    },
    (request) => readCreditBalance(deps.pool, request.params.customer_id, new Date()),
  );

  server.get(
    '/v1/customers/:customer_id/credits/ledger',
    {
      config: { access: 'ops' },
      schema: {
        summary: 'What was granted, burned, expired and revoked, the newest first',
        description: 'Of a period that was billed again, what its newest revision took.',
        tags,
        params: customerParams,
        querystring: z.strictObject({
          ...pageQuery,
          grant_id: grantIdSchema.optional(),
          start_date: dateSchema.optional(),
        }),
        response: { 200: pageView(creditEntryView), ...problemResponses },
      },
    },
    (request) => {
      const { grant_id, start_date } = request.query;
      return readCreditLedger(deps.pool, request.params.customer_id, {
        page: pageOf(request.query),
        grant_id,
        start_date,
      });
    },
  );

  server.post(
    '/v1/customers/:customer_id/credits/:grant_id/revoke',
    {
      config: { access: 'finance' },
      schema: {
        summary: 'Take back what is left of a grant',
        description: 'What invoices took of it stays paid. Revoking twice does nothing.',
        tags,
        params: customerParams.extend({ grant_id: grantIdSchema }),
        body: takeBackSchema,
        response: { 200: creditGrantView, ...problemResponses },
      },
    },
    (request) => {
      const { customer_id, grant_id } = request.params;
      return revokeCredits(deps.pool, customer_id, grant_id, { ...request.body, actor: actorOf(request) });
    },
  );
}
