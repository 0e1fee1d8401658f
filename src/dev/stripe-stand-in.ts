import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { CostplusError } from '../errors/error.js';
import { type Answer, errorAnswer, StripeRefusal } from './stripe-answer.js';
import type { EndpointContext } from './stripe-endpoint.js';
import { findEndpoint } from './stripe-endpoints.js';
import { Faults } from './stripe-faults.js';
import { type FormParams, parseForm } from './stripe-form.js';
import { header, readBody, send, split } from './stripe-http.js';
import { IdempotencyKeys } from './stripe-idempotency.js';
import { collectInvoices } from './stripe-invoice-endpoints.js';
import { invoicePage } from './stripe-invoice-page.js';
import {
  newId,
  type StandInCreditNote,
  type StandInCustomer,
  type StandInInvoice,
  type StandInMeterEvent,
} from './stripe-objects.js';
import { StandInStore } from './stripe-stand-in-store.js';
import { WebhookSender } from './stripe-webhook-sender.js';

/** The key that the stand-in accepts unless it is given another: it opens nothing anywhere else. */
export const STAND_IN_SECRET_KEY = 'sk_test_costplus_stand_in';

/** Requests kept for `/_state`. */
const RECORDED_REQUESTS_COUNT = 20_000;

export interface StandInOptions {
  /** Where the state is kept; null: in memory only. */
  directory: string | null;
  /** 0 or left out: a free port. */
  port?: number;
  host?: string;
  /** Where events are delivered; left out: nowhere. */
  webhookUrl?: string;
  /** Secret that signs events; left out: a new one at each start. */
  webhookSecret?: string;
  /** The only key that it accepts. */
  secretKey?: string;
  environment?: NodeJS.ProcessEnv;
}

export interface RecordedRequest {
  at_ms: number;
  method: string;
  path: string;
  /** Form-encoded parameters as they came. */
  form: string;
  params: FormParams;
  idempotency_key: string | null;
  /** Null while no answer was given (or none ever is). */
  status: number | null;
  fault: string | null;
}

export interface StandInState {
  now_ms: number;
  customers: StandInCustomer[];
  invoices: StandInInvoice[];
  credit_notes: StandInCreditNote[];
  meter_events: StandInMeterEvent[];
  pending_events: number;
  requests: RecordedRequest[];
}

export interface StripeStandIn {
  /** What `STRIPE_API_BASE` takes. */
  url: string;
  secretKey: string;
  webhookSecret: string;
  state: () => StandInState;
  faults: Faults;
  /** Moves the stand-in's own clock. */
  advance: (milliseconds: number) => void;
  /** Prunes all idempotency keys, as Stripe may once they are a day old. */
  forgetKeys: () => void;
  /** Stripe's own collection comes round: charges what it can, and fails where a customer has no payment method. */
  collect: () => void;
  close: () => Promise<void>;
}

/** Throws `configuration` where a key of real Stripe is set: the stand-in must never be taken for it. */
export function refuseBesideRealStripe(environment: NodeJS.ProcessEnv): void {
  const key = environment.STRIPE_SECRET_KEY;
  if (key !== undefined && key !== '' && key !== STAND_IN_SECRET_KEY) {
    throw new CostplusError('configuration', 'STRIPE_SECRET_KEY is set: the local Stripe stand-in does not start.');
  }
}

