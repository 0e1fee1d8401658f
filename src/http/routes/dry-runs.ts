import { dryRunSchema } from '../../contracts/dry-run.js';
import { dryRun } from '../../invoicing/dry-runs.js';
import { REQUEST_BODY_BYTES } from '../../limits.js';
import type { HttpDeps } from '../deps.js';
import { dryRunPageView } from '../dry-run-view.js';
import { problemResponses } from '../problem-view.js';
import type { HttpServer } from '../server.js';

/** Dry runs: what invoices would be under another plan, other prices, or with more usage. */
export function dryRunRoutes(server: HttpServer, deps: HttpDeps): void {
  server.post(
    '/v1/previews',
    {
      bodyLimit: REQUEST_BODY_BYTES,
      config: { access: 'finance' },
      schema: {
        summary: 'What invoices would be under another plan or catalog version, or with more usage',
        description: 'Composes as a close would, of one period or page by page of those in a range. Nothing is kept.',
        tags: ['invoices'],
        body: dryRunSchema,
        response: { 200: dryRunPageView, ...problemResponses },
      },
    },
    (request) => dryRun(deps, request.body),
  );
}
