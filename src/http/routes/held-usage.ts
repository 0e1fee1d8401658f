import { z } from 'zod';
import { heldRequestSchema, heldSetSchema } from '../../contracts/held-request.js';
import { dateSchema, idSchema, modelSchema } from '../../contracts/ids.js';
import { listHeldEvents } from '../../ledger/held-events.js';
import { countHeldModels, listHeldUsage } from '../../ledger/held-usage.js';
import { resolveHeld } from '../../ledger/resolve-held.js';
import { actorOf } from '../access.js';
import type { HttpDeps } from '../deps.js';
import { pageOf, pageQuery } from '../paging.js';
import { problemResponses } from '../problem-view.js';
import type { HttpServer } from '../server.js';
import { heldAnswerView, heldEventView, heldGroupView, heldModelView } from '../usage-views.js';
import { pageView } from '../view-values.js';

const tags = ['held usage'];

/** Usage that is in the ledger and cannot be billed yet: what waits and why, and a person's decisions about it. */
export function heldUsageRoutes(server: HttpServer, deps: HttpDeps): void {
  server.get(
    '/v1/held-usage',
    {
      config: { access: 'ops' },
      schema: {
        summary: 'List held usage by customer, period, reason and model',
        tags,
        querystring: heldSetSchema.extend(pageQuery),
        response: { 200: pageView(heldGroupView), ...problemResponses },
      },
    },
    (request) => listHeldUsage(deps.pool, request.query, pageOf(request.query)),
  );

  server.get(
    '/v1/held-usage/models',
    {
      config: { access: 'ops' },
      schema: {
        summary: 'Count held usage by reason and model, over all customers',
        tags,
        querystring: heldSetSchema.extend({ limit: pageQuery.limit }),
        response: { 200: z.strictObject({ data: z.array(heldModelView) }), ...problemResponses },
      },
    },
    async (request) => ({ data: await countHeldModels(deps.pool, request.query, request.query.limit) }),
  );

  server.get(
    '/v1/held-usage/events',
    {
      config: { access: 'ops' },
      schema: {
        summary: 'List the held events of a period, or, without a start date, those that no period takes',
        tags,
        querystring: z.strictObject({
          ...pageQuery,
          customer_id: idSchema,
          start_date: dateSchema.optional(),
          model_id: modelSchema.optional(),
        }),
        response: { 200: pageView(heldEventView), ...problemResponses },
      },
    },
    (request) => {
      const { customer_id, start_date, model_id } = request.query;
      return listHeldEvents(deps, customer_id, start_date ?? null, model_id ?? null, pageOf(request.query));
    },
  );

  server.post(
    '/v1/held-usage/resolve',
    {
      config: { access: 'finance' },
      schema: {
        summary: 'Bill held usage at stated prices, or write it off',
        description:
          'Covers what is held now. Pricing takes the decision in within a minute; of a sealed period it makes late usage.',
        tags,
        body: heldRequestSchema,
        response: { 200: heldAnswerView, ...problemResponses },
      },
    },
    (request) => resolveHeld(deps.pool, request.body, actorOf(request), deps.now()),
  );
}
