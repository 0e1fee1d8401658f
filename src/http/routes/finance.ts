import { z } from 'zod';
import { adjustmentSchema, creditGrantSchema } from '../../contracts/adjustment.js';
import { exchangeRatesSchema } from '../../contracts/exchange-rate.js';
import { currencySchema, idSchema } from '../../contracts/ids.js';
import { addAdjustment, listAdjustments } from '../../ledger/adjustments.js';
import { grantCredits, listCredits } from '../../ledger/credits.js';
import { listExchangeRates, publishExchangeRates } from '../../ledger/exchange-rates.js';
import { listAlerts } from '../../stripe/alerts.js';
import { actorOf } from '../access.js';
import type { HttpDeps } from '../deps.js';
import { adjustmentView, creditGrantView, exchangeRateView } from '../finance-views.js';
import { pageOf, pageQuery } from '../paging.js';
import type { HttpServer } from '../server.js';
import { pageView, problemResponses, stripeAlertView } from '../views.js';
import { periodParams } from './periods.js';

const customerParams = z.strictObject({ customer_id: idSchema });

/** What finance adds to usage and plans: adjustments, prepaid credits, exchange rates. */
export function financeRoutes(server: HttpServer, deps: HttpDeps): void {
  server.post(
    '/v1/periods/:customer_id/:start_date/adjustments',
    {
      config: { access: 'finance' },
      schema: {
        summary: 'Put a one-off amount or a goodwill credit on a period that is not sealed yet',
        tags: ['periods'],
        params: periodParams,
        body: adjustmentSchema,
        response: { 201: adjustmentView, ...problemResponses },
      },
    },
    async (request, reply) =>
      reply.code(201).send(await addAdjustment(deps.pool, request.params, request.body, actorOf(request))),
  );

  server.get(
    '/v1/periods/:customer_id/:start_date/adjustments',
    {
      config: { access: 'ops' },
      schema: {
        summary: 'The adjustments of a period',
        tags: ['periods'],
        params: periodParams,
        response: { 200: z.strictObject({ data: z.array(adjustmentView) }), ...problemResponses },
      },
    },
    async (request) => ({ data: await listAdjustments(deps.pool, request.params) }),
  );

  server.post(
    '/v1/customers/:customer_id/credits',
    {
      config: { access: 'finance' },
      schema: {
        summary: 'Grant prepaid credits',
        tags: ['customers'],
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
        summary: 'Grants of prepaid credits with what invoices took of them, the newest first',
        tags: ['customers'],
        params: customerParams,
        response: { 200: z.strictObject({ data: z.array(creditGrantView) }), ...problemResponses },
      },
    },
    async (request) => ({ data: await listCredits(deps.pool, request.params.customer_id) }),
  );

  server.post(
    '/v1/exchange-rates',
    {
      config: { access: 'finance' },
      schema: {
        summary: 'Publish exchange rates',
        tags: ['exchange rates'],
        body: exchangeRatesSchema,
        response: { 201: z.strictObject({ data: z.array(exchangeRateView) }), ...problemResponses },
      },
    },
    async (request, reply) =>
      reply.code(201).send({ data: await publishExchangeRates(deps.pool, request.body.rates, actorOf(request)) }),
  );

  server.get(
    '/v1/stripe/alerts',
    {
      config: { access: 'ops' },
      schema: {
        summary: 'What at Stripe needs a person, the newest first',
        tags: ['stripe'],
        response: { 200: z.strictObject({ data: z.array(stripeAlertView) }), ...problemResponses },
      },
    },
    async () => ({ data: await listAlerts(deps.pool, null) }),
  );

  server.get(
    '/v1/exchange-rates',
    {
      config: { access: 'finance' },
      schema: {
        summary: 'Exchange rates, the newest published first',
        tags: ['exchange rates'],
        querystring: z.strictObject({
          ...pageQuery,
          from: currencySchema.optional(),
          to: currencySchema.optional(),
        }),
        response: { 200: pageView(exchangeRateView), ...problemResponses },
      },
    },
    (request) => listExchangeRates(deps.pool, pageOf(request.query), request.query),
  );
}
