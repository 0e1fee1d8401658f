import { randomUUID } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { EventResult } from '../../contracts/event-result.js';
import { customersOfStripe } from '../../customers/stripe-customers.js';
import { type DoorEntry, refused } from '../../doors/door.js';
import { type MeterEvent, meterEventUsage, readMeterEvent, readMeterForm } from '../../doors/stripe-meter-events.js';
import { CostplusError } from '../../errors/error.js';
import { METER_EVENTS_PER_REQUEST_COUNT, METER_SESSION_MINUTES, REQUEST_BODY_BYTES } from '../../limits.js';
import { parseStrictJson } from '../../usage/strict-json.js';
import type { HttpDeps } from '../deps.js';
import { receiveEntries } from '../door-entries.js';
import { asCostplusError } from '../problems.js';
import { receivedBytes, unpackBody } from '../request-body.js';
import type { HttpServer } from '../server.js';
import { UsageSenders } from '../usage-sender.js';
import { describedOnly } from '../validation.js';

const FORM = 'application/x-www-form-urlencoded';

/**
 * The endpoints to which `@stripe/token-meter`, the meter of `@stripe/ai-sdk` and gateways with Stripe billing send their
 * token meter events, answered as Stripe answers: a product that is wired for them changes the host and the key.
 */
export function meterEventRoutes(server: HttpServer, deps: HttpDeps): void {
  const senders = new UsageSenders(deps);
  server.removeAllContentTypeParsers();
  for (const type of ['application/json', FORM]) {
    server.addContentTypeParser(type, { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  }
  server.setErrorHandler((thrown, request, reply) => sendStripeError(request, reply, asCostplusError(thrown)));

  /** Appends the meter events of a request; throws for the first that is refused, after the others are taken. */
  const take = async (request: FastifyRequest, read: (body: Buffer) => unknown[]): Promise<MeterEvent[]> => {
    const bytes = receivedBytes(request);
    const sender = await senders.authenticate(request, bytes, 'door');
    const events = read(await unpackBody(request, bytes, REQUEST_BODY_BYTES)).map(readMeterEvent);
    const readable = events.filter((event) => 'event_name' in event);
    const customers = await customersOfStripe(
      deps.pool,
      readable.map(({ stripe_customer_id }) => stripe_customer_id),
    );
    const lastingFor = fallbackIds(request);
    const entries = events.map(
      (event, at): DoorEntry =>
        'event_name' in event
          ? meterEventUsage(event, customers.get(event.stripe_customer_id) ?? null, lastingFor(at), deps.now())
          : refused(event.param, event.message),
    );
    const { results } = await receiveEntries(senders, request, sender, entries);
    const fault = results.find(({ status }) => status === 'rejected' || status === 'conflict');
    if (fault) throw faultOf(fault);
    return readable;
  };
  const options = {
    bodyLimit: REQUEST_BODY_BYTES,
    config: { access: 'service' },
    validatorCompiler: describedOnly,
  } as const;
  const described = (summary: string) => ({
    ...options,
    schema: { summary, description: 'Answers in the form of Stripe.', tags: ['doors'], body: z.unknown() },
  });

  server.post('/v1/billing/meter_events', described('Take a token meter event, Stripe v1'), async (request) => {
    const [event] = await take(request, (body) => [readMeterForm(textOf(body))]);
    const now = Math.floor(deps.now() / 1_000);
    return {
      object: 'billing.meter_event',
      ...echoOf(event!),
      created: now,
      timestamp: event!.occurred_at === null ? now : Math.floor(Date.parse(event!.occurred_at) / 1_000),
    };
  });
  server.post('/v2/billing/meter_events', described('Take a token meter event, Stripe v2'), async (request) => {
    const [event] = await take(request, (body) => [parseStrictJson(body)]);
    const now = new Date(deps.now()).toISOString();
    return {
      object: 'v2.billing.meter_event',
      ...echoOf(event!),
      created: now,
      timestamp: event!.occurred_at ?? now,
    };
  });
  server.post('/v2/billing/meter_event_stream', described('Take token meter events, Stripe v2'), async (request) => {
    await take(request, (body) => {
      const { events } = parseStrictJson(body) as { events?: unknown };
      if (!Array.isArray(events) || events.length < 1 || events.length > METER_EVENTS_PER_REQUEST_COUNT) {
        throw new CostplusError('invalid_request', `events: 1 to ${METER_EVENTS_PER_REQUEST_COUNT} meter events.`, {
          field: 'events',
        });
      }
      return events;
    });
    return {};
  });
  server.post('/v2/billing/meter_event_session', described('Open a session for the stream, Stripe v2'), (request) => ({
    object: 'v2.billing.meter_event_session',
    id: `mes_${request.id}`,
    // A session opens nothing that the key of its caller does not, so the token is that key.
    authentication_token: (request.headers.authorization ?? '').replace(/^bearer +/i, ''),
    created: new Date(deps.now()).toISOString(),
    expires_at: new Date(deps.now() + METER_SESSION_MINUTES * 60_000).toISOString(),
    livemode: false,
  }));
}

/**
 * The id of an event that names none: Stripe's SDKs send an `Idempotency-Key` that their own retries repeat. Without one
 * nothing tells a repetition from another call.
 */
function fallbackIds(request: FastifyRequest): (at: number) => string {
  const key = request.headers['idempotency-key'];
  return typeof key === 'string' && key !== '' && key.length <= 255
    ? (at) => (at === 0 ? key : `${key}.${at}`)
    : () => randomUUID();
}

function textOf(body: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    throw new CostplusError('invalid_request', 'The body is not UTF-8.');
  }
}

/** What Stripe answers of a meter event: what was read of it, all of it checked. */
function echoOf(event: MeterEvent): Record<string, unknown> {
  const { event_name, identifier, stripe_customer_id, model, token_type, value } = event;
  return { event_name, identifier, livemode: false, payload: { stripe_customer_id, model, token_type, value } };
}

function faultOf(result: EventResult): CostplusError {
  if (result.status === 'conflict') {
    return new CostplusError('conflict', 'A meter event with this identifier came before, with another content.', {
      field: 'identifier',
    });
  }
  const detail = [result.field ?? result.reason, result.detail].filter((part) => part !== undefined).join(' ');
  return new CostplusError('invalid_event', `${detail}.`, result.field === undefined ? {} : { field: result.field });
}

/** An error in the form of Stripe's API. A conflict is a 400 there: 409 tells its SDKs to try again. */
function sendStripeError(request: FastifyRequest, reply: FastifyReply, error: CostplusError): FastifyReply {
  request.line.error_code = error.code;
  if (error.status >= 500) request.line.error = error.cause ?? error;
  return reply
    .code(error.status === 409 ? 400 : error.status)
    .type('application/json')
    .send({
      error: {
        type: error.status >= 500 ? 'api_error' : 'invalid_request_error',
        code: error.code,
        message: error.message,
        ...(error.field === undefined ? {} : { param: error.field }),
      },
    });
}
