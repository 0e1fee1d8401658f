import type { UsageFormat } from '../contracts/patterns.js';
import { fromResponse } from '../usage/normalise.js';
import { reportedCost } from '../usage/reported-cost.js';
import type { UsageEventInput } from './event-input.js';
import type { UsageContext } from './usage-context.js';

/** What takes events: a `Reporter`, or anything with its `report`. */
export interface UsageReporter {
  report(event: UsageEventInput): string;
}

/** What a response does not say itself. */
export interface ResponseDetails extends UsageContext {
  customer_id: string;
  /** For formats whose body names no model (Bedrock, Cohere), and where the body's name is to be replaced. */
  model_id?: string;
  request_id?: string;
  /** For calls that may be reported twice, such as a background response that is polled: the response's id. */
  event_id?: string;
  occurred_at?: string | Date;
}

/**
 * Reports the usage of a whole response body (or of `{model, usage}`), without keeping anything else of it. Returns the
 * ids of the events: none where the body has no usage or no model is known, several where several models made the
 * response. `event_id` is given to the first; the others take it with their model's position behind it.
 */
export function reportResponse(
  reporter: UsageReporter,
  format: UsageFormat,
  body: unknown,
  details: ResponseDetails,
): string[] {
  const found = fromResponse(format, body);
  const model_id = details.model_id ?? found?.model_id;
  if (!found || !model_id) return [];
  const { model_id: _model, event_id, ...context } = details;
  const parts = [{ model_id, provider_usage: found.provider_usage }, ...(found.others ?? [])];
  return parts.map((part, i) => {
    const cost = reportedCost(part.provider_usage.usage);
    return reporter.report({
      ...(i === 0 && found.service_tier !== undefined ? { service_tier: found.service_tier } : {}),
      ...(i === 0 && cost !== null ? { reported_cost: cost } : {}),
      ...context,
      ...part,
      ...(event_id === undefined ? {} : { event_id: i === 0 ? event_id : `${event_id}.${i}` }),
    });
  });
}
