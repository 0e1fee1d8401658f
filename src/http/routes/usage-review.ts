import { z } from 'zod';
import { dateSchema, idSchema } from '../../contracts/ids.js';
import { USAGE_REVIEW_DEFAULT_DAYS } from '../../limits.js';
import { listUsageReview } from '../../reconciliation/usage-review.js';
import type { HttpDeps } from '../deps.js';
import { pageOf, pageQuery } from '../paging.js';
import { problemResponses } from '../problem-view.js';
import type { HttpServer } from '../server.js';
import { HOW_FOUND, usageReviewView } from '../usage-views.js';
import { pageView } from '../view-values.js';

const DAY_MS = 86_400_000;

/** `GET /v1/usage-review`: priced usage whose price was not found by the exact name, for people to look through. */
export function usageReviewRoutes(server: HttpServer, deps: HttpDeps): void {
  server.get(
    '/v1/usage-review',
    {
      config: { access: 'ops' },
      schema: {
        summary:
          'List priced usage whose model was found by alias, rule or at another provider, or whose tier has no price',
        description: `Over periods that begin from \`from\` on (${USAGE_REVIEW_DEFAULT_DAYS} days ago if left out) and before \`to\`.`,
        tags: ['usage'],
        querystring: z.strictObject({
          ...pageQuery,
          customer_id: idSchema.optional(),
          how: z.enum(HOW_FOUND).optional(),
          from: dateSchema.optional(),
          to: dateSchema.optional(),
        }),
        response: { 200: pageView(usageReviewView), ...problemResponses },
      },
    },
    (request) => {
      const { customer_id, how, to } = request.query;
      const earliest = new Date(deps.now() - USAGE_REVIEW_DEFAULT_DAYS * DAY_MS).toISOString().slice(0, 10);
      const filter = { customer_id, how, from: request.query.from ?? earliest, to };
      return listUsageReview(deps.pool, filter, pageOf(request.query));
    },
  );
}
