import { z } from 'zod';
import { idSchema } from '../../contracts/ids.js';
import { readAction } from '../../invoicing/action-view.js';
import type { HttpDeps } from '../deps.js';
import { pageOf, pageQuery } from '../paging.js';
import { problemResponses } from '../problem-view.js';
import type { HttpServer } from '../server.js';
import { actionView } from '../usage-views.js';

/** `GET /v1/actions/{customer_id}/{action_id}`: what one thing that a person did came to. */
export function actionRoutes(server: HttpServer, deps: HttpDeps): void {
  server.get(
    '/v1/actions/:customer_id/:action_id',
    {
      config: { access: 'ops' },
      schema: {
        summary: 'The calls, costs, charge and margin of one action',
        tags: ['usage'],
        params: z.strictObject({ customer_id: idSchema, action_id: idSchema }),
        querystring: z.strictObject(pageQuery),
        response: { 200: actionView, ...problemResponses },
      },
    },
    (request) => readAction(deps, request.params.customer_id, request.params.action_id, pageOf(request.query)),
  );
}
