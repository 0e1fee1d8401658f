import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { CostplusError } from '../errors/error.js';
import { type Answer, errorAnswer, StripeRefusal } from './stripe-answer.js';
import { control, type Handles } from './stripe-control.js';
import type { EndpointContext } from './stripe-endpoint.js';
import { findEndpoint } from './stripe-endpoints.js';
import { Faults } from './stripe-faults.js';
import { parseForm } from './stripe-form.js';
import { header, readBody, send, split } from './stripe-http.js';
import { IdempotencyKeys } from './stripe-idempotency.js';
import { invoicePage } from './stripe-invoice-page.js';
import { rejectMeterEvents } from './stripe-meter-errors.js';
import { newId } from './stripe-objects.js';
import { collectInvoices, payPart } from './stripe-payment-endpoints.js';
import { issueRenewals, renewSubscription } from './stripe-renewal.js';
import { StandInStore } from './stripe-stand-in-store.js';
import { type RecordedRequest, readState, type StandInState } from './stripe-state.js';
import { DEFAULT_TAX, type StandInTax } from './stripe-tax.js';
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
  /** Lines of a deleted draft stay, as pending items. */
  freesItems?: boolean;
  environment?: NodeJS.ProcessEnv;
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
  /** A payment of a part of an invoice arrives (minor units). Throws a refusal where it is more than remains. */
  payPart: (invoiceId: string, amount: number) => void;
  /** A subscription's period ends: answers the draft of its renewal, which is issued by itself when its time has come. */
  renew: (subscriptionId: string, draftSeconds?: number) => string;
  /** The hour in which renewals are drafts is over. */
  issueDrafts: () => void;
  /** Sets what Stripe Tax takes from now on. */
  setTax: (tax: StandInTax) => void;
  /** Refuses meter events that were taken; answers the notification, which is delivered where there is an endpoint. */
  rejectMeterEvents: (code: string, identifiers: string[]) => string;
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
  let tax = DEFAULT_TAX;
  const context: EndpointContext = {
    store,
    nowMs,
    emit: (type, object) => webhooks.emit(type, object, nowMs()),
    baseUrl: () => url,
    tax: () => tax,
    freesItems: options.freesItems ?? false,
  };

  /** Makes what was done durable at once. */
  const committing =
    <A extends unknown[]>(work: (...args: A) => void) =>
    (...args: A): void => {
      work(...args);
      store.commit();
    };
  const advance = committing((milliseconds: number) => {
    store.put('settings', 'clock_offset_ms', (store.get('settings', 'clock_offset_ms') ?? 0) + milliseconds);
    issueRenewals(context);
  });
  const issueDrafts = committing(() => issueRenewals(context, Number.POSITIVE_INFINITY));
  const renew = (subscriptionId: string, draftSeconds?: number): string => {
    const invoice = renewSubscription(context, subscriptionId, draftSeconds);
    store.commit();
    return invoice;
  };
  const forgetKeys = committing(() => keys.forget());
  const collect = committing(() => collectInvoices(context));
  const pay = committing((invoiceId: string, amount: number) => payPart(context, invoiceId, amount));

  const state = () => readState(store, nowMs(), requests);
  const handles: Handles = { state, faults, advance, collect, payPart: pay, renew, issueDrafts, nowMs };

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
      const result = control(handles, method, path, text);
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
    payPart: pay,
    renew,
    issueDrafts,
    setTax: (next) => {
      tax = next;
    },
    rejectMeterEvents: (code, identifiers) => {
      const { id, body } = rejectMeterEvents(store, nowMs(), code, identifiers);
      webhooks.deliver(id, body);
      store.commit();
      return body;
    },
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
