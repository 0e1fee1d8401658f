import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { EventResult } from '../../contracts/event-result.js';
import { decodeTraceRequest, encodeTraceAnswer, type TraceAnswer } from '../../doors/otlp-protobuf.js';
import { readSpans } from '../../doors/otlp-spans.js';
import { readTraceSpan } from '../../doors/otlp-traces.js';
import { CostplusError } from '../../errors/error.js';
import { DOOR_BODY_BYTES } from '../../limits.js';
import { parseStrictJson } from '../../usage/strict-json.js';
import type { HttpDeps } from '../deps.js';
import { receiveEntries } from '../door-entries.js';
import { problemResponses } from '../problem-view.js';
import { unpackBody } from '../request-body.js';
import type { HttpServer } from '../server.js';
import { traceAnswerView } from '../usage-results-views.js';
import { UsageSenders } from '../usage-sender.js';
import { describedOnly } from '../validation.js';

const PROTOBUF = 'application/x-protobuf';
/** Refusals that one answer words: exporters write it into a log line. */
const REASONS_COUNT = 5;

/**
 * `POST /v1/traces`: OTLP/HTTP in JSON and protobuf; `PUT` for OpenRouter's broadcast, which can be set to it. Spans that
 * are refused are counted in the answer, as OTLP wants it, and the others of the batch are taken.
 */
export function traceRoutes(server: HttpServer, deps: HttpDeps): void {
  const senders = new UsageSenders(deps);
  server.removeAllContentTypeParsers();
  for (const type of ['application/json', PROTOBUF]) {
    server.addContentTypeParser(type, { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  }

  const take = async (request: FastifyRequest, reply: FastifyReply) => {
    const bytes: Buffer = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
    const isProtobuf = String(request.headers['content-type']).startsWith(PROTOBUF);
    const sender = await senders.authenticate(request, bytes, 'door');
    const body = await unpackBody(request, bytes, DOOR_BODY_BYTES);
    const spans = readSpans(isProtobuf ? decodeTraceRequest(body) : parseStrictJson(body));
    if (spans === null) throw new CostplusError('invalid_request', 'The body is not an OTLP export request.');
    const { results } = await receiveEntries(senders, request, sender, spans.map(readTraceSpan));
    const answer = answerOf(results);
    if (!isProtobuf) return answer;
    return reply.type(PROTOBUF).send(encodeTraceAnswer(answer));
  };
  const options = {
    bodyLimit: DOOR_BODY_BYTES,
    config: { access: 'service' },
    validatorCompiler: describedOnly,
    schema: {
      summary: 'Take OpenTelemetry traces with GenAI attributes',
      description: 'OTLP/HTTP. Attributes beside ids, models, times and counts are not read, stored or logged.',
      tags: ['doors'],
      body: z.unknown(),
      response: { 200: traceAnswerView, ...problemResponses },
    },
  } as const;
  server.post('/v1/traces', options, take);
  server.put('/v1/traces', options, take);
}

/** The answer of OTLP: empty where everything was taken. What an id conflicts with was taken before, as something else. */
function answerOf(results: readonly EventResult[]): TraceAnswer {
  const refusals = results.filter(({ status }) => status === 'rejected' || status === 'conflict');
  if (refusals.length === 0) return {};
  const reasons = refusals
    .slice(0, REASONS_COUNT)
    .map(({ status, reason, field, detail }) =>
      [status === 'conflict' ? 'the same span came with another content' : (field ?? reason), detail]
        .filter(Boolean)
        .join(' '),
    );
  return {
    partialSuccess: {
      rejectedSpans: String(refusals.length),
      errorMessage: `${refusals.length} of ${results.length} spans with usage are refused: ${reasons.join('; ')}`,
    },
  };
}
