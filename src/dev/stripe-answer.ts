/** What a request is answered with; `body` is JSON text. */
export interface Answer {
  status: number;
  body: string;
  headers?: Record<string, string>;
}

export interface StripeErrorBody {
  type: 'invalid_request_error' | 'idempotency_error' | 'api_error' | 'card_error';
  code?: string;
  message: string;
  param?: string;
}

export function errorAnswer(status: number, error: StripeErrorBody, headers: Record<string, string> = {}): Answer {
  return { status, body: JSON.stringify({ error }), headers };
}

/** A request that an endpoint refused. `executed` false: its parameters were not valid, nothing is saved under its key. */
export class StripeRefusal extends Error {
  readonly status: number;
  readonly error: StripeErrorBody;
  readonly executed: boolean;

  constructor(status: number, error: StripeErrorBody, executed: boolean) {
    super(error.message);
    this.status = status;
    this.error = error;
    this.executed = executed;
  }
}

/** Parameters that are not valid in themselves. */
export function badParameter(param: string, message: string, code?: string): StripeRefusal {
  return new StripeRefusal(
    400,
    { type: 'invalid_request_error', message, param, ...(code === undefined ? {} : { code }) },
    false,
  );
}

/** A request that was executed and refused by the state of things. */
export function refused(message: string, code?: string, param?: string, status = 400): StripeRefusal {
  return new StripeRefusal(
    status,
    {
      type: 'invalid_request_error',
      message,
      ...(code === undefined ? {} : { code }),
      ...(param === undefined ? {} : { param }),
    },
    true,
  );
}
