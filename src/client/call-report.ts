import type { UsageFormat } from '../contracts/patterns.js';
import type { UsageEventInput } from './event-input.js';
import { reportResponse, type UsageReporter } from './report-response.js';
import { type ContextSource, contextOf, type UsageContext } from './usage-context.js';

/** A call whose usage is not known, or not wholly. The call itself went on as if nobody watched. */
export interface UsageGap {
  /** Which call, `chat.completions.create`. */
  operation: string;
  /**
   * `no_customer`: no context named one. `no_usage`: the response had none (a stream without `include_usage`, a
   * background response). `ended_early`: a stream was left or broke off before its last usage. `raw_response`: the
   * caller took the raw response. `failed`: the report itself failed, see `error`.
   */
  reason: 'no_customer' | 'no_usage' | 'ended_early' | 'raw_response' | 'failed';
  /** Whether an event was reported all the same, with what was known until then. */
  reported: boolean;
  model_id: string | null;
  request_id: string | null;
  error?: unknown;
}

export interface WrapOptions {
  reporter: UsageReporter;
  /** Whose calls these are; what `withUsageContext` says around a call comes before it. */
  context?: ContextSource;
  /** Told of each call whose usage is not known. Without it the process warns, once for each reason. */
  onGap?: (gap: UsageGap) => void;
}

const warned = new Set<UsageGap['reason']>();

/** The report of one call: made when the call begins, because its context and its time are of that moment. */
export class CallReport {
  readonly #options: WrapOptions;
  readonly #operation: string;
  readonly #model: string | null;
  readonly #context: UsageContext;
  readonly #occurredAt = new Date();
  #done = false;

  private constructor(options: WrapOptions, operation: string, model: string | null) {
    this.#options = options;
    this.#operation = operation;
    this.#model = model;
    this.#context = contextOf(options.context);
  }

  /** Null when the context cannot be had: the call then goes unreported, and `onGap` says so. */
  static begin(options: WrapOptions, operation: string, request: unknown): CallReport | null {
    const named = isObject(request) ? request.model : undefined;
    const model = typeof named === 'string' ? named : null;
    try {
      return new CallReport(options, operation, model);
    } catch (error) {
      tell(options, { operation, reason: 'failed', reported: false, model_id: model, request_id: null, error });
      return null;
    }
  }

  /** Reports a whole response. `early` tells that more usage would have come. Never throws; the second time it does nothing. */
  response(format: UsageFormat, body: unknown, requestId: string | null = null, early = false): void {
    this.#once(requestId, (customer_id) => {
      const ids = reportResponse(this.#options.reporter, format, withModel(body, this.#model), {
        ...this.#context,
        customer_id,
        occurred_at: this.#occurredAt,
        ...(requestId === null ? {} : { request_id: requestId }),
      });
      if (early) this.#gap('ended_early', ids.length > 0, requestId);
      else if (ids.length === 0) this.#gap('no_usage', false, requestId);
    });
  }

  /** Reports usage that is no provider's response. */
  event(event: Omit<UsageEventInput, 'customer_id'>, requestId: string | null): void {
    this.#once(requestId, (customer_id) => {
      const named = requestId === null ? {} : { request_id: requestId };
      this.#options.reporter.report({
        ...event,
        occurred_at: this.#occurredAt,
        ...named,
        ...this.#context,
        customer_id,
      });
    });
  }

  /** Says that nothing is known of the call. */
  unknown(reason: UsageGap['reason'], requestId: string | null = null): void {
    this.#once(requestId, () => this.#gap(reason, false, requestId));
  }

  /** Says that the caller reads the response itself; it may still be parsed and reported. */
  rawResponse(): void {
    if (!this.#done) this.#gap('raw_response', false, null);
  }

  #once(requestId: string | null, work: (customer_id: string) => void): void {
    if (this.#done) return;
    this.#done = true;
    try {
      const { customer_id } = this.#context;
      if (customer_id === undefined) this.#gap('no_customer', false, requestId);
      else work(customer_id);
    } catch (error) {
      this.#gap('failed', false, requestId, error);
    }
  }

  #gap(reason: UsageGap['reason'], reported: boolean, requestId: string | null, error?: unknown): void {
    const gap = { operation: this.#operation, reason, reported, model_id: this.#model, request_id: requestId };
    tell(this.#options, error === undefined ? gap : { ...gap, error });
  }
}

function tell(options: WrapOptions, gap: UsageGap): void {
  if (options.onGap) {
    try {
      options.onGap(gap);
    } catch {
      // A callback that throws must not become an error of the model call.
    }
  } else if (!warned.has(gap.reason)) {
    warned.add(gap.reason);
    process.emitWarning(`the usage of ${gap.operation} is not known: ${gap.reason}`, 'CostplusWarning');
  }
}

/** The body with the requested model where it names none itself: some servers leave it out. */
function withModel(body: unknown, model: string | null): unknown {
  if (!isObject(body) || model === null) return body;
  if (typeof body.model === 'string' || typeof body.modelVersion === 'string') return body;
  return {
    usage: body.usage,
    usageMetadata: body.usageMetadata,
    service_tier: body.service_tier,
    model,
    modelVersion: model,
  };
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
