import { z } from 'zod';
import { dateSchema, idSchema } from '../../contracts/ids.js';
import { REPORTED_COSTS_DEFAULT_DAYS } from '../../limits.js';
import { listReportedCosts } from '../../reconciliation/reported-costs.js';
import type { HttpDeps } from '../deps.js';
import { pageOf, pageQuery } from '../paging.js';
import { problemResponses } from '../problem-view.js';
import type { HttpServer } from '../server.js';
import { reportedCostView } from '../usage-views.js';
import { pageView } from '../view-values.js';

const DAY_MS = 86_400_000;

/** Costs that gateways and providers report with events, beside what the catalog says. */
export function reportedCostRoutes(server: HttpServer, deps: HttpDeps): void {
  server.get(
    '/v1/reconciliation/reported-costs',
    {
      config: { access: 'finance' },
      schema: {
        summary: 'Compare reported costs with the catalog, by model and source',
        description: `Over periods that begin from \`from\` on (${REPORTED_COSTS_DEFAULT_DAYS} days ago if left out) and before \`to\`.`,
        tags: ['reconciliation'],
        querystring: z.strictObject({
          ...pageQuery,
          customer_id: idSchema.optional(),
          from: dateSchema.optional(),
          to: dateSchema.optional(),
        }),
        response: { 200: pageView(reportedCostView), ...problemResponses },
      },
    },
    (request) => {
      const { customer_id, to } = request.query;
      const earliest = new Date(deps.now() - REPORTED_COSTS_DEFAULT_DAYS * DAY_MS).toISOString().slice(0, 10);
      const filter = { customer_id, from: request.query.from ?? earliest, to };
      return listReportedCosts(deps.pool, filter, pageOf(request.query), deps.reportedCostTolerance);
    },
  );
}
