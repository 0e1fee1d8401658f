import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type FastifyBaseLogger, type FastifyInstance, fastify, type RawServerDefault } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { ID_PATTERN } from '../contracts/ids.js';
import { CostplusError, toProblem } from '../errors/error.js';
import { PATH_SEGMENT_CHARS, REQUEST_RECEIVE_SECONDS, SMALL_BODY_BYTES } from '../limits.js';
import { logRequest, type RequestLine } from '../observability/logger.js';
import { parseStrictJson } from '../usage/strict-json.js';
import { checkAccess } from './access.js';
import { ApiKeys } from './api-keys.js';
import type { HttpDeps } from './deps.js';
import { asCostplusError, PROBLEM_MEDIA_TYPE, sendProblem } from './problems.js';
import { actionRoutes } from './routes/actions.js';
import { catalogRoutes } from './routes/catalog.js';
import { catalogAliasRoutes } from './routes/catalog-aliases.js';
import { catalogProposalRoutes } from './routes/catalog-proposals.js';
import { correctionRoutes } from './routes/corrections.js';
import { creditRoutes } from './routes/credits.js';
import { customerRoutes } from './routes/customers.js';
import { docsRoutes } from './routes/docs.js';
import { doorRoutes } from './routes/doors.js';
import { dryRunRoutes } from './routes/dry-runs.js';
import { financeRoutes } from './routes/finance.js';
import { healthRoutes } from './routes/health.js';
import { heldUsageRoutes } from './routes/held-usage.js';
import { invoiceDetailsRoutes } from './routes/invoice-details.js';
import { invoiceRoutes } from './routes/invoices.js';
import { issuedInvoiceRoutes } from './routes/issued-invoices.js';
import { meterEventRoutes } from './routes/meter-events.js';
import { periodRoutes } from './routes/periods.js';
import { planRoutes } from './routes/plans.js';
import { reportedCostRoutes } from './routes/reported-costs.js';
import { stripeWebhookRoutes } from './routes/stripe-webhook.js';
import { traceRoutes } from './routes/traces.js';
import { usageRoutes } from './routes/usage.js';
import { usageReviewRoutes } from './routes/usage-review.js';
import { usageTrailRoutes } from './routes/usage-trail.js';
import { validatorFor } from './validation.js';

/** The Fastify instance whose routes are typed by their zod schemas. */
export type HttpServer = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>;

declare module 'fastify' {
  interface FastifyRequest {
    /** What the request's log line says beside the usual. */
    line: Pick<RequestLine, 'error_code' | 'error' | 'results'>;
  }
}

/**
 * The HTTP API on these dependencies, not yet listening. `close()` refuses what comes, lets requests under way finish,
 * and leaves the dependencies to their owner.
 */
export function createServer(deps: HttpDeps): HttpServer {
  let closing = false;
  const server = fastify({
    bodyLimit: SMALL_BODY_BYTES,
    requestTimeout: REQUEST_RECEIVE_SECONDS * 1_000,
    // Requests while closing get a problem document by the hook below.
    return503OnClosing: false,
    requestIdHeader: false,
    genReqId: (request) => {
      const sent = request.headers['x-request-id'];
      return typeof sent === 'string' && ID_PATTERN.test(sent) ? sent : randomUUID();
    },
    routerOptions: { maxParamLength: PATH_SEGMENT_CHARS },
    frameworkErrors: (error, _request, reply) => {
      sendProblem(reply, asCostplusError(error));
    },
    clientErrorHandler: (_error, socket) => {
      if (!socket.writable) return;
      const body = JSON.stringify(toProblem(new CostplusError('invalid_request', 'This is not an HTTP request.')));
      socket.end(
        `HTTP/1.1 400 Bad Request\r\nContent-Type: ${PROBLEM_MEDIA_TYPE}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
      );
    },
  }).withTypeProvider<ZodTypeProvider>();

  readStrictJson(server);
  const keys = new ApiKeys(deps.pool);
  server.setValidatorCompiler(validatorFor());
  // Response schemas describe (OpenAPI) and are checked by tests; at run time an answer is written as it is.
  server.setSerializerCompiler(() => JSON.stringify);
  server.decorateRequest('caller', null);
  server.decorateRequest('line');

  server.addHook('onRequest', async (request, reply) => {
    request.line = {};
    void reply.headers({
      'x-request-id': request.id,
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
    });
    if (closing) {
      void reply.header('connection', 'close');
      throw new CostplusError('shutting_down', 'This server stops; another one answers.');
    }
    if (!request.is404) await checkAccess(keys, request);
  });
  server.addHook('onResponse', async (request, reply) => {
    const route = request.is404 ? 'unmatched' : (request.routeOptions.url ?? 'unmatched');
    deps.metrics.httpRequests.inc({ method: request.method, route, status: reply.statusCode });
    deps.metrics.httpDuration.observe({ method: request.method, route }, reply.elapsedTime / 1_000);
    const bytes = Number(request.headers['content-length']);
    logRequest(deps.logger, {
      request_id: request.id,
      method: request.method,
      route,
      status: reply.statusCode,
      duration_ms: Math.round(reply.elapsedTime * 1_000) / 1_000,
      ...(Number.isSafeInteger(bytes) ? { bytes_in: bytes } : {}),
      ...(request.caller
        ? {
            api_key: request.caller.prefix,
            role: request.caller.role,
            ...(request.caller.source_id === null ? {} : { source_id: request.caller.source_id }),
          }
        : {}),
      ...request.line,
    });
  });
  server.setErrorHandler((thrown, request, reply) => {
    const error = asCostplusError(thrown);
    request.line.error_code = error.code;
    if (error.status >= 500) request.line.error = error.cause ?? error;
    return sendProblem(reply, error);
  });
  server.setNotFoundHandler((request, reply) => {
    request.line.error_code = 'not_found';
    return sendProblem(reply, new CostplusError('not_found', 'There is no such route.'));
  });
  server.addHook('preClose', async () => {
    closing = true;
  });

  docsRoutes(server);
  for (const routes of [
    healthRoutes,
    usageRoutes,
    usageTrailRoutes,
    heldUsageRoutes,
    actionRoutes,
    reportedCostRoutes,
    usageReviewRoutes,
    doorRoutes,
    traceRoutes,
    meterEventRoutes,
    customerRoutes,
    dryRunRoutes,
    planRoutes,
    catalogRoutes,
    catalogAliasRoutes,
    catalogProposalRoutes,
    periodRoutes,
    invoiceRoutes,
    issuedInvoiceRoutes,
    invoiceDetailsRoutes,
    correctionRoutes,
    creditRoutes,
    financeRoutes,
    stripeWebhookRoutes,
  ]) {
    // A scope of its own for each resource: what one sets (how bodies are read) is not seen by the others.
    void server.register(async (scope) => routes(scope.withTypeProvider<ZodTypeProvider>(), deps));
  }
  return server;
}

/** Bodies of all routes: what two parsers could read as two things is refused, before Fastify's own checks of it. */
function readStrictJson(server: HttpServer): void {
  const parse = server.getDefaultJsonParser('error', 'error');
  server.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    try {
      if (body.length > 0) parseStrictJson(body);
    } catch (error) {
      done(error as CostplusError);
      return;
    }
    void parse(request, body.toString('utf8'), done);
  });
}
