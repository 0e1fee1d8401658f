import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { cloudEventOfHeaders, readCloudEvent } from '../../doors/cloud-events.js';
import type { DoorEntry } from '../../doors/door.js';
import { readLitellmBody, readLitellmPayload } from '../../doors/litellm.js';
import { readOpenrouterCalls } from '../../doors/openrouter.js';
import { readVercelCalls } from '../../doors/vercel-ai-gateway.js';
import { CostplusError } from '../../errors/error.js';
import { DOOR_BODY_BYTES } from '../../limits.js';
import { parseStrictJson } from '../../usage/strict-json.js';
import type { HttpDeps } from '../deps.js';
import { receiveEntries } from '../door-entries.js';
import { problemResponses } from '../problem-view.js';
import { receivedBytes, unpackBody } from '../request-body.js';
import type { HttpServer } from '../server.js';
import { doorResultsSchema } from '../usage-results-views.js';
import { UsageSenders } from '../usage-sender.js';
import { describedOnly } from '../validation.js';

const JSON_TYPES = ['application/json', 'application/x-ndjson'];
const CLOUD_EVENT = 'application/cloudevents+json';
const CLOUD_EVENT_BATCH = 'application/cloudevents-batch+json';

interface Door {
  path: string;
  summary: string;
  mediaTypes: readonly string[];
  read: (body: Buffer, request: FastifyRequest) => DoorEntry[];
}

const DOORS: readonly Door[] = [
  {
    path: '/v1/doors/openrouter',
    summary: 'Take answers of OpenRouter',
    mediaTypes: JSON_TYPES,
    read: (body) => readOpenrouterCalls(parseStrictJson(body)),
  },
  {
    path: '/v1/doors/vercel-ai-gateway',
    summary: 'Take results of the AI SDK through Vercel AI Gateway',
    mediaTypes: JSON_TYPES,
    read: (body) => readVercelCalls(parseStrictJson(body)),
  },
  {
    path: '/v1/doors/litellm',
    summary: 'Take batches of the generic_api callback of LiteLLM',
    mediaTypes: JSON_TYPES,
    read: (body) => readLitellmBody(body).map(readLitellmPayload),
  },
  {
    path: '/v1/doors/cloudevents',
    summary: 'Take CloudEvents 1.0: single, batch or binary',
    mediaTypes: [...JSON_TYPES, CLOUD_EVENT, CLOUD_EVENT_BATCH],
    read: readCloudEvents,
  },
];

/** Doors of gateways that answer a result for each entry, like `POST /v1/usage`. */
export function doorRoutes(server: HttpServer, deps: HttpDeps): void {
  const senders = new UsageSenders(deps);
  server.removeAllContentTypeParsers();
  for (const type of [...JSON_TYPES, CLOUD_EVENT, CLOUD_EVENT_BATCH]) {
    server.addContentTypeParser(type, { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  }
  for (const { path, summary, mediaTypes, read } of DOORS) {
    server.post(
      path,
      {
        bodyLimit: DOOR_BODY_BYTES,
        config: { access: 'service' },
        validatorCompiler: describedOnly,
        schema: {
          summary,
          description: 'What the payload holds beside ids, models, times and counts is not read, stored or logged.',
          tags: ['doors'],
          body: z.unknown(),
          response: { 200: doorResultsSchema, ...problemResponses },
        },
      },
      async (request) => {
        const bytes = receivedBytes(request);
        if (!mediaTypes.includes(mediaTypeOf(request))) {
          throw new CostplusError('unsupported_media_type', `Send the body as ${mediaTypes.join(', ')}.`);
        }
        const sender = await senders.authenticate(request, bytes, 'door');
        const body = await unpackBody(request, bytes, DOOR_BODY_BYTES);
        return receiveEntries(senders, request, sender, read(body, request));
      },
    );
  }
}

function mediaTypeOf(request: FastifyRequest): string {
  return (request.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase();
}

/** The mode is told by the media type, as the HTTP binding of CloudEvents says; anything else is binary. */
function readCloudEvents(body: Buffer, request: FastifyRequest): DoorEntry[] {
  const value = parseStrictJson(body);
  switch (mediaTypeOf(request)) {
    case CLOUD_EVENT:
      return [readCloudEvent(value, 'event')];
    case CLOUD_EVENT_BATCH:
      if (!Array.isArray(value)) throw new CostplusError('invalid_request', 'A batch is an array of CloudEvents.');
      return value.map((event: unknown, at) => readCloudEvent(event, `events[${at}]`));
    default:
      return [readCloudEvent(cloudEventOfHeaders(request.headers, value), 'event')];
  }
}
