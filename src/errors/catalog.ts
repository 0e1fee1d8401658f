/**
 * The one catalog of error types. `status` is the HTTP status of the problem+json (RFC 9457), `retryable` tells a
 * client and an activity whether the same request can succeed later without anyone changing anything.
 * A code is stable once published: docs/reference/errors.md lists each, and a test compares the two both ways.
 */
export const ERROR_CATALOG = {
  // request
  invalid_request: { status: 400, title: 'The request is not valid', retryable: false },
  invalid_event: { status: 400, title: 'A usage event is not valid', retryable: false },
  invalid_plan: { status: 400, title: 'The plan is not valid', retryable: false },
  invalid_catalog: { status: 400, title: 'The catalog version is not valid', retryable: false },
  invalid_customer: { status: 400, title: 'The customer is not valid', retryable: false },
  invalid_price_document: { status: 400, title: 'The document is not one of the price source', retryable: false },
  body_too_large: { status: 413, title: 'The request body is too large', retryable: false },
  unsupported_media_type: { status: 415, title: 'The content type is not supported', retryable: false },
  // who asks
  unauthenticated: { status: 401, title: 'The API key is missing or not valid', retryable: false },
  invalid_signature: { status: 401, title: 'The signature is missing, wrong or stale', retryable: false },
  forbidden: { status: 403, title: 'The API key may not do this', retryable: false },
  // what is asked for
  not_found: { status: 404, title: 'There is no such resource', retryable: false },
  unknown_customer: { status: 404, title: 'There is no such customer', retryable: false },
  unknown_plan: { status: 404, title: 'There is no such plan', retryable: false },
  unknown_period: { status: 404, title: 'There is no such billing period', retryable: false },
  unknown_invoice: { status: 404, title: 'There is no such invoice revision', retryable: false },
  unknown_event: { status: 404, title: 'There is no such usage event', retryable: false },
  unknown_price: { status: 404, title: 'There is no price in force', retryable: false },
  // what stands against it
  wrong_status: { status: 409, title: 'The billing period is in a status that does not allow this', retryable: false },
  conflict: { status: 409, title: 'The resource exists with other content', retryable: false },
  buries_prices: {
    status: 409,
    title: 'A price would bury later-effective prices of an older version',
    retryable: false,
  },
  proposal_decided: { status: 409, title: 'The price proposal is decided already', retryable: false },
  stale_proposal: { status: 409, title: 'Prices that the proposal names were published meanwhile', retryable: false },
  no_exchange_rate: {
    status: 409,
    title: 'There is no exchange rate to the currency of the invoice',
    retryable: false,
  },
  stale_inputs: { status: 409, title: 'The inputs changed while this was computed', retryable: true },
  // foreign systems
  stripe_refused: { status: 502, title: 'Stripe refused the request', retryable: false },
  stripe_unavailable: { status: 503, title: 'Stripe cannot be reached or asks to wait', retryable: true },
  stripe_mismatch: { status: 502, title: 'What Stripe holds is not what was composed', retryable: false },
  price_source_unavailable: { status: 503, title: 'A price source cannot be reached', retryable: true },
  engine_unavailable: { status: 503, title: 'The workflow engine cannot be reached', retryable: true },
  database_unavailable: { status: 503, title: 'The database cannot be reached', retryable: true },
  // ourselves
  too_busy: { status: 503, title: 'Too much is waiting for its commit', retryable: true },
  too_many_requests: { status: 429, title: 'Too many requests', retryable: true },
  shutting_down: { status: 503, title: 'The server is shutting down', retryable: true },
  database_restored: { status: 503, title: 'The database was restored and is not renumbered', retryable: true },
  database_newer: { status: 500, title: 'The database is newer than this code', retryable: false },
  configuration: { status: 500, title: 'The configuration is not valid', retryable: false },
  internal: { status: 500, title: 'Something went wrong inside costplus', retryable: true },
} as const;

export type ErrorCode = keyof typeof ERROR_CATALOG;
