import { detectFormat, fromResponse } from '../usage/normalise.js';
import { reportedCost } from '../usage/reported-cost.js';
import { readCalls } from './call-envelope.js';
import {
  type DoorEntry,
  foreignEventId,
  objectOf,
  refused,
  stringOf,
  timeOfSeconds,
  withoutUndefined,
} from './door.js';

/**
 * Answers of OpenRouter, whole or reduced to id, model, times and usage: `{"calls": [{"customer_id", "response"}]}`.
 * Identity: the generation id (`gen-...`). Time: `created`, else `occurred_at` of the call. Provider: `openrouter`, whose
 * prices the call is charged at. Of the answer only id, model, time and counts are read; the texts go no further.
 */
export function readOpenrouterCalls(body: unknown): DoorEntry[] {
  return readCalls(body, ['response'], (call, added, path) => {
    const response = objectOf(call.response);
    if (response === null) return refused(`${path}.response`, 'must be the answer of OpenRouter');
    const id = stringOf(response.id);
    if (id === undefined) return refused(`${path}.response.id`, 'is missing: the generation id names the event');
    const format = detectFormat(response);
    const found = format === null ? null : fromResponse(format, response);
    if (found === null) return refused(`${path}.response.usage`, 'is missing, or its format cannot be told');
    const cost = reportedCost(found.provider_usage.usage);
    const event = withoutUndefined({
      service_tier: found.service_tier,
      ...added,
      event_id: openrouterEventId(id),
      provider: 'openrouter',
      model_id: found.model_id ?? undefined,
      occurred_at: added.occurred_at ?? timeOfSeconds(response.created) ?? timeOfSeconds(response.created_at),
      provider_usage: found.provider_usage,
      reported_cost: cost ?? undefined,
    });
    return { event, marks: found.provider_usage.usage.is_byok === true ? ['byok'] : [] };
  });
}

/** The id of a call of OpenRouter, the same whether its answer or its trace arrives. */
export function openrouterEventId(generationId: string): string {
  return foreignEventId('openrouter', generationId);
}
