import { z } from 'zod';
import { adjustmentSchema, takeBackSchema } from '../../contracts/adjustment.js';
import { exchangeRatesSchema } from '../../contracts/exchange-rate.js';
import { currencySchema } from '../../contracts/ids.js';
import { addAdjustment, listAdjustments, withdrawAdjustment } from '../../ledger/adjustments.js';
import { listExchangeRates, publishExchangeRates } from '../../ledger/exchange-rates.js';
import { REQUEST_BODY_BYTES } from '../../limits.js';
import { listAlerts } from '../../stripe/alerts.js';
import { actorOf } from '../access.js';
import type { HttpDeps } from '../deps.js';
import { adjustmentView, exchangeRateView, publishedRatesView } from '../finance-views.js';
import { pageOf, pageQuery } from '../paging.js';
import { stripeAlertView } from '../period-views.js';
import { problemResponses } from '../problem-view.js';
import type { HttpServer } from '../server.js';
import { pageView } from '../view-values.js';
import { periodParams } from './periods.js';

/** What finance adds to usage and plans: adjustments and exchange rates. */
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
    '/v1/periods/:customer_id/:start_date/adjustments/:adjustment_id/withdraw',
    {
      config: { access: 'finance' },
      schema: {
        summary: 'Take an adjustment back before the period is sealed',
        tags: ['periods'],
        params: periodParams.extend({ adjustment_id: z.coerce.number().int().positive().max(Number.MAX_SAFE_INTEGER) }),
        body: takeBackSchema,
        response: { 200: adjustmentView, ...problemResponses },
      },
    },
    (request) => {
      const { adjustment_id, ...period } = request.params;
      return withdrawAdjustment(deps.pool, period, adjustment_id, { ...request.body, actor: actorOf(request) });
    },
  );

  server.post(
    '/v1/exchange-rates',
    {
      config: { access: 'finance' },
      bodyLimit: REQUEST_BODY_BYTES,
      schema: {
        summary: 'Publish exchange rates, all or none',
        tags: ['exchange rates'],
        body: exchangeRatesSchema,
        response: { 201: publishedRatesView, ...problemResponses },
      },
    },
    async (request, reply) => {
      const { rates, on_published } = request.body;
      return reply.code(201).send(await publishExchangeRates(deps.pool, rates, actorOf(request), on_published));
    },
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
        summary: 'Exchange rates, the last published first, whatever instant they hold from',
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
