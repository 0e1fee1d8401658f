import { z } from 'zod';
import { idSchema } from '../../contracts/ids.js';
import { readUsageTrail } from '../../invoicing/usage-trail.js';
import type { HttpDeps } from '../deps.js';
import { problemResponses } from '../problem-view.js';
import type { HttpServer } from '../server.js';
import { usageTrailView } from '../usage-trail-view.js';

/** `GET /v1/usage/{customer_id}/{event_id}`: everything that became of one event. */
export function usageTrailRoutes(server: HttpServer, deps: HttpDeps): void {
  server.get(
    '/v1/usage/:customer_id/:event_id',
    {
      config: { access: 'ops' },
      schema: {
        summary: 'The whole trail of one usage event',
        tags: ['usage'],
        params: z.strictObject({ customer_id: idSchema, event_id: idSchema }),
        response: { 200: usageTrailView, ...problemResponses },
      },
    },
    (request) => readUsageTrail(deps, request.params.customer_id, request.params.event_id),
  );
}
