import { z } from 'zod';
import { usageEventSchema } from '../../contracts/usage-event.js';
import { readUsageBody } from '../../ledger/receive-usage.js';
import { EVENTS_PER_REQUEST_COUNT, REQUEST_BODY_BYTES } from '../../limits.js';
import type { HttpDeps } from '../deps.js';
import { problemResponses } from '../problem-view.js';
import { receivedBytes, unpackBody } from '../request-body.js';
import type { HttpServer } from '../server.js';
import { usageResultsSchema } from '../usage-results-views.js';
import { UsageSenders } from '../usage-sender.js';
import { describedOnly } from '../validation.js';

/** The body as the OpenAPI document shows it; the route checks shape and events itself, event by event. */
const bodySchema = z.strictObject({ events: z.array(usageEventSchema).min(1).max(EVENTS_PER_REQUEST_COUNT) });

/** `POST /v1/usage`: the hot path. The body is read once, as bytes, because a signature is over the bytes. */
export function usageRoutes(server: HttpServer, deps: HttpDeps): void {
  const senders = new UsageSenders(deps);
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));

  server.post(
    '/v1/usage',
    {
      bodyLimit: REQUEST_BODY_BYTES,
      config: { access: 'service' },
      validatorCompiler: describedOnly,
      schema: {
        summary: 'Append usage events',
        tags: ['usage'],
        body: bodySchema,
        response: { 200: usageResultsSchema, ...problemResponses },
      },
    },
    async (request) => {
      const bytes = receivedBytes(request);
      const sender = await senders.authenticate(request, bytes, 'signed');
      const received = readUsageBody(await unpackBody(request, bytes, REQUEST_BODY_BYTES));
      const results = await senders.receive(request, sender, received);
      senders.count(request, results);
      return { results };
    },
  );
}
