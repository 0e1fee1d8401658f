import { ID_PATTERN } from '../contracts/patterns.js';
import { CostplusError } from '../errors/error.js';
import { fromResponse } from '../usage/normalise.js';
import { decimalOfNumber } from '../usage/reported-cost.js';
import { parseStrictJson } from '../usage/strict-json.js';
import {
  type DoorEntry,
  foreignEventId,
  IGNORED,
  objectOf,
  refused,
  stringOf,
  timeOfSeconds,
  withoutUndefined,
} from './door.js';
import { catalogProvider } from './provider-names.js';

const FORMAT = 'litellm.standard_logging_payload';

/**
 * The payloads of one delivery of LiteLLM's `generic_api` callback: an array, one object, or one object a line
 * (`log_format: ndjson`, which LiteLLM sends as application/json too). Throws `invalid_request`.
 */
export function readLitellmBody(bytes: Buffer): unknown[] {
  let value: unknown;
  try {
    value = parseStrictJson(bytes);
  } catch (error) {
    const lines = linesOf(bytes);
    if (!(error instanceof CostplusError) || lines.length < 2) throw error;
    return lines.map(parseStrictJson);
  }
  return Array.isArray(value) ? value : [value];
}

/** The lines that hold something. A line feed is no part of any other character in UTF-8. */
function linesOf(bytes: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let from = 0; from < bytes.length; ) {
    const end = bytes.indexOf(0x0a, from);
    const line = bytes.subarray(from, end < 0 ? bytes.length : end);
    if (line.some((byte) => byte > 0x20)) lines.push(line);
    from += line.length + 1;
  }
  return lines;
}

/**
 * One StandardLoggingPayload. Identity: `id`, LiteLLM's own of the call. Time: `startTime`. Customer: the proxy's
 * `end_user` (the `user` of the request), or `customer_id` of the request's metadata, which says it better where a user
 * is a person of a customer; `paid_by` of that metadata says whose provider key it was. Answers out of LiteLLM's cache and failures without tokens cost nothing. What cost something
 * and has no tokens (pictures, speech, rerank) counts as one request, and waits until the catalog prices that.
 */
export function readLitellmPayload(value: unknown, at: number): DoorEntry {
  const path = `[${at}]`;
  const payload = objectOf(value);
  if (payload === null) return refused(path, 'must be a StandardLoggingPayload');
  if (payload.cache_hit === true) return IGNORED;
  if (payload.status === 'failure' && (payload.total_tokens === 0 || payload.total_tokens === undefined))
    return IGNORED;
  const id = stringOf(payload.id);
  if (id === undefined) return refused(`${path}.id`, 'is missing: it names the event');
  const found = fromResponse(FORMAT, payload);
  if (found === null) return refused(path, 'has no counts');
  const metadata = objectOf(payload.metadata) ?? {};
  const requester = objectOf(metadata.requester_metadata) ?? {};
  const customer =
    stringOf(requester.customer_id) ?? stringOf(payload.end_user) ?? stringOf(metadata.user_api_key_end_user_id);
  if (customer === undefined) {
    return refused(
      `${path}.end_user`,
      'is missing, and metadata.requester_metadata.customer_id too: whose call was it',
    );
  }
  const named = stringOf(payload.custom_llm_provider);
  const trace = stringOf(payload.trace_id);
  const cost = decimalOfNumber(payload.response_cost);
  return {
    event: withoutUndefined({
      event_id: foreignEventId('litellm', id),
      customer_id: customer,
      provider: named === undefined ? undefined : catalogProvider(named),
      model_id: modelOf(stringOf(payload.model), named),
      occurred_at: timeOfSeconds(payload.startTime) ?? timeOfSeconds(payload.endTime),
      ...(isWithoutTokens(payload) && cost !== null && cost !== '0'
        ? { usage: { requests: 1 } }
        : { provider_usage: found.provider_usage }),
      action_id: trace !== undefined && ID_PATTERN.test(trace) ? trace : undefined,
      paid_by: stringOf(requester.paid_by),
      reported_cost: cost === null ? undefined : { amount: cost, currency: 'usd' },
    }),
    marks: [],
  };
}

function isWithoutTokens({ prompt_tokens: prompt, completion_tokens: completion }: Readonly<Record<string, unknown>>) {
  return !prompt && !completion;
}

/** LiteLLM writes `provider/model`; the provider stands beside it already. */
function modelOf(model: string | undefined, provider: string | undefined): string | undefined {
  const prefix = `${provider}/`;
  return model?.startsWith(prefix) ? model.slice(prefix.length) : model;
}