/** Starts a stateful local server with the calls of Stripe's v1 API that costplus makes. */
export async function startStripeStandIn(options: StandInOptions): Promise<StripeStandIn> {
  refuseBesideRealStripe(options.environment ?? process.env);
  const store = new StandInStore(options.directory);
  const secretKey = options.secretKey ?? STAND_IN_SECRET_KEY;
  const authorizations = [`Bearer ${secretKey}`, `Basic ${Buffer.from(`${secretKey}:`).toString('base64')}`];
  const webhookSecret = options.webhookSecret ?? `whsec_${randomBytes(24).toString('hex')}`;
  const nowMs = () => Date.now() + (store.get('settings', 'clock_offset_ms') ?? 0);
  const advance = (milliseconds: number) => {
    store.put('settings', 'clock_offset_ms', (store.get('settings', 'clock_offset_ms') ?? 0) + milliseconds);
    store.commit();
  };
  const webhooks = new WebhookSender(
    store,
    options.webhookUrl === undefined ? null : { url: options.webhookUrl, secret: webhookSecret },
  );
  const keys = new IdempotencyKeys(store, nowMs);
  const faults = new Faults();
  const requests: RecordedRequest[] = [];
  const timers = new Set<NodeJS.Timeout>();
  const sockets = new Set<Socket>();
  let url = '';
  const context: EndpointContext = {
    store,
    nowMs,
    emit: (type, object) => webhooks.emit(type, object, nowMs()),
    baseUrl: () => url,
  };

  const forgetKeys = () => {
    keys.forget();
    store.commit();
  };
  const collect = () => {
    collectInvoices(context);
    store.commit();
  };

  const state = (): StandInState => ({
    now_ms: nowMs(),
    customers: store.values('customers'),
    invoices: store.values('invoices'),
    credit_notes: store.values('credit_notes'),
    meter_events: store.values('meter_events'),
    pending_events: store.values('events').length,
    requests,
  });

  function execute(request: RecordedRequest, failInside: boolean): Answer & { executed: boolean } {
    try {
      const endpoint = findEndpoint(request.method, request.path);
      if (failInside) return { ...serverError(), executed: true };
      return { status: 200, body: JSON.stringify(endpoint(context, request.params)), executed: true };
    } catch (error) {
      if (!(error instanceof StripeRefusal)) throw error;
      return { ...errorAnswer(error.status, error.error), executed: error.executed };
    }
  }

  const pause = (milliseconds: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        timers.delete(timer);
        resolve();
      }, milliseconds);
      timers.add(timer);
    });

  /** The answer, or what happens instead of one. */
  async function answer(request: RecordedRequest, authorization: string): Promise<Answer | 'silence' | 'reset'> {
    if (!authorizations.includes(authorization)) {
      return errorAnswer(401, { type: 'invalid_request_error', message: 'Invalid API Key provided' });
    }
    const fault = faults.take(request.method, request.path, request.form);
    request.fault = fault?.kind ?? null;
    const headers: Record<string, string> = {};
    if (fault?.should_retry) headers['stripe-should-retry'] = fault.should_retry;
    if (fault?.retry_after_seconds !== undefined) headers['retry-after'] = String(fault.retry_after_seconds);
    switch (fault?.kind) {
      case '429':
        return errorAnswer(
          429,
          { type: 'invalid_request_error', code: 'rate_limit', message: 'Too many requests' },
          headers,
        );
      case '500_unsaved':
        return { ...serverError(), headers };
      case 'timeout_before':
        return 'silence';
      case 'reset_before':
        return 'reset';
      case 'delay':
        await pause(fault.delay_ms);
    }

    // Keys have no effect on GET and DELETE.
    const key = request.method === 'POST' ? request.idempotency_key : null;
    const identity = `${request.method} ${request.path} ${request.form}`;
    const known = key === null ? null : keys.answer(key, identity);
    let given: Answer;
    if (known !== null) given = known;
    else {
      if (fault?.kind === 'slow') {
        if (key !== null) keys.begin(key);
        await pause(fault.delay_ms);
        if (key !== null) keys.end(key);
      }
      const done = execute(request, fault?.kind === '500_saved');
      given = fault?.kind === '500_saved_after' && done.executed ? serverError() : done;
      if (key !== null && done.executed) keys.save(key, identity, given);
    }
    store.commit();
    if (fault?.kind === 'timeout_after') return 'silence';
    if (fault?.kind === 'reset_after') return 'reset';
    return { status: given.status, body: given.body, headers: { ...headers, ...given.headers } };
  }

  async function control(method: string, path: string, text: string): Promise<unknown> {
    const body = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
    if (method === 'GET' && path === '/_state') return state();
    if (method === 'POST' && path === '/_faults') faults.order(body);
    else if (method === 'DELETE' && path === '/_faults') faults.clear();
    else if (method === 'POST' && path === '/_clock') advance(Number(body.advance_seconds ?? 0) * 1_000);
    else if (method === 'POST' && path === '/_collect') collect();
    else return null;
    return { now_ms: nowMs(), faults: faults.pending() };
  }

  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const method = incoming.method ?? 'GET';
    const [path, query] = split(incoming.url ?? '/');
    const text = await readBody(incoming);
    if (path.startsWith('/_invoices/')) {
      const page = invoicePage(store.get('invoices', path.slice('/_invoices/'.length)));
      send(response, page === null ? 404 : 200, page ?? 'No such invoice', 'text/html; charset=utf-8');
      return;
    }
    if (path.startsWith('/_')) {
      const result = await control(method, path, text);
      send(response, result === null ? 404 : 200, JSON.stringify(result), 'application/json');
      return;
    }
    const form = method === 'POST' ? text : query;
    const request: RecordedRequest = {
      at_ms: nowMs(),
      method,
      path,
      form,
      params: parseForm(form),
      idempotency_key: header(incoming, 'idempotency-key'),
      status: null,
      fault: null,
    };
    requests.push(request);
    if (requests.length > RECORDED_REQUESTS_COUNT) requests.splice(0, RECORDED_REQUESTS_COUNT / 2);
    const given = await answer(request, header(incoming, 'authorization') ?? '');
    if (given === 'silence') return;
    if (given === 'reset') {
      incoming.socket.resetAndDestroy();
      return;
    }
    request.status = given.status;
    send(response, given.status, given.body, 'application/json', { 'request-id': newId('req'), ...given.headers });
  }

  const server = createServer((incoming, response) => {
    serve(incoming, response).catch((error: unknown) => {
      const message = error instanceof Error ? error.message : 'unknown';
      if (!response.headersSent)
        send(response, 400, errorAnswer(400, { type: 'api_error', message }).body, 'application/json');
    });
  });
  // Longer than any caller keeps an idle connection: a connection closed at the wrong moment costs a retry.
  server.keepAliveTimeout = 120_000;
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, options.host ?? '127.0.0.1', resolve);
  });
  url = `http://${options.host ?? '127.0.0.1'}:${(server.address() as AddressInfo).port}`;

  return {
    url,
    secretKey,
    webhookSecret,
    state,
    faults,
    advance,
    collect,
    forgetKeys,
    close: async () => {
      webhooks.close();
      for (const timer of timers) clearTimeout(timer);
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
      store.close();
    },
  };
}

function serverError(): Answer {
  return errorAnswer(500, { type: 'api_error', message: 'An unknown error occurred' });
}
